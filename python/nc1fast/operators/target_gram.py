"""The Gram matrix of what is to be learned: Y Y^T of targets, or the simplex code of labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.inputs.arrays import host_array
from nc1fast.inputs.labelled import Classes
from nc1fast.inputs.targets import as_numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


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
        apart = -1.0 / (len(self.classes) - 1)  # type: ignore[arg-type]
        return np.where(self.same(a, b), 1.0, apart)
