"""The journal of a study: finished cells, one line of JSON each, appended and synced.

A line ends with the checksum of all that stands before it. A run that is killed leaves at most one
unfinished line, which the next run cuts off; the cell of a damaged line is computed again. (The
journal of `nc1fast.distributed` has sums of bundles of tiles instead; both are
`nc1fast.support.line_file`s.)
"""

from __future__ import annotations

import itertools
import json
import warnings
from typing import TYPE_CHECKING, Any

from nc1fast.studies import measures, series, table
from nc1fast.studies.tasks.task import Outcome
from nc1fast.support.checksums import checksum
from nc1fast.support.line_file import LineFile
from nc1fast.support.reading import reading

if TYPE_CHECKING:
    from pathlib import Path

    from nc1fast.studies.tidy import Layout

JOURNAL = "journal.jsonl"
_PREVIOUS = "journal-previous.jsonl"
_FORMAT = 2
_SEAL = ', "checksum": "%s"}'
_LENGTH = len(_SEAL % checksum())


def check_fresh(folder: Path) -> None:
    """Raise ValueError if a folder has the journal of an earlier run, or a table, that a new one
    would replace.
    """
    layouts = (table.LAYOUT, measures.LAYOUT)
    if not (folder / JOURNAL).exists() and not any(one.exists(folder) for one in layouts):
        return
    raise ValueError(
        f"{folder} holds a study that was run before: --resume goes on with it, --restart starts again and keeps its "
        f"journal as {_PREVIOUS}; or take another --out"
    )


class StudyJournal:
    """Append-only record of the finished cells of a study; holds a lock on its file while open.

    Parameters
    ----------
    folder : Path
        Made if it is missing.
    fingerprint : str
        Of study, data files and version; rows of different ones are never mixed.
    layout : Layout
        Of the rows of the table.
    resume : bool
        Keep the finished cells that are there. If False, an earlier journal is renamed to
        journal-previous.jsonl.

    Raises
    ------
    ValueError
        If another run holds the journal, if its fingerprint differs, if it is of another format, or
        if its first line is damaged. It is left as it is.

    Warns
    -----
    UserWarning
        If other lines are damaged: their cells are computed again.
    """

    def __init__(self, folder: Path, fingerprint: str, layout: Layout, *, resume: bool) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.layout = layout
        self.finished: dict[str, Outcome] = {}
        self._file = LineFile(folder / JOURNAL)
        try:
            if not resume and self._file.size:
                self._file.set_aside(_PREVIOUS)
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
                    "take another --out, or start again with --restart"
                )
            if found != head:
                raise ValueError(
                    f"{path} is of another study, preset, data file or version of nc1fast: "
                    "take another --out, or start again with --restart"
                )
        for line in lines:
            record = _unsealed(line)
            if record is None:
                n_damaged += 1
                continue
            self.finished[record["cell"]] = self._outcome(record)
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

    def _outcome(self, record: dict[str, Any]) -> Outcome:
        """The outcome of a record; ValueError unless its rows are rows of the two tables."""
        for layout, rows in ((self.layout, record["rows"]), (series.LAYOUT, record["series"])):
            for row in rows:
                layout.check(row)
        return Outcome(record["rows"], record["series"])

    def close(self) -> None:
        """Close the file and give its lock back."""
        self._file.close()


def _record(cell: str, outcome: Outcome) -> dict[str, Any]:
    return {"cell": cell, "rows": outcome.rows, "series": outcome.series}


def _sealed(record: dict[str, Any]) -> bytes:
    """A line of the journal: a record that ends with the checksum of the text before it."""
    text = json.dumps(record)[:-1]
    return (text + _SEAL % checksum(text.encode())).encode()


def _unsealed(line: bytes) -> dict[str, Any] | None:
    """The record of a line; None if the line does not have its checksum."""
    text = line[:-_LENGTH]
    if line[-_LENGTH:] != (_SEAL % checksum(text)).encode():
        return None
    record: dict[str, Any] = json.loads(text + b"}")
    return record
