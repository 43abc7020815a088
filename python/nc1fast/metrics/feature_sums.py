"""Class sums of explicit features that arrive batch by batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from nc1fast.core.linear import column_gram
from nc1fast.datasets.paths import reads_files
from nc1fast.inputs.arrays import as_matrix
from nc1fast.inputs.labelled import Classes, LabelledData, kind_of_labels, plain_label
from nc1fast.inputs.labels import object_array
from nc1fast.metrics.exports import html_table, summary_text
from nc1fast.metrics.result import Collapse, collapse_from_sums
from nc1fast.metrics.rows import scatter_statistics
from nc1fast.sums.given import sums_of
from nc1fast.sums.moments import MomentTable, class_moments
from nc1fast.support.arguments import shown
from nc1fast.support.arithmetic import ieee
from nc1fast.support.plain import to_line

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from nc1fast.sums.class_sums import ClassSums

    Array = NDArray[np.float64]

_ROWS = 1024  # at a time
SCATTER_FEATURES = 1024  # most features whose scatter "auto" adds up: 8 MiB


def sums_scatter(scatter: bool | str, n_features: int) -> bool:
    """Whether the scatter of so many features is added up."""
    return n_features <= SCATTER_FEATURES if scatter == "auto" else bool(scatter)


class FeatureSums:
    """Class sums of explicit features that arrive batch by batch.

    Sums of disjoint batches add: in any order, over any split, the result is the same up to
    rounding that `error_bound` covers. Labels may appear late.

    Parameters
    ----------
    scatter : {"auto", True, False}, default "auto"
        Whether to add up the scatter within classes too, d x d numbers, from which nc1_pinv,
        nc1_truncated and the ranks of Sigma_W follow; "auto": for up to 1,024 features.

    Raises
    ------
    ValueError
        For another value.

    Notes
    -----
    Cost: 6 flops an entry of H, 2 d more for the scatter; O(C d) memory, and O(d^2).
    Accuracy: within-class sums keep their digits, however collapsed the features; error_bound grows
    by a few unit roundoffs with every batch.
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
        self._setting = scatter
        self._scatter: Array | None = None  # (d, d)  sum of (h - mean)(h - mean)^T over all classes
        self._labels: list[Any] = []  # as they appeared,
        self._at: dict[Any, int] = {}  # the place of each, as a plain label,
        self._room = MomentTable.room(0, 0)  # and their moments, with room for more
        self._n_features: int | None = None
        self._kind: str | None = None

    def __repr__(self) -> str:
        n = int(self._table.n.sum())
        C, d = len(self._labels), self._n_features
        return f"FeatureSums(n_samples={n}, n_classes={C}, n_features={d})"

    @property
    def _table(self) -> MomentTable:
        """Moments of the classes, as they appeared."""
        return self._room.of(slice(len(self._labels)))

    @ieee
    @reads_files("H", labels="y")
    def update(self, H: ArrayLike, y: ArrayLike) -> None:
        """Add a batch.

        Parameters
        ----------
        H : array-like of shape (n_samples, n_features), or path
        y : array-like of shape (n_samples,), path, or part of the file H
            Any labels; a batch may hold one class only.

        Raises
        ------
        TypeError, ValueError
            As `nc1fast.collapse` for its data; if n_features, or the kind of label, is not that of
            earlier batches. The sums are then as they were.
        """
        H = as_matrix(H, "H")
        if self._n_features not in (None, H.shape[1]):
            raise ValueError(f"H must have {self._n_features} features as before, got {H.shape[1]}")
        classes = Classes.of(y, len(H), least=1)
        table = class_moments(LabelledData(H, classes))
        scatter = None
        if sums_scatter(self._setting, H.shape[1]):
            scatter = _scatter(H, classes.of_row, table)
        self._add(FeatureSums.of_moments(classes.labels, table, scatter))

    @classmethod
    def of_moments(
        cls, labels: NDArray[Any], moments: MomentTable, scatter: Any = None
    ) -> FeatureSums:
        """Sums of the moments of classes, their labels, at least one, and their scatter (d, d) or
        None.
        """
        out = cls(scatter=scatter is not None)
        out._labels = list(labels)
        out._at = {plain_label(label): k for k, label in enumerate(out._labels)}
        out._room, out._scatter = moments, scatter
        out._n_features, out._kind = moments.shift.shape[1], kind_of_labels(labels)
        return out

    @ieee
    def __add__(self, other: FeatureSums) -> FeatureSums:
        """Sums of the rows of both. That no row is in both cannot be checked."""
        if not isinstance(other, FeatureSums):
            return NotImplemented
        out = self._copy()
        out._add(other)
        return out

    @ieee
    def __iadd__(self, other: FeatureSums) -> Self:
        """The same in place, without a copy of these sums."""
        if not isinstance(other, FeatureSums):
            return NotImplemented
        self._add(other._copy() if other is self else other)
        return self

    def _add(self, other: FeatureSums) -> None:
        """Add the rows of other sums, or raise ValueError for those that do not fit."""
        for name in ("_n_features", "_kind"):
            mine, theirs = getattr(self, name), getattr(other, name)
            if None not in (mine, theirs) and mine != theirs:
                what = "n_features" if name == "_n_features" else "the type of labels y"
                raise ValueError(f"{what} must stay the same, got {theirs} after {mine}")
        if not other._labels:
            return
        keys = list(other._at)
        at = np.fromiter((self._at.get(key, -1) for key in keys), np.int64, len(keys))
        known, new = np.flatnonzero(at >= 0), np.flatnonzero(at < 0)
        fresh, scatter = not self._labels, self._scatter
        if other._scatter is None or fresh:
            scatter = None if other._scatter is None else other._scatter.copy()
        elif scatter is not None:
            scatter += other._scatter
        shared = other._table if not len(new) else other._table.of(known)
        steps = []
        for some in self._room.add(at[known], shared):
            if scatter is not None:
                steps.append(some)
        if scatter is not None and steps:
            scatter += column_gram(np.concatenate(steps))
        if len(new):
            labels = [other._labels[k] for k in new]
            self._append(labels, [keys[k] for k in new], other._room.of(new))
        self._scatter = scatter
        self._n_features, self._kind = other._n_features, other._kind

    def _append(self, labels: list[Any], keys: list[Any], moments: MomentTable) -> None:
        """Take in classes that are not among these."""
        start = len(self._labels)
        end = start + len(labels)
        if end > len(self._room):
            more = max(end, 2 * start)
            d = moments.shift.shape[1]
            self._room = self._room.resized(more) if start else MomentTable.room(more, d)
        self._room.put(slice(start, end), moments)
        self._labels += labels
        self._at.update((key, start + k) for k, key in enumerate(keys))

    def _copy(self) -> FeatureSums:
        """The same sums, which further rows may be added to."""
        out = FeatureSums(self._setting)
        out._append(self._labels, list(self._at), self._table)
        out._n_features, out._kind = self._n_features, self._kind
        out._scatter = None if self._scatter is None else self._scatter.copy()
        return out

    def __radd__(self, other: object) -> FeatureSums:
        """The start of `sum([FeatureSums, ...])`, which is 0."""
        return self._copy() if isinstance(other, int) and other == 0 else NotImplemented

    def means(self) -> Array:
        """Return the class means so far, shape (n_classes, n_features), in the order of the sorted
        labels.
        """
        moments, _ = self._sorted()
        return moments.means

    @ieee
    def class_sums(self) -> ClassSums:
        """Return the sums so far, without row-class sums."""
        if len(self._labels) < 2:
            raise ValueError(f"two classes are needed, got {len(self._labels)} so far")
        moments, labels = self._sorted()
        return sums_of(moments, labels)

    def _sorted(self) -> tuple[MomentTable, NDArray[Any]]:
        """Moments and labels of the classes, by label."""
        if not self._labels:
            return self._table, np.zeros(0)
        classes = Classes.of(object_array(self._labels), len(self._labels), least=1)
        return self._table.of(classes.order), classes.labels

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
            nearest_center and ncc_accuracy, which need the rows again, are None; and without the
            scatter, or where classes of unequal sizes weigh the same ("class"), nc1_pinv,
            nc1_truncated and the ranks of Sigma_W.

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
        moments, labels = self._sorted()
        return {
            "n_samples": int(moments.n.sum()),
            "n_classes": len(moments),
            "n_features": self._n_features,
            "scatter": "kept" if self._scatter is not None else "not kept",
            "labels": labels,
            "sizes": moments.n,
            "means": moments.means,
        }

    def to_json(self) -> str:
        """The same as one line of strict JSON."""
        return to_line(self.to_dict())

    def summary(self) -> str:
        """Text with one line for each number."""
        return summary_text("FeatureSums", self.to_dict())

    def _repr_html_(self) -> str:
        return html_table("FeatureSums", self.to_dict())


def _scatter(H: NDArray[Any], of_row: NDArray[np.int32], moments: MomentTable) -> Array:
    """Sum of (h - mean)(h - mean)^T over the rows of classes of these moments, shape (d, d); 1.2 N
    d^2 flops.
    """
    about_shift = np.zeros((H.shape[1], H.shape[1]))
    for start in range(0, len(H), _ROWS):
        part = slice(start, start + _ROWS)
        about_shift += column_gram(H[part].astype(np.float64) - moments.shift[of_row[part]])
    return about_shift - column_gram(np.sqrt(moments.n)[:, None] * moments.offset)
