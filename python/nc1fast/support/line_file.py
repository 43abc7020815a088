"""Append-only files of lines with a lock, beneath every journal: a line is on disk before the next one begins.

A process that is killed while it writes leaves one unfinished line at the end, which is cut off when the file is read
again. What a line means is for the journals to say.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

from nc1fast.support.reading import check_regular
from nc1fast.support.writing import replaced, sync_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["LineFile"]


class LineFile:
    """Lines of bytes, appended and synced; holds a lock on its file while open.

    Parameters
    ----------
    path : path-like
        Created if it is missing; a link is followed.

    Raises
    ------
    OSError
        If the file cannot be opened or created.
    ValueError
        If another process holds the lock, or the path is not a regular file.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        check_regular(self.path, "journal")
        self._target = Path(os.path.realpath(self.path))
        new = not self._target.exists()
        self._open()
        _opened.add(self)
        if new:
            sync_folder(self._target.parent)

    def _open(self) -> None:
        """Open the file and take its lock."""
        while True:
            self._file = os.open(self._target, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(self._file)
                raise ValueError(f"another run is writing {self.path}") from None
            opened = os.fstat(self._file)
            self.size = opened.st_size
            if self._target.exists() and self._target.stat().st_ino == opened.st_ino:
                return
            os.close(self._file)  # replaced between opening and locking

    def start(self, n_bytes: int) -> bytes:
        """The first bytes of the file, at most `n_bytes`."""
        return os.pread(self._file, n_bytes, 0)

    def lines(self) -> Iterator[bytes]:
        """Every finished line, without its newline. Exhaust it before `append`: then whatever follows the last line is cut off."""
        end = 0
        with os.fdopen(os.dup(self._file), "rb") as file:
            file.seek(0)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                end += len(line)
                yield line[:-1]
        os.ftruncate(self._file, end)
        self.size = end

    def append(self, line: bytes) -> None:
        """Write a line; it is on disk when this returns. A line that cannot be written leaves nothing behind.

        Raises
        ------
        OSError
            If the disk is full or gone: names the file. Every earlier line is kept.
        """
        rest = memoryview(line + b"\n")
        length = len(rest)
        try:
            os.lseek(self._file, self.size, os.SEEK_SET)
            while rest:
                rest = rest[os.write(self._file, rest) :]
            os.fsync(self._file)
        except OSError as error:
            with contextlib.suppress(OSError):  # otherwise the next reading cuts it off
                os.ftruncate(self._file, self.size)
            told = f"{error.strerror}: what was finished is kept"
            raise OSError(error.errno, told, str(self.path)) from error
        self.size += length

    def set_aside(self, name: str) -> None:
        """Rename the file within its folder and go on with an empty one."""
        self._target.rename(self._target.with_name(name))
        self._close(self._file)
        self._open()
        sync_folder(self._target.parent)

    def replace(self, lines: Iterator[bytes]) -> None:
        """Replace all lines by these; after a kill, the file has either the new lines or the old ones.

        Raises
        ------
        OSError
            As for `append`; the old lines are kept.
        """
        with contextlib.ExitStack() as stack:
            with replaced(self._target, beside=f"{self._target}.new") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                file.writelines(line + b"\n" for line in lines)
                size = file.tell()
                held = os.dup(file.fileno())  # keeps the lock once `file` is closed
                stack.callback(os.close, held)
            stack.pop_all()
        old, self._file, self.size = self._file, held, size
        self._close(old)

    def close(self) -> None:
        """Close the file and give its lock back."""
        _opened.discard(self)
        self._close(self._file)

    def _close(self, file: int) -> None:
        """Close a file of this path. What it holds is on disk already: an error is none of the lines."""
        with contextlib.suppress(OSError):
            os.close(file)


_opened: weakref.WeakSet[LineFile] = weakref.WeakSet()


def _leave_to_parent() -> None:
    """A forked worker that outlives its parent must not keep the lock."""
    for file in list(_opened):
        file.close()


os.register_at_fork(after_in_child=_leave_to_parent)
