"""Damaged files, as a program of its own with little memory: python -m tests.damage FLIPS [KIND
...].

For each kind of file that is read, a small one is made, and again and again one of its bits is
flipped, or its end is cut off. What comes of reading it is one of OUTCOMES. Each line of the output
is a JSON object, a kind and the counts.
"""

from __future__ import annotations

import json
import signal
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from tests.damage_kinds import KINDS, Kind

ROOM = 1 << 30  # bytes of address space beyond what a process has when everything is imported
SECONDS = 20  # that reading a file of a few kilobytes may take
CUTS = 10  # one for so many flips
OUTCOMES = ("refused", "unchanged", "done again", "other content", "wrong")


def _damaged(content: bytes, rng: np.random.Generator, cut: bool) -> bytes:
    at = int(rng.integers(len(content)))
    if cut:
        return content[:at]
    return content[:at] + bytes([content[at] ^ (1 << int(rng.integers(8)))]) + content[at + 1 :]


def _outcome(kind: Kind, path: Path, expected: Any) -> tuple[str, str]:
    """What comes of reading a damaged file, and what is wrong with that."""
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = kind.read(path)
    except (ValueError, TypeError, OSError) as error:
        told = str(error)
        named = str(path.parent) in told or told.startswith(("X ", "y "))
        if type(error) not in (ValueError, TypeError) and not isinstance(error, OSError):
            return "wrong", f"raw {type(error).__name__}: {told}"
        return ("refused", "") if named and "\n" not in told else ("wrong", f"unclear: {told!r}")
    except BaseException as error:  # noqa: BLE001  (it is counted)
        return "wrong", f"{type(error).__name__}: {error}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    if found != expected:
        return "other content", ""
    again = any("damaged" in str(one.message) for one in caught)
    return ("done again" if again else "unchanged"), ""


def fuzz(name: str, flips: int, folder: Path) -> dict[str, Any]:
    """Counts of outcomes of so many flips and a tenth as many cuts, and examples of errors."""
    kind = KINDS[name]
    path = kind.make(folder)
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    whole = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    expected = kind.read(path)
    if kind.read(path) != expected:
        raise AssertionError(f"{name} is not read the same way twice")
    told: dict[str, Any] = {"kind": name, **dict.fromkeys(OUTCOMES, 0), "examples": []}
    weights = np.array([len(whole[file]) for file in files], dtype=float)
    for index in range(flips + flips // CUTS):
        rng = np.random.default_rng([list(KINDS).index(name), index])
        file = files[rng.choice(len(files), p=weights / weights.sum())]
        file.write_bytes(_damaged(whole[file], rng, index >= flips))
        outcome, why = _outcome(kind, path, expected)
        told[outcome] += 1
        if why:
            told["examples"].append(f"{index}: {why}"[:300])
        for one, content in whole.items():
            if not one.exists() or one.read_bytes() != content:
                one.write_bytes(content)
    return told


def _hang(*_: Any) -> None:
    raise TimeoutError("hangs")


def main(flips: int, names: list[str]) -> None:
    """Run it."""
    signal.signal(signal.SIGALRM, _hang)
    with tempfile.TemporaryDirectory() as folder:
        for name in names:  # once without a limit: threads and pools are made
            (warm := Path(folder) / f"warm {name}".replace("/", "-")).mkdir()
            fuzz(name, 1, warm)
        import resource  # of this branch alone: Linux

        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + ROOM, resource.RLIM_INFINITY))
        for name in names:
            (own := Path(folder) / name.replace("/", "-")).mkdir()
            print(json.dumps(fuzz(name, flips, own)), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:] or [name for name, kind in KINDS.items() if kind.readable])
