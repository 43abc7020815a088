"""NumPy's .npy format, in files and in the members of .npz archives, by `numpy.lib.format`. Pickles
are never loaded, and sizes are held against what is there before memory is taken.
"""

from __future__ import annotations

import contextlib
import math
import os
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Iterator

    from numpy.typing import NDArray

_DEFLATE = 1032  # largest ratio of compression, of zlib's technical notes
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


class Header(NamedTuple):
    """The header of an .npy file: the shape, memory order and type that it promises."""

    shape: tuple[int, ...]
    by_column: bool
    dtype: np.dtype[Any]


def read_header(stream: IO[bytes], size: int) -> Header:
    """Read the header of an .npy file of `size` bytes; the stream is left at the first number.

    Raises
    ------
    ValueError
        If there is no header, one of Python objects, or one that promises more than is there.
    """
    version = np.lib.format.read_magic(stream)
    if version not in _HEADERS:  # 3.0 only adds names of fields in UTF-8
        raise ValueError(f"has .npy format version {version}, only 1.0 and 2.0 are read")
    head = Header(*_HEADERS[version](stream))
    if head.dtype.hasobject:
        raise ValueError("holds Python objects; pickles are not loaded")
    if min(head.shape, default=0) < 0:
        raise ValueError(f"is damaged: no array has shape {head.shape}")
    n_bytes, there = math.prod(head.shape) * head.dtype.itemsize, size - stream.tell()
    if n_bytes > there:
        raise ValueError(f"is cut short: {n_bytes} bytes expected, {there} found")
    return head


def read_array(stream: IO[bytes], size: int) -> NDArray[Any]:
    """The array of an .npy file of `size` bytes; errors as of `read_header`."""
    read_header(stream, size)
    stream.seek(0)
    array: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
    return array


def members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The members of an .npz file that are arrays, by name."""
    arrays = [info for info in archive.infolist() if info.filename.endswith(".npy")]
    return {info.filename.removesuffix(".npy"): info for info in arrays}


@contextlib.contextmanager
def opened_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[IO[bytes]]:
    """A member of an archive as a stream; ValueError if it is longer than its bytes can say."""
    assert archive.fp is not None
    there = archive.fp.seek(0, os.SEEK_END)
    if info.file_size > _DEFLATE * min(info.compress_size, there):
        raise ValueError(f"is damaged: a member of {info.file_size} bytes has no room")
    with archive.open(info) as stream:
        yield stream


def read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> NDArray[Any]:
    """The array of a member; errors as of `read_header`, and BadZipFile for a wrong checksum."""
    with opened_member(archive, info) as stream:
        return read_array(stream, info.file_size)
