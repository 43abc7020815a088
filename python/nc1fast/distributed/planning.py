"""How much work a problem is, and in how many bundles to do it."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from nc1fast.distributed.bundles import Surveyed
from nc1fast.distributed.executors import as_executor, capacity
from nc1fast.distributed.problem import Problem
from nc1fast.inputs.labelled import LabelledData
from nc1fast.sums.rectangles import READ, rows_of_part
from nc1fast.sums.settings import Settings
from nc1fast.support.arguments import as_count
from nc1fast.support.arithmetic import ieee

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from nc1fast.kernels.classes import Kernel

MOST_BUNDLES = 5_000
_SHORTEST, _LONGEST = 1.0, 5.0  # seconds of a bundle
_SHARE = 0.03  # of a bundle that the packing of its rows may take without more than _LONGEST
_LARGEST_SHARE = 0.08  # and ever: beyond, bundles are longer than _LONGEST
_CALIBRATION = 0.2  # seconds of a timing that is long enough
_FIRST, _LAST = 512, 16_384  # rows of the calibration
_ROWS_PER_PART = 64  # more than a panel has, so that no bundle is empty


@dataclass(frozen=True)
class Cost:
    """Measured costs on this machine.

    Attributes
    ----------
    pair : float
        Seconds per pair of rows, all kernels, with the threads of one bundle.
    row : float
        Seconds per row: of the survey, hash included, and about as much of a bundle that packs it, for the tiles within
        classes and those between them.
    tiles : float
        Tiles of the engine per pair of rows.
    """

    pair: float
    row: float
    tiles: float


@dataclass(frozen=True)
class Plan:
    """A problem, cut into bundles of nearly equal work.

    Attributes
    ----------
    bundles : int
    workers : int
        Bundles that run at once.
    n_threads : int
        Of each bundle.
    cost : Cost
    """

    problem: Problem = field(repr=False)
    bundles: int
    workers: int
    n_threads: int
    cost: Cost

    @property
    def n_pairs(self) -> int:
        """Pairs of rows, N (N + 1)/2."""
        n = self.problem.data.n_samples
        return n * (n + 1) // 2

    @property
    def rows_per_bundle(self) -> float:
        """Rows that a bundle reads and packs, about."""
        return rows_of_part(self.problem.data.n_samples, self.bundles)

    @property
    def seconds_per_bundle(self) -> float:
        """Estimated time of its pairs and of its rows."""
        return self.cost.pair * self.n_pairs / self.bundles + self.cost.row * self.rows_per_bundle

    @property
    def seconds(self) -> float:
        """Estimated time: the survey, and rounds of `workers` bundles."""
        survey = self.cost.row * self.problem.data.n_samples
        return survey + self.seconds_per_bundle * math.ceil(self.bundles / self.workers)

    def describe(self) -> dict[str, Any]:
        """What it comes to, before it is done.

        Returns
        -------
        dict
            rows, features, classes, kernels; pairs; tiles (extrapolated); flops (of the inner products, N^2 d0); bytes of
            X, those of packed rows of a bundle and those that it returns; bundles, workers, threads of each; seconds
            per bundle and in all.
        """
        problem = self.problem
        n, d = problem.data.rows.shape
        c, k = len(problem.data.classes), len(problem.kernels)
        item = 4 if problem.settings.dtype == "float32" else 8
        rows = self.rows_per_bundle
        returned = k * (16 * c * c + 8 * rows * c * problem.settings.row_sums)
        return {
            "rows": n,
            "features": d,
            "classes": c,
            "kernels": k,
            "pairs": self.n_pairs,
            "tiles": round(self.cost.tiles * self.n_pairs),
            "flops": n * n * d,
            "bytes_of_data": problem.data.rows.nbytes,
            "bytes_packed": round(rows * d * item),
            "bytes_returned": round(returned),
            "bundles": self.bundles,
            "workers": self.workers,
            "threads_per_worker": self.n_threads,
            "seconds_per_bundle": self.seconds_per_bundle,
            "seconds": self.seconds,
        }


@ieee
def plan(
    X: ArrayLike | str | os.PathLike[str],
    y: ArrayLike,
    kernel: Kernel | Sequence[Kernel],
    *,
    statistics: str = "all",
    dtype: str = "float64",
    device: str = "cpu",
    n_threads: int | None = None,
    memory_limit: int | None = None,
    executor: Any = None,
    bundles: int | None = None,
) -> Plan:
    """Cut a problem into bundles of 1 to 5 seconds, at most 5,000, by a calibration of about a second.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features), or path as of `nc1fast.collapse`
        Workers are given the path; an array is written to a file for them by `reduce`.
    y, kernel, statistics, dtype, device, memory_limit
        As in `nc1fast.collapse`.
    n_threads : int, optional
        Of each bundle; by default the cores of a machine over the workers that share it.
    executor : concurrent.futures.Executor or dask.distributed.Client, optional
        Whose workers there are; nothing is run on it. Default: this process alone.
    bundles : int, optional
        At least 2: this many, whatever they take.

    Returns
    -------
    Plan

    Raises
    ------
    TypeError, ValueError
        As in `nc1fast.collapse`; for kernels that are no kernel objects; for fewer than 2 bundles.
    OSError
        If X is a path that cannot be read.

    Notes
    -----
    A bundle reads and packs about 1.65 N/sqrt(bundles) rows. Bundles are longer than 5 seconds where there would be more
    than 5,000, or where packing would be more than 8 % of one. The bits of the result do not depend on their number.
    Cost: about a second, and a sort of the labels.
    """
    if bundles is not None:
        bundles = as_count("bundles", bundles, 2)
    kernels = list(kernel) if isinstance(kernel, list | tuple) else [kernel]
    settings = Settings(statistics, dtype, device, n_threads, memory_limit)
    # The survey looks for NaN and Inf in a file itself.
    problem = Problem.of(LabelledData.of(X, y, unread=True), kernels, settings)
    return planned(problem, executor, bundles)


def planned(problem: Problem, executor: Any = None, bundles: int | None = None) -> Plan:
    """Cut a problem into bundles, as `plan` does."""
    workers, threads = capacity(as_executor(executor), problem.settings.n_threads)
    cost = calibrate(problem, threads)
    n = problem.data.n_samples
    if bundles is None:
        bundles = best_count(cost.pair * n * (n + 1) / 2, cost.row * n, workers, n)
    return Plan(problem, bundles, workers, threads, cost)


def calibrate(problem: Problem, n_threads: int) -> Cost:
    """Time samples of growing size until one is long enough to extrapolate.

    Where the rows of a sample are out of range for a kernel, those of all classes in full need not be: then a bundle of the
    problem itself is timed, after a survey of all rows, whose errors are those that any pass would have.
    """
    n = problem.data.n_samples
    size, row = min(n, _FIRST), math.inf
    while True:
        try:
            cost, elapsed = _timed(problem.sample(size), n_threads, (0, 1))
        except ValueError:
            return _timed(problem, n_threads, (0, min(n, math.ceil((n / _FIRST) ** 2))))[0]
        row = min(row, cost.row)  # short: of the best sample, should others have been interrupted
        if elapsed > _CALIBRATION or size >= min(n, _LAST):
            return replace(cost, row=row)
        size = min(n, 2 * size)


def _timed(problem: Problem, n_threads: int, part: tuple[int, int]) -> tuple[Cost, float]:
    """What a part of a problem costs, and the seconds that it took after the survey."""
    n = problem.data.n_samples
    pairs = n * (n + 1) / 2 / part[1]
    tiles: list[int] = []
    started = time.perf_counter()
    surveyed = Surveyed.of(problem, n_threads, survey_threads=n_threads)
    known = time.perf_counter()
    surveyed.sums(part, lambda _, total: tiles.append(total))
    elapsed = time.perf_counter() - known
    row = (known - started) / n
    packing = row * rows_of_part(n, part[1])
    return Cost(max(elapsed - packing, 0.1 * elapsed) / pairs, row, tiles[-1] / pairs), elapsed


def best_count(work: float, packing: float, workers: int, n_rows: int) -> int:
    """Bundles for `work` seconds of one worker, where to pack all rows takes `packing`.

    The share of packing in a bundle of s seconds, one of work/s, is READ packing/sqrt(work s): see `rows_of_part`.
    """
    seconds = min(max((READ * packing / _SHARE) ** 2 / work, _SHORTEST), _LONGEST)
    seconds = max(seconds, (READ * packing / _LARGEST_SHARE) ** 2 / work)
    count = math.ceil(work / seconds)
    if count < 20 * workers:  # whole rounds, so that no worker waits for the last bundle
        count = workers * math.ceil(count / workers)
    return max(2, min(count, MOST_BUNDLES, n_rows // _ROWS_PER_PART))
