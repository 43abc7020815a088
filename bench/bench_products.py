"""Claim: products with a Gram matrix run near the FMA peak.

K V at N = 65,536, d = 128 for 1 to 128 columns, in both precisions: N^2 d + 2 N^2 k flops over
seconds over the FMA peak; at N = 16,384 beside torch by tiles on the same threads, and at 4,096
beside KeOps, where it is installed.
"""

from __future__ import annotations

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

N, D, COLUMNS = 65_536, 128, (1, 8, 32, 128)
N_TORCH, N_KEOPS, K_KEOPS = 16_384, 4096, 32
OF_PEAK = 0.6

_TABLE = ("case", "N", "d", "seconds", "of peak", "torch over ours", "KeOps over ours")


def run(session: Session) -> Result:
    """Measure products in both precisions."""
    result = Result("products")
    for dtype in ("float64", "float32"):
        _products(session, result, dtype)
        _beside_keops(session, result, dtype)
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


def _timed(work: Callable[[], object]) -> Callable[[], float]:
    """The same work, giving its seconds."""

    def seconds() -> float:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    return seconds


def _filled(row: dict[str, Any]) -> dict[str, Any]:
    """A row with all columns of the table."""
    return {name: row.get(name) for name in _TABLE}
