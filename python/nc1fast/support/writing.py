"""Writing files whole or not at all: a reader, or a run after a kill, sees the old file or the new
one.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path
from typing import IO, TYPE_CHECKING

from nc1fast.support import opened
from nc1fast.support.reading import check_regular

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def replaced(
    path: str | os.PathLike[str], *, beside: str | os.PathLike[str] | None = None
) -> Iterator[IO[bytes]]:
    """Open a new file that replaces `path` when the context ends without an error: a reader sees
    the old or the new one.

    The new file is on disk before it is seen, and has the permissions of the old one. Through a
    link, the file that it points to is replaced.

    Parameters
    ----------
    path : path-like
    beside : path-like, optional
        Where the new file is written until then, for callers who hold a lock. Default: a name that
        nobody else uses.

    Yields
    ------
    file
        Open for reading and writing bytes.

    Raises
    ------
    OSError
        If the file cannot be written; names `path`, which is left as it was.
    ValueError
        If `path` is there but not a regular file.
    """
    check_regular(path)
    target = Path(os.path.realpath(path))
    scratch = Path(beside or target.with_name(f"{target.name}.{secrets.token_hex(4)}.new"))
    try:
        if beside is not None:
            scratch.unlink(missing_ok=True)  # of a process that was killed
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | opened.BINARY
        with os.fdopen(os.open(scratch, flags, 0o666), "w+b") as file:
            if target.exists():
                scratch.chmod(stat.S_IMODE(target.stat().st_mode))
            yield file
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            scratch.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename in (None, str(scratch)):
            raise OSError(error.errno, error.strerror or str(error), os.fspath(path)) from error
        raise
    sync_folder(target.parent)


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Write all of a file, as `replaced`."""
    with replaced(path) as file:
        file.write(data)


def append_whole(path: str | os.PathLike[str], data: bytes) -> None:
    """Add to the end of a file, which is made if it is missing; what cannot be written whole leaves
    it as it was.

    Raises
    ------
    OSError
        If it cannot be written; names the file.
    """
    try:
        with open(path, "ab", buffering=0) as file:  # noqa: PTH123  (of a path that is text)
            before, rest = file.seek(0, os.SEEK_END), memoryview(data)
            try:
                while rest:
                    rest = rest[file.write(rest) :]
            except OSError:
                with contextlib.suppress(OSError):
                    file.truncate(before)
                raise
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), os.fspath(path)) from error


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable, beyond the contents of its files, where the system lets
    one ask for that.
    """
    if not opened.POSIX:
        return
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
