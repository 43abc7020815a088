"""Class sums of explicit features, from the moments of every class.

A class is kept as its size n, a shift s near its mean, the offset of the mean from s, and the sum of squared deviations
from the mean. Deviations are taken from s, so that features collapsed to any degree keep their digits: a mean held as
one float64 would lose what separates two batches of nearly equal rows.
Source: Chan, Golub & LeVeque (1983) for the merge.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.core.linear import length, matmul, matmul_error
from nc1fast.sums.class_sums import ClassSums, SumsError
from nc1fast.sums.rounding import UNIT_ROUNDOFF, summation_error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from nc1fast.inputs.file_rows import FileRows
    from nc1fast.inputs.labelled import LabelledData

    Array = NDArray[np.float64]

_CHUNK = 1 << 16  # entries widened to float64 at a time: 512 KiB, which stay in cache
LEAST = 2.0**-1074  # bound on what a product loses below the normal numbers
LONGEST = 1e150  # rows whose squares can be added up
_SAFETY = 1.01  # bounds are computed in float64, to first order


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


def _sum_rows(A: Array) -> Array:
    """Sum over the rows of A (n, d), 4 at a time, shape (d,)."""
    while len(A) > 4:
        k = len(A) // 4
        A = np.concatenate([A[: 4 * k].reshape(4, k, -1).sum(axis=0), A[4 * k :]])
    return A.sum(axis=0)  # type: ignore[no-any-return]


def _sum_rows_error(n: int) -> float:
    """Error of `_sum_rows` of n rows, in unit roundoffs of the sum of magnitudes."""
    return min(n, 9 + 1.5 * math.log2(max(n, 1)))


def _rows_at_a_time(H: NDArray[Any] | FileRows) -> int:
    """Rows that are widened together."""
    return max(1, _CHUNK // int(H.shape[1]))


def widened_rows(H: NDArray[Any] | FileRows, index: NDArray[np.intp]) -> Iterator[Array]:
    """Rows H[index] in float64, in new arrays of at most 512 KiB or one row."""
    step = _rows_at_a_time(H)
    for start in range(0, len(index), step):
        yield H[index[start : start + step]].astype(np.float64, copy=False)


def moments_of(H: NDArray[Any] | FileRows, index: NDArray[np.intp]) -> Moments:
    """Moments of the rows H[index], in two passes: their mean, then the deviations from it.

    Raises
    ------
    ValueError
        For rows so long that sums of their squares overflow.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        moments = _moments_of(H, index)
    if not math.sqrt(moments.squares / moments.n) + length(moments.mean) <= LONGEST:
        raise ValueError(
            f"X is out of range: it has rows longer than {LONGEST:g}, and sums of their squares would overflow; scale them"
        )
    return moments


def _moments_of(H: NDArray[Any] | FileRows, index: NDArray[np.intp]) -> Moments:
    u, n, d = UNIT_ROUNDOFF, len(index), H.shape[1]
    first = H[index[0]].astype(np.float64)
    about_first = (
        np.subtract(rows, first, out=rows).sum(axis=0) for rows in widened_rows(H, index)
    )
    shift = first + sum(about_first) / n
    totals, squares = [], []
    for rows in widened_rows(H, index):
        deviations = np.subtract(rows, shift, out=rows)
        totals.append(_sum_rows(deviations))
        squares.append(float(np.square(deviations, out=deviations).ravel().sum()))
    offset = _sum_rows(np.array(totals)) / n
    about_shift = math.fsum(squares)
    correction = n * float(np.square(offset).sum())

    adds = _sum_rows_error(min(n, _rows_at_a_time(H))) + _sum_rows_error(len(totals)) + 2
    offset_error = adds * u * math.sqrt(about_shift / n)
    pairs = summation_error(min(n * d, max(_CHUNK, d))) + 6
    off = math.sqrt(correction * n)  # n |offset|
    return Moments(
        n,
        shift,
        offset,
        max(about_shift - correction, 0.0),
        offset_error,
        u * (pairs * about_shift + (d + 4) * correction)
        + 2 * off * offset_error
        + n * offset_error**2
        + 4 * n * d * LEAST,
    )


def sums_of(moments: list[Moments], labels: NDArray[Any], n_threads: int = 1) -> ClassSums:
    """Class sums of the kernel <h, h'>, without row-class sums, from the moments of every class."""
    u = UNIT_ROUNDOFF
    sizes = np.array([m.n for m in moments], dtype=np.int64)
    means = np.array([m.mean for m in moments])  # (C, d)
    norms = np.linalg.norm(means, axis=1)
    errors = np.array([m.offset_error for m in moments]) + u * norms  # of the means
    within = np.array([m.squares for m in moments])
    within_error = np.array([m.squares_error for m in moments])
    gram = matmul(means, means.T, n_threads)
    pairs = np.outer(errors, norms)
    gram_error = pairs + pairs.T + np.outer(errors, errors)
    gram_error += (matmul_error(means.shape[1]) + 2) * u * np.outer(norms, norms)
    gram_error += 4 * means.shape[1] * LEAST
    n = sizes.astype(np.float64)
    traces = within + n * gram.diagonal()
    return ClassSums(
        block_sums=np.outer(n, n) * gram,
        traces=traces,
        within=within,
        sizes=sizes,
        labels=labels,
        error=SumsError(
            block_sums=_SAFETY * np.outer(n, n) * (gram_error + u * np.abs(gram)),
            traces=_SAFETY * (within_error + n * gram_error.diagonal() + 3 * u * traces),
            within=_SAFETY * within_error,
        ),
        means=means,
    )


def feature_sums(data: LabelledData, *, rows: bool = True, n_threads: int = 1) -> ClassSums:
    """Class sums of explicit features: of the kernel <h, h'>.

    Parameters
    ----------
    data : LabelledData
        Rows of float16, float32 (both widened exactly) or float64.
    rows : bool, default True
        Whether to compute the row-class sums.
    n_threads : int, default 1
        Of the matrix products.

    Returns
    -------
    ClassSums
        With kernel None.

    Notes
    -----
    Cost: 6 N d flops; with rows 2 N d C more and N C doubles. Some 1.5 MiB beside them: H is widened piece by piece.
    Accuracy: within to some 60 unit roundoffs relative, however collapsed; block sums to 60 + 128 + d/128 of n n' |mu| |mu'|.
    Source: two-pass variance with the correction of Chan, Golub & LeVeque (1983).
    """
    H, classes = data.rows, data.classes
    moments = [moments_of(H, index) for index in classes.rows_of()]
    sums = sums_of(moments, classes.labels, n_threads)
    if not rows:
        return sums
    scaled = np.array([m.n * m.mean for m in moments])  # (C, d)
    R = np.empty((len(classes), len(H)))
    start = 0
    for chunk in widened_rows(H, classes.order):
        R[:, start : start + len(chunk)] = matmul(scaled, chunk.T, n_threads)
        start += len(chunk)
    return dataclasses.replace(sums, class_rows=R, order=classes.order)
