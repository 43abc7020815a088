"""Python as it is on Windows, for a process that imports this module first: what is missing, and
what is forbidden.

`msvcrt.locking` locks by flock, which is the lock of an open file as well; an open file can be
neither renamed, replaced nor deleted, and a folder not be opened. `locks` counts the calls.
"""

from __future__ import annotations

import asyncio  # noqa: F401  (before what its part for POSIX asks for is taken away)
import fcntl
import mmap
import os
import shutil
import stat
import sys
import types
from pathlib import Path
from typing import Any

MISSING = ("fcntl", "resource", "termios", "tty", "pty", "pwd", "grp", "syslog", "posix_ipc")
MISSING_IN_OS = (
    *("fork", "forkpty", "register_at_fork", "killpg", "getpgid", "setsid", "wait3", "wait4"),
    *("pread", "preadv", "pwrite", "pwritev", "readv", "writev", "fchmod", "fchown", "fdatasync"),
    *("sched_getaffinity", "sched_setaffinity", "sysconf", "statvfs", "uname", "getuid", "geteuid"),
    *("O_CLOEXEC", "O_NOFOLLOW", "O_DIRECTORY", "O_NONBLOCK", "mkfifo", "getloadavg", "nice"),
)
LOCKED_BYTE = 2**32 - 2

locks: list[int] = []
_flock, _open, _replace, _unlink = fcntl.flock, os.open, os.replace, os.unlink
_EXCLUSIVE = fcntl.LOCK_EX | fcntl.LOCK_NB


def _locking(file: int, mode: int, n_bytes: int) -> None:
    assert (mode, n_bytes, os.lseek(file, 0, os.SEEK_CUR)) == (2, 1, LOCKED_BYTE)
    locks.append(file)
    try:
        _flock(file, _EXCLUSIVE)
    except BlockingIOError as error:
        raise PermissionError(13, "Permission denied") from error


def _forbidden(path: Any) -> None:
    """Raise as Windows does for a file that this process has open."""
    try:
        found = os.stat(path)  # noqa: PTH116
    except OSError:
        return
    for descriptor in os.listdir("/proc/self/fd"):  # noqa: PTH208
        try:
            other = os.fstat(int(descriptor))
        except OSError:
            continue
        if os.path.samestat(found, other) and stat.S_ISREG(other.st_mode):
            raise PermissionError(13, "The process cannot access the file", os.fspath(path))


def _checked(function: Any, *, overwrites: bool = True) -> Any:
    def moves(path: Any, *rest: Any, **settings: Any) -> Any:
        for each in (path, *rest):
            _forbidden(each)
        if not overwrites and Path(rest[0]).exists():
            raise FileExistsError(17, "File exists", os.fspath(rest[0]))
        return function(path, *rest, **settings)

    return moves


def _open_file(path: Any, flags: int, *rest: Any, **settings: Any) -> int:
    if Path(path).is_dir():
        raise PermissionError(13, "Permission denied", os.fspath(path))
    return _open(path, flags, *rest, **settings)


def become() -> None:
    """Make this process so."""
    for name in MISSING:
        sys.modules[name] = None
    for name in MISSING_IN_OS:
        if hasattr(os, name):
            delattr(os, name)
    for name in [name for name in dir(mmap) if name.startswith("MADV_")]:
        delattr(mmap, name)
    module: Any = types.ModuleType("msvcrt")
    module.locking, module.LK_NBLCK, module.LK_UNLCK = _locking, 2, 0
    sys.modules["msvcrt"] = module
    os.replace = _checked(_replace)
    os.rename = _checked(os.rename, overwrites=False)
    os.unlink = os.remove = _checked(_unlink)
    os.open = _open_file
    shutil._use_fd_functions = False  # type: ignore[attr-defined]
