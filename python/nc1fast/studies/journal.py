"""The journal of a study: finished cells, one line each, appended and synced.

A run that is killed leaves at most one unfinished line, which the next run cuts off.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from nc1fast._journal import LineFile
from nc1fast.studies.measuring import Outcome

if TYPE_CHECKING:
    from pathlib import Path

JOURNAL = "journal.jsonl"


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
        If another run holds the journal, if its fingerprint differs, or if it is damaged before
        its last line.
    """

    def __init__(self, folder: Path, fingerprint: str, *, resume: bool) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.finished: dict[str, Outcome] = {}
        self._file = LineFile(folder / JOURNAL)
        try:
            if not resume and self._file.size:
                self._file.set_aside("journal-previous.jsonl")
            self._read(self._file.path, fingerprint)
        except BaseException:
            self._file.close()
            raise

    def _read(self, path: Path, fingerprint: str) -> None:
        records = [_parse(path, i, line) for i, line in enumerate(self._file.lines())]
        if not records:
            self._append({"fingerprint": fingerprint})
        elif records[0].get("fingerprint") != fingerprint:
            raise ValueError(
                f"{path} is of another study, preset, data file or version of nc1fast: "
                "take another --out, or run without --resume to start again"
            )
        for record in records[1:]:
            self.finished[record["cell"]] = Outcome(record["rows"], record["series"])

    def add(self, cell: str, outcome: Outcome) -> None:
        """Record a finished cell; it is on disk when this returns."""
        self._append({"cell": cell, "rows": outcome.rows, "series": outcome.series})
        self.finished[cell] = outcome

    def _append(self, record: dict[str, Any]) -> None:
        self._file.append(json.dumps(record).encode())

    def close(self) -> None:
        """Close the file and give its lock back."""
        self._file.close()


def _parse(path: Path, index: int, line: bytes) -> dict[str, Any]:
    try:
        record = json.loads(line)
        if not isinstance(record, dict) or not {"fingerprint", "cell"} & record.keys():
            raise ValueError("not a record of a study")
    except ValueError as error:
        raise ValueError(f"{path}, line {index + 1} is damaged: {error}") from None
    return record
