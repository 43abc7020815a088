"""The long run: ``python -m tests.fuzz [READER ...] [--minutes 1] [--files N] [--seed 0] [--first
0] [--out out/fuzz]``.

Each reader gets so many minutes, or so many files. What is wrong is printed and its files are kept;
a run of the same seed and number gives the same files: ``--first 4711 --files 1`` is one of them.
The end is a table: files a second, outcomes, messages, and the largest share of the memory that
reading may take.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.fuzz.judging import OUTCOMES, Case
from tests.fuzz.targets import TARGETS

ROOT = Path(__file__).parents[2]
# Files in memory, where the system has such a folder: two to three times as many a second as on a
# disk.
_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
_EVER = 10**9
_GRACE = 300  # seconds beyond its limit after which a process is taken for hung


def run(name: str, seed: int, first: int, count: int, seconds: float) -> dict[str, Any]:
    """Counts, messages and all that is wrong with one reader; a process that dies is wrong, and
    another goes on.
    """
    total: dict[str, Any] = {"counts": dict.fromkeys(OUTCOMES, 0), "seen": {}, "wrong": []}
    total |= {"seconds": 0.0, "largest": 0.0}
    end = first + count
    while first < end and total["seconds"] < seconds:
        with tempfile.TemporaryDirectory(dir=_MEMORY) as folder:
            program = [sys.executable, "-m", "tests.fuzz.working", name]
            given = [str(v) for v in (seed, first, end - first, seconds - total["seconds"], folder)]
            try:
                found = subprocess.run(
                    program + given,
                    cwd=ROOT,
                    env={**os.environ, "TMPDIR": folder},
                    capture_output=True,
                    text=True,
                    timeout=seconds + _GRACE,
                    check=False,
                )
                code, out, err = found.returncode, found.stdout, found.stderr
            except subprocess.TimeoutExpired as late:
                code, out, err = -1, (late.stdout or b"").decode(), "hangs"
            at = Path(folder) / "at"
            index = int(at.read_text()) if at.exists() else None
        lines = [json.loads(line) for line in out.splitlines()]
        total["wrong"] += [line for line in lines if line.get("outcome") == "wrong"]
        for last in [line for line in lines if "counts" in line][-1:]:
            total["seconds"] += last["seconds"]
            total["largest"] = max(total["largest"], last["largest"])
            for part in ("counts", "seen"):
                for key, n in last[part].items():
                    total[part][key] = total[part].get(key, 0) + n
        if code == 0:
            break
        if index is None:
            raise RuntimeError(f"{name} cannot be read as it is: {err[-2000:]}")
        told = f"ended with {code}: {err.strip()[-400:]}"
        total["wrong"].append({"index": index, "outcome": "wrong", "told": told})
        total["counts"]["wrong"] += 1
        total["seconds"] += 1.0  # a process that dies takes a moment, too
        first = index + 1
    return total


def keep(name: str, seed: int, index: int, out: Path) -> Path:
    """Write the file of one number, and return its folder."""
    kept = out / f"{name}-{seed}-{index}"
    kept.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        case = Case(name, Path(folder))
        (kept / case.path.name).write_bytes(case.change(index, seed))
    return kept


def main() -> int:
    """Run every reader that is asked for; 1 if anything is wrong."""
    parser = argparse.ArgumentParser(prog="tests.fuzz", description=__doc__)
    parser.add_argument("readers", nargs="*", help=f"default all: {', '.join(TARGETS)}")
    parser.add_argument("--minutes", type=float, default=1.0, help="for each reader (default 1)")
    parser.add_argument("--files", type=int, default=_EVER, help="for each reader at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first file")
    parser.add_argument("--out", type=Path, default=Path("out/fuzz"), help="of what is wrong")
    parser.add_argument("--messages", action="store_true", help="list every message")
    given = parser.parse_args()
    if unknown := set(given.readers) - set(TARGETS):
        parser.error(f"no reader {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    wrong = 0
    for name in given.readers or TARGETS:
        if not TARGETS[name].readable:
            print(f"{name}: needs {', '.join(TARGETS[name].needs)}")
            continue
        found = run(name, given.seed, given.first, given.files, 60 * given.minutes)
        n = sum(found["counts"].values())
        counts = ", ".join(f"{count} {what}" for what, count in found["counts"].items() if count)
        rate = n / max(found["seconds"], 1e-9)
        print(
            f"{name}: {n} files, {rate:.0f} a second, {len(found['seen'])} messages: {counts}; "
            f"{found['largest']:.0%} of the memory allowed",
            flush=True,
        )
        if given.messages:
            for key, count in sorted(found["seen"].items(), key=lambda item: -item[1]):
                print(f"    {count:7d}  {key}")
        for one in found["wrong"]:
            kept = keep(name, given.seed, one["index"], given.out)
            print(f"    wrong {one['index']}: {one['told']}\n      {kept}", flush=True)
        wrong += len(found["wrong"])
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
