"""Claim: random features estimate NC1 to a percent from a thousand hidden units, at any depth, and
of rows that stay on disk.

1. Depth 2: relative rms error of 1,024 stratified units over 100 seeds, on the published data (N =
   256, d = 128).
2. Depth 3 and 4: 8,192 features of an NTK or NNGP kernel against its Gram matrix and its NC1; four
   classes, N = 1,200, d = 128.
3. A file of two million float32 rows, under a memory limit, in a process of its own: seconds, CPU
   seconds and peak resident memory; and an interval that holds the exact NC1 of 100,000 of the
   rows.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import nc1fast as nc
from bench._session import Claim, Result

if TYPE_CHECKING:
    from bench._session import Session

MIB = 2**20
SEEDS, SEEDS_DEEP = 100, 5
UNITS, UNITS_DEEP = 1024, 8192
RMS, GRAM, DEEP = 0.01, 0.06, 0.03
N, D, CLASSES, SUBSET = 2_000_000, 64, 10, 100_000
LIMIT, SLACK, SECONDS = 256 * MIB, 150 * MIB, 60

# Program of a fresh process: the call of a user, and its seconds and memory.
_PROGRAM = """
import json, resource, sys, time
import nc1fast as nc
X, y, kernel, n_threads = sys.argv[1:]
start, before = time.perf_counter(), time.process_time()
result = nc.collapse(X, y, getattr(nc, kernel)("relu"), method="features", memory_limit=%d,
    dtype="float32",
                     n_threads=int(n_threads), convention="papyan")
seconds, cpu = time.perf_counter() - start, time.process_time() - before
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({"nc1": result.nc1, "interval": result.interval, "reason": result.reason,
    "seconds": seconds,
                  "cpu": cpu, "peak": peak * 1024}))
"""


def run(session: Session) -> Result:
    """Measure errors at depth 2, at larger depths, and rows on disk."""
    result = Result("estimators")
    _errors(session, result)
    _deep(session, result)
    with tempfile.TemporaryDirectory(prefix="nc1fast-bench-") as folder:
        _on_disk(session, result, Path(folder))
    return result


def _errors(session: Session, result: Result) -> None:
    X, y = nc.datasets.paper_d1(256, 128, seed=0)
    seeds = range(4 if session.quick else SEEDS)
    for kernel in (nc.NNGP("relu"), nc.NTK("relu"), nc.NNGP("erf"), nc.NTK("erf")):
        exact = nc.collapse(X, y, kernel).nc1
        errors = [
            nc.estimators.features(X, y, kernel, n_units=UNITS, seed=s).nc1 / exact - 1
            for s in seeds
        ]
        rms = float(np.sqrt(np.mean(np.square(errors))))
        name = f"{type(kernel).__name__} {kernel.activation}"
        result.rows.append(_row(f"{name}, depth 2", len(X), 128, error=rms))
        result.claims.append(
            Claim(f"relative rms of {UNITS:,} units, D1, d = 128, {name}", rms, "<=", RMS)
        )


def _deep(session: Session, result: Result) -> None:
    X, y = nc.datasets.gaussian_mixture(
        means=(-6, -2, 2, 6), stds=0.5, sizes=(300,) * 4, n_features=128, seed=0
    )
    seeds = range(1 if session.quick else SEEDS_DEEP)
    for kernel in (nc.NTK("relu", 3), nc.NNGP("relu", 3), nc.NTK("relu", 4)):
        exact, K = nc.collapse(X, y, kernel).nc1, kernel(X)
        gram, explicit, streamed = [], [], []
        for seed in seeds:
            H = nc.estimators.ntk_features(X, kernel, UNITS_DEEP, seed)
            gram.append(float(np.linalg.norm(H @ H.T - K) / np.linalg.norm(K)))
            explicit.append(abs(nc.collapse(H, y).nc1 / exact - 1))
            found = nc.estimators.features(X, y, kernel, n_units=UNITS_DEEP, seed=seed)
            streamed.append(abs(found.nc1 / exact - 1))
        name = f"{type(kernel).__name__} relu, depth {kernel.depth}"
        result.rows.append(_row(name, len(X), 128, error=max(streamed), gram=max(gram)))
        result.claims += [
            Claim(f"Gram matrix, {UNITS_DEEP:,} features, {name}", max(gram), "<=", GRAM),
            Claim(f"nc1, {UNITS_DEEP:,} features, {name}", max(explicit), "<=", DEEP),
            Claim(f"nc1, {UNITS_DEEP:,} units in a pass, {name}", max(streamed), "<=", DEEP),
        ]


def _on_disk(session: Session, result: Result, folder: Path) -> None:
    n, few = (20_000, 5_000) if session.quick else (N, SUBSET)
    whole = _written(folder / "whole", n)
    part = folder / "part.npy", folder / "part-labels.npy"
    for source, target in zip(whole, part, strict=True):
        np.save(target, np.load(source, mmap_mode="r")[:few])
    for name in ("NNGP", "NTK"):
        took = _fresh(whole, name, session.n_threads)
        result.rows.append(_row(f"{name} relu, a file", n, D, took=took))
        low, high = _fresh(part, name, session.n_threads)["interval"]
        kernel = getattr(nc, name)("relu")
        X, y = map(str, part)
        exact = nc.collapse(X, y, kernel, statistics="sums", convention="papyan").nc1
        off = abs(exact - (low + high) / 2) / ((high - low) / 2)
        case = f"{name} relu, {n:,} x {D} float32"
        result.claims += [
            Claim(f"seconds, {case}", took["seconds"], "<=", SECONDS),
            Claim(f"MiB at the peak, {case}", took["peak"] / MIB, "<=", (LIMIT + SLACK) / MIB),
            Claim(f"error in half widths of the interval, {few:,} rows, {name}", off, "<=", 1),
        ]
        result.details[name] = took


def _row(
    case: str,
    n: int,
    d: int,
    *,
    error: float | None = None,
    gram: float | None = None,
    took: dict[str, float] | None = None,
) -> dict[str, Any]:
    """Errors are rms at depth 2, and the largest of all seeds beyond."""
    took = took or {}
    return {
        "case": case,
        "N": n,
        "d": d,
        "error of nc1": error,
        "of the Gram matrix": gram,
        "seconds": took.get("seconds"),
        "CPU seconds": took.get("cpu"),
        "MiB at the peak": took["peak"] / MIB if took else None,
    }


def _written(path: Path, n: int) -> tuple[Path, Path]:
    """Files of a mixture in random order, and of its labels, a few rows at a time."""
    rng = np.random.default_rng(0)
    means = rng.normal(size=(CLASSES, D))
    y = rng.permutation(np.arange(n, dtype=np.int32) % CLASSES)
    files = path.with_suffix(".npy"), path.with_name(f"{path.name}-labels.npy")
    np.save(files[1], y)
    with files[0].open("wb") as file:
        head = {"descr": "<f4", "fortran_order": False, "shape": (n, D)}
        np.lib.format.write_array_header_1_0(file, head)
        for start in range(0, n, 1 << 16):
            labels = y[start : start + (1 << 16)]
            rows = means[labels] + rng.normal(size=(len(labels), D))
            file.write(rows.astype("<f4").tobytes())
    return files


def _fresh(files: tuple[Path, Path], kernel: str, n_threads: int) -> dict[str, Any]:
    """Answer, seconds and memory of the call in a process of its own."""
    arguments = [sys.executable, "-c", _PROGRAM % LIMIT, *map(str, files), kernel, str(n_threads)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found
