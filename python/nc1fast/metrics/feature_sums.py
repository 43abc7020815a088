"""Class sums of explicit features that arrive batch by batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.core.linear import column_gram
from nc1fast.inputs.arrays import as_matrix
from nc1fast.inputs.label_index import kind_of_labels, plain_label
from nc1fast.inputs.labelled import Classes, LabelledData
from nc1fast.inputs.labels import object_array
from nc1fast.metrics import views
from nc1fast.metrics.result import Collapse, collapse_from_sums
from nc1fast.metrics.rows import scatter_statistics
from nc1fast.sums.features import sums_of
from nc1fast.sums.moments import Moments, MomentTable, class_moments
from nc1fast.support.arguments import shown
from nc1fast.support.arithmetic import ieee
from nc1fast.support.plain import to_line

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from nc1fast.sums.class_sums import ClassSums

    Array = NDArray[np.float64]

_ROWS = 1024  # at a time
SCATTER_FEATURES = 1024  # most features whose scatter is added up unless asked for: 8 MiB


def scatter_wanted(scatter: bool | str, n_features: int) -> bool:
    """Whether the scatter of so many features is added up."""
    return n_features <= SCATTER_FEATURES if scatter == "auto" else bool(scatter)


class FeatureSums:
    """Class sums of explicit features that arrive batch by batch.

    Sums of disjoint batches add: in any order, over any split, the result is the same up to rounding that
    `error_bound` covers. Labels may appear late.

    Parameters
    ----------
    scatter : {"auto", True, False}, default "auto"
        Whether to add up the scatter within classes too, d x d numbers, from which nc1_pinv, nc1_truncated and the ranks of
        Sigma_W follow; "auto": for up to 1,024 features.

    Raises
    ------
    ValueError
        For another value.

    Notes
    -----
    Cost: 6 flops an entry of H, 2 d more for the scatter; O(C d) memory, and O(d^2).
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

    def __init__(self, scatter: bool | str = "auto") -> None:
        if not (isinstance(scatter, bool) or scatter == "auto"):
            raise ValueError(f"scatter must be 'auto', True or False, got {shown(scatter)}")
        self._wanted = scatter
        self._scatter: Array | None = None  # (d, d)  sum of (h - mean)(h - mean)^T over all classes
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
        if self._n_features not in (None, H.shape[1]):
            raise ValueError(f"H must have {self._n_features} features as before, got {H.shape[1]}")
        classes = Classes.of(y, len(H), least=1)
        table = class_moments(LabelledData(H, classes))
        scatter = None
        if scatter_wanted(self._wanted, H.shape[1]):
            scatter = _scatter(H, classes.of_row, table)
        moments = [table.one(k) for k in range(len(classes))]
        merged = self + FeatureSums.of_moments(classes.labels, moments, scatter)
        self._classes, self._n_features = merged._classes, merged._n_features
        self._kind, self._scatter = merged._kind, merged._scatter

    @classmethod
    def of_moments(
        cls, labels: NDArray[Any], moments: list[Moments], scatter: Any = None
    ) -> FeatureSums:
        """Sums of the moments of classes, their labels, at least one, and their scatter (d, d) or None."""
        out = cls(scatter=scatter is not None)
        out._classes = {
            plain_label(label): (label, of_class)
            for label, of_class in zip(labels, moments, strict=True)
        }
        out._n_features, out._kind = len(moments[0].shift), kind_of_labels(labels)
        out._scatter = scatter
        return out

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
        if not other._classes:
            return self._copy()
        if not self._classes:
            out = other._copy()
            out._wanted = self._wanted
            return out
        out = self._copy()
        both = []
        for key, (label, moments) in other._classes.items():
            mine = out._classes.get(key)
            out._classes[key] = (label, moments) if mine is None else (mine[0], mine[1] + moments)
            if mine is not None:
                n, m = mine[1].n, moments.n
                both.append(np.sqrt(n * (m / (n + m))) * mine[1].step_to(moments))
        out._scatter = None
        if self._scatter is not None and other._scatter is not None:
            out._scatter = self._scatter + other._scatter
            if both:
                steps = np.array(both)
                out._scatter += column_gram(steps)
        return out

    def _copy(self) -> FeatureSums:
        """The same sums, which further rows may be added to."""
        out = FeatureSums(self._wanted)
        out._classes, out._n_features = dict(self._classes), self._n_features
        out._kind, out._scatter = self._kind, self._scatter
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
        moments, labels = self._sorted()
        return sums_of(MomentTable.of(moments), labels)

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
            nearest_center and ncc_accuracy, which need the rows again, are None; and without the scatter, or where classes of
            unequal sizes weigh the same ("class"), nc1_pinv, nc1_truncated and the ranks of Sigma_W.

        Raises
        ------
        ValueError
            For fewer than two classes, and as `nc1fast.collapse`.
        """
        sums = self.class_sums()
        rows = None
        if self._scatter is not None and sums.means is not None:
            rows = scatter_statistics(self._scatter, sums.means, sums.sizes)
        return collapse_from_sums(sums, convention, rows=rows)

    def to_dict(self) -> dict[str, Any]:
        """Classes, their sizes and their means so far, by name."""
        moments, labels = self._sorted() if self._classes else ([], np.zeros(0))
        return {
            "n_samples": sum(m.n for m in moments),
            "n_classes": len(moments),
            "n_features": self._n_features,
            "scatter": "kept" if self._scatter is not None else "not kept",
            "labels": labels,
            "sizes": np.array([m.n for m in moments], dtype=np.int64),
            "means": np.array([m.mean for m in moments]),
        }

    def to_json(self) -> str:
        """The same as one line of strict JSON."""
        return to_line(self.to_dict())

    def summary(self) -> str:
        """Text with one line for each number."""
        return views.summary("FeatureSums", self.to_dict())

    def _repr_html_(self) -> str:
        return views.to_html("FeatureSums", self.to_dict())


def _scatter(H: NDArray[Any], of_row: NDArray[np.int32], moments: MomentTable) -> Array:
    """Sum of (h - mean)(h - mean)^T over the rows of classes of these moments, shape (d, d); 1.2 N d^2 flops."""
    about_shift = np.zeros((H.shape[1], H.shape[1]))
    for start in range(0, len(H), _ROWS):
        part = slice(start, start + _ROWS)
        about_shift += column_gram(H[part].astype(np.float64) - moments.shift[of_row[part]])
    return about_shift - column_gram(np.sqrt(moments.n)[:, None] * moments.offset)
