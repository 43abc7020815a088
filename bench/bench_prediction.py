"""Claim: products with a Gram matrix run near the FMA peak, and what stands on them needs no N x N matrix.

1. K V at N = 65,536, d = 128 for 1 to 128 columns, in both precisions: N^2 d + 2 N^2 k flops over seconds over the FMA peak; at
   N = 16,384 beside torch by tiles on the same threads, and at 4,096 beside KeOps, where it is installed.
2. Ridge regression by the NTK at N = 100,000, d = 32, 10 outputs, to a residual of 1e-6, in a process of its own: seconds, memory.
3. Its test error beside two approximations by few rows, with as many of them as bring their error within a per cent: Falkon's
   equations on our products, and scikit-learn's Nystroem.
4. The same at N = 20,000 beside Cholesky's factorisation of the stored matrix in NumPy and SciPy, in a sixtieth of its memory.
5. Twenty leading eigenvalues at N = 100,000.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

import nc1fast as nc
from bench._session import Claim, Result
from bench._timing import interleave
from bench.competitors import UnavailableError
from bench.gram_products import keops_product, torch_product

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from bench._session import Session

    Array = NDArray[Any]

MIB = 2**20
N, D, COLUMNS = 65_536, 128, (1, 8, 32, 128)
N_TORCH, N_KEOPS, K_KEOPS = 16_384, 4096, 32
N_LARGE, N_DENSE, D_FEW, OUTPUTS = 100_000, 20_000, 32, 10
OF_PEAK, MINUTES, MEMORY, FASTER, SMALLER = 0.6, 15, 1024, 3.0, 1 / 50
NEAR, CENTRES = 1.01, (2048, 8192)  # of the test error; rows of an approximation

_TABLE = (
    *("case", "N", "d", "seconds", "of peak", "torch over ours", "KeOps over ours"),
    *("CPU seconds", "MiB", "steps", "residual", "test error"),
)

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
def memory(): return next(int(s.split()[1]) for s in open("/proc/self/status") if s.startswith("VmHWM")) * 1024
before, start, cpu = memory(), time.perf_counter(), time.process_time()
if case == "stored":
    from scipy.linalg import cho_factor, cho_solve
    K = kernel(X, n_threads=n_threads)
    K[np.diag_indices(n)] += ridge
    dual = cho_solve(cho_factor(K, overwrite_a=True, check_finite=False), Y, check_finite=False)
elif case == "spectrum":
    found = nc.spectrum(X, kernel, 20, n_threads=n_threads)
    answer = {"steps": found.products, "residual": float((found.residuals / found.eigenvalues).max())}
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
    """Measure products, then ridge regression and eigenvalues in processes of their own."""
    result = Result("prediction")
    for dtype in ("float64", "float32"):
        _products(session, result, dtype)
        _beside_keops(session, result, dtype)
    large, few = session.size(N_LARGE), session.size(N_DENSE)
    whole = _row(result, "ridge, cg", large, _fresh("ridge", large, session.n_threads))
    for rival in ("falkon", "nystroem"):
        _approximation(session, result, rival, whole["error"])
    stored = _row(result, "ridge, stored", few, _fresh("stored", few, session.n_threads))
    limit = SMALLER * 0.8 * 8 * few**2
    ours = _row(result, "ridge, cg", few, _fresh("ridge", few, session.n_threads, limit))
    found = _row(result, "20 eigenvalues", large, _fresh("spectrum", large, session.n_threads))
    share = ours["memory"] / stored["memory"]
    result.claims += [
        Claim(f"minutes, ridge, N = {large:,}", whole["seconds"] / 60, "<=", MINUTES),
        Claim(f"residual, ridge, N = {large:,}", whole["residual"], "<=", 1e-6),
        Claim(f"MiB, ridge, N = {large:,}", whole["memory"] / MIB, "<=", MEMORY),
        Claim(f"stored over cg, N = {few:,}", stored["seconds"] / ours["seconds"], ">=", FASTER),
        Claim(f"memory of cg over stored, N = {few:,}", share, "<=", SMALLER),
        Claim(f"minutes, 20 eigenvalues, N = {large:,}", found["seconds"] / 60, "<=", MINUTES),
    ]
    return result


def _products(session: Session, result: Result, dtype: str) -> None:
    """Rows of all numbers of columns: ours at many rows, and torch beside it at fewer."""
    n, few, random = session.size(N), session.size(N_TORCH), np.random.default_rng(0)
    X = random.normal(size=(n, D)).astype(dtype)
    kernel = partial(nc.NNGP("relu").matvec, dtype=dtype, n_threads=session.n_threads)
    for k in COLUMNS:
        V = random.normal(size=(n, k)).astype(dtype)
        kernel(X, V)
        samples = interleave({"nc1fast": _timed(partial(kernel, X, V))}, session.rounds(2))
        session.peak.measure()
        seconds = samples["nc1fast"].median
        share = (n * n * D + 2 * n * n * k) / seconds / 1e9 / session.peak.gflops(dtype)
        ratio = _beside(session, kernel, torch_product, X[:few], V[:few])
        row = {"case": f"product, {dtype}, k = {k}", "N": n, "d": D, "seconds": seconds}
        result.rows.append(_filled(row | {"of peak": share, "torch over ours": ratio}))
        if k == 32:
            claim = f"of the FMA peak, {dtype}, k = {k}, d = {D}"
            result.claims.append(Claim(claim, share, ">=", OF_PEAK))


def _beside_keops(session: Session, result: Result, dtype: str) -> None:
    """A row at fewer rows, where KeOps is installed."""
    n, random = session.size(N_KEOPS), np.random.default_rng(0)
    X = random.normal(size=(n, D)).astype(dtype)
    V = random.normal(size=(n, K_KEOPS)).astype(dtype)
    kernel = partial(nc.NNGP("relu").matvec, dtype=dtype, n_threads=session.n_threads)
    try:
        ratio = _beside(session, kernel, keops_product, X, V)
    except UnavailableError as reason:
        result.remarks.append(f"no row beside KeOps: {reason}")
        return
    row = {"case": f"product, {dtype}, k = {K_KEOPS}", "N": n, "d": D, "KeOps over ours": ratio}
    result.rows.append(_filled(row))


def _beside(session: Session, ours: Any, rival: Any, X: Array, V: Array) -> float:
    """The rival's seconds over ours for one product, once both have given the same numbers."""
    theirs, call = rival(X, V, session.n_threads), partial(ours, X, V)
    expected, found = theirs(), call()
    tolerance = 1e-9 if X.dtype == np.float64 else 1e-3
    assert np.abs(found - expected).max() <= tolerance * np.abs(found).max(), rival
    samples = interleave({"ours": _timed(call), "theirs": _timed(theirs)}, session.rounds(2))
    return samples["theirs"].ratio_to(samples["ours"]).median


def _approximation(session: Session, result: Result, rival: str, near: float) -> None:
    """The rows of an approximation, with ever more centres until its test error is near."""
    n = session.size(N_LARGE)
    for centres in CENTRES:
        try:
            took = _fresh(rival, n, session.n_threads, min(centres, n // 4))
        except subprocess.CalledProcessError as error:  # a rival's crash
            result.remarks.append(f"{rival} with {centres:,} centres: status {error.returncode}")
            return
        _row(result, f"{rival}, {centres:,} centres", n, took)
        if took["error"] <= NEAR * near:
            return


def _timed(work: Callable[[], object]) -> Callable[[], float]:
    """The same work, giving its seconds."""

    def seconds() -> float:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    return seconds


def _fresh(case: str, n: int, n_threads: int, *more: float) -> dict[str, float]:
    """The numbers that the program prints in a process of its own."""
    command = [sys.executable, "-c", _PROGRAM, case, *map(str, (n, n_threads, *more))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def _row(result: Result, case: str, n: int, took: dict[str, float]) -> dict[str, float]:
    """Add the row of a process; returns its numbers."""
    row = {
        "case": case,
        "N": n,
        "d": D_FEW,
        "seconds": took["seconds"],
        "CPU seconds": took["cpu"],
        "MiB": took["memory"] / MIB,
        "steps": took.get("steps"),
        "residual": took.get("residual"),
        "test error": took.get("error"),
    }
    result.rows.append(_filled(row))
    return took


def _filled(row: dict[str, Any]) -> dict[str, Any]:
    """A row with all columns of the table."""
    return {name: row.get(name) for name in _TABLE}
