"""NumPy's own files: .npy, members of .npz archives, and memory maps. Plain rows are read where
they lie, all others are streamed once.
"""

from __future__ import annotations

import mmap
import os
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.inputs import spool
from nc1fast.inputs.arrays import check_shape
from nc1fast.inputs.file_rows import CHUNK_BYTES, FileRows
from nc1fast.support.npy import members, opened_member, read_array, read_header, read_member

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Types that the core widens, exactly.
_PLAIN = {"f8", "f4", "f2", "i1", "u1", "i2", "u2", "i4", "u4"}


def npy_rows(path: str, name: str) -> FileRows:
    """Rows of an .npy file, where they lie."""
    with Path(path).open("rb") as file:
        head = read_header(file, os.fstat(file.fileno()).st_size)
        check_shape(head.shape, "X")
        return in_place(path, file.tell(), head.shape, head.dtype, by_column=head.by_column)


def read_npy(path: str | Path, name: str = "") -> NDArray[Any]:
    """The array of an .npy file, of any shape, in memory."""
    with Path(path).open("rb") as file:
        return read_array(file, os.fstat(file.fileno()).st_size)


def npz_rows(path: str, name: str) -> FileRows:
    """Rows of a member: where they lie if they are stored as they are, else decompressed once."""
    with zipfile.ZipFile(path) as archive:
        info = spool.member(members(archive), name, path)
        with opened_member(archive, info) as file:
            shape, by_column, dtype = read_header(file, info.file_size)
            check_shape(shape, "X")
            if info.compress_type == zipfile.ZIP_STORED:
                begin = _start(path, info) + file.tell()
                while file.read(CHUNK_BYTES):  # the archive's own checksum comes at the end
                    pass
                return in_place(path, begin, shape, dtype, by_column=by_column)
            if not by_column:
                return spool.from_stream(file, (shape[0], shape[1]), dtype)
            return _unpacked_columns(file, shape, dtype)


def npz_labels(path: str, name: str) -> NDArray[Any]:
    """A member as labels, in memory."""
    with zipfile.ZipFile(path) as archive:
        return read_member(archive, spool.member(members(archive), name, path))


def _start(path: str, info: zipfile.ZipInfo) -> int:
    """Offset of the bytes of a stored member, after a header that ends with a name and an extra
    field.
    """
    with Path(path).open("rb") as raw:
        raw.seek(info.header_offset + 26)
        lengths = np.frombuffer(raw.read(4), "<u2")
    return info.header_offset + 30 + int(lengths.sum())


def _unpacked_columns(file: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> FileRows:
    """Rows of a compressed member that lies column by column, by a file of its columns."""
    descriptor, columns = tempfile.mkstemp(prefix="nc1fast-")
    try:
        try:
            with os.fdopen(descriptor, "wb") as to:
                shutil.copyfileobj(file, to)
        except OSError as error:
            raise spool.full(error, columns, "TMPDIR decides where") from error
        return in_place(columns, 0, shape, dtype, by_column=True)
    finally:
        Path(columns).unlink(missing_ok=True)


def in_place(
    path: str, offset: int, shape: tuple[int, ...], dtype: np.dtype[Any], *, by_column: bool
) -> FileRows:
    """Rows of numbers that start at an offset and lie together, row by row or column by column."""
    n, d = shape
    found = None if by_column else _plain(path, offset, d * dtype.itemsize, dtype, shape)
    return found or spool.from_file(path, offset, (n, d), dtype, by_column=by_column)


def rows_of_map(X: np.memmap[Any, Any]) -> Any:
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
