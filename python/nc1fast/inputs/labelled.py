"""Rows and labels of a call, checked and sorted once, as every method takes them; and labels that
arrive batch by batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.inputs.arrays import as_gram, as_matrix, as_rows
from nc1fast.inputs.devices import BorrowedRows, is_tensor, to_host
from nc1fast.inputs.files import as_source, read_gram, read_labels
from nc1fast.inputs.labels import as_labels, object_array
from nc1fast.inputs.sequences import Sequences
from nc1fast.support.arguments import shown

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from nc1fast.inputs.file_rows import FileRows

_MOST_NUMBERS = 1 << 22  # integers that are looked up: 32 MiB


@dataclass(frozen=True, eq=False)
class Classes:
    """Class of each row, and the labels of the classes.

    Attributes
    ----------
    of_row : ndarray of int32 of shape (n_samples,)
        Index into `labels` of each row; every class occurs.
    labels : ndarray of shape (n_classes,)
        Sorted, as `numpy.unique` sorts them.
    """

    of_row: NDArray[np.int32]
    labels: NDArray[Any]

    @classmethod
    def of(cls, y: ArrayLike, n_samples: int, *, least: int = 2, name: str = "y") -> Classes:
        """Classes of `n_samples` labels y, the argument `name`.

        Raises
        ------
        TypeError, ValueError
            As `as_labels`, and for fewer than `least` classes, 1 or 2.
        """
        of_row, labels = as_labels(y, n_samples, name)
        if len(labels) < least:
            only = f"only {shown(labels[:1].tolist()[0])}" if len(labels) else "no label"
            raise ValueError(f"{name} must hold at least two classes, got {only}")
        return cls(of_row, labels)

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """Rows of each class, shape (n_classes,)."""
        return np.bincount(self.of_row, minlength=len(self)).astype(np.int64)

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """Rows sorted by class, shape (n_samples,): the caller's row at each sorted position.

        Rows of one class keep their order.
        """
        return np.argsort(self.of_row, kind="stable").astype(np.int64, copy=False)

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """Sorted position at which each class starts, then n_samples: shape (n_classes + 1,)."""
        return np.concatenate([[0], np.cumsum(self.sizes)])

    def rows_of(self) -> list[NDArray[np.int64]]:
        """Rows of each class, ascending: views of `order`, each of shape (sizes[c],)."""
        return np.split(self.order, self.starts[1:-1])


@dataclass(frozen=True, eq=False)
class LabelledData:
    """Rows and their classes, both checked.

    Attributes
    ----------
    rows : ndarray, FileRows, BorrowedRows or Sequences of shape (n_samples, n_features)
        As `as_rows` gives them, or `BorrowedRows.of`; sequences are the rows of a recurrent kernel
        alone.
    classes : Classes
    """

    rows: Any
    classes: Classes

    @classmethod
    def of(cls, X: Any, y: Any, *, unread: bool = False, device: str = "cpu") -> LabelledData:
        """Check X and y, which may be paths.

        Parameters
        ----------
        unread : bool
            Whether the caller searches a file for NaN and Inf itself.
        device : str
            Rows that lie on it stay there, if it is one.

        Raises
        ------
        TypeError, ValueError, OSError
            As `nc1fast.collapse`.
        """
        rows = BorrowedRows.of(X, device)
        return cls._of(as_rows(as_source(X), "X", unread=unread) if rows is None else rows, y)

    @classmethod
    def of_features(cls, H: Any, y: Any) -> LabelledData:
        """Check explicit features, as `of` does; float16 and rows with gaps stay as they are."""
        return cls._of(as_matrix(as_source(H), "X"), y)

    @classmethod
    def of_gram(cls, K: Any, y: Any) -> LabelledData:
        """Check a Gram matrix, as `of` does; its rows are those of the matrix, and that of a file
        is mapped.
        """
        return cls._of(as_gram(read_gram(K)), y)

    @classmethod
    def of_sequences(cls, X: Any, y: Any) -> LabelledData:
        """Check sequences, as `of` does rows: an array (n_samples, n_steps, n_features), a list of
        arrays, or `Sequences`.
        """
        return cls._of(Sequences.of(X), y)

    @classmethod
    def _of(cls, rows: NDArray[Any] | FileRows | BorrowedRows | Sequences, y: Any) -> LabelledData:
        """Checked rows with their labels y, which may be a path."""
        return cls(rows, Classes.of(read_labels(y), len(rows)))

    @property
    def n_samples(self) -> int:
        """Number of rows of the data."""
        return len(self.rows)

    @property
    def n_features(self) -> int:
        """Number of columns of the rows."""
        return int(self.rows.shape[1])


# --- labels that arrive batch by batch ---


def kind_of_labels(labels: NDArray[Any]) -> str:
    """Name of the type of labels, which batches must share."""
    if labels.dtype.kind in "mM":
        return str(labels.dtype)  # with its unit
    return " and ".join(sorted({type(label).__name__ for label in labels.tolist()}))


def plain_label(label: Any) -> Any:
    """A label as an object of Python, which a dict takes as its key."""
    return label.item() if isinstance(label, np.generic) else label


class LabelIndex:
    """The classes so far: numbered as they appear, and by their order once `sort` was called."""

    def __init__(self) -> None:
        self._codes: dict[Any, int] = {}
        self._labels: list[Any] = []
        self._kind: str | None = None
        self._sorted = False
        self._numbers = np.full(
            0, -1, dtype=np.int64
        )  # the class of each number, where labels are 0, 1, 2, ...

    def __len__(self) -> int:
        return len(self._labels)

    def codes(self, y: Any, n_samples: int) -> NDArray[np.int64]:
        """Class of each of `n_samples` labels of a batch, shape (n_samples,).

        Raises
        ------
        TypeError, ValueError
            As `as_labels`; for labels of another type than those before, and, once sorted, for a
            label that is new.
        """
        if (found := self._of_numbers(y, n_samples)) is not None:
            return found
        of_row, labels = as_labels(y, n_samples)
        if not n_samples:
            return of_row.astype(np.int64)
        kind = kind_of_labels(labels)
        if self._kind not in (None, kind):
            raise ValueError(
                f"the type of labels y must stay the same, got {kind} after {self._kind}"
            )
        self._kind = kind
        codes = np.array([self._code(label) for label in labels], dtype=np.int64)
        if kind == "int":
            self._note_numbers(labels, codes)
        return codes[of_row]

    def _of_numbers(self, y: Any, n_samples: int) -> NDArray[np.int64] | None:
        """Classes of small integers that all are known, without a sort; None for other labels."""
        if not len(self._numbers) or not n_samples or getattr(y, "ndim", 0) != 1:
            return None
        values = to_host(y) if is_tensor(y) else y
        if type(values) is not np.ndarray or values.dtype.kind not in "iu":
            return None
        if len(values) != n_samples or values.min() < 0:
            return None
        try:
            codes = self._numbers[values]
        except IndexError:
            return None
        return None if codes.min() < 0 else codes

    def _note_numbers(self, labels: NDArray[Any], codes: NDArray[np.int64]) -> None:
        """Keep the classes of small integers."""
        if labels.dtype.kind not in "iu" or labels[0] < 0 or labels[-1] >= _MOST_NUMBERS:
            return
        most = int(labels[-1]) + 1
        if most > len(self._numbers):
            more = np.full(max(most, 2 * len(self._numbers)) - len(self._numbers), -1)
            self._numbers = np.concatenate([self._numbers, more])
        self._numbers[labels] = codes

    def _code(self, label: Any) -> int:
        key = plain_label(label)
        if key not in self._codes:
            if self._sorted:
                raise ValueError(f"y must be the same in every pass, but {shown(key)} is new")
            self._codes[key] = len(self._labels)
            self._labels.append(label)
        return self._codes[key]

    def sort(self) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """Number the classes by the order of their labels.

        Returns
        -------
        order : ndarray of shape (n_classes,)
            The former number of each class.
        labels : ndarray of shape (n_classes,)
            Sorted, as `numpy.unique` sorts them.
        """
        classes = Classes.of(object_array(self._labels), len(self), least=1)
        order, self._sorted = classes.order, True
        self._labels = [self._labels[k] for k in order]
        self._codes = {plain_label(label): k for k, label in enumerate(self._labels)}
        if len(self._numbers):
            rank = np.full(len(order) + 1, -1, dtype=np.int64)  # the last is that of -1
            rank[order] = np.arange(len(order))
            self._numbers = rank[self._numbers]
        return order, classes.labels
