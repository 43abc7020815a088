"""Statistics of the row-class sums R: scatter seen from the class means, and nearest class means."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nc1fast.core.linear import matmul

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nc1fast.sums.class_sums import ClassSums

_CHUNK = 1 << 17  # entries of R at a time: 1 MiB, so that its temporaries stay in cache,
_COLUMNS = 256  # but no fewer columns, so that the matrix products outweigh their C^2 results
_LEAST_EXPONENT = -1000  # 2^1000 is a number


@dataclass(frozen=True, eq=False)
class RowStatistics:
    """Digest of R that every convention can use: O(C^2 + N) where R is N C.

    The scatters are sum_i w_i q_i q_i^T with q_ik = <mu_k - mean of the mu, h_i - mu_{y_i}>, shape (C, C), in units of
    4^exponent: q is quadratic in the features, and its squares leave the range of numbers where the features do not.
    """

    scatter_sample: NDArray[np.float64]  # w_i = 1/N
    scatter_class: NDArray[np.float64] | None  # w_i = 1/(C n_{y_i})
    nearest_center: NDArray[np.int64] | None  # (N,) in the caller's row order
    ncc_accuracy: float | None
    exponent: int


class MeanGeometry(NamedTuple):
    """The class means about their mean, and their distances.

    Attributes
    ----------
    Z : ndarray of shape (n_classes, n_features)
        The means about their mean.
    apart : ndarray of shape (n_classes, n_classes)
        |mu_k - mu_c|^2, 0 on the diagonal.
    exponent : int
        Of `RowStatistics`.
    """

    Z: NDArray[np.float64]
    apart: NDArray[np.float64]
    exponent: int

    @classmethod
    def of(cls, means: NDArray[np.float64], n_threads: int = 1) -> MeanGeometry:
        """That of class means (C, d). Cost: C^2 d multiply-adds."""
        Z = means - means.mean(axis=0)
        gram = matmul(Z, Z.T, n_threads)
        norms = gram.diagonal()
        apart = norms[:, None] + norms - 2 * gram
        np.fill_diagonal(apart, 0)
        _, exponent = math.frexp(float(np.square(means).sum(axis=1).max()))
        return cls(Z, apart, max(exponent, _LEAST_EXPONENT))


def between_means(
    scatter: NDArray[np.float64], Z: NDArray[np.float64], exponent: int
) -> NDArray[np.float64]:
    """Z S Z^T / 4^exponent, shape (C, C), of a scatter S (d, d) of features and centred class means Z (C, d)."""
    scaled = np.ldexp(Z, -exponent)
    return np.asarray(matmul(matmul(scaled, scatter), scaled.T))


def scatter_statistics(
    scatter: NDArray[np.float64], means: NDArray[np.float64], sizes: NDArray[np.int64]
) -> RowStatistics:
    """Digest of rows of which the scatter is known, sum_i (h_i - mu_{y_i})(h_i - mu_{y_i})^T of shape (d, d), alone.

    Without nearest means, and, where classes are unequal, without the scatter that weighs them equally.

    Notes
    -----
    Cost: O(C d (C + d)).
    """
    Z = means - means.mean(axis=0)
    _, exponent = math.frexp(float(np.square(means).sum(axis=1).max()))
    between = between_means(scatter / sizes.sum(), Z, exponent)
    balanced = bool((sizes == sizes[0]).all())
    return RowStatistics(between, between if balanced else None, None, None, exponent)


def row_statistics(sums: ClassSums, gram: NDArray[np.float64]) -> RowStatistics | None:
    """Digest of `sums.class_rows`, or None where the rows were not kept.

    Parameters
    ----------
    sums : ClassSums
    gram : ndarray of shape (n_classes, n_classes)
        <mu_c, mu_c'>.

    Notes
    -----
    Cost: 2 N C^2 multiply-adds (N C^2 when balanced); about 4 MiB, or 8 KiB C if that is more, beside the result.
    Source: <mu_k, h_i> = R_ik/n_k, and nearest mean = argmin_k |mu_k|^2 - 2 <mu_k, h_i>.
    """
    R, order = sums.class_rows, sums.order
    if R is None or order is None:
        return None
    sizes, (C, N) = sums.sizes, R.shape
    ends = np.cumsum(sizes)
    balanced = bool((sizes == sizes[0]).all())
    by_sample, by_class = np.zeros((C, C)), np.zeros((C, C))
    nearest = np.empty(N, dtype=np.int64)
    hits = 0
    norms = gram.diagonal()[:, None].copy()  # (C, 1)
    _, exponent = math.frexp(float(np.abs(norms).max()))
    step = max(_COLUMNS, _CHUNK // C)
    for start in range(0, N, step):
        columns = np.arange(start, min(start + step, N))
        classes = np.searchsorted(ends, columns, side="right")
        q = R[:, start : start + step] / sizes[:, None]  # (C, m)  <mu_k, h_i>
        closest = (norms - 2 * q).argmin(axis=0)
        nearest[order[columns]] = closest
        hits += int(np.count_nonzero(closest == classes))
        q -= gram[:, classes]
        q -= q.mean(axis=0)
        q = np.ldexp(q, -exponent)
        by_sample += matmul(q, q.T) / N
        if not balanced:
            by_class += matmul(q / (C * sizes[classes]), q.T)
    by_class = by_sample if balanced else by_class
    return RowStatistics(by_sample, by_class, nearest, hits / N, exponent)
