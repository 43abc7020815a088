"""Journals: what is finished of long work, in one SQLite file that a killed process cannot damage.

Each record is a transaction of its own, on disk before `add` returns. What the keys and the
payloads mean is for the two users to say: `nc1fast.distributed` and `nc1fast.studies`.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sqlite3
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nc1fast.support.files import checksum
from nc1fast.support.reading import check_regular, one_line, reading

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Journal", "set_aside"]

_APPLICATION, _FORMAT = 0x6E633166, 3  # "nc1f"; formats 1 and 2 were lines of text
_TABLES = (
    "CREATE TABLE head (content TEXT, checksum TEXT)",
    "CREATE TABLE finished (key TEXT PRIMARY KEY, payload BLOB, checksum TEXT)",
)
_KEPT = "what was finished is kept"


class Journal:
    """Records of finished work in an SQLite file, which is locked while it is open.

    Parameters
    ----------
    path : path-like
        Created if it is missing; a link is followed.
    head : dict
        What the work is, of values that JSON can hold: written to a new journal.

    Attributes
    ----------
    path : Path
    head : dict
        That of the file.

    Raises
    ------
    OSError
        If the file cannot be opened, created or written.
    ValueError
        If another run has it open, or if it is not a journal of this version. It is left as it is.
    """

    def __init__(self, path: str | os.PathLike[str], head: dict[str, Any]) -> None:
        self.path = Path(path)
        check_regular(path, "journal")
        with _errors(self.path):
            self._db = _connected(self.path)
        try:
            with reading(str(self.path), "journal"), _errors(self.path):
                self.head = self._begun(head)
        except BaseException:
            self.close()
            raise

    def _begun(self, head: dict[str, Any]) -> dict[str, Any]:
        """The head of the file; a file that is empty gets `head`."""
        new = self._value("SELECT count(*) FROM sqlite_schema") == 0
        if new:
            self._db.execute("PRAGMA journal_mode = WAL")  # one sync for each record, not four
        with self._transaction():
            if new:
                for table in _TABLES:
                    self._db.execute(table)
                text = json.dumps(head)
                self._db.execute("INSERT INTO head VALUES (?, ?)", (text, checksum(text.encode())))
                self._db.execute(f"PRAGMA application_id = {_APPLICATION}")
                self._db.execute(f"PRAGMA user_version = {_FORMAT}")
        if self._value("PRAGMA application_id") != _APPLICATION:
            raise ValueError(f"{self.path} is not a journal of nc1fast")
        if (found := self._value("PRAGMA user_version")) != _FORMAT:
            raise ValueError(
                f"{self.path} is a journal of another version of nc1fast, of format {found}, not "
                f"{_FORMAT}: start again with another path"
            )
        text, seal = self._db.execute("SELECT content, checksum FROM head").fetchone() or ("", "")
        if checksum(str(text).encode()) != seal:
            raise ValueError(f"{self.path} is damaged in its head: start again with another path")
        content: dict[str, Any] = json.loads(text)
        return content

    def _value(self, query: str) -> Any:
        """The single value of a query."""
        return self._db.execute(query).fetchone()[0]

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        """All that is written in the context, or nothing."""
        self._db.execute("BEGIN EXCLUSIVE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # it has rolled back already
                self._db.execute("ROLLBACK")
            raise

    def records(self) -> Iterator[tuple[str, bytes]]:
        """Key and payload of every record, in the order in which they were added.

        Warns
        -----
        UserWarning
            If records are damaged, which are then removed.
        """
        damaged = []
        with _errors(self.path):
            rows = self._db.execute("SELECT rowid, * FROM finished ORDER BY rowid")
            for row, key, payload, seal in rows:
                if isinstance(payload, bytes) and _seal(str(key), payload) == seal:
                    yield key, payload
                else:
                    damaged.append((row,))
            with self._transaction():
                self._db.executemany("DELETE FROM finished WHERE rowid = ?", damaged)
        if damaged:
            warnings.warn(
                f"{self.path}: {len(damaged)} damaged records are dropped, what they held is "
                "computed again",
                UserWarning,
                stacklevel=2,
            )

    def add(self, key: str, payload: bytes) -> None:
        """Add a record, or nothing if that fails; it is on disk when this returns.

        Raises
        ------
        OSError
            If the disk is full or gone: names the file, which keeps every earlier record.
        """
        self._write([(key, payload)])

    def replace(self, records: Iterable[tuple[str, bytes]]) -> None:
        """Replace all records by these, or none if that fails; errors of `add`."""
        self._write(records, first="DELETE FROM finished")

    def _write(self, records: Iterable[tuple[str, bytes]], first: str = "") -> None:
        with _errors(self.path), self._transaction():
            self._db.execute(first)
            sealed = [(key, payload, _seal(key, payload)) for key, payload in records]
            self._db.executemany("INSERT INTO finished VALUES (?, ?, ?)", sealed)

    def close(self) -> None:
        """Close the file and give its lock back. What it holds is on disk already."""
        with contextlib.suppress(sqlite3.Error):
            self._db.close()


def set_aside(path: Path) -> None:
    """Rename a journal, if there is one and no run has it open: "-previous" is added to its stem.

    Raises
    ------
    OSError, ValueError
        As for `Journal`, whatever the file holds.
    """
    if not path.exists():
        return
    with _errors(path):
        try:
            _connected(path).close()
        except sqlite3.DatabaseError as error:  # what is no journal, or damaged, is renamed as well
            if error.sqlite_errorcode not in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
                raise
    path.replace(path.with_stem(f"{path.stem}-previous"))


def _connected(path: Path) -> sqlite3.Connection:
    """An SQLite file with its lock; errors of SQLite."""
    target = os.path.realpath(path)
    db = sqlite3.connect(target, timeout=0, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA locking_mode = EXCLUSIVE")  # the lock is held until it is closed
        db.execute("PRAGMA synchronous = FULL")
        db.execute("BEGIN EXCLUSIVE")
        db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        db.execute("COMMIT")
    except BaseException:
        db.close()
        raise
    return db


@contextlib.contextmanager
def _errors(path: Path) -> Iterator[None]:
    """Errors of SQLite become those of the system, and a ValueError for what is no journal."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise ValueError(f"another run is writing {path}") from None
        if code == sqlite3.SQLITE_NOTADB:
            raise ValueError(_what_else(path)) from None
        if code == sqlite3.SQLITE_FULL:
            why = f"{os.strerror(errno.ENOSPC)}: {_KEPT}"
            raise OSError(errno.ENOSPC, why, str(path)) from error
        if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT))  # the system says why
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_ERROR):
            raise ValueError(f"{path} is damaged: {one_line(error)}") from error
        raise OSError(errno.EIO, f"{one_line(error)}: {_KEPT}", str(path)) from error


def _what_else(path: Path) -> str:
    """The message about a file that is not one of SQLite."""
    with path.open("rb") as file:
        earlier = file.read(99).startswith((b"nc1fast journal", b'{"format"'))
    if earlier:
        return (
            f"{path} is a journal of an earlier version of nc1fast: start again with another path"
        )
    return f"{path} is not a journal of nc1fast"


def _seal(key: str, payload: bytes) -> str:
    """The checksum of a record."""
    return checksum(key.encode(), b"\n", payload)
