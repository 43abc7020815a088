"""The journal of a study: finished cells, a record of JSON each, in `nc1fast.support.journal`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from nc1fast.studies import measures, table
from nc1fast.studies.tasks.task import Outcome
from nc1fast.support.journal import Journal, set_aside
from nc1fast.support.reading import reading

if TYPE_CHECKING:
    from pathlib import Path

    from nc1fast.studies.tidy import Layout

JOURNAL = "journal.sqlite"
_EARLIER = "journal.jsonl"  # of earlier versions, which cannot be continued
_ADVICE = "take another --out, or start again with --restart"


def check_fresh(folder: Path) -> None:
    """Raise ValueError if a folder has the journal of an earlier run, or a table, that a new one
    would replace.
    """
    journals = [folder / name for name in (JOURNAL, _EARLIER)]
    layouts = (table.LAYOUT, measures.LAYOUT)
    if any(path.exists() for path in journals) or any(one.exists(folder) for one in layouts):
        raise ValueError(
            f"{folder} holds a study that was run before: --resume goes on with it, --restart "
            "starts again and keeps its journal as journal-previous.sqlite; or take another --out"
        )


class StudyJournal:
    """Record of the finished cells of a study; holds a lock on its file while open.

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
        journal-previous.sqlite.

    Raises
    ------
    ValueError
        If another run holds the journal, if its fingerprint differs, or if it is of another
        version or damaged. It is left as it is.

    Warns
    -----
    UserWarning
        If records are damaged: their cells are computed again.
    """

    def __init__(self, folder: Path, fingerprint: str, layout: Layout, *, resume: bool) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path, earlier = folder / JOURNAL, folder / _EARLIER
        if not resume:
            set_aside(path)
            set_aside(earlier)
        elif earlier.exists() and not path.exists():
            raise ValueError(f"{earlier} is of an earlier version of nc1fast: {_ADVICE}")
        head = {"kind": "cells of a study", "fingerprint": fingerprint}
        self._journal = Journal(path, head)
        try:
            if self._journal.head != head:
                raise ValueError(
                    f"{path} is of another study, preset, data file or version of nc1fast: "
                    f"{_ADVICE}"
                )
            with reading(str(path), "journal"):
                self.finished = {
                    cell: _outcome(json.loads(payload), layout)
                    for cell, payload in self._journal.records()
                }
        except BaseException:
            self._journal.close()
            raise

    def add(self, cell: str, outcome: Outcome) -> None:
        """Record a finished cell; it is on disk when this returns."""
        record = json.dumps({"rows": outcome.rows, "series": outcome.series})
        self._journal.add(cell, record.encode())
        self.finished[cell] = outcome

    def close(self) -> None:
        """Close the file and give its lock back."""
        self._journal.close()


def _outcome(record: dict[str, Any], layout: Layout) -> Outcome:
    """The outcome of a record; ValueError unless its rows are rows of the two tables."""
    for kind, rows in ((layout, record["rows"]), (table.SERIES, record["series"])):
        for row in rows:
            kind.check(row)
    return Outcome(record["rows"], record["series"])
