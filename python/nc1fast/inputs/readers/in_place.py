"""Numbers that lie together in a file: read where they are if the core can do that, else streamed
once.
"""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

import numpy as np

from nc1fast.inputs import spool
from nc1fast.inputs.file_rows import FileRows

# Types that the core widens, exactly.
_PLAIN = {"f8", "f4", "f2", "i1", "u1", "i2", "u2", "i4", "u4"}


def in_place(
    path: str, offset: int, shape: tuple[int, ...], dtype: np.dtype[Any], *, by_column: bool
) -> FileRows:
    """Rows of numbers that start at an offset and lie together, row by row or column by column."""
    n, d = shape
    found = None if by_column else _plain(path, offset, d * dtype.itemsize, dtype, shape)
    return found or spool.from_file(path, offset, (n, d), dtype, by_column=by_column)


def of_map(X: np.memmap[Any, Any]) -> Any:
    """Rows of a memory map, in its file. A map that may differ from its file stays an array."""
    if X.filename is None or X.mode == "c" or X.ndim != 2 or X.size == 0:
        return X
    whole: Any = X._mmap  # type: ignore[attr-defined]
    start = np.frombuffer(whole, np.uint8).__array_interface__["data"][0]
    begin = X.offset - X.offset % mmap.ALLOCATIONGRANULARITY
    offset = begin + X.__array_interface__["data"][0] - start
    path = str(X.filename)
    if X.flags.c_contiguous or X.flags.f_contiguous:
        return in_place(path, offset, X.shape, X.dtype, by_column=not X.flags.c_contiguous)
    rows = X.strides[1] == X.itemsize
    found = _plain(path, offset, X.strides[0], X.dtype, X.shape) if rows else None
    if found is not None or not hasattr(mmap, "MADV_DONTNEED"):
        return found or spool.from_slices(X)
    return spool.from_slices(X, forget=lambda: whole.madvise(mmap.MADV_DONTNEED))


def _plain(
    path: str, offset: int, stride: int, dtype: np.dtype[Any], shape: tuple[int, ...]
) -> FileRows | None:
    """FileRows if the core can read them as they are, else None."""
    name = "u1" if dtype == np.bool_ else dtype.str[1:]
    if not dtype.isnative or name not in _PLAIN or stride < shape[1] * dtype.itemsize:
        return None
    return FileRows(str(Path(path).absolute()), offset, stride, name, (shape[0], shape[1]))
