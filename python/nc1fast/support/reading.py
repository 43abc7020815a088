"""Reading files that may be missing, damaged or no files at all: every error is one line that names
the file, and the argument that its path was given as.
"""

from __future__ import annotations

import contextlib
import errno
import gzip
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator
    from pathlib import Path

# First words of messages whose subject is the file.
_PREDICATES = {"is", "has", "holds", "needs", "cannot"}
_BRIEF = 200  # letters of a package's message that are quoted
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


def of_the_system(error: BaseException) -> bool:
    """Whether an error is one of the system, and not of what a damaged file makes a reader ask of
    it.
    """
    return isinstance(error, OSError) and error.errno not in (None, errno.EINVAL)


@contextlib.contextmanager
def named(path: str | os.PathLike[str]) -> Iterator[None]:
    """Give errors of the system that name no file, as of a descriptor, the name of this one."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error


def check_regular(path: str | os.PathLike[str], argument: str = "") -> None:
    """Raise ValueError for a path that is there but not a regular file: opening a pipe or a device
    may wait for ever.
    """
    try:
        kind = stat.S_IFMT(os.stat(path).st_mode)  # noqa: PTH116  (takes what Path does not)
    except OSError:
        return  # opening it will say why
    except ValueError as error:  # a null byte
        raise ValueError(f"{prefix(argument)}{shown(path)} is no path: {error}") from None
    if kind != stat.S_IFREG:
        what = _KINDS.get(kind, "something else")
        raise ValueError(f"{prefix(argument)}{shown(path)}: is not a regular file, but {what}")


def checked_file(path: Path) -> Path:
    """The path, if it is that of a regular file that may be read."""
    if not path.exists():
        raise FileNotFoundError(f"{shown(path)}: no such file")
    check_regular(path)
    if not os.access(path, os.R_OK):
        raise PermissionError(f"{shown(path)}: no permission to read it")
    return path


def malformed(path: Path, what: str) -> ValueError:
    """The error for a file that cannot be used: one line that starts with the file."""
    return ValueError(f"{shown(path)}: {what}")


def is_gzipped(path: Path) -> bool:
    """Whether the content of a file starts as that of a gzip file does, whatever its name."""
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def opened(path: Path) -> gzip.GzipFile | io.BufferedReader:
    """A file to read bytes from, through gzip if its content is gzipped."""
    return gzip.open(path) if is_gzipped(path) else path.open("rb")


@contextlib.contextmanager
def about(path: Path, what: str) -> Iterator[None]:
    """Complete ValueErrors that start with a verb: the file and the subject `what` come first."""
    try:
        yield
    except ValueError as error:
        raise malformed(path, f"{what} {error}") from None


@contextlib.contextmanager
def readable(path: Path, kind: str) -> Iterator[None]:
    """Turn whatever a package makes of a damaged file into a ValueError that names the file and its
    kind; errors of the system stay what they are.
    """
    try:
        yield
    except (ImportError, Warning):
        raise
    except Exception as error:
        message = one_line(error)
        ours = isinstance(error, ValueError) and message.startswith(f"{shown(path)}: ")
        if ours or of_the_system(error):
            raise
        brief = message if len(message) <= _BRIEF else f"{message[:_BRIEF]}..."
        raise malformed(path, f"not a readable {kind} ({brief})") from error


@contextlib.contextmanager
def reading(path: str, argument: str = "") -> Iterator[None]:
    """Turn whatever a damaged file makes its reader raise into a ValueError; errors of the system
    keep their type.

    Every message becomes one line that names the file and the argument.

    Parameters
    ----------
    path : str
    argument : str
        The argument that the path was given as; "" for none.
    """
    try:
        yield
    except (ImportError, Warning):
        raise
    except OSError as error:
        if error.filename not in (None, path):
            raise
        if (
            error.errno == errno.EINVAL
        ):  # of what a damaged file makes a reader ask for, as to go to a negative place
            raise ValueError(
                f"{prefix(argument)}{shown(path)} is damaged: {one_line(error)}"
            ) from error
        if error.errno is None or not error.strerror:
            message = one_line(error)
            message = message if path in message else f"{shown(path)}: {message}"
            raise OSError(f"{prefix(argument)}{message}") from error
        raise type(error)(
            error.errno, f"{prefix(argument)}{os.strerror(error.errno)}", path
        ) from error
    except (ValueError, TypeError) as error:
        message = one_line(error)
        kind = TypeError if isinstance(error, TypeError) else ValueError
        if path in message or shown(path) in message:
            if argument and argument not in message.replace(path, ""):
                message = f"{argument}: {message}"
        elif argument and message.startswith(f"{argument} "):
            message = f"{message}, in {shown(path)}"
        else:
            mark = "" if message.partition(" ")[0] in _PREDICATES else ":"
            message = f"{prefix(argument)}{shown(path)}{mark} {message}"
        raise kind(message) from error
    except MemoryError as error:
        raise ValueError(
            f"{prefix(argument)}{shown(path)} asks for more memory than there is: {one_line(error)}"
        ) from error
    except Exception as error:
        raise ValueError(
            f"{prefix(argument)}{shown(path)} is damaged: {type(error).__name__}: {one_line(error)}"
        ) from error


def prefix(argument: str) -> str:
    """The beginning of a message about an argument; "" for none."""
    return f"{argument}: " if argument else ""
