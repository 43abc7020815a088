"""Explicit features: their class sums, whole or batch by batch.

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
from nc1fast.inputs.arrays import as_matrix
from nc1fast.inputs.labelled import Classes
from nc1fast.inputs.labels import object_array
from nc1fast.metrics.result import Collapse, collapse_from_sums
from nc1fast.sums.class_sums import ClassSums, SumsError
from nc1fast.sums.rounding import UNIT_ROUNDOFF, summation_error
from nc1fast.support.arithmetic import ieee

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, NDArray

    from nc1fast.inputs.file_rows import FileRows
    from nc1fast.inputs.labelled import LabelledData

    Array = NDArray[np.float64]

_CHUNK = (
    1 << 16
)  # entries widened to float64 at a time: 512 KiB, in cache and reused by the allocator
_LEAST = 2.0**-1074  # what a square, or a product of two, may lose below the normal numbers
_SAFETY = 1.01  # bounds are computed in float64, to first order


@dataclass(frozen=True, eq=False)
class _Moments:
    """One class: its mean is shift + offset; the errors are absolute bounds on |offset| and squares."""

    n: int
    shift: Array  # (d,) exact by definition
    offset: Array  # (d,)
    squares: float  # sum |h - mean|^2
    offset_error: float
    squares_error: float

    def __add__(self, other: _Moments) -> _Moments:
        """Chan's merge."""
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
        return _Moments(
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
    """Sum over rows, 4 at a time: error <= _sum_rows_error(len(A)) unit roundoffs of the sum of magnitudes."""
    while len(A) > 4:
        k = len(A) // 4
        A = np.concatenate([A[: 4 * k].reshape(4, k, -1).sum(axis=0), A[4 * k :]])
    return A.sum(axis=0)  # type: ignore[no-any-return]


def _sum_rows_error(n: int) -> float:
    return min(n, 9 + 1.5 * math.log2(max(n, 1)))


def _rows_at_a_time(H: NDArray[Any] | FileRows) -> int:
    return max(1, _CHUNK // int(H.shape[1]))


def _widened(H: NDArray[Any] | FileRows, index: NDArray[np.intp]) -> Iterator[Array]:
    """H[index] in float64, a new array of at most 512 KiB (or one row) at a time."""
    step = _rows_at_a_time(H)
    for start in range(0, len(index), step):
        yield H[index[start : start + step]].astype(np.float64, copy=False)


def _moments(H: NDArray[Any] | FileRows, index: NDArray[np.intp]) -> _Moments:
    """Moments of the rows H[index], in two passes: the mean, then deviations from it."""
    u, n, d = UNIT_ROUNDOFF, len(index), H.shape[1]
    first = H[index[0]].astype(np.float64)
    about_first = (np.subtract(rows, first, out=rows).sum(axis=0) for rows in _widened(H, index))
    shift = first + sum(about_first) / n
    totals, squares = [], []
    for rows in _widened(H, index):
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
    return _Moments(
        n,
        shift,
        offset,
        max(about_shift - correction, 0.0),
        offset_error,
        u * (pairs * about_shift + (d + 4) * correction)
        + 2 * off * offset_error
        + n * offset_error**2
        + 4 * n * d * _LEAST,
    )


def _sums(moments: list[_Moments], labels: NDArray[Any]) -> ClassSums:
    """Class sums of the linear kernel <h, h'> from the moments of every class."""
    u = UNIT_ROUNDOFF
    sizes = np.array([m.n for m in moments], dtype=np.int64)
    means = np.array([m.shift + m.offset for m in moments])  # (C, d)
    norms = np.linalg.norm(means, axis=1)
    errors = np.array([m.offset_error for m in moments]) + u * norms  # of the means
    within = np.array([m.squares for m in moments])
    within_error = np.array([m.squares_error for m in moments])
    gram = matmul(means, means.T)
    pairs = np.outer(errors, norms)
    gram_error = pairs + pairs.T + np.outer(errors, errors)
    gram_error += (matmul_error(means.shape[1]) + 2) * u * np.outer(norms, norms)
    gram_error += 4 * means.shape[1] * _LEAST
    n = sizes.astype(np.float64)
    traces = within + n * np.diag(gram)
    return ClassSums(
        block_sums=np.outer(n, n) * gram,
        traces=traces,
        within=within,
        sizes=sizes,
        labels=labels,
        error=SumsError(
            block_sums=_SAFETY * np.outer(n, n) * (gram_error + u * np.abs(gram)),
            traces=_SAFETY * (within_error + n * np.diag(gram_error) + 3 * u * traces),
            within=_SAFETY * within_error,
        ),
    )


def feature_sums(data: LabelledData, *, rows: bool = True) -> ClassSums:
    """Class sums of explicit features: of the kernel <h, h'>.

    Parameters
    ----------
    data : LabelledData
        Rows of float16, float32 (both widened exactly) or float64.
    rows : bool, default True
        Whether to compute the row-class sums.

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
    moments = [_moments(H, index) for index in classes.rows_of()]
    sums = _sums(moments, classes.labels)
    if not rows:
        return sums
    scaled = np.array([m.n * (m.shift + m.offset) for m in moments])  # (C, d)
    R = np.empty((len(classes), len(H)))
    start = 0
    for chunk in _widened(H, classes.order):
        R[:, start : start + len(chunk)] = matmul(scaled, chunk.T)
        start += len(chunk)
    return dataclasses.replace(sums, class_rows=R, order=classes.order)


def _kind(labels: NDArray[Any]) -> str:
    """Name what labels are: those of another kind may be equal to them, and would not be told apart."""
    if labels.dtype.kind in "mM":
        return str(labels.dtype)  # with its unit
    return " and ".join(sorted({type(label).__name__ for label in labels.tolist()}))


class FeatureSums:
    """Class sums of explicit features that arrive batch by batch.

    Sums of disjoint batches add: in any order, over any split, the result is the same up to rounding that
    `error_bound` covers. Labels may appear late.

    Notes
    -----
    Cost: 6 flops an entry of H; O(C d) memory.
    Accuracy: within-class sums keep their digits, however collapsed the features; error_bound grows by a few unit
    roundoffs with every batch.
    Source: Chan, Golub & LeVeque (1983).

    Examples
    --------
    >>> sums = FeatureSums()
    >>> for H, y in batches:
    ...     sums.update(H, y)
    >>> sums.collapse().nc1
    """

    def __init__(self) -> None:
        self._classes: dict[Any, tuple[Any, _Moments]] = {}  # plain label -> (label, moments)
        self._n_features: int | None = None
        self._kind: str | None = None

    def __repr__(self) -> str:
        n = sum(moments.n for _, moments in self._classes.values())
        return f"FeatureSums(n_samples={n}, n_classes={len(self._classes)}, n_features={self._n_features})"

    @ieee
    def update(self, H: ArrayLike, y: ArrayLike) -> None:
        """Add a batch.

        Parameters
        ----------
        H : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
            Any labels; a batch may hold one class only.

        Raises
        ------
        TypeError, ValueError
            As `nc1fast.collapse` for its data; if n_features, or the kind of label, is not that of earlier batches. The
            sums are then as they were.
        """
        H = as_matrix(H, "H")
        classes = Classes.of(y, len(H), least=1)
        batch = FeatureSums()
        batch._n_features, batch._kind = H.shape[1], _kind(classes.labels)
        for label, index in zip(classes.labels, classes.rows_of(), strict=True):
            key = label.item() if isinstance(label, np.generic) else label
            batch._classes[key] = (label, _moments(H, index))
        merged = self + batch
        self._classes, self._n_features, self._kind = (
            merged._classes,
            merged._n_features,
            merged._kind,
        )

    @ieee
    def __add__(self, other: FeatureSums) -> FeatureSums:
        """Add the sums of other rows; that they are other rows cannot be checked."""
        if not isinstance(other, FeatureSums):
            return NotImplemented
        for name in ("_n_features", "_kind"):
            mine, theirs = getattr(self, name), getattr(other, name)
            if None not in (mine, theirs) and mine != theirs:
                what = "n_features" if name == "_n_features" else "the type of labels y"
                raise ValueError(f"{what} must stay the same, got {theirs} after {mine}")
        out = FeatureSums()
        out._classes = dict(self._classes)
        for key, (label, moments) in other._classes.items():
            mine = out._classes.get(key)
            out._classes[key] = (label, moments) if mine is None else (mine[0], mine[1] + moments)
        out._n_features = other._n_features if self._n_features is None else self._n_features
        out._kind = other._kind if self._kind is None else self._kind
        return out

    def means(self) -> Array:
        """Return the class means so far, shape (n_classes, n_features), in the order of the sorted labels."""
        moments, _ = self._sorted()
        return np.array([m.shift + m.offset for m in moments])

    @ieee
    def class_sums(self) -> ClassSums:
        """Return the sums so far, without row-class sums."""
        if len(self._classes) < 2:
            raise ValueError(f"two classes are needed, got {len(self._classes)} so far")
        return _sums(*self._sorted())

    def _sorted(self) -> tuple[list[_Moments], NDArray[Any]]:
        """Moments and labels of the classes, by label."""
        entries = list(self._classes.values())
        labels = object_array([label for label, _ in entries])
        classes = Classes.of(labels, len(entries), least=1)
        return [entries[k][1] for k in classes.order], classes.labels

    @ieee
    def collapse(self, convention: str | None = None) -> Collapse:
        """Evaluate the metrics of the rows so far.

        Parameters
        ----------
        convention : str, optional
            As `nc1fast.collapse`.

        Returns
        -------
        Collapse
            nc1_pinv, nearest_center and ncc_accuracy, which need the rows again, are None.

        Raises
        ------
        ValueError
            For fewer than two classes, and as `nc1fast.collapse`.
        """
        return collapse_from_sums(self.class_sums(), convention)
