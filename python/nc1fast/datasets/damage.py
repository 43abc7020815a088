"""Errors that name a damaged file, and ways to open one; shared by all readers."""

from __future__ import annotations

import gzip
import os
import zipfile
import zlib
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from nc1fast.support.npy import check_shape
from nc1fast.support.reading import check_regular, of_the_system, one_line, shown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Errors that a damaged compressed file may raise: BadGzipFile is an OSError, an encrypted member
# gives a RuntimeError, and a name in a zip that is no text a UnicodeDecodeError.
_DAMAGED = (
    EOFError,
    OSError,
    RuntimeError,
    UnicodeDecodeError,
    zipfile.BadZipFile,
    zlib.error,
)
_BRIEF = 200  # letters of another package's message that are shown


def malformed(path: Path, what: str) -> ValueError:
    """The error for a file that cannot be used: one line that starts with the file."""
    return ValueError(f"{shown(path)}: {what}")


def checked_file(path: Path) -> Path:
    """The path, if it is that of a regular file that may be read; a pipe or device could block for
    ever.
    """
    if not path.exists():
        raise FileNotFoundError(f"{shown(path)}: no such file")
    check_regular(path)
    if not os.access(path, os.R_OK):
        raise PermissionError(f"{shown(path)}: no permission to read it")
    return path


@contextmanager
def about(path: Path, what: str) -> Iterator[None]:
    """Complete the ValueErrors of `support.npy`, which start with a verb: the file and the subject
    `what` come first.
    """
    try:
        yield
    except ValueError as error:
        raise malformed(path, f"{what} {error}") from None


def checked_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that a header promises, if an array can have it and is not empty; else ValueError."""
    check_shape(shape)
    if 0 in shape:
        raise ValueError(f"holds no data, shape {shape}")
    return shape


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a file to read bytes, through gzip if its content starts as a gzip file does, whatever
    its name.
    """
    with path.open("rb") as raw:
        gzipped = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        if gzipped:
            with gzip.GzipFile(fileobj=raw) as unzipped:
                yield unzipped  # type: ignore[misc]
        else:
            yield raw


@contextmanager
def unpacking(path: Path, kind: str) -> Iterator[None]:
    """Turn what zlib, gzip and zipfile make of a damaged file into a ValueError that names the file
    and its kind.

    Errors of the system stay what they are, and so does text that is none, for a caller who knows
    where it stands.
    """
    try:
        yield
    except _DAMAGED as error:
        if of_the_system(error):
            raise
        raise malformed(path, f"not a readable {kind} ({one_line(error)})") from error


@contextmanager
def readable(path: Path, kind: str) -> Iterator[None]:
    """Turn whatever a package makes of a damaged file into a ValueError that names the file and its
    kind.

    Errors of the system stay what they are.
    """
    try:
        yield
    except (ImportError, Warning):
        raise
    except Exception as error:
        if of_the_system(error):
            raise
        told = one_line(error)
        if isinstance(error, ValueError) and told.startswith(f"{shown(path)}: "):
            raise
        brief = told if len(told) <= _BRIEF else f"{told[:_BRIEF]}..."
        raise malformed(path, f"not a readable {kind} ({brief})") from error
