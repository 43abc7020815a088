"""What the readers share: the error that names a file, and reads that stop where a header says."""

from __future__ import annotations

import gzip
import os
import zipfile
import zlib
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from nc1fast.support.npy import check_shape
from nc1fast.support.reading import check_regular, shown

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


def malformed(path: Path, what: str) -> ValueError:
    """Return the error for a file that cannot be used: one line, the file first."""
    return ValueError(f"{shown(path)}: {what}")


def checked_file(path: Path) -> Path:
    """Return `path` if it is a regular file; a pipe or device could block for ever."""
    if not path.exists():
        raise FileNotFoundError(f"{shown(path)}: no such file")
    check_regular(path)
    if not os.access(path, os.R_OK):
        raise PermissionError(f"{shown(path)}: no permission to read it")
    return path


@contextmanager
def about(path: Path, what: str) -> Iterator[None]:
    """What the readers of `support.npy` say, with a subject and the file."""
    try:
        yield
    except ValueError as error:
        raise malformed(path, f"{what} {error}") from None


def checked_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape that a header promises if an array can have it, and has numbers."""
    check_shape(shape)
    if 0 in shape:
        raise ValueError(f"holds no data, shape {shape}")
    return shape


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
