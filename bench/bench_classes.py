"""Claim: thousands of classes of explicit features take a second or a few, and no table of pairs.

``nc.collapse(H, y, convention="papyan")``, every metric, of 50,000 rows of 512 features in float64:
Gaussian classes of unequal sizes about Gaussian means, of standard deviation 1 (NC1 about 1: each
row lies as far from its mean as these from each other) and 0.5 (most rows within reach of their
mean). Memory is that of all arrays at the peak of a call of its own.
"""

from __future__ import annotations

import functools
import time
import tracemalloc
from typing import TYPE_CHECKING, Any

import numpy as np

import nc1fast as nc
from bench._session import Claim, Result
from bench._timing import repeat

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bench._session import Session

ROWS, FEATURES, MB = 50_000, 512, 1e6
CASES = ((1000, 1.0, 300), (4000, 3.0, 300))  # classes, seconds of two cores, MB
SPREADS = (1.0, 0.5)


def run(session: Session) -> Result:
    """Time all cases, and weigh them."""
    result = Result("classes")
    for n_classes, seconds, megabytes in CASES:
        for spread in SPREADS:
            C = min(n_classes, session.size(ROWS) // 4)
            H, y = _data(session.size(ROWS), C, spread)
            timer = functools.partial(_seconds, session, H, y)
            processor = time.process_time()
            samples = repeat(timer, session.rounds(3))
            processor = (time.process_time() - processor) / len(samples.values)
            row: dict[str, Any] = {
                "N": len(H),
                "classes": C,
                "spread": spread,
                "seconds": samples.median,
                "best": min(samples.values),
                "processor": processor,
                "MB": _peak(session, H, y) / MB,
                "MB of a table of pairs": 8 * C**2 / MB,
            }
            result.rows.append(row)
            case = f"{C} classes, spread {spread}"
            result.claims.append(Claim(f"seconds, {case}", row["seconds"], "<=", seconds))
            result.claims.append(Claim(f"MB, {case}", row["MB"], "<=", megabytes))
    result.remarks.append(
        "processor: seconds of all threads of a call; half of them is what two idle cores need at "
        "least"
    )
    return result


def _data(n: int, C: int, spread: float) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    rng = np.random.default_rng(0)
    y = rng.permutation(np.concatenate([np.arange(C), rng.integers(0, C, n - C)]))
    return spread * rng.normal(size=(n, FEATURES)) + rng.normal(size=(C, FEATURES))[y], y


def _metrics(session: Session, H: NDArray[np.float64], y: NDArray[np.int64]) -> dict[str, Any]:
    """Every metric but the tables of pairs."""
    return nc.collapse(H, y, convention="papyan", n_threads=session.n_threads).metrics.small()


def _seconds(session: Session, H: NDArray[np.float64], y: NDArray[np.int64]) -> float:
    start = time.perf_counter()
    _metrics(session, H, y)
    return time.perf_counter() - start


def _peak(session: Session, H: NDArray[np.float64], y: NDArray[np.int64]) -> int:
    """Bytes of arrays that a call takes at its peak, beside H and y."""
    tracemalloc.start()
    try:
        _metrics(session, H, y)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
