"""What the row-class sums R add to the class sums: scatter seen from the class means, and nearest class means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from nc1fast.sums import ClassSums

_CHUNK = 1 << 17  # entries of R at a time: 1 MiB, so that its temporaries stay in cache


@dataclass(frozen=True, eq=False)
class RowStatistics:
    """Digest of R that every convention can use: O(C^2 + N) where R is N C.

    The scatters are sum_i w_i q_i q_i^T with q_ik = <mu_k - mean of the mu, h_i - mu_{y_i}>, shape (C, C).
    """

    scatter_sample: NDArray[np.float64]  # w_i = 1/N
    scatter_class: NDArray[np.float64]  # w_i = 1/(C n_{y_i})
    nearest_center: NDArray[np.int64]  # (N,) in the caller's row order
    ncc_accuracy: float


def _segments(sizes: NDArray[np.int64]) -> Iterator[tuple[int, slice]]:
    """(class, columns of R) in pieces of at most _CHUNK entries, none across a class border."""
    step = max(1, _CHUNK // len(sizes))
    ends = np.cumsum(sizes)
    for c, (size, end) in enumerate(zip(sizes.tolist(), ends.tolist(), strict=True)):
        for start in range(end - size, end, step):
            yield c, slice(start, min(start + step, end))


def row_statistics(sums: ClassSums, gram: NDArray[np.float64]) -> RowStatistics | None:
    """Digest of `sums.class_rows`, or None where the rows were not kept.

    Parameters
    ----------
    sums : ClassSums
    gram : ndarray of shape (n_classes, n_classes)
        <mu_c, mu_c'>.

    Notes
    -----
    Cost: N C^2 multiply-adds, about 4 MiB beside the result.
    Source: <mu_k, h_i> = R_ik/n_k, and nearest mean = argmin_k |mu_k|^2 - 2 <mu_k, h_i>.
    """
    R, order = sums.class_rows, sums.order
    if R is None or order is None:
        return None
    sizes = sums.sizes
    C, N = R.shape
    by_class = np.zeros((2, C, C))
    nearest = np.empty(N, dtype=np.int64)
    hits = 0
    norms = np.diag(gram)[:, None].copy()  # (C, 1)
    for c, columns in _segments(sizes):
        on_means = R[:, columns] / sizes[:, None]  # (C, m)  <mu_k, h_i>
        closest = (norms - 2 * on_means).argmin(axis=0)
        nearest[order[columns]] = closest
        hits += int(np.count_nonzero(closest == c))
        on_means -= gram[:, c, None]
        on_means -= on_means.mean(axis=0)
        scatter = on_means @ on_means.T
        by_class[0] += scatter / N
        by_class[1] += scatter / (C * sizes[c])
    return RowStatistics(by_class[0], by_class[1], nearest, hits / N)
