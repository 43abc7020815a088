"""Moments of the rows of every class of explicit features.

A class is kept as its size n, a shift s near its mean, the offset of the mean from s, and the sum
of squared deviations from the mean. Deviations are taken from s, so that features collapsed to any
degree keep their digits: a mean held as one float64 would lose what separates two batches of nearly
equal rows.
Source: Chan, Golub & LeVeque (1983) for the merge.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.sums.rounding import UNIT_ROUNDOFF, summation_error
from nc1fast.support.threads import workers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from nc1fast.inputs.file_rows import FileRows
    from nc1fast.inputs.labelled import Classes, LabelledData

    Array = NDArray[np.float64]
    Rows = NDArray[Any] | FileRows

_CHUNK = 1 << 16  # entries widened to float64 at a time: 512 KiB, which stay in cache
LEAST = 2.0**-1074  # bound on what a product loses below the normal numbers
_SAFE = 1e-250  # squares of lengths that are neither lost nor too large
LONGEST = 1e150  # rows whose squares can be added up


@dataclass(frozen=True, eq=False)
class MomentTable:
    """Size, mean and squared deviations of the rows of several classes, an entry or a row of each
    array for each class.

    Attributes
    ----------
    n : ndarray of int64 of shape (n_classes,)
        Rows.
    shift, offset : ndarray of shape (n_classes, n_features)
        The means are shift + offset, exactly; the shift is any point near it.
    squares : ndarray of shape (n_classes,)
        Sums of |h - mean|^2.
    offset_error, squares_error : ndarray of shape (n_classes,)
        Absolute bounds on the errors of |offset| and squares.
    """

    n: NDArray[np.int64]
    shift: Array
    offset: Array
    squares: Array
    offset_error: Array
    squares_error: Array

    def __len__(self) -> int:
        return len(self.n)

    @classmethod
    def room(cls, n_classes: int, n_features: int) -> MomentTable:
        """So many classes, none of which has rows."""
        return cls(
            np.zeros(n_classes, dtype=np.int64),
            *np.zeros((2, n_classes, n_features)),
            *np.zeros((3, n_classes)),
        )

    @property
    def means(self) -> Array:
        """Mean rows, rounded to float64, shape (n_classes, n_features)."""
        return self.shift + self.offset

    def arrays(self) -> list[NDArray[Any]]:
        """The arrays in the order of the fields."""
        return [getattr(self, f.name) for f in fields(self)]

    def of(self, some: Any) -> MomentTable:
        """Some of the classes: views of a slice, else copies."""
        return MomentTable(*(array[some] for array in self.arrays()))

    def resized(self, n_classes: int) -> MomentTable:
        """The same with room for so many classes."""
        out = MomentTable.room(n_classes, self.shift.shape[1])
        for mine, more in zip(self.arrays(), out.arrays(), strict=True):
            more[: len(mine)] = mine
        return out

    def put(self, at: Any, other: MomentTable) -> None:
        """Take the classes of another table in place of those at `at`."""
        for mine, theirs in zip(self.arrays(), other.arrays(), strict=True):
            mine[at] = theirs

    def add(self, at: NDArray[np.int64], other: MomentTable) -> Iterator[Array]:
        """Add the rows of the classes of another table to those at `at`, which differ: Chan's
        merge, in place.

        Yields, as some classes are done, sqrt(n m/(n + m)) times the steps from their means to the
        others.
        """
        step = _rows_at_a_time(other.shift)
        for start in range(0, len(at), step):
            part = slice(start, start + step)
            some = _as_slice(at[part])
            merged, steps = _merged(self.of(some), other.of(part))
            self.put(some, merged)
            yield steps


def _as_slice(at: NDArray[np.int64]) -> Any:
    """These places as a slice where they follow each other, which copies nothing."""
    first = int(at[0])
    return slice(first, first + len(at)) if (np.diff(at) == 1).all() else at


def _merged(mine: MomentTable, other: MomentTable) -> tuple[MomentTable, Array]:
    """Moments of both sets of rows of each class together, and the weighted steps between the
    means.
    """
    u, n = UNIT_ROUNDOFF, mine.n + other.n
    share = other.n / n
    rebase = other.shift - mine.shift
    theirs = other.offset + rebase
    step = theirs - mine.offset
    offset = mine.offset + step * share[:, None]
    between = np.einsum("id,id->i", step, step)
    weight = mine.n * share
    squares = mine.squares + other.squares

    moved = np.sqrt(between)
    error = other.offset_error + u * (row_lengths(rebase) + row_lengths(theirs))
    step_error = mine.offset_error + error + u * moved
    table = MomentTable(
        n,
        mine.shift,
        offset,
        squares + weight * between,
        np.maximum(mine.offset_error, error) + u * (4 * moved + row_lengths(offset)),
        (mine.squares_error + other.squares_error)
        + weight * (2 * moved * step_error + step_error**2)
        + u * ((offset.shape[1] + 6) * weight * between + 2 * squares),
    )
    return table, np.sqrt(weight)[:, None] * step


def row_lengths(A: Array) -> Array:
    """Euclidean norm of each row, whose squares may be out of range."""
    squares = np.einsum("id,id->i", A, A)
    lengths: Array = np.sqrt(squares)
    out = np.flatnonzero(~((squares > _SAFE) & (squares < 1 / _SAFE)))
    if len(out):
        _, exponent = np.frexp(np.abs(A[out]).max(axis=1, initial=0.0))
        scaled = np.ldexp(A[out], -exponent[:, None])
        lengths[out] = np.ldexp(np.sqrt(np.square(scaled).sum(axis=1)), exponent)
    return lengths


def sum_rows(A: Array) -> Array:
    """Sum over the rows of A (..., n, d), 4 at a time, shape (..., d)."""
    while A.shape[-2] > 4:
        *lead, n, d = A.shape
        k = n // 4
        quarters = A[..., : 4 * k, :].reshape(*lead, 4, k, d).sum(axis=-3)
        A = np.concatenate([quarters, A[..., 4 * k :, :]], axis=-2) if n > 4 * k else quarters
    return A.sum(axis=-2)  # type: ignore[no-any-return]


def sum_rows_error(n: int) -> float:
    """Error of `sum_rows` of n rows, in unit roundoffs of the sum of magnitudes."""
    return min(n, 9 + 1.5 * math.log2(max(n, 1)))


def _rows_at_a_time(H: Rows) -> int:
    """Rows that are widened together."""
    return max(1, _CHUNK // max(1, int(H.shape[1])))


def widened_rows(H: Rows, index: NDArray[np.intp]) -> Iterator[Array]:
    """Rows H[index] in float64, in new arrays of at most 512 KiB or one row."""
    step = _rows_at_a_time(H)
    for start in range(0, len(index), step):
        yield H[index[start : start + step]].astype(np.float64, copy=False)


def class_moments(data: LabelledData, n_threads: int = 1) -> MomentTable:
    """Moments of every class, in two passes: their means, then the deviations from them.

    Raises
    ------
    ValueError
        For rows so long that sums of their squares overflow.

    Notes
    -----
    Classes of one size are taken together, as many as fit into a piece: the bits depend on no
    thread.
    """
    H, classes = data.rows, data.classes
    C, d = len(classes.labels), H.shape[1]
    out = MomentTable.room(C, d)
    out.n[:] = classes.sizes

    def task(some: NDArray[np.intp]) -> tuple[NDArray[np.intp], MomentTable]:
        index = classes.order[_positions(classes, some)]
        with np.errstate(over="ignore", invalid="ignore"):
            return some, _moments_together(H, index, len(some))

    with workers(n_threads) as in_order:
        for some, found in in_order(task, _alike(classes.sizes, 4 * _rows_at_a_time(H))):
            out.put(some, found)
    check_range(out, "X")
    return out


def check_range(moments: MomentTable, name: str) -> None:
    """Raise ValueError for rows so long that sums of their squares overflow."""
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.sqrt(moments.squares / moments.n) + np.linalg.norm(moments.means, axis=1)
    if not (lengths <= LONGEST).all():
        raise ValueError(
            f"{name} is out of range: it has rows longer than {LONGEST:g}, and sums of their "
            "squares would overflow; scale them"
        )


def _alike(sizes: NDArray[np.int64], n_rows: int) -> Iterator[NDArray[np.intp]]:
    """Classes of one size, of so many rows together or one class."""
    by_size = np.argsort(sizes, kind="stable")
    ends = np.flatnonzero(np.diff(sizes[by_size])) + 1
    for group in np.split(by_size, ends):
        step = max(1, n_rows // int(sizes[group[0]]))
        yield from (group[start : start + step] for start in range(0, len(group), step))


def _positions(classes: Classes, some: NDArray[np.intp]) -> NDArray[np.int64]:
    """Sorted positions of the rows of some classes of one size, class by class."""
    n = int(classes.sizes[some[0]])
    return (classes.starts[some][:, None] + np.arange(n)).ravel()


def _moments_together(H: Rows, index: NDArray[np.intp], k: int) -> MomentTable:
    """Moments of k classes of equally many rows H[index], class by class; of one class, in as many
    pieces as it takes.
    """
    u, n, d = UNIT_ROUNDOFF, len(index) // k, H.shape[1]

    def pieces() -> Iterator[Array]:
        whole = widened_rows(H, index) if k == 1 else [H[index].astype(np.float64, copy=False)]
        return (rows.reshape(k, -1, d) for rows in whole)

    first = H[index[::n]].astype(np.float64)  # (k, d)
    about_first = (np.subtract(rows, first[:, None], out=rows).sum(axis=1) for rows in pieces())
    shift = first + sum(about_first) / n
    totals, squares = [], []
    for rows in pieces():
        deviations = np.subtract(rows, shift[:, None], out=rows)
        totals.append(sum_rows(deviations))
        squares.append(np.square(deviations, out=deviations).reshape(k, -1).sum(axis=1))
    offset = sum_rows(np.stack(totals, axis=1)) / n
    about_shift = np.array([math.fsum(parts) for parts in zip(*squares, strict=True)])
    correction = n * np.square(offset).sum(axis=1)

    adds = sum_rows_error(min(n, _rows_at_a_time(H))) + sum_rows_error(len(totals)) + 2
    offset_error = adds * u * np.sqrt(about_shift / n)
    pairs = summation_error(min(n * d, max(_CHUNK, d))) + 6
    off = np.sqrt(correction * n)  # n |offset|
    squares_error = (
        u * (pairs * about_shift + (d + 4) * correction)
        + 2 * off * offset_error
        + n * offset_error**2
        + 4 * n * d * LEAST
    )
    spread = np.maximum(about_shift - correction, 0.0)
    return MomentTable(np.full(k, n), shift, offset, spread, offset_error, squares_error)
