"""Means and variances of random units, class by class, as sums of squares of centred values, so
that nothing cancels.

Rows come in chunks that are sorted by class, in ranges of consecutive rows, each on one thread; the
moments of chunks and ranges are merged in float64, in their order.
Source: Chan, Golub & LeVeque (1983).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nc1fast.core.linear import matmul
from nc1fast.inputs.arrays import rows_at
from nc1fast.support.threads import workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from nc1fast.inputs.labelled import LabelledData

    Array = NDArray[Any]  # float64, or float32 where the caller requests it

_SHORT = 16  # mean rows of a class in a chunk up to which all classes are summed in one call
_MOST_RANGES = 512


class Segments(NamedTuple):
    """A chunk of rows sorted by class: the k classes present, the first row of each, and its number
    of rows.
    """

    classes: NDArray[np.intp]  # (k,)
    starts: NDArray[np.intp]  # (k,)
    counts: NDArray[np.intp]  # (k,)

    def slices(self) -> list[tuple[int, slice]]:
        """Pairs of a class and the slice of its rows, in order."""
        ends = self.starts + self.counts
        return [
            (int(c), slice(int(a), int(b)))
            for c, a, b in zip(self.classes, self.starts, ends, strict=True)
        ]


def segments(classes: NDArray[np.integer[Any]]) -> tuple[NDArray[np.intp], Segments]:
    """Order (n,) that sorts a chunk of rows by class, and where the classes then lie.

    Chunks are sorted one by one, so that no order of all rows is kept in memory.
    """
    order = np.argsort(classes, kind="stable")
    present, starts, counts = np.unique(classes[order], return_index=True, return_counts=True)
    return order, Segments(present.astype(np.intp), starts, counts)


def sorted_chunks(
    data: LabelledData, rows: range | NDArray[np.intp], n_rows: int
) -> Iterator[tuple[Array, Segments]]:
    """Chunks of at most `n_rows` rows of the data, each sorted by class.

    Parameters
    ----------
    data : LabelledData
    rows : range with step 1, or ndarray of int
        Numbers of the rows.
    n_rows : int
    """
    for start in range(0, len(rows), n_rows):
        part = rows[start : start + n_rows]
        index = slice(part.start, part.stop) if isinstance(part, range) else part
        order, parts = segments(data.classes.of_row[index])
        yield rows_at(data.rows, index)[order], parts


def row_ranges(n_rows: int, chunk: int) -> list[range]:
    """Ranges of whole chunks that cover all rows, at most 512 of them.

    They depend on neither threads nor memory, so that the bits of what is merged do not.
    """
    step = chunk * -(-n_rows // (chunk * _MOST_RANGES))
    return [range(start, min(start + step, n_rows)) for start in range(0, n_rows, step)]


class ClassMoments:
    """Moments of m columns within each class; a column holds numbers, or vectors of d numbers.

    Parameters
    ----------
    n_classes : int
    *shape : int
        (m,) or (m, d).

    Attributes
    ----------
    n : ndarray of shape (n_classes,)
        Rows so far.
    mean : ndarray of shape (n_classes, *shape)
    squares : ndarray of shape (n_classes, m)
        Sum of the squared distances from the mean.
    """

    def __init__(self, n_classes: int, *shape: int) -> None:
        self.n = np.zeros(n_classes, dtype=np.int64)
        self.mean = np.zeros((n_classes, *shape))
        self.squares = np.zeros((n_classes, shape[0]))

    def join(self, classes: Any, n: Any, mean: Array, squares: Array) -> None:
        """Merge moments of other rows by Chan's formula; `classes` is one class or an array of
        distinct ones.
        """
        old = self.n[classes]
        share = np.expand_dims(n / (old + n), tuple(range(np.ndim(old), mean.ndim)))
        step = mean - self.mean[classes]
        size = np.square(step) if step.ndim == squares.ndim else np.einsum("...d,...d", step, step)
        weight = np.expand_dims(old * (n / (old + n)), tuple(range(np.ndim(old), squares.ndim)))
        self.squares[classes] += squares + weight * size
        self.mean[classes] += share * step
        self.n[classes] = old + n

    def merge(self, other: ClassMoments) -> None:
        """Add the moments of the same columns over other rows."""
        present = np.flatnonzero(other.n)
        for c in present if self.mean.ndim > 2 else [present]:
            self.join(c, other.n[c], other.mean[c], other.squares[c])


def merged(
    moments: Callable[[range], list[ClassMoments]], ranges: list[range], n_threads: int
) -> list[ClassMoments]:
    """The moments of all ranges together; `moments(rows)` gives those of one."""
    with workers(n_threads) as in_order:
        found = in_order(moments, ranges)
        total: list[ClassMoments] = next(found)
        for other in found:
            for mine, theirs in zip(total, other, strict=True):
                mine.merge(theirs)
    return total


def add_values(moments: ClassMoments, H: Array, parts: Segments) -> None:
    """Add rows H (n, m), sorted by class; H is overwritten."""
    counts = parts.counts[:, None].astype(H.dtype)
    if len(H) <= _SHORT * len(parts.counts):
        means = np.add.reduceat(H, parts.starts, axis=0) / counts
        H -= np.repeat(means, parts.counts, axis=0)
        squares = np.add.reduceat(np.square(H, out=H), parts.starts, axis=0)
    else:
        means, squares = np.empty((2, len(parts.counts), H.shape[1]), H.dtype)
        for k, (_, rows) in enumerate(parts.slices()):
            own = H[rows]
            own -= np.mean(own, axis=0, out=means[k])
            np.einsum("ij,ij->j", own, own, out=squares[k])
    moments.join(parts.classes, parts.counts, means, squares)


def add_tangents(moments: ClassMoments, A: Array, t: Array, parts: Segments) -> None:
    """Add the vectors a_k(i) t_i of rows sorted by class: A (n, m) holds the derivatives, t is (n,
    d).
    """
    for c, rows in parts.slices():
        moments.join(c, rows.stop - rows.start, *_tangents(A[rows], t[rows]))


def _tangents(A: Array, t: Array) -> tuple[Array, Array]:
    """Mean (m, d) of the vectors a_k(i) t_i, and their summed squared distances from it, (m,).

    With a = mean + alpha and t = r + d, r the mean of t:
    a t - mean(a t) = mean d + alpha r + (alpha d - mean(alpha d)), so
    sum |.|^2 = mean^2 q + |r|^2 alpha2 + [sum alpha^2 |d|^2 - n |m|^2] + 2 n mean r.m + 2 mean sum
        alpha |d|^2
    + 2 sum alpha^2 d.r,   q = sum |d|^2, m = mean(alpha d): sums of products of deviations alone.
    """
    n, r = len(t), t.mean(axis=0)
    d = t - r
    q, p, size = np.einsum("ij,ij->i", d, d), np.einsum("ij,j->i", d, r), np.square(r).sum()
    mean = A.mean(axis=0)
    alpha = A - mean
    first = matmul(alpha.T, np.column_stack([d, q]))  # (m, d + 1)
    m, alpha_q = first[:, :-1] / n, first[:, -1]
    np.square(alpha, out=alpha)
    # sums of alpha^2, alpha^2 |d|^2, alpha^2 d.r
    second = matmul(alpha.T, np.column_stack([np.ones(n, A.dtype), q, p]))
    squares = mean**2 * q.sum() + size * second[:, 0] + second[:, 1] - n * (m**2).sum(axis=1)
    squares += 2 * n * mean * np.einsum("ij,j->i", m, r) + 2 * mean * alpha_q + 2 * second[:, 2]
    return np.outer(mean, r) + m, np.maximum(squares, 0.0)
