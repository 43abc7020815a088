"""Readers of NumPy's .npy and .npz files. Pickles are never loaded."""

from __future__ import annotations

import zipfile
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from nc1fast.datasets.damage import DAMAGED, about, checked_shape, malformed
from nc1fast.support.npy import members, open_member, read_exactly, read_header
from nc1fast.support.reading import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

# Names of data and labels that are looked for in an .npz file; the last pair is that of Keras's data sets.
PAIRS = (("X", "y"), ("x", "y"), ("data", "labels"), ("x_train", "y_train"))


def read_npy(path: Path) -> NDArray[Any]:
    """Read the array of an .npy file, of any shape."""
    with about(path, "the array"), path.open("rb") as stream:
        return _array(stream)


def read_npz(path: Path, keys: Sequence[str] | None) -> tuple[NDArray[Any], NDArray[Any]]:
    """Read the data and the labels of an .npz file, by the names `keys` or the usual ones; other arrays are not read."""
    try:
        with zipfile.ZipFile(path) as archive:
            infos = members(archive)
            arrays = []
            for key in _pair(path, list(infos), keys):
                with about(path, f"array {key!r}"), open_member(archive, infos[key]) as stream:
                    arrays.append(_array(stream))
    except DAMAGED as error:
        raise malformed(path, f"not a readable .npz file ({one_line(error)})") from error
    return arrays[0], arrays[1]


def _pair(path: Path, names: list[str], keys: Sequence[str] | None) -> tuple[str, str]:
    """Names of the arrays of data and labels, among the `names` in the file."""
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


def _array(stream: IO[bytes]) -> NDArray[Any]:
    """Read one array in the .npy format."""
    head = read_header(stream)
    checked_shape(head.shape)
    data = np.frombuffer(read_exactly(stream, head.n_bytes), head.dtype)
    return data.reshape(head.shape, order="F" if head.by_column else "C")
