"""Statistics of the rows of explicit features, piece by piece, without the N x C row-class sums."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nc1fast.core.linear import column_gram, matmul
from nc1fast.metrics.nearest import NearestMeans
from nc1fast.metrics.rows import MeanGeometry, RowStatistics
from nc1fast.support.threads import workers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from nc1fast.inputs.labelled import Classes, LabelledData
    from nc1fast.sums.class_sums import ClassSums

    Array = NDArray[np.float64]

_ENTRIES = 1 << 21  # of a piece and of its products with the means: 8 or 16 MiB, and no more than
_MOST_ROWS = 1024
_ROWS = 256  # at least, so that the products outweigh what surrounds them
_MANY = 4  # rows of a class from which distances between means are worth their products


class _Piece(NamedTuple):
    """The statistics of a piece of rows, whose classes have one size."""

    rows: NDArray[np.int64]
    size: int
    scatter: Array
    nearest: NDArray[np.int64]


def feature_statistics(data: LabelledData, sums: ClassSums, n_threads: int) -> RowStatistics:
    """Scatter about the class means and nearest means of the rows of explicit features.

    Deviations h - mu_y are exact to a rounding, so that the scatter keeps its digits however
    collapsed the rows are.

    Parameters
    ----------
    data : LabelledData
    sums : ClassSums
        Of the same rows, with their means.
    n_threads : int
        The bits do not depend on it.

    Notes
    -----
    Classes of one size weigh their rows the same under every convention: pieces are of one size,
    and added twice.
    Cost: at most 1.25 N d C multiply-adds in float32, less the more rows lie close to their means,
    and 0.6 N d^2 in float64 for no more features than classes, else N C (d + 0.6 C) in float64;
    some 30 MiB a thread, or 4 KiB C if that is more, beside min(C, d)^2 numbers and 8 bytes a row.
    """
    assert sums.means is not None
    H, classes, sizes, means = data.rows, data.classes, sums.sizes, sums.means
    (C, d), N = means.shape, len(H)
    Z, squares, exponent = geometry = MeanGeometry.of(means)
    by_features = geometry.by_features
    nearest_means = NearestMeans(Z) if by_features else None
    many = N >= _MANY * C
    if nearest_means is not None and many:
        _ = nearest_means.reach  # before the threads
    gram = None if by_features else matmul(Z, Z.T, n_threads)

    def task(piece: tuple[NDArray[np.int64], int]) -> _Piece:
        rows, size = piece
        own = classes.of_row[rows].astype(np.int64)
        D = H[rows].astype(np.float64)
        D -= means[own]
        if nearest_means is not None:
            scatter = column_gram(D)
            found = nearest_means.of_members(D, own) if many else nearest_means.of(D + Z[own])
            return _Piece(rows, size, scatter, found)
        assert gram is not None
        q = matmul(D, Z.T)  # (m, C)  <h - mu_y, mu_k - mean of the mu>
        scatter = column_gram(np.ldexp(q, -exponent))
        q += gram[own]
        q *= -2
        q += squares
        return _Piece(rows, size, scatter, q.argmin(axis=1))

    side = min(C, d)
    by_sample, by_class = np.zeros((2, side, side))
    nearest = np.empty(N, dtype=np.int64)
    with workers(n_threads) as in_order:
        for piece in in_order(task, _pieces(classes, max(C, d))):
            by_sample += piece.scatter / N
            by_class += piece.scatter / (C * piece.size)
            nearest[piece.rows] = piece.nearest
    accuracy = np.count_nonzero(nearest == classes.of_row) / N
    of_classes = by_sample if (sizes == sizes[0]).all() else by_class
    return RowStatistics(by_sample, of_classes, nearest, accuracy, exponent, by_features)


def _pieces(classes: Classes, width: int) -> Iterator[tuple[NDArray[np.int64], int]]:
    """Rows by the sizes of their classes, some at a time, and those sizes."""
    step = min(_MOST_ROWS, max(_ROWS, _ENTRIES // width))
    of_row = classes.sizes[classes.of_row]
    rows = np.argsort(of_row, kind="stable")
    for group in np.split(rows, np.flatnonzero(np.diff(of_row[rows])) + 1):
        size = int(of_row[group[0]])
        yield from ((group[k : k + step], size) for k in range(0, len(group), step))
