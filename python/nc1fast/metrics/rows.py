"""Statistics of the rows, of kernels and of explicit features: their scatter about the class means,
and their nearest class means.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nc1fast.core.linear import column_gram, matmul
from nc1fast.metrics.definitions import class_gram
from nc1fast.metrics.nearest import NearestMeans
from nc1fast.sums.moments import sum_rows
from nc1fast.support.threads import workers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from nc1fast.inputs.labelled import Classes, LabelledData
    from nc1fast.sums.class_sums import ClassSums

    Array = NDArray[np.float64]

_CHUNK = 1 << 17  # entries of R at a time: 1 MiB, so that its temporaries stay in cache,
_COLUMNS = 256  # but no fewer columns, so that the matrix products outweigh their C^2 results
_LEAST_EXPONENT = -1000  # 2^1000 is a number


@dataclass(frozen=True, eq=False)
class RowStatistics:
    """Statistics of the rows that serve every convention: O(C^2 + N) where R is N C, and of d <= C
    features O(d^2 + N).

    The scatters are sum_i w_i q_i q_i^T. `by_features`: q_i = h_i - mu_{y_i}, shape (d, d). Else,
    seen from the class means, q_ik = <mu_k - mean of the mu, h_i - mu_{y_i}>, shape (C, C), in
    units of 4^exponent: this q is quadratic in the features, and its squares leave the range of
    numbers where the features do not.
    """

    scatter_sample: NDArray[np.float64] | None  # w_i = 1/N; None where no scatter was added up
    scatter_class: NDArray[np.float64] | None  # w_i = 1/(C n_{y_i})
    nearest_center: NDArray[np.int64] | None  # (N,) in the caller's row order
    ncc_accuracy: float | None
    exponent: int
    by_features: bool = False
    of_features: NDArray[np.float64] | None = (
        None  # the first of q_i = h_i - mu_{y_i} too, where it is known
    )

    @property
    def covariance(self) -> NDArray[np.float64] | None:
        """Covariance (d, d) of the features within classes, where it is known."""
        return self.scatter_sample if self.by_features else self.of_features


def unit_exponent(means: NDArray[np.float64]) -> int:
    """`exponent` of rows about class means (C, d)."""
    _, exponent = math.frexp(float(np.square(means).sum(axis=1).max()))
    return max(exponent, _LEAST_EXPONENT)


class MeanGeometry(NamedTuple):
    """The class means about their mean.

    Attributes
    ----------
    Z : ndarray of shape (n_classes, n_features)
    squares : ndarray of shape (n_classes,)
        |z_c|^2.
    exponent : int
        Of `RowStatistics`.
    """

    Z: NDArray[np.float64]
    squares: NDArray[np.float64]
    exponent: int

    @classmethod
    def of(cls, means: NDArray[np.float64]) -> MeanGeometry:
        """That of class means (C, d)."""
        Z = means - sum_rows(means) / len(means)
        return cls(Z, np.square(Z).sum(axis=1), unit_exponent(means))

    @property
    def by_features(self) -> bool:
        """Whether d x d numbers are no more than C x C."""
        return bool(self.Z.shape[1] <= len(self.Z))


def scatter_statistics(
    scatter: NDArray[np.float64], means: NDArray[np.float64], sizes: NDArray[np.int64]
) -> RowStatistics:
    """Digest of rows of which the scatter is known, sum_i (h_i - mu_{y_i})(h_i - mu_{y_i})^T of
    shape (d, d), alone.

    Without nearest means, and, where classes are unequal, without the scatter that weighs them
    equally.

    Notes
    -----
    Cost: O(C d (C + d)) for more features than classes.
    """
    Z, _, exponent = geometry = MeanGeometry.of(means)
    of_features, by_features = scatter / sizes.sum(), geometry.by_features
    of_rows = of_features
    if not by_features:
        scaled = np.ldexp(Z, -exponent)
        of_rows = matmul(matmul(scaled, of_features), scaled.T)
    of_classes = of_rows if (sizes == sizes[0]).all() else None
    return RowStatistics(of_rows, of_classes, None, None, exponent, by_features, of_features)


def row_statistics(sums: ClassSums) -> RowStatistics | None:
    """Digest of `sums.class_rows`, or None where the rows were not kept.

    Notes
    -----
    Cost: 2 N C^2 multiply-adds (N C^2 when balanced); about 4 MiB, or 8 KiB C if that is more,
    beside the result.
    Source: <mu_k, h_i> = R_ik/n_k, and nearest mean = argmin_k |mu_k|^2 - 2 <mu_k, h_i>.
    """
    R, order = sums.class_rows, sums.order
    if R is None or order is None:
        return None
    gram = class_gram(sums)  # <mu_c, mu_c'>
    sizes, (C, N) = sums.sizes, R.shape
    ends = sizes.cumsum()
    balanced = bool((sizes == sizes[0]).all())
    by_sample, by_class = np.zeros((C, C)), np.zeros((C, C))
    nearest = np.empty(N, dtype=np.int64)
    hits = 0
    norms = gram.diagonal()[:, None].copy()  # (C, 1)
    _, exponent = math.frexp(float(np.abs(norms).max()))
    step = max(_COLUMNS, _CHUNK // C)
    for start in range(0, N, step):
        columns = np.arange(start, min(start + step, N))
        classes = ends.searchsorted(columns, side="right")
        q = R[:, start : start + step] / sizes[:, None]  # (C, m)  <mu_k, h_i>
        closest = (norms - 2 * q).argmin(axis=0)
        nearest[order[columns]] = closest
        hits += int(np.count_nonzero(closest == classes))
        q -= gram[:, classes]
        q -= q.sum(axis=0) / C
        q = np.ldexp(q, -exponent)
        by_sample += column_gram(q.T) / N
        if not balanced:
            by_class += matmul(q / (C * sizes[classes]), q.T)
    by_class = by_sample if balanced else by_class
    return RowStatistics(by_sample, by_class, nearest, hits / N, exponent)


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
