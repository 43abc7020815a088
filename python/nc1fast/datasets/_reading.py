"""What the readers share: the error that names a file, and reads that stop where a header says."""

from __future__ import annotations

import gzip
import os
import zipfile
import zlib
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# What a damaged compressed file may raise: BadGzipFile is an OSError, an encrypted member a RuntimeError,
# a name in a zip that is no text a UnicodeDecodeError.
DAMAGED = (
    EOFError,
    OSError,
    RuntimeError,
    UnicodeDecodeError,
    zipfile.BadZipFile,
    zlib.error,
)
_CHUNK = 1 << 20
_MAX_DIMS = 32  # NumPy 1; 64 in NumPy 2


def malformed(path: Path, what: str) -> ValueError:
    """Return the error for a file that cannot be used: one line, the file first."""
    return ValueError(f"{shown(path)}: {what}")


def shown(path: Path) -> str:
    """Return a path on one line."""
    name = str(path)
    return name if name.isprintable() else repr(name)


def checked_file(path: Path) -> Path:
    """Return `path` if it is a regular file; a pipe or device could block for ever."""
    if not path.exists():
        raise FileNotFoundError(f"{shown(path)}: no such file")
    if not path.is_file():
        raise malformed(path, "is not a regular file")
    if not os.access(path, os.R_OK):
        raise PermissionError(f"{shown(path)}: no permission to read it")
    return path


def checked_shape(path: Path, shape: tuple[int, ...], what: str) -> tuple[int, ...]:
    """Return the shape that a header promises if an array can have it."""
    if len(shape) > _MAX_DIMS or min(shape, default=1) < 0:
        raise malformed(path, f"{what} has a damaged header: no array has its shape")
    if 0 in shape:
        raise malformed(path, f"{what} holds no data, shape {shape}")
    return shape


def one_line(error: BaseException) -> str:
    """Return the message of an error on one line."""
    return " ".join(str(error).split()) or type(error).__name__


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for reading bytes, through gzip where its content (not its name) is gzipped."""
    with path.open("rb") as raw:
        gzipped = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        if gzipped:
            with gzip.GzipFile(fileobj=raw) as unzipped:
                yield unzipped  # type: ignore[misc]
        else:
            yield raw


def read_exactly(path: Path, stream: IO[bytes], n_bytes: int, what: str) -> bytearray:
    """Read the rest of a stream, which must be `n_bytes` long.

    Memory grows with what is there, not with what a damaged header promises. The read past the end
    makes gzip and zip check their sums.
    """
    data = bytearray()
    while len(data) <= n_bytes:
        chunk = stream.read(min(_CHUNK, n_bytes + 1 - len(data)))
        if not chunk:
            break
        data += chunk
    if len(data) < n_bytes:
        raise malformed(path, f"{what} is cut short: {n_bytes} bytes expected, {len(data)} found")
    if len(data) > n_bytes:
        raise malformed(path, f"{what} has more than the {n_bytes} bytes that its header promises")
    return data
