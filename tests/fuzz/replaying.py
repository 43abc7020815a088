"""What was found before: python -m tests.fuzz.replaying; a line of JSON for each folder of
tests/data/fuzz.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from tests.fuzz.judging import Case, limit_memory
from tests.fuzz.targets import TARGETS

FOUND = Path(__file__).parents[1] / "data" / "fuzz"


def name_of(folder: Path) -> str:
    """The reader that a folder is of: the longest name that its own begins with."""
    return max((name for name in TARGETS if folder.name.startswith(f"{name}-")), key=len)


def found() -> list[Path]:
    """The folders."""
    return sorted(path for path in FOUND.iterdir() if path.is_dir())


def main() -> None:
    """Run it."""
    usable = [folder for folder in found() if TARGETS[name_of(folder)].kind.readable]
    cases = {}
    with tempfile.TemporaryDirectory() as place:
        for name in sorted(set(map(name_of, usable))):
            (own := Path(place) / name).mkdir()
            cases[name] = Case(name, own)
        limit_memory()
        for folder in usable:
            case = cases[name_of(folder)]
            files = {case.folder / file.name: file.read_bytes() for file in folder.iterdir()}
            print(json.dumps({"folder": folder.name, "at": True}), flush=True)
            verdict = case.verdict(files)
            told = {"folder": folder.name, "outcome": verdict.outcome, "told": verdict.told}
            print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
