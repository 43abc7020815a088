"""Append-only files of lines with a lock, beneath every journal: a line is on disk before the next
one begins.

A process that is killed while it writes leaves one unfinished line at the end, which is cut off
when the file is read again. What a line means is for the journals to say.
"""

from __future__ import annotations

import contextlib
import os
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

from nc1fast.support import opened
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
            self._file = os.open(self._target, os.O_RDWR | os.O_CREAT | opened.BINARY, 0o666)
            try:
                opened.lock(self._file)
            except BlockingIOError:
                self._close()
                raise ValueError(f"another run is writing {self.path}") from None
            found = os.fstat(self._file)
            self.size = found.st_size
            if self._target.exists() and self._target.stat().st_ino == found.st_ino:
                return
            self._close()  # replaced between opening and locking

    def start(self, n_bytes: int) -> bytes:
        """The first bytes of the file, at most `n_bytes`."""
        buffer = memoryview(bytearray(n_bytes))
        return bytes(buffer[: opened.read_at(self._file, buffer, 0)])

    def lines(self) -> Iterator[bytes]:
        """Every finished line, without its newline. Exhaust it before `append`: then whatever
        follows the last line is cut off.
        """
        end = 0
        with os.fdopen(self._file, "rb", closefd=False) as file:  # no second holder of the lock
            file.seek(0)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                end += len(line)
                yield line[:-1]
        os.ftruncate(self._file, end)
        self.size = end

    def append(self, line: bytes) -> None:
        """Write a line; it is on disk when this returns. A line that cannot be written leaves
        nothing behind.

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
        aside = self._target.with_name(name)
        if opened.POSIX:
            self._target.replace(aside)
            self._close()
        else:
            self._close()
            self._target.replace(aside)
        self._open()
        sync_folder(self._target.parent)

    def replace(self, lines: Iterator[bytes]) -> None:
        """Replace all lines by these; after a kill, the file has either the new lines or the old
        ones.

        Raises
        ------
        OSError
            As for `append`; the old lines are kept.
        """
        if not opened.POSIX:
            self._replace_closed(lines)
            return
        with contextlib.ExitStack() as stack:
            with replaced(self._target, beside=f"{self._target}.new") as file:
                opened.lock(file.fileno())
                file.writelines(line + b"\n" for line in lines)
                size = file.tell()
                held = os.dup(file.fileno())  # keeps the lock once `file` is closed
                stack.callback(os.close, held)
            stack.pop_all()
        self._close()
        self._file, self.size = held, size

    def _replace_closed(self, lines: Iterator[bytes]) -> None:
        """The same where an open file cannot be replaced.

        A run that takes the lock meanwhile keeps it: this one ends.
        """
        try:
            with replaced(self._target, beside=f"{self._target}.new") as file:
                file.writelines(line + b"\n" for line in lines)
                self._close()
        finally:
            self._close()
            self._open()

    def close(self) -> None:
        """Close the file and give its lock back."""
        _opened.discard(self)
        self._close()

    def _close(self) -> None:
        """Close the file, if it is open. What it holds is on disk already: an error is none of the
        lines.
        """
        with contextlib.suppress(OSError):
            os.close(self._file)
        self._file = -1


_opened: weakref.WeakSet[LineFile] = weakref.WeakSet()


def _leave_to_parent() -> None:
    """A forked worker that outlives its parent must not keep the lock."""
    for file in list(_opened):
        file.close()


if opened.POSIX:
    os.register_at_fork(after_in_child=_leave_to_parent)
