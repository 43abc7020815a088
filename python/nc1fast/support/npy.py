"""Reading NumPy's .npy and .npz formats from files that may be damaged. Pickles are never loaded.

No header is trusted: an array is allocated only as its bytes arrive. Compressed data may hold up to
`DEFLATE` times its own size.

Source: the NumPy .npy format 1.0 and 2.0; `DEFLATE` of zlib's technical notes.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import zipfile
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

DEFLATE = 1032  # largest ratio of compression
_CHUNK = 1 << 20  # bytes read at a time
_MAX_HEADER = 10_000  # bytes, as NumPy allows: it would make room for what a header says of itself, 4 GiB at most
_MAX_DIMS = 32  # of NumPy 1; NumPy 2 has 64


class Header(NamedTuple):
    """The header of an .npy file: the shape, memory order and type that it promises."""

    shape: tuple[int, ...]
    by_column: bool
    dtype: np.dtype[Any]

    @property
    def n_bytes(self) -> int:
        """Size in bytes of the array that is promised."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(stream: IO[bytes]) -> Header:
    """Read the header of an .npy file; the stream is left at the first number.

    Raises
    ------
    ValueError
        If there is no header, or one of Python objects or records. The message has no subject: see
        `reading`.
    """
    try:
        version = np.lib.format.read_magic(stream)
    except ValueError:
        raise ValueError("is not in .npy format: wrong magic number or cut short") from None
    readers = {
        (1, 0): (2, np.lib.format.read_array_header_1_0),
        (2, 0): (4, np.lib.format.read_array_header_2_0),
    }
    if version not in readers:  # 3.0 only adds names of fields in UTF-8, and records are not read
        raise ValueError(
            f"has .npy format version {version[0]}.{version[1]}, only 1.0 and 2.0 are read"
        )
    n_length, reader = readers[version]
    length = stream.read(n_length)
    n_header = int.from_bytes(length, "little")
    if n_header > _MAX_HEADER:
        raise ValueError("has a damaged .npy header")
    try:
        head = Header(*reader(io.BytesIO(length + stream.read(n_header))))
    except Exception:  # noqa: BLE001  (of Python's own parser)
        raise ValueError("has a damaged .npy header") from None
    if head.dtype.hasobject:
        raise ValueError("holds Python objects; pickles are not loaded")
    if head.dtype.itemsize == 0 or head.dtype.kind == "V":
        raise ValueError(
            f"has dtype {head.dtype}; numbers, or labels of numbers or strings, are needed"
        )
    check_shape(head.shape)
    return head


def check_shape(shape: tuple[int, ...]) -> None:
    """Raise ValueError unless an array can have the shape that a header promises."""
    if len(shape) > _MAX_DIMS or min(shape, default=1) < 0:
        raise ValueError("has a damaged header: no array has its shape")


def check_room(head: Header, there: int) -> None:
    """Raise ValueError if fewer bytes are there than a header promises."""
    if head.n_bytes > there:
        raise ValueError(f"is cut short: {head.n_bytes} bytes expected, {there} found")


def read_exactly(stream: IO[bytes], n_bytes: int) -> bytearray:
    """Read the rest of a stream, which must be `n_bytes` long.

    Memory grows with the data, not with what a damaged header promises. The read past the end makes
    gzip and zip verify their checksums.

    Raises
    ------
    ValueError
        If the rest is shorter or longer.
    """
    data = bytearray()
    while len(data) <= n_bytes:
        chunk = stream.read(min(_CHUNK, n_bytes + 1 - len(data)))
        if not chunk:
            break
        data += chunk
    if len(data) < n_bytes:
        raise ValueError(f"is cut short: {n_bytes} bytes expected, {len(data)} found")
    if len(data) > n_bytes:
        raise ValueError(f"has more than the {n_bytes} bytes that its header promises")
    return data


def read_array(stream: IO[bytes]) -> NDArray[Any]:
    """Read an .npy file, which ends with its array.

    Raises
    ------
    ValueError
        As for `read_header` and `read_exactly`.
    """
    head = read_header(stream)
    data = np.frombuffer(read_exactly(stream, head.n_bytes), head.dtype)
    return data.reshape(head.shape, order="F" if head.by_column else "C")


class _Watched(io.FileIO):
    """A file that keeps the error of the system which ended a reading: zipfile takes it for a file
    that is no archive.
    """

    failed: OSError | None = None

    def readinto(self, buffer: Any) -> int | None:
        """Read into a buffer, as `io.FileIO` does."""
        with self._watching():
            return super().readinto(buffer)

    def readall(self) -> bytes:
        """Read the rest, as `io.FileIO` does."""
        with self._watching():
            return super().readall()

    @contextlib.contextmanager
    def _watching(self) -> Iterator[None]:
        """Keep the error of a reading."""
        try:
            yield
        except OSError as error:
            self.failed = error
            raise


@contextlib.contextmanager
def opened_archive(file: IO[bytes] | str | os.PathLike[str]) -> Iterator[zipfile.ZipFile]:
    """An archive to read, by its path or in memory.

    Raises
    ------
    OSError
        If the system cannot read it.
    zipfile.BadZipFile
        If it is none.
    """
    if not isinstance(file, str | os.PathLike):
        with zipfile.ZipFile(file) as archive:
            yield archive
        return
    raw = _Watched(os.fspath(file))
    with io.BufferedReader(raw) as buffered:
        try:
            with zipfile.ZipFile(buffered) as archive:
                yield archive
        except Exception as error:
            if raw.failed is not None and error is not raw.failed:
                raise raw.failed from error
            raise


def members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The members of an .npz file that are arrays, by name.

    Raises
    ------
    ValueError
        If they are more bytes than the file has: members that share their bytes would make much of
        little.
    """
    check_members(archive)
    found = [info for info in archive.infolist() if info.filename.endswith(".npy")]
    return {info.filename.removesuffix(".npy"): info for info in found}


def check_members(archive: zipfile.ZipFile) -> None:
    """Raise ValueError if the members of an archive are more bytes than it has."""
    assert archive.fp is not None
    n_bytes = sum(info.compress_size for info in archive.infolist())
    if n_bytes > (there := archive.fp.seek(0, os.SEEK_END)):
        raise ValueError(f"is damaged: its members have {n_bytes} bytes, and {there} are there")


def open_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> IO[bytes]:
    """Open a member of an .npz file as a stream.

    Raises
    ------
    ValueError
        If it is compressed in a way that NumPy does not write, or cannot be as long as the archive
        says.
    """
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError("is compressed in a way that NumPy does not write")
    most = info.compress_size * (1 if info.compress_type == zipfile.ZIP_STORED else DEFLATE)
    assert archive.fp is not None
    if info.file_size > most or info.compress_size > archive.fp.seek(0, os.SEEK_END):
        raise ValueError(f"cannot hold the {info.file_size} bytes that are said of it")
    return archive.open(info)
