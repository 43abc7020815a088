"""Claim: rows that do not fit in memory cost little more than rows that do.

``nc.collapse(path, y, nc.NNGP("relu"), statistics="sums", memory_limit=...)`` against the same call
on the array, in turns; classes in random order and in their own, the file in the system's cache.
Both answers are the same to the bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench._problem import Problem
from bench._session import Claim, Result
from bench._timing import interleave
from bench._worker import Worker

if TYPE_CHECKING:
    from bench._session import Session

MIB = 2**20
KERNELS = ["nngp-relu"]
# N, d, type of rows and tiles, MiB of the limit, whether rows lie by class
CASES = tuple(
    (131072, 128, dtype, 32, by_class)
    for dtype in ("float64", "float32")
    for by_class in (False, True)
)
RATIO = 1.25


def run(session: Session) -> Result:
    """Measure rows on disk against rows in memory, case by case."""
    result = Result("disk")
    for n_samples, n_features, dtype, limit, by_class in CASES:
        problem = Problem(session.size(n_samples), n_features, dtype=dtype, by_class=by_class)
        with Worker(session.n_threads, competitor=False) as worker:
            small = Problem(2048, n_features, dtype=dtype)
            worker.prepare("small", "nc1fast", small, kernels=KERNELS)
            worker.run("small")  # loads the code
            worker.prepare("memory", "nc1fast", problem, kernels=KERNELS)
            worker.prepare(
                "disk", "nc1fast", problem, kernels=KERNELS, memory_limit=limit * int(MIB)
            )
            used = {name: worker.peak_memory(name) / MIB for name in ("memory", "disk")}
            answers = [worker.run(name)[1].nc1 for name in ("memory", "disk")]
            if answers[0] != answers[1]:
                raise AssertionError(
                    f"nc1 of the file is {answers[1]!r}, of the array {answers[0]!r}"
                )
            samples = interleave(
                {name: worker.timer(name) for name in ("memory", "disk")}, session.rounds(2)
            )
        ratio = samples["disk"].ratio_to(samples["memory"])
        order = "by class" if by_class else "random"
        case = f"N = {problem.n_samples}, d = {n_features}, {dtype}, rows {order}"
        for name, values in samples.items():
            result.rows.append(
                {
                    "N": problem.n_samples,
                    "d": n_features,
                    "dtype": dtype,
                    "rows": order,
                    "in": name,
                    "seconds": values.median,
                    "MiB used": used[name],
                }
            )
        result.claims += [
            Claim(f"time of the file over that of the array, {case}", ratio.median, "<=", RATIO),
            Claim(f"MiB beside the file, {case}", used["disk"], "<=", limit),
        ]
    return result
