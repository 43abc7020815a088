"""Claim: the whole call runs near the machine's fused multiply-add peak.

Whole ``nc.collapse(X, y, nc.NNGP("relu"), statistics="sums")`` calls, C = 10, rows in the precision
of the tiles, median of 5 (one beyond N = 65,536). Beside them the products of rows alone, as torch
computes them: no kernel, no sums.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from bench._problem import Problem, require_agreement
from bench._session import Claim, Result
from bench._timing import Samples, repeat
from bench._worker import Worker
from bench.torch_products import gflops

if TYPE_CHECKING:
    from bench._session import Session

KERNEL = "nngp-relu"
CASES = ((65536, 2), (65536, 32), (65536, 128), (65536, 784), (131072, 128))
# Milliseconds of calls whose overhead matters, by N: single calls, so that caches are cold.
SMALL = {128: 2.0, 1024: 3.0}
CHECKED = 4096  # answers are compared with the dense program at this N

FRACTION_TARGETS = {
    ("float32", 128): 0.66,
    ("float64", 128): 0.58,
    ("float32", 784): 0.70,
    ("float64", 784): 0.60,
}
CYCLE_TARGETS = {"float32": 1.2, "float64": 3.5}  # core cycles per pair at d = 2


def run(session: Session) -> Result:
    """Measure the whole call at all sizes and precisions."""
    result = Result("speed")
    session.peak.measure()
    for n_samples, n_features in CASES:
        n = session.size(n_samples)
        _check(session, n_features)
        problems = {dtype: Problem(n, n_features, dtype=dtype) for dtype in ("float32", "float64")}
        with Worker(session.n_threads, competitor=False) as worker:
            for dtype, problem in problems.items():
                worker.prepare(dtype, "nc1fast", problem, kernels=[KERNEL])
            answers = {dtype: worker.run(dtype)[1] for dtype in ("float64", "float32")}
            require_agreement(answers, "float32")
            for dtype, problem in problems.items():
                samples = repeat(
                    worker.timer(dtype), session.rounds(5 if n_samples <= 65536 else 1)
                )
                session.peak.measure()
                _add(result, session, problem, samples)
            result.details["environment"] = worker.environment()
    _small(result, session)
    _beside_products(result, session)
    _finish(result, session)
    return result


def _check(session: Session, n_features: int) -> None:
    with Worker(session.n_threads, competitor=False) as fast, Worker(session.n_threads) as dense:
        for dtype in ("float32", "float64"):
            problem = Problem(min(CHECKED, session.size(CHECKED)), n_features, dtype=dtype)
            fast.prepare("a", "nc1fast", problem, kernels=[KERNEL])
            dense.prepare("a", "numpy-dense", problem, kernel=KERNEL)
            require_agreement(
                {"numpy-dense": dense.run("a")[1], "nc1fast": fast.run("a")[1]}, dtype
            )


def _small(result: Result, session: Session) -> None:
    with Worker(session.n_threads, competitor=False) as worker:
        for n, dtype in itertools.product(SMALL, ("float32", "float64")):
            problem = Problem(n, 128, dtype=dtype)
            worker.prepare(dtype, "nc1fast", problem, kernels=[KERNEL])
            worker.run(dtype)
            _add(result, session, problem, repeat(worker.timer(dtype), session.rounds(21)))


def _add(result: Result, session: Session, problem: Problem, samples: Samples) -> None:
    result.rows.append(
        {
            "N": problem.n_samples,
            "d": problem.n_features,
            "dtype": problem.dtype,
            "seconds": samples.median,
            "min": min(samples.values),
            "max": max(samples.values),
            "GFLOP/s": problem.triangle_flops / samples.median * 1e-9,
        }
    )


def _beside_products(result: Result, session: Session) -> None:
    """Relate the rates to those of torch's matrix product with as many features."""
    rows = [row for row in result.rows if row["N"] not in SMALL]
    cases = dict.fromkeys((row["d"], row["dtype"]) for row in rows)
    alone = {case: gflops(session.n_threads, *case) for case in cases}
    for row in rows:
        if rate := alone[row["d"], row["dtype"]]:
            row["torch.mm GFLOP/s"], row["over torch.mm"] = rate, row["GFLOP/s"] / rate


def _finish(result: Result, session: Session) -> None:
    """Relate the rows to the best peak of the whole run, then derive the claims."""
    for row in result.rows:
        cycles = row["seconds"] * session.n_threads * session.peak.ghz * 1e9
        row["of peak"] = row["GFLOP/s"] / session.peak.gflops(row["dtype"])
        row["core cycles/pair"] = cycles / (0.5 * row["N"] ** 2)
        at_size = row["N"] in (65536, session.size(65536))
        case = f"N = {row['N']}, d = {row['d']}, {row['dtype']}"
        if at_size and (target := FRACTION_TARGETS.get((row["dtype"], row["d"]))):
            result.claims.append(
                Claim(f"fraction of the FMA peak, {case}", row["of peak"], ">=", target)
            )
        if at_size and row["d"] == 2:
            target = CYCLE_TARGETS[row["dtype"]]
            result.claims.append(
                Claim(f"core cycles per pair, {case}", row["core cycles/pair"], "<=", target)
            )
        if target := SMALL.get(row["N"]):
            result.claims.append(Claim(f"milliseconds, {case}", row["seconds"] * 1e3, "<=", target))
    peak = session.peak
    result.remarks.append(
        f"FMA peak of this run, {session.n_threads} threads: {peak.gflops('float32'):.0f} GFLOP/s "
        "float32, "
        f"{peak.gflops('float64'):.0f} float64; {peak.ghz:.2f} GHz"
    )
    if peak.scaling < 0.95:
        result.remarks.append(
            f"threads scale to {peak.scaling:.2f} of linear: others were using this machine"
        )
