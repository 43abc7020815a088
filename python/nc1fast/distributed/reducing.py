"""`reduce`: bundles to workers, exact sums back."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
import os
import time
from concurrent.futures import BrokenExecutor
from dataclasses import replace
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from nc1fast.core.backend import bits_of
from nc1fast.distributed.bundles import Surveyed, Task
from nc1fast.distributed.executors import DaskWorkers, as_executor, most_results
from nc1fast.distributed.journal import Finished, Journal
from nc1fast.support.arguments import as_count, shown
from nc1fast.support.arithmetic import ieee
from nc1fast.support.progress import reporting

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Iterable

    from nc1fast.distributed.planning import Plan
    from nc1fast.distributed.problem import Problem
    from nc1fast.distributed.shares import Share
    from nc1fast.sums.class_sums import ClassSums

_PATIENCE = 1.0  # seconds without a result after which the executor is looked at
_SILENCE = 600.0  # seconds in which no bundle begins or ends that an executor may take, or
_EXPECTED = 100.0  # times as long as the plan expects of a bundle
_FINAL = (ValueError, TypeError, BrokenExecutor)  # to try again would be in vain
_GONE = "the executor has lost its workers or its scheduler: a journal keeps what was finished, go on with a new one"

_SILENT = (
    "no bundle has begun or ended for {:.0f} s: the executor has lost them, or has other work to do; a journal keeps what "
    "was finished, and reduce(..., timeout=) waits longer"
)


@ieee
def reduce(
    plan: Plan,
    executor: Any = None,
    *,
    journal: str | os.PathLike[str] | None = None,
    retries: int = 3,
    timeout: float | None = None,
    progress: bool | Callable[[int, int], object] = False,
) -> list[ClassSums]:
    """Sum the bundles of a plan, on the workers of an executor or in this process.

    Parameters
    ----------
    plan : Plan
    executor : concurrent.futures.Executor or dask.distributed.Client, optional
        Needs `submit` and futures with `add_done_callback`, nothing more. Default: one bundle after the other, here.
    journal : path-like, optional
        Every finished bundle is recorded there, on disk before it counts. If the file is there, its bundles are not
        done again, and their number is that of the journal.
    retries : int, default 3
        How often a bundle is tried again after an error of its worker, of the network or of the file system.
    timeout : float, optional
        Seconds in which no bundle begins or ends after which the executor is taken to have lost them; `math.inf` waits for
        ever. Default: 600, or 100 times what the plan expects of a bundle if that is more; for dask, which replaces what
        it loses and may have to wait for its first worker, for ever.
    progress : bool or callable(done, total), default False

    Returns
    -------
    list of ClassSums
        One per kernel, with the bits of `nc1fast.class_sums` in one process: whatever the number of bundles, workers,
        failures, interruptions and the order in which bundles end.

    Raises
    ------
    TypeError, ValueError
        As of `nc1fast.class_sums`; if the journal is of another problem; if X changes while it is summed.
    OSError
        If X is deleted, the disk is full or the journal cannot be written. The journal keeps every finished bundle.
    RuntimeError
        If the executor is broken or silent for `timeout` seconds, or a bundle fails again and again. The journal keeps every
        finished bundle.

    Notes
    -----
    Cost: as of the plan. This process reads X three times (a survey in two scans, a hash); a bundle reads and packs the rows
    that it touches, about 1.65 N/sqrt(bundles) of them, and with statistics="all" returns 8 C bytes for each per kernel.
    This process holds one total and one bundle's sums per kernel.
    A change of X is noticed by the size and the time of its file, after every bundle and before it counts; between
    two calls with one journal by the hash.
    What cannot be told from a slow one within `timeout`: a worker that hangs, and a queue of other work before the bundles.
    Ctrl-C ends every wait at once.
    """
    executor = as_executor(executor)
    if journal is not None and not isinstance(journal, str | os.PathLike):
        raise TypeError(f"journal must be the path of a file or None, got {shown(journal)}")
    silence = _silence(timeout, plan, executor)
    retries = as_count("retries", retries, 0)
    problem = plan.problem
    # While it is surveyed, workers have nothing to do.
    alone = plan.n_threads if executor is None else None
    with contextlib.ExitStack() as stack:
        report = stack.enter_context(reporting(progress, "bundles"))
        surveyed = Surveyed.of(problem, plan.n_threads, survey_threads=alone)
        finished = Finished(surveyed.nothing(), plan.bundles)
        if journal is not None:
            finished = Journal(finished.totals, plan.bundles, journal, _about(problem))
        stack.callback(finished.close)
        count = finished.bundles
        before = finished.covered
        missing = (index for index in range(count) if index not in before)
        if report is not None:
            report(len(before), count)
        results: Generator[list[Share], None, None]
        if executor is None or len(before) == count:
            results = (surveyed.shares((index, count)) for index in missing)
        else:
            beside = None if journal is None else Path(journal)
            task = stack.enter_context(surveyed.tasks(beside))
            tasks = (replace(task, part=(index, count)) for index in missing)
            results = stack.enter_context(
                contextlib.closing(
                    _computed(
                        tasks, executor, retries, most_results(executor, plan.workers), silence
                    )
                )
            )
        for shares in results:
            finished.add(shares)
            if report is not None:
                report(len(finished.covered), count)
        return surveyed.finish(finished.totals)


def _about(problem: Problem) -> dict[str, Any]:
    """What a journal must agree with, and says where it does not."""
    return {
        "statistics": problem.settings.statistics,
        "dtype": problem.settings.dtype,
        "shape": list(problem.data.rows.shape),
        "kernels": [repr(kernel) for kernel in problem.kernels],
        "isa": bits_of(problem.settings.device),
    }


def _computed(
    tasks: Iterable[Task], executor: Any, retries: int, most: int, silence: float
) -> Generator[list[Share], None, None]:
    """Results in the order in which they come. A future is dropped as soon as its result is taken.

    At most `most` futures are kept at a time: finished ones may hold their results. After `silence` seconds in which none
    of them begins or ends they are given up.
    """
    ended: SimpleQueue[Any] = SimpleQueue()
    pending: dict[Any, tuple[Task, int]] = {}

    def submit(task: Task, n_failed: int) -> None:
        try:
            future = executor.submit(Task.run, task)
        except Exception as error:
            raise _told(error, executor, task, n_failed) from error
        pending[future] = (task, n_failed)
        future.add_done_callback(ended.put)

    try:
        waiting = iter(tasks)
        for task in itertools.islice(waiting, most):
            submit(task, 0)
        while pending:
            future = _ended(ended, pending, executor, silence)
            task, n_failed = pending.pop(future)
            try:
                shares = future.result()
            except (Exception, asyncio.CancelledError) as error:
                if isinstance(error, _FINAL) or _is_lost(executor) or n_failed == retries:
                    raise _told(error, executor, task, n_failed + 1) from error
                submit(task, n_failed + 1)
            else:
                del future
                for task in itertools.islice(waiting, 1):
                    submit(task, 0)
                yield shares
    finally:
        if not _is_lost(executor):
            for future in pending:
                future.cancel()


def _ended(ended: SimpleQueue[Any], pending: Collection[Any], executor: Any, silence: float) -> Any:
    """The next future that ends.

    Raises
    ------
    RuntimeError
        If none can end any more, or none begins or ends for so many seconds.
    """
    begun, since = 0, time.monotonic()
    while True:
        with contextlib.suppress(Empty):
            future = ended.get(timeout=_PATIENCE)
            if future in pending:
                return future
            continue  # taken already
        if _is_lost(executor):
            raise RuntimeError(_GONE)
        for future in pending:
            if future.done():  # by an executor that has not called back
                return future
        now = sum(future.running() for future in pending if hasattr(future, "running"))
        if now != begun:
            begun, since = now, time.monotonic()
        elif time.monotonic() - since > silence:
            raise RuntimeError(_SILENT.format(time.monotonic() - since))


def _silence(timeout: float | None, plan: Plan, executor: Any) -> float:
    """Seconds without a sign of life after which an executor has lost its bundles."""
    if timeout is None:
        dask = isinstance(executor, DaskWorkers)
        return math.inf if dask else max(_SILENCE, _EXPECTED * plan.seconds_per_bundle)
    if isinstance(timeout, bool) or not isinstance(timeout, int | float):
        raise TypeError(f"timeout must be a number of seconds or None, got {timeout!r}")
    if not timeout > 0:
        raise ValueError(f"timeout must be > 0 seconds, got {timeout!r}")
    return timeout


def _is_lost(executor: Any) -> bool:
    return isinstance(executor, DaskWorkers) and executor.lost


def _told(error: BaseException, executor: Any, task: Task, n_failed: int) -> BaseException:
    """The error itself where it says what is wrong with the data or the files."""
    if isinstance(error, ValueError | TypeError | OSError | MemoryError) and not _is_lost(executor):
        return error
    if isinstance(error, BrokenExecutor) or _is_lost(executor):
        return RuntimeError(f"{_GONE} ({error!r})")
    return RuntimeError(
        f"bundle {task.part[0]} of {task.part[1]} failed {n_failed} times, last by {error!r}"
    )
