"""Readers of NumPy's .npy and .npz files. Pickles are never loaded."""

from __future__ import annotations

import math
import tokenize
import zipfile
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from nc1fast.datasets._reading import DAMAGED, checked_shape, malformed, one_line, read_exactly

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

# The pairs of names that are looked for in an .npz file; the last is that of Keras's data sets.
PAIRS = (("X", "y"), ("x", "y"), ("data", "labels"), ("x_train", "y_train"))


def read_npy(path: Path) -> NDArray[Any]:
    """Read the array of an .npy file, of any shape."""
    with path.open("rb") as stream:
        return _array(path, stream, "the array")


def read_npz(path: Path, keys: Sequence[str] | None) -> tuple[NDArray[Any], NDArray[Any]]:
    """Read the data and the labels of an .npz file; only these two arrays are read."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [
                name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")
            ]
            pair = _pair(path, names, keys)
            arrays = []
            for key in pair:
                member = archive.getinfo(f"{key}.npy")
                if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise malformed(
                        path, f"array {key!r} is compressed in a way that NumPy does not write"
                    )
                with archive.open(member) as stream:
                    arrays.append(_array(path, stream, f"array {key!r}"))
    except DAMAGED as error:
        raise malformed(path, f"not a readable .npz file ({one_line(error)})") from error
    return arrays[0], arrays[1]


def _pair(path: Path, names: list[str], keys: Sequence[str] | None) -> tuple[str, str]:
    have = f"it has {', '.join(map(repr, names[:8])) + (', ...' if len(names) > 8 else '') or 'no arrays'}"
    if keys is not None:
        for key in keys:
            if key not in names:
                raise malformed(path, f"no array {key!r}; {have}")
        return keys[0], keys[1]
    found = [pair for pair in PAIRS if set(pair) <= set(names)]
    if not found:
        wanted = ", ".join("/".join(pair) for pair in PAIRS)
        raise malformed(path, f"no arrays named {wanted}: name two by keys=; {have}")
    if len(found) > 1:
        which = " and ".join("/".join(pair) for pair in found)
        raise malformed(path, f"has both {which}: name two arrays by keys=")
    return found[0]


def _array(path: Path, stream: IO[bytes], what: str) -> NDArray[Any]:
    try:
        version = np.lib.format.read_magic(stream)
    except ValueError:
        raise malformed(
            path, f"{what} is not in .npy format: wrong magic number or cut short"
        ) from None
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:  # 3.0 differs by the names of fields, and fields are not data
        raise malformed(
            path,
            f"{what} has .npy format version {version[0]}.{version[1]}, only 1.0 and 2.0 are read",
        )
    try:
        shape, fortran, dtype = readers[version](stream)
    except (ValueError, TypeError, SyntaxError, RecursionError, tokenize.TokenError):
        raise malformed(path, f"{what} has a damaged .npy header") from None
    if dtype.hasobject:
        raise malformed(path, f"{what} holds Python objects; pickles are not loaded")
    if dtype.itemsize == 0 or dtype.kind == "V":
        raise malformed(
            path, f"{what} has dtype {dtype}; numbers, or labels of numbers or strings, are needed"
        )
    checked_shape(path, shape, what)
    data = read_exactly(path, stream, math.prod(shape) * dtype.itemsize, what)
    return np.frombuffer(data, dtype=dtype).reshape(shape, order="F" if fortran else "C")
