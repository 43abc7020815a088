"""Files: written whole or not at all, read at an offset, watched for changes, and their checksums.

A reader, or a run after a kill, sees the old file or the new one.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import stat
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from nc1fast.support.reading import check_regular, prefix, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

# Flags of os.open for bytes that no child process inherits.
BINARY = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)

# Whether a file can be renamed and replaced while it is open, and a folder be opened.
POSIX = hasattr(os, "fork")

_MOST = 1 << 20  # bytes of a read
_DIGEST = 16  # bytes of a checksum


@contextlib.contextmanager
def replaced(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Open a new file that replaces `path` when the context ends without an error: a reader sees
    the old or the new one.

    The new file is on disk before it is seen, and has the permissions of the old one. Through a
    link, the file that it points to is replaced.

    Parameters
    ----------
    path : path-like

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
    scratch = target.with_name(f"{target.name}.{secrets.token_hex(4)}.new")
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | BINARY
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
    _sync_folder(target.parent)


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


def _sync_folder(path: Path) -> None:
    """Make the names in a folder durable, beyond the contents of its files, where the system lets
    one ask for that.
    """
    if not POSIX:
        return
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_at(file: int, buffer: memoryview, offset: int) -> int:
    """Read into a buffer from an offset on; how many bytes there were.

    May move the position of the file.
    """
    if hasattr(os, "preadv"):
        return os.preadv(file, [buffer], offset)
    os.lseek(file, offset, os.SEEK_SET)
    found = os.read(file, min(len(buffer), _MOST))
    buffer[: len(found)] = found
    return len(found)


def state_of(path: str | os.PathLike[str]) -> tuple[Any, ...]:
    """Size in bytes, time of the last change in ns, and inode; for a folder, those of every file in
    it.

    Raises
    ------
    OSError
        If it is gone.
    """
    if not Path(path).is_dir():
        return _state(os.stat(path))  # noqa: PTH116
    found = []
    for folder, _, names in os.walk(path):
        found += [
            (entry, *_state(os.stat(entry)))  # noqa: PTH116
            for entry in (os.path.join(folder, name) for name in names)  # noqa: PTH118
        ]
    return tuple(sorted(found))


def _state(found: os.stat_result) -> tuple[int, int, int]:
    """Size, time of the last change and inode of one file."""
    return found.st_size, found.st_mtime_ns, found.st_ino


def bytes_in(path: str | os.PathLike[str]) -> int:
    """Bytes of a file, or of all files in a folder."""
    state = state_of(path)
    return sum(entry[1] for entry in state) if Path(path).is_dir() else int(state[0])


@contextlib.contextmanager
def unchanged(path: str | os.PathLike[str], argument: str = "") -> Iterator[None]:
    """Raise ValueError if a file, or one in a folder, has changed by the end of the context."""
    before = state_of(path)
    yield
    if state_of(path) != before:
        raise ValueError(
            f"{prefix(argument)}{shown(path)}: has changed while it was read, it must stay as it is"
        )


def checksum(*parts: Any) -> str:
    """The BLAKE2b digest of bytes, or of anything that has a buffer: 32 hexadecimal digits.

    It tells damage, not intent.
    """
    digest = hashlib.blake2b(digest_size=_DIGEST)
    for part in parts:
        digest.update(part)
    return digest.hexdigest()
