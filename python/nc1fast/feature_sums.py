"""Class sums of explicit features that arrive batch by batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.inputs.arrays import as_matrix
from nc1fast.inputs.labelled import Classes
from nc1fast.inputs.labels import object_array
from nc1fast.metrics.result import Collapse, collapse_from_sums
from nc1fast.sums.features import Moments, moments_of, sums_of
from nc1fast.support.arithmetic import ieee

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from nc1fast.sums.class_sums import ClassSums

    Array = NDArray[np.float64]


def _kind(labels: NDArray[Any]) -> str:
    """Name of the type of labels, which batches must share: labels of different types may be equal."""
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
        self._classes: dict[Any, tuple[Any, Moments]] = {}  # plain label -> (label, moments)
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
            batch._classes[key] = (label, moments_of(H, index))
        merged = self + batch
        self._classes, self._n_features, self._kind = (
            merged._classes,
            merged._n_features,
            merged._kind,
        )

    @ieee
    def __add__(self, other: FeatureSums) -> FeatureSums:
        """Sums of the rows of both. That no row is in both cannot be checked."""
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

    def __radd__(self, other: object) -> FeatureSums:
        """The start of `sum([FeatureSums, ...])`, which is 0."""
        return self if isinstance(other, int) and other == 0 else NotImplemented

    def means(self) -> Array:
        """Return the class means so far, shape (n_classes, n_features), in the order of the sorted labels."""
        moments, _ = self._sorted()
        return np.array([m.mean for m in moments])

    @ieee
    def class_sums(self) -> ClassSums:
        """Return the sums so far, without row-class sums."""
        if len(self._classes) < 2:
            raise ValueError(f"two classes are needed, got {len(self._classes)} so far")
        return sums_of(*self._sorted())

    def _sorted(self) -> tuple[list[Moments], NDArray[Any]]:
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
