"""`plan`: how much work a problem is, and how many bundles to divide it into."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from nc1fast.datasets.paths import labelled
from nc1fast.distributed.executors import as_executor, capacity
from nc1fast.distributed.problem import Problem, Surveyed
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
_SHARE = 0.03  # of its time that a bundle may spend on packing, if it stays below _LONGEST
_LARGEST_SHARE = (
    0.08  # the same for any bundle: those that would spend more are made longer than _LONGEST
)
_CALIBRATION = 0.2  # seconds of a timing that is long enough
_FIRST, _LAST = 512, 16_384  # rows of the smallest and the largest sample
_ROWS_PER_PART = 64  # more than a panel has, so that no bundle is empty


@dataclass(frozen=True)
class Cost:
    """Costs measured on this machine.

    Attributes
    ----------
    pair : float
        Seconds per pair of rows, for all kernels, with the threads of one bundle.
    row : float
        Seconds per row of the survey, hash included. A bundle takes about as long to pack a row,
        for tiles within and between classes.
    tiles : float
        Tiles of the engine per pair of rows.
    """

    pair: float
    row: float
    tiles: float


@dataclass(frozen=True)
class Plan:
    """A problem divided into bundles of nearly equal work.

    Attributes
    ----------
    problem : Problem
    bundles : int
        Number of bundles.
    workers : int
        Bundles that run at once.
    n_threads : int
        Threads of each bundle.
    cost : Cost
    """

    problem: Problem = field(repr=False)
    bundles: int
    workers: int
    n_threads: int
    cost: Cost

    @property
    def n_pairs(self) -> int:
        """Number of pairs of rows, N (N + 1)/2."""
        n = self.problem.data.n_samples
        return n * (n + 1) // 2

    @property
    def rows_per_bundle(self) -> float:
        """Expected number of rows that a bundle reads and packs."""
        return rows_of_part(self.problem.data.n_samples, self.bundles)

    @property
    def seconds_per_bundle(self) -> float:
        """Estimated time of a bundle: of its pairs and of its rows."""
        return self.cost.pair * self.n_pairs / self.bundles + self.cost.row * self.rows_per_bundle

    @property
    def seconds(self) -> float:
        """Estimated time of the whole problem: the survey, and rounds of `workers` bundles."""
        survey = self.cost.row * self.problem.data.n_samples
        return survey + self.seconds_per_bundle * math.ceil(self.bundles / self.workers)

    def describe(self) -> dict[str, Any]:
        """Summarise the size and the cost of the problem.

        Returns
        -------
        dict
            rows, features, classes, kernels; pairs; tiles (extrapolated); flops (of the inner
            products, N^2 d0); bytes_of_data (of X), bytes_packed and bytes_returned (both per
            bundle); bundles, workers, threads_per_worker; seconds_per_bundle and seconds.
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
    """Divide a problem into bundles of 1 to 5 seconds, at most 5,000, by a calibration of about a
    second.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features), or path as of `nc1fast.collapse`
        Workers get the path; `reduce` writes an array to a file for them.
    y, kernel, statistics, dtype, device, memory_limit
        As in `nc1fast.collapse`.
    n_threads : int, optional
        Threads of each bundle. Default: the cores of a machine divided by the workers that share
        it.
    executor : concurrent.futures.Executor or dask.distributed.Client, optional
        The executor that is planned for; no bundle is run on it. Default: this process alone.
    bundles : int, optional
        Number of bundles, at least 2, however long they take. Default: from the calibration.

    Returns
    -------
    Plan

    Raises
    ------
    TypeError, ValueError
        As in `nc1fast.collapse`; for kernels that are not kernel objects; for fewer than 2 bundles.
    OSError
        If X is a path that cannot be read.

    Notes
    -----
    A bundle reads and packs about 1.65 N/sqrt(bundles) rows. Bundles are longer than 5 seconds
    where there would be more than 5,000, or where packing would be more than 8 % of one. The bits
    of the result do not depend on their number.
    Cost: about a second, and a sort of the labels.
    """
    if bundles is not None:
        bundles = as_count("bundles", bundles, 2)
    kernels = list(kernel) if isinstance(kernel, list | tuple) else [kernel]
    settings = Settings(statistics, dtype, device, n_threads, memory_limit)
    # The survey looks for NaN and Inf in a file itself.
    data = LabelledData.of(*labelled(X, y), unread=True)
    problem = Problem.of(data, kernels, settings)
    return planned(problem, executor, bundles)


def planned(problem: Problem, executor: Any = None, bundles: int | None = None) -> Plan:
    """Divide a problem into bundles for an executor; `plan` without the checks."""
    workers, threads = capacity(as_executor(executor), problem.settings.n_threads)
    cost = calibrate(problem, threads)
    n = problem.data.n_samples
    if bundles is None:
        bundles = best_count(cost.pair * n * (n + 1) / 2, cost.row * n, workers, n)
    return Plan(problem, bundles, workers, threads, cost)


def calibrate(problem: Problem, n_threads: int) -> Cost:
    """Time samples of growing size until one takes long enough to extrapolate.

    A sample can be out of range for a kernel although the whole problem is not. Then a bundle of
    the problem itself is timed, after a survey of all rows, whose errors are those of any pass.
    """
    n = problem.data.n_samples
    size, row = min(n, _FIRST), math.inf
    while True:
        try:
            cost, elapsed = _timed(problem.sample(size), n_threads, (0, 1))
        except ValueError:
            return _timed(problem, n_threads, (0, min(n, math.ceil((n / _FIRST) ** 2))))[0]
        row = min(row, cost.row)  # so short a time may be disturbed: the best sample counts
        if elapsed > _CALIBRATION or size >= min(n, _LAST):
            return replace(cost, row=row)
        size = min(n, 2 * size)


def _timed(problem: Problem, n_threads: int, part: tuple[int, int]) -> tuple[Cost, float]:
    """The costs of a problem from one part of it, (index, count), and the seconds which that took
    after the survey.
    """
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
    """The number of bundles for `work` seconds of a single worker, if packing all rows takes
    `packing` seconds.

    A bundle of s seconds, one of work/s, spends READ packing/sqrt(work s) of its time on packing:
    see `rows_of_part`.
    """
    seconds = min(max((READ * packing / _SHARE) ** 2 / work, _SHORTEST), _LONGEST)
    seconds = max(seconds, (READ * packing / _LARGEST_SHARE) ** 2 / work)
    count = math.ceil(work / seconds)
    if count < 20 * workers:  # whole rounds, so that no worker waits for the last bundle
        count = workers * math.ceil(count / workers)
    return max(2, min(count, MOST_BUNDLES, n_rows // _ROWS_PER_PART))
