"""One reader under changes, in a process that may die: python -m tests.fuzz.working NAME SEED FIRST
COUNT SECONDS FOLDER.

A line of JSON for each unique outcome when it is first seen and for all that is wrong, and one at
the end; the number of the file at work lies in FOLDER/at.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from tests.fuzz.judging import OUTCOMES, Case, limit_memory, plain

_OFTEN = 500  # files between two counts, of which those of a process that dies are the last
_PLAY = 3  # files that are read before memory is limited: pools and modules are loaded


def main(name: str, seed: int, first: int, count: int, seconds: float, folder: Path) -> None:
    """Run it."""
    (own := folder / "files").mkdir()
    case = Case(name, own)
    for index in range(_PLAY):
        case.verdict(case.change(index, -1 % 2**32))
    limit_memory()
    case.largest = 0.0
    counts: dict[str, Any] = dict.fromkeys(OUTCOMES, 0)
    seen: dict[str, int] = {}
    start, end = time.monotonic(), time.monotonic() + seconds
    index = first
    while index < first + count and time.monotonic() < end:
        (folder / "at").write_text(str(index))
        found = case.verdict(case.change(index, seed))
        counts[found.outcome] += 1
        key = f"{found.outcome} {plain(found.told, own)}"
        seen[key] = seen.get(key, 0) + 1
        if seen[key] == 1:
            one = {"index": index, "outcome": found.outcome, "told": found.told[:600]}
            print(json.dumps(one), flush=True)
        index += 1
        if (index - first) % _OFTEN == 0:
            _tell(start, counts, seen, case.largest)
    _tell(start, counts, seen, case.largest)


def _tell(start: float, counts: dict[str, Any], seen: dict[str, int], largest: float) -> None:
    told = {"seconds": time.monotonic() - start, "counts": counts, "seen": seen}
    print(json.dumps({**told, "largest": largest}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:5]), float(sys.argv[5]), Path(sys.argv[6]))
