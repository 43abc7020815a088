"""The journal of a study: finished cells, one line each, appended and synced.

A line is a JSON object that ends with the checksum of what stands before it. A run that is killed leaves at most one
unfinished line, which the next run cuts off; the cell of a damaged line is computed again.
"""

from __future__ import annotations

import itertools
import json
import warnings
from typing import TYPE_CHECKING, Any

from nc1fast.studies import series, table
from nc1fast.studies.tasks.measuring import Outcome
from nc1fast.support.checksums import checksum
from nc1fast.support.line_file import LineFile
from nc1fast.support.reading import reading

if TYPE_CHECKING:
    from pathlib import Path

JOURNAL = "journal.jsonl"
_FORMAT = 2
_SEAL = ', "checksum": "%s"}'
_LENGTH = len(_SEAL % checksum())


class Journal:
    """Append-only record of finished cells; holds a lock on its file while open.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    fingerprint : str
        Identifies study, data files and version: rows of different ones are never mixed.
    resume : bool
        Keep the finished cells that are there. If False, an earlier journal is set aside as
        journal-previous.jsonl.

    Raises
    ------
    ValueError
        If another run holds the journal, if its fingerprint differs, if it is of another format, or if its first line is
        damaged. It is left as it is.

    Warns
    -----
    UserWarning
        If other lines are damaged: their cells are computed again.
    """

    def __init__(self, folder: Path, fingerprint: str, *, resume: bool) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.finished: dict[str, Outcome] = {}
        self._file = LineFile(folder / JOURNAL)
        try:
            if not resume and self._file.size:
                self._file.set_aside("journal-previous.jsonl")
            with reading(str(self._file.path), "journal"):
                self._read(fingerprint)
        except BaseException:
            self._file.close()
            raise

    def _read(self, fingerprint: str) -> None:
        path, n_damaged = self._file.path, 0
        lines = self._file.lines()
        first = next(lines, None)
        head = {"format": _FORMAT, "fingerprint": fingerprint}
        if first is not None:
            found = _unsealed(first)
            if found is None:
                raise ValueError(
                    f"{path}, line 1 is damaged, or of an earlier version of nc1fast: "
                    "take another --out, or run without --resume to start again"
                )
            if found != head:
                raise ValueError(
                    f"{path} is of another study, preset, data file or version of nc1fast: "
                    "take another --out, or run without --resume to start again"
                )
        for line in lines:
            record = _unsealed(line)
            if record is None:
                n_damaged += 1
                continue
            self.finished[record["cell"]] = _outcome(record)
        if self._file.size == 0:
            self._file.append(_sealed(head))
        if n_damaged:
            warnings.warn(
                f"{path}: {n_damaged} damaged lines are dropped, their cells are computed again",
                UserWarning,
                stacklevel=2,
            )
            kept = (_record(cell, outcome) for cell, outcome in self.finished.items())
            self._file.replace(map(_sealed, itertools.chain([head], kept)))

    def add(self, cell: str, outcome: Outcome) -> None:
        """Record a finished cell; it is on disk when this returns."""
        self._file.append(_sealed(_record(cell, outcome)))
        self.finished[cell] = outcome

    def close(self) -> None:
        """Close the file and give its lock back."""
        self._file.close()


def _record(cell: str, outcome: Outcome) -> dict[str, Any]:
    return {"cell": cell, "rows": outcome.rows, "series": outcome.series}


def _outcome(record: dict[str, Any]) -> Outcome:
    """The rows of a record: those of the tables, or a ValueError."""
    for layout, rows in ((table.LAYOUT, record["rows"]), (series.LAYOUT, record["series"])):
        for row in rows:
            layout.check(row)
    return Outcome(record["rows"], record["series"])


def _sealed(record: dict[str, Any]) -> bytes:
    """A line: the record, and the checksum of all that stands before it."""
    text = json.dumps(record)[:-1]
    return (text + _SEAL % checksum(text.encode())).encode()


def _unsealed(line: bytes) -> dict[str, Any] | None:
    """The record of a line, or None where the checksum is not its."""
    text = line[:-_LENGTH]
    if line[-_LENGTH:] != (_SEAL % checksum(text)).encode():
        return None
    record: dict[str, Any] = json.loads(text + b"}")
    return record
