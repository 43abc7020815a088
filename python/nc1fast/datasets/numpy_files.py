"""Readers of NumPy's .npy and .npz files. Pickles are never loaded."""

from __future__ import annotations

import contextlib
import functools
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from nc1fast.datasets.damage import about, checked_shape, unpacking
from nc1fast.support.npy import members, open_member, opened_archive, read_exactly, read_header

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from nc1fast.datasets.named import Members


def read_npy(path: Path) -> NDArray[Any]:
    """Read the array of an .npy file, of any shape."""
    with about(path, "the array"), path.open("rb") as stream:
        return _array(stream)


@contextlib.contextmanager
def npz_members(path: Path) -> Iterator[Members]:
    """Arrays of an .npz file by name, read when they are asked for."""
    with unpacking(path, ".npz file"), opened_archive(path) as archive:
        with about(path, "the archive"):
            found = members(archive)
        yield {
            name: functools.partial(_member, path, archive, name, info)
            for name, info in found.items()
        }


def _member(path: Path, archive: zipfile.ZipFile, name: str, info: zipfile.ZipInfo) -> NDArray[Any]:
    """One array of an open .npz file."""
    with about(path, f"array {name!r}"), open_member(archive, info) as stream:
        return _array(stream)


def _array(stream: IO[bytes]) -> NDArray[Any]:
    """Read one array in the .npy format."""
    head = read_header(stream)
    checked_shape(head.shape)
    data = np.frombuffer(read_exactly(stream, head.n_bytes), head.dtype)
    return data.reshape(head.shape, order="F" if head.by_column else "C")
