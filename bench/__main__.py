"""Run the benchmarks: ``python -m bench [--quick] [--only speed,peers] [--threads 2] [--out
FOLDER]``.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from pathlib import Path

from bench._session import Session
from bench._timing import RESULTS, environment

NAMES = (
    "import",
    "speed",
    "each",
    "peers",
    "sharing",
    "memory",
    "disk",
    "cluster",
    "accuracy",
    "sklearn",
    "shortcuts",
    "classes",
    "probe",
    "adaptive",
    "networks",
    "langevin",
    "mean_field",
    "estimators",
    "products",
    "prediction",
    "coverage",
)


def main() -> int:
    """Run what the command line asks for; 1 if answers disagree or, with --strict, a claim does not
    hold.
    """
    parser = argparse.ArgumentParser(
        prog="bench", description="Benchmarks of nc1fast, one per claim."
    )
    parser.add_argument(
        "--only", default=",".join(NAMES), help=f"comma-separated, of {', '.join(NAMES)}"
    )
    parser.add_argument(
        "--quick", action="store_true", help="small sizes: shows that everything runs"
    )
    parser.add_argument(
        "--threads", type=int, default=2, help="threads of all programs (default 2)"
    )
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON files")
    parser.add_argument("--strict", action="store_true", help="status 1 if a claim does not hold")
    arguments = parser.parse_args()
    names = [name.strip() for name in arguments.only.split(",")]
    if unknown := sorted(set(names) - set(NAMES)):
        parser.error(f"--only knows {', '.join(NAMES)}, not {', '.join(unknown)}")
    if arguments.threads < 1:
        parser.error("--threads must be at least 1")

    session = Session(arguments.threads, quick=arguments.quick)
    stamp = environment(arguments.threads)
    print(*(f"{key}: {value}" for key, value in stamp.items()), "", sep="\n", flush=True)
    missed = []
    for name in names:
        start = time.perf_counter()
        try:
            result = importlib.import_module(f"bench.bench_{name}").run(session)
        except AssertionError as error:
            print(f"== {name}: answers disagree, nothing was timed: {error}", file=sys.stderr)
            return 1
        path = result.write(arguments.out, session)
        print(result.text(), flush=True)
        print(f"({time.perf_counter() - start:.0f} s; {path})\n", flush=True)
        missed += [claim.text for claim in result.claims if not claim.holds]
    if session.quick:
        print("a quick run: its numbers mean nothing")
    elif missed:
        print("claims that do not hold here:", *missed, sep="\n  ")
    return 1 if missed and arguments.strict else 0


if __name__ == "__main__":
    sys.exit(main())
