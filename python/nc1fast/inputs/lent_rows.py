"""Rows that stay in the memory of a CUDA device: what torch, CuPy, JAX and others lend by DLPack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from nc1fast import cuda
from nc1fast.inputs.arrays import as_rows
from nc1fast.inputs.devices import is_tensor, place_of

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class LentRows:
    """Rows of finite numbers that a device reads where they lie; a few numbers of each reach the
    host.

    Attributes
    ----------
    lent : LentRows of the module for devices
        As its functions take them; the memory is given back with it.
    array : array of another library
        The caller's.
    zero_rows : int
        Number of rows of zeros.
    """

    lent: Any
    array: Any
    zero_rows: int

    @classmethod
    def of(cls, X: Any, device: str, name: str = "X") -> Self | None:
        """Rows in place, where X lies on the one device that `device` names, in float32 or float64;
        None for any other X.

        Waits for what the library of X has queued for it.

        Raises
        ------
        ValueError
            If any row holds NaN or Inf; it names the first of them.
        DeviceError, MemoryError
            If the device fails, or has no memory for a number of each row.
        """
        place = place_of(X)
        if place is None or cuda.indices(device) != (place,):
            return None
        try:
            array = X.detach().resolve_neg() if is_tensor(X) else X
            lent = cuda.module().rows_of(array, place)
        except cuda.DeviceError:
            raise
        except (AttributeError, BufferError, RuntimeError, TypeError, ValueError):
            return None  # its library does not lend it
        if lent is None:
            return None
        row, column, value, zeros = lent.inspect()
        if row >= 0:
            raise ValueError(
                f"{name} must be finite, but it contains NaN or Inf: {name}[{row}, {column}] is {value}"
            )
        return cls(lent, X, zeros)

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of rows and of features: (n_samples, n_features)."""
        n, d = self.lent.shape
        return int(n), int(d)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the rows as they lie there: float32 or float64."""
        dtype: np.dtype[Any] = np.dtype(self.lent.dtype)
        return dtype

    def __len__(self) -> int:
        return self.shape[0]

    def on_host(self) -> NDArray[Any]:
        """A copy in memory of the host, as `as_rows` makes it."""
        return as_rows(self.array)
