"""Numbers of any origin, checked and turned into arrays of rows."""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.inputs.devices import index_of, is_tensor, to_host
from nc1fast.inputs.file_rows import FileRows
from nc1fast.support.extras import require
from nc1fast.support.reading import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_CHUNK_BYTES = 1 << 23
_EXACT_INTEGERS = 1 << 53
# For types of Python objects in a table that are no numbers.
_WAYS_OUT = {
    "str": ": leave such columns out (of labels, give them as y), or make numbers of them",
    "Timestamp": ": make numbers of dates first, for example days since the earliest",
    **dict.fromkeys(("NoneType", "NAType", "NaTType"), ": fill it, or leave the row out"),
}
# Of one object, by what it has.
_WAYS_TO_ONE = {"toarray": ", its toarray() is", "__next__": ", a list of what it yields may be"}


def row_chunks(X: Any) -> Iterator[NDArray[Any]]:
    """Consecutive rows: views of about 8 MiB of an array, or blocks read from a file."""
    if isinstance(X, FileRows):
        yield from X.chunks()
        return
    step = max(1, _CHUNK_BYTES // max(1, X.shape[1] * 8))
    for start in range(0, len(X), step):
        yield X[start : start + step]


def host_array(X: Any, name: str) -> NDArray[Any]:
    """A NumPy array of the data: without a copy by `__array__`, torch (detached) or DLPack where
    possible, from a device by one.

    Raises
    ------
    TypeError, ValueError
        For what cannot be one, and for masked entries, which have no value.
    """
    if type(X) is np.ndarray and X.dtype.kind != "V":
        return X
    try:
        if is_tensor(X) or index_of(X) is not None:
            return to_host(X)
        if not hasattr(X, "__array__") and hasattr(X, "__dlpack__"):
            return _from_dlpack(X)
        array = X.compute() if hasattr(X, "__dask_graph__") else X
        has_buffer = isinstance(array, np.ndarray) or hasattr(array, "__buffer__")
        if hasattr(array, "__array__") and not has_buffer:
            array = array.__array__()  # which may be masked, where np.asarray is not
        count = sum(map(_masked_in, array if isinstance(array, list | tuple) else (array,)))
        array = np.asarray(array)
    except (ValueError, TypeError, RuntimeError, BufferError) as error:
        kind = ValueError if isinstance(error, ValueError) else TypeError
        raise kind(f"{name} must be an array of numbers: {one_line(error)}") from error
    if count:
        raise ValueError(
            f"{name} must not be masked, but {count} of its entries are: fill them, or leave them "
            "out"
        )
    if array.dtype.kind == "V" and array.dtype.names is None and np.can_cast(array.dtype, "f4"):
        return array.astype(np.float32)  # bfloat16 and smaller floats of ml_dtypes, as JAX has them
    return array


def _from_dlpack(X: Any) -> NDArray[Any]:
    """Of an object that has DLPack alone; by torch where it is installed and NumPy lacks the type,
    or the device.
    """
    try:
        return np.from_dlpack(X)
    except (BufferError, RuntimeError, TypeError):
        try:
            torch = require("torch", "torch")
            return to_host(torch.from_dlpack(X))
        except ImportError:
            pass
        raise


def _masked_in(part: Any) -> int:
    """Number of entries of an array that are masked; 0 for any other object."""
    return int(np.ma.getmaskarray(part).sum()) if isinstance(part, np.ma.MaskedArray) else 0


def finite(X: Any, name: str, rows: Any = None) -> None:
    """Raise ValueError if any row of floats holds NaN or Inf; it names the first of them.

    `rows` are the numbers that the rows of X have for the caller; default: 0, 1, ...
    """
    start = 0
    for chunk in row_chunks(X):
        good = np.isfinite(chunk)
        if not good.all():
            row, column = np.unravel_index(np.argmin(good), good.shape)
            at = start + row if rows is None else rows[start + row]
            raise ValueError(
                f"{name} must be finite, but it contains NaN or Inf: {name}[{at}, {column}] is "
                f"{chunk[row, column]}"
            )
        start += len(chunk)


def check_shape(shape: tuple[int, ...], name: str) -> None:
    """Raise ValueError unless `shape` is (n_samples, n_features), neither of them 0."""
    if len(shape) != 2:
        hint = "" if not shape else f" (of images, {name}.reshape(len({name}), -1))"
        if len(shape) == 1:
            hint = f" (of one feature, {name}[:, None]; of one row, {name}[None])"
        raise ValueError(f"{name} must have shape (n_samples, n_features), got {shape}{hint}")
    if 0 in shape:
        raise ValueError(f"{name} must have at least one row and one feature, got shape {shape}")


def as_matrix(data: Any, name: str = "X") -> NDArray[Any]:
    """Rows of float16, float32 or float64 as the caller has them; integers and booleans widened to
    float64, exactly.

    `FileRows` are searched for NaN and Inf and stay in their file: the package uses them like an
    array of rows.

    Raises
    ------
    TypeError
        For complex, object, string or date data, and for floats beyond 64 bits.
    ValueError
        For anything but two dimensions, no rows, no features, NaN or Inf, or integers beyond 2^53.
    """
    if isinstance(data, FileRows):
        finite(data, name)
        return data  # type: ignore[return-value]
    X = real_array(data, name)
    check_shape(X.shape, name)
    if X.dtype.kind == "f":
        finite(X, name)
        return X.astype(X.dtype.newbyteorder("="), copy=False)
    return widened(X, name)


def real_array(data: Any, name: str) -> NDArray[Any]:
    """Real numbers of at most 64 bits, in an array of any shape; as `host_array`, and a TypeError
    for other numbers.
    """
    X = host_array(data, name)
    if X.dtype.kind not in "fiub" or X.dtype.itemsize > 8:
        raise TypeError(
            f"{name} must be real numbers of at most 64 bits, got dtype {X.dtype}{_advice(X, name)}"
        )
    return X


def widened(X: NDArray[Any], name: str) -> NDArray[np.float64]:
    """Numbers as float64, exactly; a ValueError for integers beyond 2^53."""
    wide = X.dtype.kind in "iu" and X.dtype.itemsize == 8 and X.size
    if wide and max(abs(int(X.min())), abs(int(X.max()))) > _EXACT_INTEGERS:
        raise ValueError(
            f"{name} must hold integers of at most 2^53 in size, which float64 holds exactly"
        )
    return X.astype(np.float64, copy=False)


def _advice(X: NDArray[Any], name: str) -> str:
    """How to make numbers of dates and of Python objects; empty for other types."""
    if X.dtype.kind in "Mm":
        return ": make numbers of dates first, for example days since the earliest"
    if X.dtype.kind != "O":
        return ""
    for place, value in np.ndenumerate(X):
        if isinstance(value, numbers.Real):
            continue
        kind = type(value).__name__
        if not place:
            ways = [way for name, way in _WAYS_TO_ONE.items() if hasattr(value, name)]
            return f": a {kind} is no dense array{''.join(ways)}"
        found = "missing" if kind in ("NoneType", "NAType", "NaTType") else f"of type {kind}"
        return f": {name}[{', '.join(map(str, place))}] is {found}{_WAYS_OUT.get(kind, '')}"
    return (
        ", though every entry is a number, as in nullable columns of pandas: "
        f"give {name}.astype('float64')"
    )


def as_rows(data: Any, name: str = "X", *, unread: bool = False) -> NDArray[Any]:
    """Rows as the core reads them: float32 or float64, each row contiguous; otherwise as
    `as_matrix`.

    With `unread`, a file is not searched for NaN and Inf: the caller does that as it reads, for
    instance by `rows_at`.
    """
    if unread and isinstance(data, FileRows):
        return data  # type: ignore[return-value]
    X = as_matrix(data, name)
    if isinstance(X, FileRows):
        return X
    if X.dtype == np.float16:
        X = X.astype(np.float32)
    if X.strides[1] != X.itemsize or X.strides[0] % X.itemsize or X.strides[0] < 0:
        X = X.copy(order="C")  # ascontiguousarray keeps the stride 0 of x[:, None]
    return X


def as_gram(data: Any, name: str = "X") -> NDArray[Any]:
    """A stored Gram matrix (n_samples, n_samples) of real numbers, as the caller has it; its
    entries are not checked.

    Raises
    ------
    TypeError
        For what is no array of real numbers of at most 64 bits.
    ValueError
        If it is not square.
    """
    K = host_array(data, name)
    if K.dtype.kind not in "fiu" or K.dtype.itemsize > 8:
        raise TypeError(f"{name} must be a Gram matrix of real numbers, got dtype {K.dtype}")
    if K.ndim != 2 or K.shape[0] != K.shape[1] or not len(K):
        raise ValueError(f"{name} must be a square Gram matrix, got shape {K.shape}")
    return K


def rows_at(X: Any, index: Any) -> NDArray[Any]:
    """Rows X[index], for a slice or an array of row numbers; those of a file are searched for NaN
    and Inf.

    Raises
    ------
    ValueError
        If there are any.
    """
    rows = X[index]
    if isinstance(X, FileRows):
        finite(rows, "X", range(len(X))[index] if isinstance(index, slice) else index)
    return rows  # type: ignore[no-any-return]
