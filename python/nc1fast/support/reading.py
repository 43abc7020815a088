"""Reading files that may be missing, damaged or no files at all: every error is one line that names
the file.

A message also names the argument that the path was given as.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# First words of messages whose subject is the file.
_PREDICATES = {"is", "has", "holds", "needs", "cannot"}
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
    """Give errors of the system that name no file, as those of a descriptor, the name of this one."""
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
            told = one_line(error)
            told = told if path in told else f"{shown(path)}: {told}"
            raise OSError(f"{prefix(argument)}{told}") from error
        raise type(error)(
            error.errno, f"{prefix(argument)}{os.strerror(error.errno)}", path
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
            told = f"{prefix(argument)}{shown(path)}{mark} {told}"
        raise kind(told) from error
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
