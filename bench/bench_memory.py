"""Claim: memory grows as N C and N d, never as N^2.

Peak resident memory during the call less resident memory before it, in a process of its own,
against 100 MiB + 8 N C bytes (row-class sums only) + 3 N d bytes-per-value of the tiles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bench._problem import Problem
from bench._session import Claim, Result
from bench._worker import Worker

if TYPE_CHECKING:
    from bench._session import Session

MIB = 2**20
FIXED = 100 * MIB

# N, d, precision of the rows, precision of the tiles, statistics
CASES = (
    (65536, 128, "float64", "float64", "sums"),
    (65536, 128, "float64", "float64", "all"),
    (65536, 128, "float32", "float64", "all"),
    (65536, 128, "float64", "float32", "all"),
    (65536, 128, "float64", "mixed", "all"),
    (32768, 784, "float32", "float32", "all"),
    (131072, 32, "float64", "float64", "all"),
)


def run(session: Session) -> Result:
    """Measure all cases, each in a fresh process."""
    result = Result("memory")
    for n_samples, n_features, rows, tiles, statistics in CASES:
        problem = Problem(session.size(n_samples), n_features, dtype=rows)
        with Worker(session.n_threads, competitor=False) as worker:
            options = {"kernels": ["nngp-relu"], "statistics": statistics, "dtype": tiles}
            worker.prepare("small", "nc1fast", Problem(2048, n_features, dtype=rows), **options)
            worker.run("small")  # loads the code
            worker.prepare("case", "nc1fast", problem, **options)
            used = worker.peak_memory("case")
        itemsize = np.dtype("float32" if tiles == "float32" else "float64").itemsize
        row_sums = 8 * problem.n_samples * problem.n_classes if statistics == "all" else 0
        limit = FIXED + row_sums + 3 * problem.n_samples * n_features * itemsize
        result.rows.append(
            {
                "N": problem.n_samples,
                "d": n_features,
                "rows": rows,
                "tiles": tiles,
                "statistics": statistics,
                "MiB used": used / MIB,
                "MiB allowed": limit / MIB,
                "MiB of a Gram matrix": problem.n_samples**2 * itemsize / MIB,
            }
        )
        text = (
            f"MiB, N = {problem.n_samples}, d = {n_features}, {rows} rows, {tiles} tiles, "
            f"{statistics}"
        )
        result.claims.append(Claim(text, used / MIB, "<=", round(limit / MIB, 1)))
    return result
