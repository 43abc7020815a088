"""Verdicts on many problems, one line of JSON each, in a file that can be gone on with."""

from __future__ import annotations

import json
import multiprocessing
import sys
import time
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from itertools import islice
from typing import TYPE_CHECKING, Any

from tests.adversary import verdict
from tests.adversary.drawing import problem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHUNK = 100  # problems per task
GRAM = 4  # of so many problems one has its Gram matrix looked at


def record(index: int, seed: int) -> dict[str, Any]:
    """The verdict on one problem, with what the tables sort by."""
    case = problem(index, seed)
    kernel = case.kernel_object()
    return {
        "index": index,
        "family": case.family,
        "kernel": type(case.kernel).__name__,
        "activation": str(getattr(kernel, "activation", "")),
        "depth": getattr(kernel, "depth", 0),
        "dtype": case.dtype,
        "convention": case.convention,
        **verdict.judge(case, gram=index % GRAM == 0).as_dict(),
    }


def chunk(first: int, seed: int) -> list[dict[str, Any]]:
    return [record(index, seed) for index in range(first, first + CHUNK)]


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
