"""Claim: what stands on products with a Gram matrix needs no N x N matrix.

1. Ridge regression by the NTK at N = 100,000, d = 32, 10 outputs, to a residual of 1e-6, in a
   process of its own: seconds, memory.
2. Its test error beside two approximations by few rows, with as many of them as bring their error
   within a per cent: Falkon's equations on our products, and scikit-learn's Nystroem.
3. The same at N = 20,000 beside NumPy's Cholesky factorisation of the stored matrix, on one thread
   (seconds of the processor decide), in a sixtieth of its memory.
4. Twenty leading eigenvalues at N = 100,000.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from bench._session import Claim, Result

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bench._session import Session

    Array = NDArray[Any]

MIB = 2**20
N_LARGE, N_DENSE, D_FEW, OUTPUTS = 100_000, 20_000, 32, 10
MINUTES, MEMORY, FASTER, SMALLER = 15, 1024, 3.0, 1 / 50
NEAR, CENTRES = 1.01, (2048, 8192)  # of the test error; rows of an approximation

_TABLE = ("case", "N", "d", "seconds", "CPU seconds", "MiB", "steps", "residual", "test error")

# Program of a fresh process: the call of a user, and its seconds, memory and error at new rows.
_PROGRAM = """
import json, sys, time
import numpy as np
import nc1fast as nc
from bench import nystrom
case, n, n_threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
d, k, ridge = %d, %d, 0.1
random = np.random.default_rng(0)
X, W = random.normal(size=(n, d)), random.normal(size=(d, k))
Z = random.normal(size=(2000, d))
Y, truth = (np.eye(k)[np.abs(rows @ W).argmax(axis=1)] for rows in (X, Z))
kernel, answer, mean = nc.NTK("relu"), {}, None
def memory():
    lines = open("/proc/self/status")
    return next(int(s.split()[1]) for s in lines if s.startswith("VmHWM")) * 1024
before, start, cpu = memory(), time.perf_counter(), time.process_time()
if case == "stored":
    from scipy.linalg import solve_triangular
    from threadpoolctl import threadpool_limits
    with threadpool_limits(1):  # OpenBLAS 0.3.30 crashes at this size with more threads
        K = kernel(X, n_threads=n_threads)
        K[np.diag_indices(n)] += ridge
        L = np.linalg.cholesky(K)
        half = solve_triangular(L, Y, lower=True, check_finite=False)
        dual = solve_triangular(L, half, lower=True, trans=1, check_finite=False)
elif case == "spectrum":
    found = nc.spectrum(X, kernel, 20, n_threads=n_threads)
    residual = float((found.residuals / found.eigenvalues).max())
    answer = {"steps": found.products, "residual": residual}
elif case == "ridge":
    limit = float(sys.argv[4]) if sys.argv[4:] else None
    settings = {"ridge": ridge, "solver": "cg", "memory_limit": limit, "n_threads": n_threads}
    found = nc.prediction.ridge(kernel, X, Y, Z, **settings)
    answer, mean = {"steps": found.iterations, "residual": found.residual}, found.mean
else:
    mean = getattr(nystrom, case)(kernel, X, Y, Z, ridge, int(sys.argv[4]), n_threads)
seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
error = {} if mean is None else {"error": float(np.square(mean - truth).mean())}
print(json.dumps({"seconds": seconds, "cpu": cpu, "memory": memory() - before, **answer, **error}))
""" % (D_FEW, OUTPUTS)  # noqa: UP031  (braces of the program)


def run(session: Session) -> Result:
    """Measure each in a process of its own."""
    result = Result("prediction")
    large, few, limit = session.size(N_LARGE), session.size(N_DENSE), 0.8 * SMALLER * 16
    found = _row(session, result, "spectrum", large)
    stored = _row(session, result, "stored", few)
    ours = _row(session, result, "ridge", few, limit * few**2)
    whole = _row(session, result, "ridge", large)
    if stored and ours:
        faster, share = stored["cpu"] / ours["cpu"], ours["memory"] / stored["memory"]
        result.claims += [
            Claim(f"CPU seconds, stored over cg, N = {few:,}", faster, ">=", FASTER),
            Claim(f"memory of cg over stored, N = {few:,}", share, "<=", SMALLER),
        ]
    if whole:
        result.claims += [
            Claim(f"minutes, ridge, N = {large:,}", whole["seconds"] / 60, "<=", MINUTES),
            Claim(f"residual, ridge, N = {large:,}", whole["residual"], "<=", 1e-6),
            Claim(f"MiB, ridge, N = {large:,}", whole["memory"] / MIB, "<=", MEMORY),
        ]
        for rival in ("falkon", "nystroem"):
            _approximation(session, result, rival, whole["error"])
    if found:
        minutes = found["seconds"] / 60
        result.claims.append(
            Claim(f"minutes, 20 eigenvalues, N = {large:,}", minutes, "<=", MINUTES)
        )
    return result


def _approximation(session: Session, result: Result, rival: str, near: float) -> None:
    """The rows of an approximation, with ever more centres until its test error is near."""
    n = session.size(N_LARGE)
    for centres in CENTRES:
        took = _row(session, result, rival, n, min(centres, n // 4))
        if took is None or took["error"] <= NEAR * near:
            return


def _row(
    session: Session, result: Result, case: str, n: int, *more: float
) -> dict[str, float] | None:
    """Run the program in a process of its own and add its row; returns its numbers, or None where
    it crashes.
    """
    command = [sys.executable, "-c", _PROGRAM, case, *map(str, (n, session.n_threads, *more))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    name = case if case in ("ridge", "stored", "spectrum") else f"{case}, {more[0]:,} centres"
    if done.returncode:
        result.remarks.append(f"{name}, N = {n:,}: ended with status {done.returncode}")
        return None
    took: dict[str, float] = json.loads(done.stdout)
    row = {
        "case": name,
        "N": n,
        "d": D_FEW,
        "seconds": took["seconds"],
        "CPU seconds": took["cpu"],
        "MiB": took["memory"] / MIB,
        "steps": took.get("steps"),
        "residual": took.get("residual"),
        "test error": took.get("error"),
    }
    print(row, file=sys.stderr, flush=True)
    result.rows.append(_filled(row))
    return took


def _filled(row: dict[str, Any]) -> dict[str, Any]:
    """A row with all columns of the table."""
    return {name: row.get(name) for name in _TABLE}
