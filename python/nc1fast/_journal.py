"""Append-only files of finished work: one line is one record, on disk before the next begins.

A process that is killed while it writes leaves one unfinished line at the end, which the next opening cuts off.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["LineFile"]


class LineFile:
    """Lines of bytes, appended and synced; holds a lock on its file while open.

    Parameters
    ----------
    path : path-like
        Made if it is not there.

    Raises
    ------
    OSError
        If the file cannot be opened or made.
    ValueError
        If another process holds it.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        new = not self.path.exists()
        self._open()
        _opened.add(self)
        if new:
            self._sync_folder()

    def _open(self) -> None:
        while True:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(self._file)
                raise ValueError(f"another run is writing {self.path}") from None
            opened = os.fstat(self._file)
            self.size = opened.st_size
            if self.path.exists() and self.path.stat().st_ino == opened.st_ino:
                return
            os.close(self._file)  # replaced between opening and locking

    def _sync_folder(self) -> None:
        """Put the name of the file on disk, not only what is in it."""
        folder = os.open(self.path.absolute().parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def start(self, n_bytes: int) -> bytes:
        """What the file begins with."""
        return os.pread(self._file, n_bytes, 0)

    def lines(self) -> Iterator[bytes]:
        """Every finished line, without its end; to be used up before `append`. What is after the last one is cut off."""
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
        """Write a line; it is on disk when this returns. Where it cannot be written, nothing of it stays.

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
            with contextlib.suppress(OSError):  # else it is cut off when it is opened again
                os.ftruncate(self._file, self.size)
            told = f"{error.strerror}: what was finished is kept"
            raise OSError(error.errno, told, str(self.path)) from error
        self.size += length

    def set_aside(self, name: str) -> None:
        """Rename the file within its folder and go on with an empty one."""
        self.path.rename(self.path.with_name(name))
        os.close(self._file)
        self._open()
        self._sync_folder()

    def replace(self, lines: Iterator[bytes]) -> None:
        """Put these lines in the place of all others: either they are there or, after a kill, the old ones are.

        Raises
        ------
        OSError
            As of `append`; the old lines are kept.
        """
        beside = self.path.with_name(f"{self.path.name}.new")
        beside.unlink(missing_ok=True)
        new = LineFile(beside)
        try:
            for line in lines:
                new.append(line)
            beside.rename(self.path)
        except BaseException:
            new.close()
            beside.unlink(missing_ok=True)
            raise
        os.close(self._file)
        _opened.discard(new)
        self._file, self.size = new._file, new.size
        self._sync_folder()

    def close(self) -> None:
        """Close the file and give its lock back."""
        _opened.discard(self)
        os.close(self._file)


_opened: weakref.WeakSet[LineFile] = weakref.WeakSet()


def _leave_to_parent() -> None:
    """A forked worker that outlives its parent must not keep the lock."""
    for file in list(_opened):
        file.close()


os.register_at_fork(after_in_child=_leave_to_parent)
