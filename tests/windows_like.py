"""Python as it is on Windows, for a process that imports this module first: what is missing, and
what is forbidden.

An open file can be neither renamed, replaced nor deleted, and a folder not be opened.
"""

from __future__ import annotations

import asyncio  # noqa: F401  (before what its part for POSIX asks for is taken away)
import mmap
import os
import shutil
import stat
import sys
from pathlib import Path
from typing import Any

MISSING = ("fcntl", "resource", "termios", "tty", "pty", "pwd", "grp", "syslog", "posix_ipc")
MISSING_IN_OS = (
    *("fork", "forkpty", "register_at_fork", "killpg", "getpgid", "setsid", "wait3", "wait4"),
    *("pread", "preadv", "pwrite", "pwritev", "readv", "writev", "fchmod", "fchown", "fdatasync"),
    *("sched_getaffinity", "sched_setaffinity", "sysconf", "statvfs", "uname", "getuid", "geteuid"),
    *("O_CLOEXEC", "O_NOFOLLOW", "O_DIRECTORY", "O_NONBLOCK", "mkfifo", "getloadavg", "nice"),
)
_open, _replace, _unlink = os.open, os.replace, os.unlink


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
    os.replace = _checked(_replace)
    os.rename = _checked(os.rename, overwrites=False)
    os.unlink = os.remove = _checked(_unlink)
    os.open = _open_file
    shutil._use_fd_functions = False  # type: ignore[attr-defined]
