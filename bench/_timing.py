"""Timing: interleaved rounds, paired ratios, the machine's own peak, and the stamp of a result."""

from __future__ import annotations

import json
import os
import platform
import shutil
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench._worker import FORCED_BLAS, ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

RESULTS = Path(__file__).resolve().parent / "results"
PAUSE = 0.05  # seconds between runs: thread pools of the run before stop spinning


@dataclass(frozen=True)
class Samples:
    """Seconds of repeated runs, in the order of the rounds."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """Median of the seconds of all rounds."""
        return statistics.median(self.values)

    def as_dict(self) -> dict[str, Any]:
        """Median, range and all values, for JSON."""
        return {
            "median": self.median,
            "min": min(self.values),
            "max": max(self.values),
            "values": list(self.values),
        }

    def ratio_to(self, other: Samples) -> Samples:
        """Ratios to other timings round by round, of runs that followed each other."""
        return Samples(tuple(a / b for a, b in zip(self.values, other.values, strict=True)))

    def __str__(self) -> str:
        return f"{self.median:.4g} ({min(self.values):.4g}..{max(self.values):.4g})"


def repeat(run: Callable[[], float], rounds: int = 5) -> Samples:
    """Timings of `rounds` runs in a row; `run` returns its own seconds."""
    values = []
    for _ in range(rounds):
        time.sleep(PAUSE)
        values.append(run())
    return Samples(tuple(values))


def interleave(runs: Mapping[str, Callable[[], float]], rounds: int = 6) -> dict[str, Samples]:
    """Run all of them in each round, forwards and backwards in turn.

    Parameters
    ----------
    runs : mapping of str to callable
        Each returns its own seconds.
    rounds : int, default 6
        Even: an odd count would leave the first one a position ahead.

    Raises
    ------
    ValueError
        If `rounds` is odd or below 2.
    """
    if rounds < 2 or rounds % 2:
        raise ValueError(f"rounds must be even and at least 2, got {rounds}")
    values: dict[str, list[float]] = {name: [] for name in runs}
    names = list(runs)
    for k in range(rounds):
        for name in names if k % 2 == 0 else reversed(names):
            time.sleep(PAUSE)
            values[name].append(runs[name]())
    return {name: Samples(tuple(v)) for name, v in values.items()}


@dataclass
class Peak:
    """The FMA peak and the core clock of this machine, measured again whenever asked; the best
    reading counts.
    """

    n_threads: int
    readings: list[dict[str, Any]] = field(default_factory=list)
    _program: tempfile.TemporaryDirectory[str] | None = None

    def measure(self) -> None:
        """Take one more reading (about 3 s); the first compiles the program."""
        if self._program is None:
            self._program = compile_peak_program()
        program = Path(self._program.name) / "fma_peak"
        text = subprocess.run(
            [program, str(self.n_threads)], check=True, capture_output=True, text=True
        ).stdout
        self.readings.append(json.loads(text))

    def gflops(self, dtype: str) -> float:
        """Peak of fused multiply-adds on all threads, in GFLOP/s."""
        return float(max(reading["gflops"][dtype] for reading in self.readings))

    @property
    def ghz(self) -> float:
        """Clock of a core in GHz."""
        return float(max(reading["ghz"] for reading in self.readings))

    @property
    def scaling(self) -> float:
        """Speed of all threads over one thread times their number: below 0.95, others use the
        machine.
        """
        ratios = [
            reading["gflops"][dtype] / (self.n_threads * reading["gflops_one_thread"][dtype])
            for reading in self.readings
            for dtype in ("float32", "float64")
        ]
        return float(max(ratios))

    def as_dict(self) -> dict[str, Any]:
        """The best values and all readings, for JSON."""
        return {
            "threads": self.n_threads,
            "gflops": {dtype: self.gflops(dtype) for dtype in ("float32", "float64")},
            "ghz": self.ghz,
            "scaling": self.scaling,
            "readings": self.readings,
        }


def compile_peak_program() -> tempfile.TemporaryDirectory[str]:
    """Compile fma_peak.cpp with the system's compiler into a folder that vanishes with the returned
    object.

    Raises
    ------
    RuntimeError
        If no C++ compiler is found.
    """
    compiler = (
        os.environ.get("CXX")
        or shutil.which("g++")
        or shutil.which("clang++")
        or shutil.which("c++")
    )
    if not compiler:
        raise RuntimeError("the FMA peak needs a C++ compiler (g++, clang++ or CXX)")
    folder = tempfile.TemporaryDirectory(prefix="bench-peak-")
    source = Path(__file__).resolve().with_name("fma_peak.cpp")
    flags = ["-O3", "-march=native", "-std=c++17", "-pthread"]
    subprocess.run([compiler, *flags, source, "-o", Path(folder.name) / "fma_peak"], check=True)
    return folder


def environment(n_threads: int) -> dict[str, Any]:
    """Stamp of a result: date, machine, versions of software, settings."""
    stamp: dict[str, Any] = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "threads": n_threads,
        "load_average": os.getloadavg()[0],
        "python": platform.python_version(),
        "commit": _commit(),
        "variables": {
            name: os.environ[name]
            for name in (*FORCED_BLAS, "NC1FAST_ISA", "NC1FAST_NUM_THREADS", "OMP_NUM_THREADS")
            if name in os.environ
        },
    }
    stamp.update(_processor())
    return stamp


def _processor() -> dict[str, Any]:
    cpuinfo = Path("/proc/cpuinfo")
    fields: dict[str, str] = {}
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            fields.setdefault(name.strip(), value.strip())
    flags = set(fields.get("flags", "").split())
    return {
        "cpu": fields.get("model name", platform.processor() or "unknown"),
        "cpu_family_model": f"{fields.get('cpu family', '?')}/{fields.get('model', '?')}",
        "cpu_isa": [isa for isa in ("avx2", "fma", "avx512f", "amx_tile") if isa in flags],
    }


def _commit() -> str:
    git = shutil.which("git")
    if not git or not (ROOT / ".git").exists():
        return "unknown"
    run = subprocess.run(
        [git, "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12"],
        capture_output=True,
        text=True,
        check=False,
    )
    return run.stdout.strip() or "unknown"


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a result; the folder is made if it is not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Format rows with the same keys as text: a header, and columns as wide as they need."""
    if not rows:
        return "(no rows)"
    header = list(rows[0])
    cells = [header, *([_cell(row.get(name)) for name in header] for row in rows)]
    widths = [max(len(line[k]) for line in cells) for k in range(len(header))]
    lines = [
        "  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip()
        for line in cells
    ]
    return "\n".join([lines[0], "  ".join("-" * w for w in widths), *lines[1:]])


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
