"""Claim: a pass in bundles on a cluster, kept in a journal, costs little more than the same pass in
one process.

``nc.collapse(X, y, nc.NNGP("relu"), statistics="sums", executor=client, journal=...)`` on a dask
LocalCluster of one process for each thread against the same call without executor and journal, in
turns: plan, survey, the file for the workers, bundles and journal included, the start of the
cluster not. Both answers are the same to the bit.
"""

from __future__ import annotations

import statistics
from functools import partial
from typing import TYPE_CHECKING

from bench._problem import Problem
from bench._session import Claim, Result
from bench._timing import interleave
from bench._worker import Worker

if TYPE_CHECKING:
    from bench._session import Session

KERNEL = "nngp-relu"
N_SAMPLES, N_FEATURES, DTYPE = 262144, 128, "float32"
RATIO = 1.10


def run(session: Session) -> Result:
    """Measure the pass in one process and in bundles on a cluster."""
    result = Result("cluster")
    problem = Problem(session.size(N_SAMPLES), N_FEATURES, dtype=DTYPE)
    with Worker(session.n_threads, competitor=False) as worker:
        worker.prepare("process", "nc1fast", problem, kernels=[KERNEL])
        worker.prepare("cluster", "nc1fast-cluster", problem, kernel=KERNEL)
        answers: dict[str, float] = {}

        def timed(name: str) -> float:
            seconds, answer = worker.run(name)
            answers[name] = answer.nc1
            return seconds

        runs = {name: partial(timed, name) for name in ("process", "cluster")}
        samples = interleave(runs, session.rounds(2))
        if answers["cluster"] != answers["process"]:
            raise AssertionError(f"answers differ: {answers}")
    ratio = samples["cluster"].ratio_to(samples["process"])
    used = {name: statistics.median(worker.processor[name]) for name in samples}
    for name, values in samples.items():
        result.rows.append(
            {
                "N": problem.n_samples,
                "d": N_FEATURES,
                "dtype": DTYPE,
                "in": name,
                "seconds": values.median,
                "over process": values.ratio_to(samples["process"]).median,
                "of the processor": used[name],
                "over that": used[name] / used["process"],
            }
        )
    text = f"time of {session.n_threads} processes over that of one, N = {problem.n_samples}"
    result.claims.append(Claim(text, ratio.median, "<=", RATIO))
    result.remarks.append("seconds of the processor are those of all processes together")
    result.details["ratio"] = ratio.as_dict()
    return result
