"""Changes beneath a checksum: the content is taken out, changed, and sealed again as its writer
would.
"""

from __future__ import annotations

import gzip
import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
from tests.fuzz.mutations import mutated

from nc1fast.support import packed
from nc1fast.support.files import checksum

if TYPE_CHECKING:
    Rng = np.random.Generator

_VALUES: tuple[Any, ...] = (
    *(0, -1, 1, 2**31, 2**62, -(2**62), 0.5, float("nan"), float("inf")),
    *(None, True, "", "x", [], {}, [1], "9" * 40),
)
_TYPES = ("<f8", "<f4", "<i8", "<i4", "|u1", "|b1", "<U3", "<c16", ">i8", "<M8[s]")


def of_gzip(content: bytes, rng: Rng) -> bytes:
    """What was compressed, changed, and compressed again."""
    return gzip.compress(mutated(gzip.decompress(content), rng), mtime=0)


def of_packed(content: bytes, rng: Rng) -> bytes:
    """A file of `nc1fast.support.packed` whose head or one of whose arrays is another, with the
    checksum of that.
    """
    with np.load(io.BytesIO(content)) as archive:
        arrays = {name: archive[name] for name in archive.files}
    text = str(arrays.pop("head"))
    del arrays["checksum"]
    if rng.random() < 0.5:
        text = json.dumps(_changed_value(json.loads(text), rng))
    else:
        name = sorted(arrays)[rng.integers(len(arrays))]
        found = _changed_array(arrays.pop(name), rng)
        if found is not None:
            arrays[name] = found
    told = checksum(*packed._covered(text, arrays))
    out = io.BytesIO()
    np.savez(out, head=text, checksum=told, **arrays)
    return out.getvalue()


def _changed_array(array: Any, rng: Rng) -> Any:
    """Another shape, type or value; None for no array at all."""
    how = rng.integers(7)
    if how < 4:
        fewer = array.reshape(-1)[: int(rng.integers(0, array.size + 1))]
        other = np.resize(array, rng.integers(0, 5, int(rng.integers(0, 4))))
        return (None, fewer, array[None], other)[how]
    if how == 4:
        with np.errstate(all="ignore"):
            kind = _TYPES[rng.integers(len(_TYPES))]
            return array.view("u1").astype(kind) if array.dtype.kind in "US" else _cast(array, kind)
    if array.size == 0 or array.dtype.kind not in "biuf":
        return np.array(rng.integers(-3, 3, int(rng.integers(0, 5))))
    out = array.copy()
    flat, at = out.reshape(-1), int(rng.integers(array.size))
    if array.dtype.kind == "f":
        flat[at] = (np.nan, np.inf, -1.0, 0.0, 1e300)[rng.integers(5)]
    elif array.dtype.kind in "iu":
        least, most = np.iinfo(array.dtype).min, np.iinfo(array.dtype).max
        flat[at] = (least, most, 0, 1, max(least, -1), min(most, array.size))[rng.integers(6)]
    return out


def _cast(array: Any, kind: str) -> Any:
    try:
        return array.astype(kind)
    except (TypeError, ValueError):
        return array.astype("<f4") if array.dtype.kind in "biuf" else array


def _changed_value(value: Any, rng: Rng) -> Any:
    """A value of JSON in which one, at any depth, is another one or missing."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = sorted(value)[rng.integers(len(value))]
        if rng.random() < 0.1:
            return {name: one for name, one in value.items() if name != key}
        return {**value, key: _changed_value(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.9:
        at = int(rng.integers(len(value)))
        if rng.random() < 0.2:
            return value[:at] + value[at + 1 :] if rng.random() < 0.5 else [*value, value[at]]
        return [*value[:at], _changed_value(value[at], rng), *value[at + 1 :]]
    return _VALUES[rng.integers(len(_VALUES))]
