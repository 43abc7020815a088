"""Moments of the rows of every class of explicit features.

A class is kept as its size n, a shift s near its mean, the offset of the mean from s, and the sum of squared deviations
from the mean. Deviations are taken from s, so that features collapsed to any degree keep their digits: a mean held as
one float64 would lose what separates two batches of nearly equal rows.
Source: Chan, Golub & LeVeque (1983) for the merge.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.core.linear import length
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
LONGEST = 1e150  # rows whose squares can be added up


@dataclass(frozen=True, eq=False)
class Moments:
    """Size, mean and squared deviations of the rows of one class.

    Attributes
    ----------
    n : int
        Rows.
    shift, offset : ndarray of shape (n_features,)
        The mean is shift + offset, exactly; the shift is any point near it.
    squares : float
        Sum of |h - mean|^2.
    offset_error, squares_error : float
        Absolute bounds on the errors of |offset| and squares.
    """

    n: int
    shift: Array
    offset: Array
    squares: float
    offset_error: float
    squares_error: float

    @property
    def mean(self) -> Array:
        """Mean row, rounded to float64, shape (n_features,)."""
        return self.shift + self.offset

    def step_to(self, other: Moments) -> Array:
        """From this mean to the other, shape (n_features,)."""
        return other.offset + (other.shift - self.shift) - self.offset

    def __add__(self, other: Moments) -> Moments:
        """Moments of both sets of rows together: Chan's merge."""
        u, n = UNIT_ROUNDOFF, self.n + other.n
        rebase = other.shift - self.shift
        theirs = other.offset + rebase
        step = theirs - self.offset
        offset = self.offset + step * (other.n / n)
        between = float(np.square(step).sum())
        weight = self.n * (other.n / n)

        moved = math.sqrt(between)
        error = other.offset_error + u * (length(rebase) + length(theirs))
        step_error = self.offset_error + error + u * moved
        return Moments(
            n,
            self.shift,
            offset,
            self.squares + other.squares + weight * between,
            max(self.offset_error, error) + u * (4 * moved + length(offset)),
            (self.squares_error + other.squares_error)
            + weight * (2 * moved * step_error + step_error**2)
            + u * ((len(offset) + 6) * weight * between + 2 * (self.squares + other.squares)),
        )


@dataclass(frozen=True, eq=False)
class MomentTable:
    """The moments of several classes, an entry or a row of each array for each class."""

    n: NDArray[np.int64]
    shift: Array
    offset: Array
    squares: Array
    offset_error: Array
    squares_error: Array

    @classmethod
    def of(cls, moments: list[Moments]) -> MomentTable:
        """Those of classes, one after the other."""
        return cls(*(np.array([getattr(m, f.name) for m in moments]) for f in fields(cls)))

    @property
    def means(self) -> Array:
        """Mean rows, rounded to float64, shape (n_classes, n_features)."""
        return self.shift + self.offset

    def one(self, k: int) -> Moments:
        """The moments of class k."""
        n, shift, offset, *others = (getattr(self, f.name)[k] for f in fields(self))
        return Moments(int(n), shift, offset, *map(float, others))


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
    return max(1, _CHUNK // int(H.shape[1]))


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
    Classes of one size are taken together, as many as fit into a piece: the bits depend on no thread.
    """
    H, classes = data.rows, data.classes
    C, d = len(classes.labels), H.shape[1]
    out = MomentTable(classes.sizes, *np.zeros((2, C, d)), *np.zeros((3, C)))

    def task(some: NDArray[np.intp]) -> tuple[NDArray[np.intp], MomentTable]:
        index = classes.order[_positions(classes, some)]
        with np.errstate(over="ignore", invalid="ignore"):
            return some, _moments_together(H, index, len(some))

    with workers(n_threads) as in_order:
        for some, found in in_order(task, _alike(classes.sizes, 4 * _rows_at_a_time(H))):
            for f in fields(out)[1:]:
                getattr(out, f.name)[some] = getattr(found, f.name)
    _check_range(out)
    return out


def _check_range(moments: MomentTable) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.sqrt(moments.squares / moments.n) + np.linalg.norm(moments.means, axis=1)
    if not (lengths <= LONGEST).all():
        raise ValueError(
            f"X is out of range: it has rows longer than {LONGEST:g}, and sums of their squares would overflow; scale them"
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
    """Moments of k classes of equally many rows H[index], class by class; of one class, in as many pieces as it takes."""
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
