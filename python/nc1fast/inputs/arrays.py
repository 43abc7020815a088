"""Data and labels of any origin, checked and turned into arrays."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.inputs.devices import index_of, is_tensor, to_host
from nc1fast.inputs.file_rows import FileRows
from nc1fast.support.arguments import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_CHUNK_BYTES = 1 << 23
_LABELS = 1 << 16  # at a time: what is sorted never outweighs the labels
_EXACT_INTEGERS = 1 << 53


def row_chunks(X: Any) -> Iterator[NDArray[Any]]:
    """Consecutive rows: views of an array, about 8 MiB each, or what is read of a file."""
    if isinstance(X, FileRows):
        yield from X.chunks()
        return
    step = max(1, _CHUNK_BYTES // max(1, X.shape[1] * 8))
    for start in range(0, len(X), step):
        yield X[start : start + step]


def host_array(X: Any, name: str) -> NDArray[Any]:
    """A NumPy array without a copy where there is a way: `__array__`, torch (detached), DLPack; from a device by a copy.

    Raises
    ------
    TypeError, ValueError
        For what cannot be one, and for masked entries, which have no value.
    """
    try:
        if is_tensor(X) or index_of(X) is not None:
            return to_host(X)
        if not hasattr(X, "__array__") and hasattr(X, "__dlpack__"):
            return np.from_dlpack(X)
        array = X.compute() if hasattr(X, "__dask_graph__") else X
        if hasattr(array, "__array__") and not isinstance(array, np.ndarray):
            array = array.__array__()  # which may be masked, where np.asarray is not
        count = sum(map(_masked_in, array if isinstance(array, list | tuple) else (array,)))
        array = np.asarray(array)
    except (ValueError, TypeError, RuntimeError, BufferError) as error:
        kind = ValueError if isinstance(error, ValueError) else TypeError
        told = " ".join(str(error).split())
        raise kind(f"{name} must be an array of numbers: {told}") from error
    if count:
        raise ValueError(
            f"{name} must not be masked, but {count} of its entries are: fill them, or leave them out"
        )
    return array


def _masked_in(part: Any) -> int:
    """Entries that are masked."""
    return int(np.ma.getmaskarray(part).sum()) if isinstance(part, np.ma.MaskedArray) else 0


def finite(X: Any, name: str) -> None:
    """Raise ValueError if rows of floats contain NaN or Inf."""
    if not all(np.isfinite(chunk).all() for chunk in row_chunks(X)):
        raise ValueError(f"{name} must be finite, but it contains NaN or Inf")


def check_shape(shape: tuple[int, ...], name: str) -> None:
    """Raise ValueError unless it is that of rows of features."""
    if len(shape) != 2:
        raise ValueError(f"{name} must have shape (n_samples, n_features), got {shape}")
    if 0 in shape:
        raise ValueError(f"{name} must have at least one row and one feature, got shape {shape}")


def as_matrix(data: Any, name: str = "X") -> NDArray[Any]:
    """Rows of float16, float32 or float64 as the caller has them; integers and booleans widened to float64, exactly.

    `FileRows` are looked through and stay in their file: they have what the package asks of an array of rows.

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
    X = host_array(data, name)
    if X.dtype.kind not in "fiub" or X.dtype.itemsize > 8:
        raise TypeError(f"{name} must be real numbers of at most 64 bits, got dtype {X.dtype}")
    check_shape(X.shape, name)
    if X.dtype.kind == "f":
        finite(X, name)
        return X.astype(X.dtype.newbyteorder("="), copy=False)
    if X.dtype.itemsize == 8 and max(abs(int(X.min())), abs(int(X.max()))) > _EXACT_INTEGERS:
        raise ValueError(
            f"{name} must hold integers of at most 2^53 in size, which float64 holds exactly"
        )
    return X.astype(np.float64)


def as_rows(data: Any, name: str = "X", *, unread: bool = False) -> NDArray[Any]:
    """`as_matrix` as the core reads it: float32 or float64, each row contiguous.

    `unread` leaves the search of a file for NaN and Inf to a caller who reads it anyway, by `rows_at`.
    """
    if unread and isinstance(data, FileRows):
        return data  # type: ignore[return-value]
    X = as_matrix(data, name)
    if isinstance(X, FileRows):
        return X
    if X.dtype == np.float16:
        X = X.astype(np.float32)
    if X.strides[1] != X.itemsize or X.strides[0] % X.itemsize or X.strides[0] < 0:
        X = np.ascontiguousarray(X)
    return X


def as_gram(data: Any, name: str = "X") -> NDArray[Any]:
    """A stored Gram matrix (n_samples, n_samples) of real numbers, as the caller has it; its entries are not looked at.

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
    """Rows by a slice or an array of numbers; those of a file are searched for NaN and Inf on the way.

    Raises
    ------
    ValueError
        If there are any.
    """
    rows = X[index]
    if isinstance(X, FileRows):
        finite(rows, "X")
    return rows  # type: ignore[no-any-return]


def as_labels(data: Any, n_samples: int, name: str = "y") -> tuple[NDArray[np.int32], NDArray[Any]]:
    """Class of each row as an index into the sorted labels, and the labels.

    Labels are one class where they are equal and of one type: no conversion merges what differs. Those of a list, or of an
    array of Python objects, are numbers or text of NumPy where that holds each of them as it is, else Python objects.

    Raises
    ------
    TypeError
        For what is no array or sequence, and labels that cannot be sorted.
    ValueError
        For labels of another length or shape, NaN, NaT or masked ones among them, and equal ones of different types.

    Notes
    -----
    Cost: two sorts of 65,536 labels at a time; 4 N bytes, and as many labels again as differ within each of these. Of
    Python objects: one look into a dict for each.
    """
    y = _label_values(data, name)
    shape = (len(y),) if isinstance(y, list) else y.shape
    if shape != (n_samples,):
        hint = " (of one-hot labels, their argmax)" if len(shape) == 2 and shape[1] > 1 else ""
        raise ValueError(
            f"{name} must have shape ({n_samples},), one label per row of X{hint}, got {shape}"
        )
    if isinstance(y, list) or y.dtype.kind in "OT":
        return _classes_of_objects(y if isinstance(y, list) else y.tolist(), name)
    if y.dtype.kind == "V":
        raise TypeError(f"{name} must hold one label per row, not several fields: got {y.dtype}")
    missing = {"f": np.isnan, "c": np.isnan, "M": np.isnat, "m": np.isnat}.get(y.dtype.kind)
    if missing is not None and missing(y).any():
        raise ValueError(f"{name} must not contain {'NaN' if missing is np.isnan else 'NaT'}")
    classes = np.empty(n_samples, dtype=np.int32)
    parts = [slice(start, start + _LABELS) for start in range(0, max(1, n_samples), _LABELS)]
    labels = np.unique(np.concatenate([np.unique(y[part]) for part in parts]))
    for part in parts:
        classes[part] = np.searchsorted(labels, y[part])
    return classes, labels


def _label_values(data: Any, name: str) -> NDArray[Any] | list[Any]:
    """Labels as their owner has them: an array, or a list of Python objects that nothing has converted."""
    owned = ("__array__", "__array_interface__", "__array_struct__", "__dlpack__")
    if any(hasattr(data, way) for way in owned) or is_tensor(data):
        return host_array(data, name)
    listed = hasattr(data, "__len__") and hasattr(data, "__getitem__")
    if not listed or isinstance(data, str | bytes | Mapping):
        raise TypeError(f"{name} must be an array or a sequence of labels, got {shown(data)}")
    values = list(data)
    kinds = set(map(type, values))
    if kinds & {list, tuple}:
        return host_array(values, name)  # of another shape
    if any(hasattr(kind, "ndim") and not issubclass(kind, np.generic) for kind in kinds):
        found = [host_array(v, name) if hasattr(v, "ndim") else np.array(v, object) for v in values]
        values = [v[()] if v.ndim == 0 else v for v in found]
        if any(v.ndim for v in found):
            return host_array(values, name)
    return values


_PYTHON_TYPES = {"b": bool, "i": int, "u": int, "f": float, "c": complex, "U": str, "S": bytes}


def _classes_of_objects(values: list[Any], name: str) -> tuple[NDArray[np.int32], NDArray[Any]]:
    """`as_labels` of Python objects."""
    types: dict[type, Any] = {}
    for kind in set(map(type, values)):
        scalar = np.dtype(kind).kind if issubclass(kind, np.generic) else ""
        types[kind] = _PYTHON_TYPES.get(scalar, kind)
    keys = (
        values
        if len(set(types.values())) == 1
        else ((types[type(value)], value) for value in values)
    )
    codes: dict[Any, int] = {}
    try:
        numbers = (codes.setdefault(key, len(codes)) for key in keys)
        classes = np.fromiter(numbers, np.int32, len(values))
    except TypeError as error:
        raise TypeError(
            f"{name} must be numbers or strings, or labels of another kind with a hash: {error}"
        ) from None
    distinct = list(codes) if keys is values else [label for _, label in codes]
    if any(map(_is_missing, distinct)):
        raise ValueError(f"{name} must not contain NaN or missing labels")
    labels, order = _sorted_labels(distinct, name)
    rank = np.empty(len(order), dtype=np.int32)
    rank[order] = np.arange(len(order))
    return rank[classes], labels


def _is_missing(label: Any) -> bool:
    try:
        return bool(label != label)  # noqa: PLR0124  (NaN and NaT)
    except TypeError:  # pandas.NA is neither
        return True


def _sorted_labels(distinct: list[Any], name: str) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Different labels (C,), sorted, and the place of each among those given."""
    try:
        array = np.asarray(distinct)
    except (ValueError, TypeError, OverflowError):
        array = np.empty(0)
    plain = [
        v.item() if isinstance(v, np.generic) and v.dtype.kind in _PYTHON_TYPES else v
        for v in distinct
    ]
    if array.shape == (len(distinct),) and array.dtype.kind in "biufcUSMm":
        labels, order = np.unique(array, return_index=True)
        mixed = array.dtype.kind != "b" and any(isinstance(v, bool) for v in plain)
        kept = array.dtype.kind in "Mm" or array.tolist() == plain
        if kept and not mixed and len(labels) == len(distinct):
            return labels, order
    try:
        ranked = sorted(range(len(plain)), key=plain.__getitem__)
        pairs = [(plain[a], plain[b]) for a, b in itertools.pairwise(ranked)]
        tied = [pair for pair in pairs if not pair[0] < pair[1]]
    except (TypeError, ArithmeticError) as error:
        raise TypeError(f"{name} must hold labels that can be sorted: {error}") from None
    if tied:
        one, other = map(shown, tied[0])
        raise ValueError(
            f"{name} must hold labels that can be told apart and sorted: {one} and {other} are equal but of different "
            "types, or neither comes first"
        )
    return object_array([plain[k] for k in ranked]), np.array(ranked, dtype=np.intp)


def object_array(values: list[Any]) -> NDArray[Any]:
    """Python objects (N,) as they are, also those that have parts, as tuples."""
    out = np.empty(len(values), dtype=object)
    for k, value in enumerate(values):
        out[k] = value
    return out


def two_classes(labels: NDArray[Any]) -> None:
    """Raise ValueError unless there are at least two classes."""
    if len(labels) < 2:
        raise ValueError(f"y must hold at least two classes, got only {shown(labels[0])}")
