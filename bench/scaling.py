"""Cost of a pass, measured here, and of the same pass on many machines, played through: ``python -m
bench.scaling [--quick]``.

Measures, on one thread and in seconds of the processor (so that a busy machine may be measured): a
pair, a row that is packed and a row that is surveyed by number of features and precision, a
random-feature estimate, and what a bundle costs the process that plans. Then plays the plan through
for more rows and more workers than there are here, and prints the tables of `docs/scaling.md`.
"""

from __future__ import annotations

import argparse
import heapq
import math
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import nc1fast as nc
from bench._problem import Problem
from bench._timing import environment, write_json
from nc1fast import distributed
from nc1fast.distributed.planning import best_count
from nc1fast.distributed.problem import Surveyed
from nc1fast.sums.rectangles import rows_of_part
from nc1fast.support.extras import require

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KERNEL = nc.NNGP("relu")
N_CLASSES = 10
FEATURES = (2, 32, 128, 784)
PRECISIONS = ("float32", "float64")
N_SAMPLES, WORKERS = (10**7, 10**9), (1, 64, 1000)
N_UNITS = 1024  # of an estimate
COUNT = 64  # bundles of the pass that is measured

# What is assumed of a cluster, not measured here.
BANDWIDTH = 1e9  # bytes per second that a worker reads
STORAGE = 20e9  # and all of them together
NETWORK = 1e9  # bytes per second that the planning process receives
SCATTER = 0.1  # standard deviation of the logarithm of a bundle's time
FAILURES = 1e-6  # bundles lost per second of work


@dataclass(frozen=True)
class Cost:
    """Seconds of one thread: per pair, per row read and packed, per row surveyed and hashed, per
    bundle.
    """

    pair: float
    row: float
    survey: float
    bundle: float


def processor_seconds(run: Callable[[], Any]) -> float:
    """Processor seconds of all threads of this process, the better of two runs."""
    seconds = []
    for _ in range(2):
        started = time.process_time()
        run()
        seconds.append(time.process_time() - started)
    return min(seconds)


def pass_cost(n_features: int, dtype: str, *, quick: bool) -> Cost:
    """Costs from one pass and from some of its bundles, which pack more rows for their pairs; rows
    in a cached file.
    """
    m = 1024 if quick else 8192
    with tempfile.TemporaryDirectory() as folder:
        X, y = Problem(m, n_features, n_classes=N_CLASSES, dtype=dtype).data()
        path = Path(folder) / "X.npy"
        np.save(path, X)
        settings: dict[str, Any] = {"statistics": "sums", "dtype": dtype, "n_threads": 1}
        problem = distributed.plan(path, y, KERNEL, bundles=2, **settings).problem
        survey = partial(Surveyed.of, problem, 1, survey_threads=1)
        surveyed = survey()
        bundles = [(index, COUNT) for index in range(0, COUNT, 2)]
        whole = processor_seconds(partial(surveyed.sums, (0, 1)))
        some = processor_seconds(lambda: [surveyed.sums(bundle) for bundle in bundles])
        none = processor_seconds(lambda: [surveyed.nothing() for _ in bundles]) / len(bundles)
        surveying = processor_seconds(survey)
    pairs, share = m * m / 2, len(bundles) / COUNT
    touched = len(bundles) * rows_of_part(m, COUNT)
    pair, row = np.linalg.solve(
        [[pairs, m], [share * pairs, touched]], [whole - none, some - len(bundles) * none]
    )
    return Cost(max(1e-12, float(pair)), max(0.0, float(row)), surveying / m, none)


def estimate_cost(n_features: int, *, quick: bool) -> float:
    """Seconds per row of a random-feature estimate with `N_UNITS` units."""
    from nc1fast import estimators

    m = 512 if quick else 16384
    X, y = Problem(m, n_features, n_classes=N_CLASSES, dtype="float32").data()
    with require("threadpoolctl", "bench").threadpool_limits(
        1
    ):  # idle threads of a matrix library would count
        run = partial(estimators.features, X, y, KERNEL, n_units=N_UNITS, seed=0, n_threads=1)
        return processor_seconds(run) / m


def bundle_cost(executor: str, *, quick: bool) -> float:
    """Seconds of the planning process for each bundle: to send it, to take its sums, to record them
    and to add them.

    A small problem in many bundles, less the same bundles in this process without any of that.
    """
    X, y = Problem(1500, 4, n_classes=N_CLASSES).data()
    count = 10 if quick else 200
    plan = nc.distributed.plan(X, y, KERNEL, statistics="sums", n_threads=1, bundles=count)

    def run(workers: Any, journal: Path | None) -> float:
        started = time.process_time()
        nc.distributed.reduce(plan, workers, journal=journal)
        return time.process_time() - started

    with tempfile.TemporaryDirectory() as folder, _workers(executor) as workers:
        alone, shared = run(None, None), run(workers, Path(folder) / "journal")
    return max(0.0, shared - (alone if executor == "threads" else 0.0)) / count


def _workers(name: str) -> Any:
    if name == "threads":
        return ThreadPoolExecutor(1)
    return require("distributed", "distributed").Client(
        n_workers=1, threads_per_worker=1, processes=True, dashboard_address=":0"
    )


@dataclass(frozen=True)
class Cluster:
    """Workers of one thread each, and the one process that plans."""

    n_workers: int
    bundle: float  # seconds of the planning process


def simulate(
    n: int, d: int, cost: Cost, itemsize: int, cluster: Cluster, *, rows: bool
) -> dict[str, Any]:
    """Play a plan through: every free worker takes the next bundle; a lost one is done again.

    Returns
    -------
    dict
        seconds from beginning to end; busy, the share of them that workers compute; packing, the
        share of that in which they pack rows; bytes moved.
    """
    work = cost.pair * n * n / 2
    count = best_count(work, cost.row * n, cluster.n_workers, n)
    touched = rows_of_part(n, count)
    read = touched * d * itemsize
    returned = 16 * N_CLASSES**2 + 8 * N_CLASSES * touched * rows
    speed = min(BANDWIDTH, STORAGE / cluster.n_workers)
    compute = work / count + cost.row * touched + cost.bundle
    one = compute + read / speed
    taken = cluster.bundle + returned / NETWORK
    rng = np.random.default_rng(0)
    survey = n * (cost.survey + 3 * d * itemsize / BANDWIDTH)  # three readings
    free = [survey] * cluster.n_workers
    heapq.heapify(free)
    driver = end = free[0]
    for took in _durations(rng, count, one):
        done = heapq.heappop(free) + took
        driver = max(driver, done) + taken
        end = max(end, driver)
        heapq.heappush(free, done)
    return {
        "N": n,
        "d": d,
        "workers": cluster.n_workers,
        "bundles": count,
        "seconds": end,
        "busy": count * compute / (end * cluster.n_workers),
        "packing": cost.row * touched / compute,
        "bytes read": count * read,
        "bytes returned": count * returned,
    }


def _durations(rng: np.random.Generator, count: int, mean: float) -> Iterator[float]:
    """Seconds of each bundle, with those lost to failures."""
    for scatter, luck in zip(rng.standard_normal(count), rng.random(count), strict=True):
        seconds = mean * math.exp(SCATTER * scatter)
        lost = luck < 1 - math.exp(-FAILURES * seconds)
        yield seconds * (1.5 if lost else 1.0)  # a failure is in the middle, on average


def human(seconds: float) -> str:
    """A time as text, in seconds, minutes, hours, days or years."""
    for name, length in (("years", 31_557_600), ("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.3g} {name}"
    return f"{seconds:.3g} s"


def main() -> None:
    """Measure the costs, play clusters through, print the tables."""
    parser = argparse.ArgumentParser(prog="bench.scaling", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="shows that it runs; no meaning")
    parser.add_argument("--out", type=Path, default=Path("bench/results"))
    arguments = parser.parse_args()
    quick = arguments.quick
    costs = {(d, t): pass_cost(d, t, quick=quick) for t in PRECISIONS for d in FEATURES}
    print(
        "| d | precision | ns per pair | us per row packed | us per row surveyed | ms per bundle |",
        "| ---: | --- | ---: | ---: | ---: | ---: |",
        sep="\n",
    )
    for (d, dtype), cost in costs.items():
        print(
            f"| {d} | {dtype} | {1e9 * cost.pair:.3g} | {1e6 * cost.row:.2g} | "
            f"{1e6 * cost.survey:.2g} "
            f"| {1e3 * cost.bundle:.2g} |",
            flush=True,
        )
    bundles = {name: bundle_cost(name, quick=quick) for name in ("threads", "dask")}
    print(
        "\nms of the planning process per bundle:",
        {k: round(1e3 * v, 2) for k, v in bundles.items()},
    )
    estimates = {d: estimate_cost(d, quick=quick) for d in FEATURES}
    print(
        "us per row of an estimate:",
        {d: round(1e6 * v, 2) for d, v in estimates.items()},
        "\n",
        flush=True,
    )
    rows = []
    heads = [f"{w:,} worker{'s' * (w > 1)}" for w in WORKERS]
    print("| N | d | precision |", " | ".join(heads), "| busy, of the most | packing | read |")
    print("| ---: | ---: | --- |" + " ---: |" * (len(WORKERS) + 3))
    for n in N_SAMPLES:
        for (d, dtype), cost in costs.items():
            clusters = [Cluster(n_workers, bundles["dask"]) for n_workers in WORKERS]
            size = np.dtype(dtype).itemsize
            played = [simulate(n, d, cost, size, cluster, rows=False) for cluster in clusters]
            rows += [{**row, "precision": dtype} for row in played]
            times, last = [human(row["seconds"]) for row in played], played[-1]
            print(
                f"| {n:.0e} | {d} | {dtype} | {' | '.join(times)} | {100 * last['busy']:.0f} % "
                f"| {100 * last['packing']:.1f} % | {last['bytes read'] / 1e12:.3g} TB |"
            )
    print("\n| N | d | estimate, one thread |", "| ---: | ---: | ---: |", sep="\n")
    for n in N_SAMPLES:
        for d, seconds in estimates.items():
            print(f"| {n:.0e} | {d} | {human(n * (seconds + 4 * d / BANDWIDTH))} |")
    write_json(
        arguments.out / "scaling.json",
        {
            "environment": environment(1),
            "costs": [{"d": d, "precision": t, **vars(c)} for (d, t), c in costs.items()],
            "bundle": bundles,
            "estimate": estimates,
            "predictions": rows,
        },
    )


if __name__ == "__main__":
    main()
