"""Arrays in the memory of CUDA devices: where they lie; CuPy's and torch's, in and out; rows that
are borrowed from torch, CuPy, JAX and others by DLPack.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from nc1fast import cuda
from nc1fast.support.extras import require

if TYPE_CHECKING:
    from numpy.typing import NDArray


_CUDA = (2, 13)  # types of devices in DLPack: memory of a device, and managed memory
_OF_NUMPY = ("torch.float64", "torch.float32", "torch.float16")


def is_tensor(X: Any) -> bool:
    """Whether X is a torch tensor, wherever it lies."""
    return hasattr(X, "detach") and hasattr(X, "is_cuda")


def index_of(X: Any) -> int | None:
    """The CUDA device where an array of torch or CuPy lies; None for any other."""
    if is_tensor(X):
        return int(X.device.index) if X.is_cuda else None
    if hasattr(X, "__cuda_array_interface__") and hasattr(X, "get"):
        return int(X.device.id)
    return None


def place_of(X: Any) -> int | None:
    """The CUDA device whose memory an array of any library can lend by DLPack; None for any other
    object.
    """
    if not hasattr(X, "__dlpack_device__"):
        return None
    try:
        kind, index = X.__dlpack_device__()
    except (BufferError, RuntimeError, TypeError, ValueError):  # on several devices, or on none
        return None
    return int(index) if int(kind) in _CUDA else None


def to_host(X: Any) -> NDArray[Any]:
    """A NumPy array of a torch or CuPy array: without a copy if it lies in host memory, else copied
    once its stream is done.
    """
    if not is_tensor(X):
        return np.asarray(X.get())
    X = X.detach().cpu().resolve_conj().resolve_neg()
    unknown = X.is_floating_point() and str(X.dtype) not in _OF_NUMPY  # bfloat16 and smaller ones
    return np.asarray((X.float() if unknown else X).numpy())


def empty_like(X: Any, shape: tuple[int, int], dtype: str) -> tuple[Any, int]:
    """An empty array of the library and on the device of X, which foreign code may write, and its
    address.

    Work in the queue of its library that still uses the memory is waited for.
    """
    if is_tensor(X):
        torch = require("torch", "torch")
        out = torch.empty(shape, dtype=getattr(torch, dtype), device=X.device)
        torch.cuda.current_stream(X.device).synchronize()
        return out, int(out.data_ptr())
    cupy = require("cupy", "cuda")
    with X.device:
        out = cupy.empty(shape, dtype=dtype)
        cupy.cuda.get_current_stream().synchronize()
    return out, int(out.__cuda_array_interface__["data"][0])


@dataclass(frozen=True, eq=False)
class BorrowedRows:
    """Rows of finite numbers that a device reads where they lie; a few numbers of each reach the
    host.

    Attributes
    ----------
    borrowed : LentRows of the compiled module
        As its functions take them; the memory is given back with it.
    array : array of another library
        The caller's.
    zero_rows : int
        Number of rows of zeros.
    """

    borrowed: Any
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
            borrowed = cuda.module().rows_of(array, place)
        except cuda.DeviceError:
            raise
        except (AttributeError, BufferError, RuntimeError, TypeError, ValueError):
            return None  # its library does not lend it
        if borrowed is None:
            return None
        row, column, value, zeros = borrowed.inspect()
        if row >= 0:
            raise ValueError(
                f"{name} must be finite, but it contains NaN or Inf: {name}[{row}, {column}] is "
                f"{value}"
            )
        return cls(borrowed, X, zeros)

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of rows and of features: (n_samples, n_features)."""
        n, d = self.borrowed.shape
        return int(n), int(d)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the rows as they lie there: float32 or float64."""
        dtype: np.dtype[Any] = np.dtype(self.borrowed.dtype)
        return dtype

    def __len__(self) -> int:
        return self.shape[0]
