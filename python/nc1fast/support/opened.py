"""Files that are open: their flags, locks of a process, reading at an offset, and what systems
forbid meanwhile.

Windows has `msvcrt` for `fcntl`, and an open file can be neither renamed nor replaced there.
"""

from __future__ import annotations

import errno
import importlib
import os
from typing import Any

__all__ = ["BINARY", "POSIX", "lock", "read_at"]


def _module(name: str) -> Any:
    """A module of the standard library; None where this system has it not."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


_fcntl = _module("fcntl")
_msvcrt = None if _fcntl else importlib.import_module("msvcrt")

# Flags of os.open for bytes that no child process inherits.
BINARY = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)

# Whether a file can be renamed and replaced while it is open, and a folder be opened.
POSIX = _fcntl is not None

# The byte that is locked where a lock keeps others from reading: beyond every journal.
_LOCKED_BYTE = 2**32 - 2
_MOST = 1 << 20  # bytes of a read


def lock(file: int) -> None:
    """Take the lock of an open file, which ends when the file is closed or the process dies; never
    waits.

    Raises
    ------
    BlockingIOError
        If another process holds it.
    """
    if _fcntl:
        _fcntl.flock(file, _fcntl.LOCK_EX | _fcntl.LOCK_NB)
        return
    assert _msvcrt
    before = os.lseek(file, 0, os.SEEK_CUR)
    os.lseek(file, _LOCKED_BYTE, os.SEEK_SET)
    try:
        _msvcrt.locking(file, _msvcrt.LK_NBLCK, 1)
    except OSError as error:
        if error.errno in (errno.EBADF, errno.EINVAL):
            raise
        raise BlockingIOError(error.errno, error.strerror) from None  # EACCES; wine has no number
    finally:
        os.lseek(file, before, os.SEEK_SET)


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
