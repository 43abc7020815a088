"""The long run: ``python -m tests.adversary [--problems 100000] [--jobs 2] [--seed 0] [--minutes 9]
[--report]``.

Judges the problems 0, 1, 2, ... of a seed and appends one line of JSON per problem to a file.
Started again it goes on where it ended, so that it may run in pieces; the tables and the worst
problems, as code, are printed at the end of every piece.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.adversary.report import CHUNK, chunk, failed, tables

if TYPE_CHECKING:
    from collections.abc import Iterator


def read(path: Path) -> list[dict[str, Any]]:
    """What is recorded, without a last line that was cut short."""
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def run(path: Path, n_problems: int, jobs: int, seed: int, minutes: float) -> None:
    """Judge what is missing in the file, until all is there or time is up."""
    seen = {entry["index"] for entry in read(path)}
    todo: Iterator[int] = (i for i in range(0, n_problems, CHUNK) if i + CHUNK - 1 not in seen)
    end, done = time.monotonic() + 60 * minutes, len(seen)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool, path.open("a") as file:
        running = {pool.submit(chunk, first, seed) for first in islice(todo, 2 * jobs)}
        while running:
            ready, running = wait(running, return_when=FIRST_COMPLETED)
            for future in ready:
                entries = future.result()
                file.write("".join(json.dumps(entry) + "\n" for entry in entries))
                file.flush()
                done += len(entries)
                if time.monotonic() < end and (first := next(todo, None)) is not None:
                    running.add(pool.submit(chunk, first, seed))
            print(f"\r{done} of {n_problems}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)


def main() -> int:
    """Run, then report; 1 if anything failed."""
    parser = argparse.ArgumentParser(prog="tests.adversary", description=__doc__)
    parser.add_argument("--problems", type=int, default=100_000)
    parser.add_argument("--jobs", type=int, default=2, help="processes (default 2)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=600.0, help="start nothing new afterwards")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder (default out)")
    parser.add_argument("--report", action="store_true", help="only of what is recorded")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / f"adversary-{arguments.seed}.jsonl"
    if not arguments.report:
        run(path, arguments.problems, arguments.jobs, arguments.seed, arguments.minutes)
    entries = read(path)
    text = tables(entries, arguments.seed)
    path.with_suffix(".txt").write_text(text + "\n")
    print(text)
    return 1 if any(map(failed, entries)) else 0


if __name__ == "__main__":
    sys.exit(main())
