"""Rows and labels of a call, checked and sorted once, as every method takes them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.inputs.arrays import as_gram, as_matrix, as_rows
from nc1fast.inputs.files import as_source, read_gram, read_labels
from nc1fast.inputs.labels import as_labels
from nc1fast.inputs.lent_rows import LentRows
from nc1fast.inputs.sequences import Sequences
from nc1fast.support.arguments import shown

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from nc1fast.inputs.file_rows import FileRows


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
        """Rows of each class, ascending: n_classes arrays of shape (sizes[c],), views of `order`."""
        return np.split(self.order, self.starts[1:-1])


@dataclass(frozen=True, eq=False)
class LabelledData:
    """Rows and their classes, both checked.

    Attributes
    ----------
    rows : ndarray, FileRows, LentRows or Sequences of shape (n_samples, n_features)
        As `as_rows` gives them, or `LentRows.of`; sequences are the rows of a recurrent kernel
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
        lent = LentRows.of(X, device)
        return cls._of(as_rows(as_source(X), "X", unread=unread) if lent is None else lent, y)

    @classmethod
    def of_features(cls, H: Any, y: Any) -> LabelledData:
        """Check explicit features, as `of` does; float16 and rows that lie apart stay as they are."""
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
    def _of(cls, rows: NDArray[Any] | FileRows | LentRows | Sequences, y: Any) -> LabelledData:
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
