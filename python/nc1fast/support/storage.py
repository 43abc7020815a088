"""Files on disk: which may be read, what is noticed when one changes, and how one of ours is written.

What can go wrong while a file is read becomes one line that names the file, and the argument that it was given as.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import stat
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_DIGEST = 16
_PREDICATES = {
    "is",
    "has",
    "holds",
    "needs",
    "cannot",
}  # messages without a subject, which is the file
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def shown(path: str | os.PathLike[str]) -> str:
    """A path on one line."""
    name = os.fspath(path)
    return name if name.isprintable() else repr(name)


def one_line(error: BaseException) -> str:
    """The message of an error on one line."""
    return " ".join(str(error).split()) or type(error).__name__


def checksum(*parts: Any) -> str:
    """32 hexadecimal digits for bytes, or anything that has a buffer: they tell damage, not intent."""
    digest = hashlib.blake2b(digest_size=_DIGEST)
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


# --- what may be read ---


def check_regular(path: str | os.PathLike[str], argument: str = "") -> None:
    """Raise ValueError for what is there but no regular file: to open a pipe or a device may wait for ever."""
    try:
        kind = stat.S_IFMT(os.stat(path).st_mode)  # noqa: PTH116  (takes what Path does not)
    except OSError:
        return  # whoever opens it says why
    except ValueError as error:  # a null byte
        raise ValueError(f"{_told(argument)}{shown(path)} is no path: {error}") from None
    if kind != stat.S_IFREG:
        what = _KINDS.get(kind, "something else")
        raise ValueError(f"{_told(argument)}{shown(path)}: is not a regular file, but {what}")


@contextlib.contextmanager
def reading(path: str, argument: str = "") -> Iterator[None]:
    """Whatever a damaged file makes its reader raise becomes a ValueError; errors of the system keep their type.

    Every message is one line that names the file, and the argument.
    """
    try:
        yield
    except (ImportError, Warning):
        raise
    except OSError as error:
        if error.filename not in (None, path):
            raise
        if error.errno is None or not error.strerror:
            told = one_line(error)
            told = told if path in told else f"{shown(path)}: {told}"
            raise OSError(f"{_told(argument)}{told}") from error
        raise type(error)(
            error.errno, f"{_told(argument)}{os.strerror(error.errno)}", path
        ) from error
    except (ValueError, TypeError) as error:
        told = one_line(error)
        kind = TypeError if isinstance(error, TypeError) else ValueError
        if path in told or shown(path) in told:
            if argument and argument not in told.replace(path, ""):
                told = f"{argument}: {told}"
        elif argument and told.startswith(f"{argument} "):
            told = f"{told}, in {shown(path)}"
        else:
            mark = "" if told.partition(" ")[0] in _PREDICATES else ":"
            told = f"{_told(argument)}{shown(path)}{mark} {told}"
        raise kind(told) from error
    except MemoryError as error:
        raise ValueError(
            f"{_told(argument)}{shown(path)} asks for more memory than there is: {one_line(error)}"
        ) from error
    except Exception as error:
        raise ValueError(
            f"{_told(argument)}{shown(path)} is damaged: {type(error).__name__}: {one_line(error)}"
        ) from error


def _told(argument: str) -> str:
    return f"{argument}: " if argument else ""


# --- what is noticed ---


def state_of(path: str | os.PathLike[str]) -> tuple[Any, ...]:
    """Bytes, time of the last change in ns and inode; of a folder, those of all that is in it.

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
    return found.st_size, found.st_mtime_ns, found.st_ino


def bytes_in(path: str | os.PathLike[str]) -> int:
    """Bytes of a file, or of all files of a folder."""
    state = state_of(path)
    return sum(entry[1] for entry in state) if Path(path).is_dir() else int(state[0])


@contextlib.contextmanager
def unchanged(path: str | os.PathLike[str], argument: str = "") -> Iterator[None]:
    """Raise ValueError if a file, or a file of a folder, is another one when the context ends than when it began."""
    before = state_of(path)
    yield
    if state_of(path) != before:
        raise ValueError(
            f"{_told(argument)}{shown(path)}: has changed while it was read, it must stay as it is"
        )


# --- how ours are written ---


@contextlib.contextmanager
def replaced(
    path: str | os.PathLike[str], *, beside: str | os.PathLike[str] | None = None
) -> Iterator[IO[bytes]]:
    """A new file that takes the place of another when the context ends well: a reader sees the old one or the new one.

    It is on disk before it is seen, and has the permissions of the old one. A link stays: what it points to is replaced.

    Parameters
    ----------
    beside : path, optional
        Where it is written, for those who hold a lock; by default a name that nobody else has.

    Raises
    ------
    OSError
        If it cannot be written: names `path`, which is left as it was.
    ValueError
        If `path` is there, but no regular file.
    """
    check_regular(path)
    target = Path(os.path.realpath(path))
    scratch = Path(beside or target.with_name(f"{target.name}.{secrets.token_hex(4)}.new"))
    try:
        if beside is not None:
            scratch.unlink(missing_ok=True)  # of a process that was killed
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
        with os.fdopen(os.open(scratch, flags, 0o666), "w+b") as file:
            if target.exists():
                os.fchmod(file.fileno(), stat.S_IMODE(target.stat().st_mode))
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
    """The same, of bytes that are there."""
    with replaced(path) as file:
        file.write(data)


def sync_folder(path: Path) -> None:
    """Put the names in a folder on disk, not only what the files hold."""
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
