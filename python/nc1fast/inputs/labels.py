"""Labels of any kind, turned into the index of a class for each row."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.inputs.arrays import host_array
from nc1fast.inputs.devices import is_tensor
from nc1fast.support.arguments import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

LONGEST = 1024  # letters of a label in a file
_LETTER = 4  # bytes
_ROOM, _PADDED = 1 << 26, 64  # bytes that are always there, and bytes for each byte of the texts
_LABELS = 1 << 16  # labels sorted at a time, so that a copy never outweighs them


def as_labels(data: Any, n_samples: int, name: str = "y") -> tuple[NDArray[np.int32], NDArray[Any]]:
    """Class of each row as an index into the sorted labels, and the labels.

    Labels are one class where they are equal and of one type: no conversion merges what differs.
    Those of a list, or of an array of Python objects, are numbers or text of NumPy where that holds
    each of them as it is, else Python objects.

    Raises
    ------
    TypeError
        For what is no array or sequence, and labels that cannot be sorted.
    ValueError
        For labels of another length or shape, NaN, NaT or masked ones among them, and equal ones of
        different types.

    Notes
    -----
    Cost: two sorts of 65,536 labels at a time; 4 N bytes, and as many labels again as differ within
    each of these. Of Python objects: one look into a dict for each.
    """
    y = _label_values(data, name)
    shape = (len(y),) if isinstance(y, list) else y.shape
    if shape != (n_samples,):
        hint = ""
        if len(shape) == 2:
            hint = (
                " (of one-hot labels, their argmax)"
                if shape[1] > 1
                else " (of a column, its ravel())"
            )
        raise ValueError(
            f"{name} must have shape ({n_samples},), one label per row of X{hint}, got {shape}"
        )
    if isinstance(y, list) or y.dtype.kind in "OT":
        return _classes_of_objects(y if isinstance(y, list) else y.tolist(), name)
    if y.dtype.kind == "V":
        raise TypeError(f"{name} must hold one label per row, not several fields: got {y.dtype}")
    missing = {"f": np.isnan, "c": np.isnan, "M": np.isnat, "m": np.isnat}.get(y.dtype.kind)
    if missing is not None and (gaps := missing(y)).any():
        kind = "NaN" if missing is np.isnan else "NaT"
        raise ValueError(f"{name} must not contain {kind}, but {name}[{np.argmax(gaps)}] is")
    classes = np.empty(n_samples, dtype=np.int32)
    parts = [slice(start, start + _LABELS) for start in range(0, max(1, n_samples), _LABELS)]
    found = [np.unique(y[part]) for part in parts]
    labels = found[0] if len(found) == 1 else np.unique(np.concatenate(found))
    for part in parts:
        classes[part] = labels.searchsorted(y[part])
    return classes, labels


def _label_values(data: Any, name: str) -> NDArray[Any] | list[Any]:
    """Labels as the caller holds them: an array, or a list of Python objects, unconverted."""
    owned = ("__array__", "__array_interface__", "__array_struct__", "__dlpack__")
    if any(hasattr(data, way) for way in owned) or is_tensor(data):
        return host_array(data, name)
    listed = hasattr(data, "__len__") and hasattr(data, "__getitem__")
    if not listed or isinstance(data, str | bytes | Mapping):
        way = ": make a list of it" if hasattr(data, "__next__") else ""
        raise TypeError(f"{name} must be an array or a sequence of labels, got {shown(data)}{way}")
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
    """Classes and labels, as of `as_labels`, for Python objects."""
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
        row = next(k for k, value in enumerate(values) if _is_missing(value))
        raise ValueError(f"{name} must not contain NaN or missing labels, but {name}[{row}] is one")
    labels, order = _sorted_labels(distinct, name)
    rank = np.empty(len(order), dtype=np.int32)
    rank[order] = np.arange(len(order))
    return rank[classes], labels


def _is_missing(label: Any) -> bool:
    """Whether a label is NaN, NaT or pandas.NA."""
    try:
        return bool(label != label)  # noqa: PLR0124  (NaN and NaT)
    except TypeError:  # pandas.NA is neither
        return True


def _sorted_labels(distinct: list[Any], name: str) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Labels sorted, shape (n_classes,), and the index of each among the `distinct` ones given."""
    texts = all(isinstance(label, str | bytes) for label in distinct)
    try:
        array = np.empty(0) if texts and too_padded(distinct) else np.asarray(distinct)
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
        raise TypeError(
            f"{name} must hold labels that can be sorted{_mixture(plain) or f': {error}'}"
        ) from None
    if tied:
        one, other = map(shown, tied[0])
        raise ValueError(
            f"{name} must hold labels that are distinct and can be sorted: {one} and {other} are "
            "equal but of different types, or neither comes first"
        )
    return object_array([plain[k] for k in ranked]), np.array(ranked, dtype=np.intp)


def _mixture(labels: list[Any]) -> str:
    """Why labels of several types cannot be sorted; empty where there is one
    type.
    """
    kinds = sorted({type(label).__name__ for label in labels})
    if "NoneType" in kinds:
        return ", and None cannot: leave those rows out, or give them a label"
    if len(kinds) == 1:
        return ""
    return f", but mixes {' and '.join(kinds)}: make them of one type, for example all text"


def object_array(values: list[Any]) -> NDArray[Any]:
    """Array (N,) of Python objects as they are; tuples stay whole."""
    out = np.empty(len(values), dtype=object)
    for k, value in enumerate(values):
        out[k] = value
    return out


def as_texts(texts: Sequence[str] | Sequence[bytes]) -> NDArray[Any]:
    """Labels of a file as an array of text, or of bytes.

    Raises
    ------
    ValueError
        If one is longer than `LONGEST`, or so much longer than the others that it would make the
        array huge. The message has no subject: see `nc1fast.support.reading`.
    """
    longest = max(map(len, texts), default=0)
    if longest > LONGEST:
        raise ValueError(f"has a label of {longest} letters, {LONGEST} at most are read")
    if too_padded(texts):
        raise ValueError(
            f"has {len(texts)} labels beside one of {longest} letters: no array has room"
        )
    return np.array(texts) if len(texts) else np.empty(0, dtype=str)


def too_padded(texts: Sequence[Any]) -> bool:
    """Whether an array of these texts would be large, and hold little but padding: one is long, and
    the others are many.
    """
    lengths = list(map(len, texts))
    padded = _LETTER * len(lengths) * max(lengths, default=0)
    return padded > _ROOM + _PADDED * _LETTER * sum(lengths)
