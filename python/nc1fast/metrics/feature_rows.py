"""Statistics of the rows of explicit features, piece by piece, without the N x C row-class sums."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nc1fast.core.linear import matmul
from nc1fast.metrics.rows import MeanGeometry, RowStatistics, between_means

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nc1fast.inputs.labelled import LabelledData
    from nc1fast.sums.class_sums import ClassSums

    Array = NDArray[np.float64]

_ENTRIES = 1 << 19  # of a piece and of its products with the means: 4 MiB,
_ROWS = 256  # but no fewer rows, so that the matrix products outweigh what surrounds them


def feature_statistics(data: LabelledData, sums: ClassSums, n_threads: int) -> RowStatistics:
    """Scatter about the class means and nearest means of the rows of explicit features.

    With D = h - mu_y, exact to a rounding, |h - mu_k|^2 is |D|^2 + |mu_k - mu_y|^2 - 2 <D, mu_k - mu_y>: both keep their digits
    however collapsed the rows are.

    Parameters
    ----------
    data : LabelledData
    sums : ClassSums
        Of the same rows, with their means.
    n_threads : int
        Of the matrix products.

    Notes
    -----
    Cost: N d (C + min(C, d)) multiply-adds, with classes of unequal sizes N d (C + 2 min(C, d)); some 20 MiB, or 4 KiB C if that is
    more, beside C^2 and d^2 numbers and 8 bytes a row.
    """
    assert sums.means is not None
    H, classes, sizes = data.rows, data.classes, sums.sizes
    means, (C, d), N = sums.means, sums.means.shape, len(data.rows)
    Z, apart, exponent = MeanGeometry.of(means, n_threads)
    by_features = d <= C
    balanced = bool((sizes == sizes[0]).all())
    by_sample, by_class = np.zeros((2, min(C, d), min(C, d)))
    nearest = np.empty(N, dtype=np.int64)
    step = max(_ROWS, _ENTRIES // max(C, d))
    for start in range(0, N, step):
        rows = classes.order[start : start + step]
        own = classes.of_row[rows]
        D = H[rows].astype(np.float64)
        D -= means[own]
        q = matmul(D, Z.T, n_threads)  # (m, C)  <h - mu_y, mu_k - mean of the mu>
        S = D if by_features else np.ldexp(q, -exponent)
        by_sample += matmul(S.T, S, n_threads)
        if not balanced:
            by_class += matmul((S / (C * sizes[own])[:, None]).T, S, n_threads)
        q *= -2
        q += apart[own]
        nearest[rows] = q.argmin(axis=1)
    scatters = [by_sample / N] if balanced else [by_sample / N, by_class]
    if by_features:
        scatters = [between_means(scatter, Z, exponent) for scatter in scatters]
    accuracy = np.count_nonzero(nearest == classes.of_row) / N
    return RowStatistics(scatters[0], scatters[-1], nearest, accuracy, exponent)
