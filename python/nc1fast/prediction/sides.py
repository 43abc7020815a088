"""The sides of an alignment, tile by tile: Gram matrices of kernels and of explicit features, and
that of what is to be learned, Y Y^T of targets or the simplex code of labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.core.linear import UNIT_ROUNDOFF, matmul, matmul_error
from nc1fast.core.machine import thread_count
from nc1fast.core.rounding import row_errors
from nc1fast.datasets.paths import rows_at_path
from nc1fast.inputs.arrays import as_matrix, as_rows, host_array, rows_at
from nc1fast.inputs.files import as_source, split_name
from nc1fast.inputs.labelled import Classes
from nc1fast.inputs.targets import as_numbers
from nc1fast.kernels.classes import Kernel
from nc1fast.kernels.registry import hint
from nc1fast.support.arguments import shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nc1fast.inputs.file_rows import FileRows

    Array = NDArray[np.float64]

_CHUNK = 4096  # rows whose errors are bounded at a time


@dataclass(frozen=True, eq=False)
class Side:
    """A Gram matrix by its tiles.

    Attributes
    ----------
    rows : ndarray or FileRows of shape (n_samples, n_features)
    kernel : Kernel or None
        None: of the rows themselves, as explicit features.
    n_threads : int, optional
    """

    rows: NDArray[Any] | FileRows
    kernel: Kernel | None
    n_threads: int | None

    def __len__(self) -> int:
        return len(self.rows)

    def tile(self, a: slice, b: slice) -> Array:
        """Entries of rows `a` with rows `b`; of a span with itself exactly symmetric."""
        A = rows_at(self.rows, a)
        if self.kernel is not None:
            B = None if a == b else rows_at(self.rows, b)
            return self.kernel(A, B, n_threads=self.n_threads)
        H, G = A.astype(np.float64), rows_at(self.rows, b).astype(np.float64)
        return matmul(H, G.T, thread_count(self.n_threads))

    def error(self) -> float:
        """Bound on |dK|, the norm of the errors of all entries: |dk_ij| <= u sqrt(e_i e_j), whose
        norm is at most u sum_i e_i.
        """
        total = 0.0
        for begin in range(0, len(self), _CHUNK):
            rows = rows_at(self.rows, slice(begin, begin + _CHUNK)).astype(np.float64)
            if self.kernel is None:
                entry = matmul_error(rows.shape[1]) * np.square(rows).sum(axis=1)
            else:
                errors = row_errors(self.kernel, rows)
                entry = np.maximum(errors.entry, errors.diagonal)
            total += float(entry.sum())
        return UNIT_ROUNDOFF * total


def as_sides(X: Any, kernels: Any, n_threads: int | None) -> list[Side]:
    """The kernels of a call, checked: kernel objects of X, and arrays of explicit features of as
    many rows.

    Raises
    ------
    TypeError, ValueError, OSError
        For what is neither, for none, and for data that are not as `collapse` takes them.
    """
    rows = as_rows(as_source(X), "X")
    thread_count(n_threads)
    if not len(kernels):
        raise ValueError("kernels must not be an empty list")
    sides = []
    for index, one in enumerate(kernels):
        if isinstance(one, Kernel):
            sides.append(Side(rows, one, n_threads))
            continue
        if callable(one) or (isinstance(one, str) and not Path(split_name(one)[0]).exists()):
            raise TypeError(
                f"kernels[{index}] must be a kernel object or an array of features, got "
                f"{shown(one)}{hint(one)}"
            )
        name = f"kernels[{index}]"
        features = as_matrix(as_source(rows_at_path(one, name)), name)
        if len(features) != len(rows):
            raise ValueError(
                f"kernels[{index}] has {len(features)} rows of features, but X has {len(rows)}"
            )
        sides.append(Side(features, None, n_threads))
    return sides


@dataclass(frozen=True, eq=False)
class TargetGram:
    """T = Y Y^T by its tiles.

    Attributes
    ----------
    classes : Classes or None
        Of labels: T is 1 within a class, and -1/(C - 1) between two.
    values : ndarray of shape (n_samples, n_outputs) or None
        Of targets that are numbers.
    n : int
        Samples.
    """

    classes: Classes | None
    values: Array | None
    n: int

    @classmethod
    def of(cls, y: Any, n: int) -> TargetGram:
        """Targets where y is a matrix or holds floats, else labels.

        Raises
        ------
        TypeError, ValueError
            As `collapse` for labels; for targets that are not finite or do not fit.
        """
        array = host_array(y, "y")
        if array.ndim == 2 or array.dtype.kind == "f":
            return cls(None, as_numbers(array, n, None), n)
        return cls(Classes.of(y, n), None, n)

    @property
    def counts(self) -> tuple[int, int, int]:
        """Entries on the diagonal, within classes off it, and between them; of targets that are
        numbers all others are in none.
        """
        if self.classes is None:
            return self.n, 0, 0
        within = int(np.square(self.classes.sizes).sum())
        return self.n, within - self.n, self.n**2 - within

    def same(self, a: slice, b: slice) -> NDArray[np.bool_]:
        """Whether two rows are of one class, for rows `a` and `b`; false for targets that are
        numbers.
        """
        if self.classes is None:
            return np.eye(a.stop - a.start, b.stop - b.start, dtype=np.bool_) & (a == b)
        of_row = self.classes.of_row
        return np.asarray(of_row[a, None] == of_row[b])

    def tile(self, a: slice, b: slice) -> Array:
        """Entries of rows `a` with rows `b`."""
        if self.values is not None:
            return np.asarray(np.einsum("ik,jk->ij", self.values[a], self.values[b]))
        between = -1.0 / (len(self.classes) - 1)  # type: ignore[arg-type]
        return np.where(self.same(a, b), 1.0, between)
