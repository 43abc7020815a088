"""The long run: ``python -m tests.adversary [--problems 100000] [--jobs 2] [--seed 0] [--minutes 9]
[--report] [--shrink 5]``.

Judges the problems 0, 1, 2, ... of a seed and appends one line of JSON per problem to a file.
Started again it goes on where it ended, so that it may run in pieces; the tables and the worst
problems, as code, are printed at the end of every piece.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.adversary.drawing import problem
from tests.adversary.recording import read, run
from tests.adversary.report import failed, tables
from tests.adversary.shrinking import shrunk
from tests.adversary.verdict import judge


def main() -> int:
    """Run, then report; 1 if anything failed."""
    parser = argparse.ArgumentParser(prog="tests.adversary", description=__doc__)
    parser.add_argument("--problems", type=int, default=100_000)
    parser.add_argument("--jobs", type=int, default=2, help="processes (default 2)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=600.0, help="start nothing new afterwards")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder (default out)")
    parser.add_argument("--report", action="store_true", help="only of what is recorded")
    parser.add_argument("--shrink", type=int, default=0, help="make so many failures simple")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / f"adversary-{arguments.seed}.jsonl"
    if not arguments.report:
        run(path, arguments.problems, arguments.jobs, arguments.seed, arguments.minutes)
    entries = read(path)
    text = tables(entries, arguments.seed)
    path.with_suffix(".txt").write_text(text + "\n")
    print(text)
    failures = [problem(entry["index"], arguments.seed) for entry in entries if failed(entry)]
    for case in failures[: arguments.shrink]:
        simple = shrunk(case)
        print(f"{simple!r}\n  {judge(simple)}", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
