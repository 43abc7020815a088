"""`reduce`: bundles to workers, exact sums back, the same bits as in one process; `merge`: parts
that were computed and saved separately.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nc1fast.core.backend import bits_of
from nc1fast.distributed.executors import DaskWorkers, as_executor, computed, most_results
from nc1fast.distributed.problem import Surveyed
from nc1fast.distributed.shares import BundleJournal, Finished
from nc1fast.distributed.tasks import shared_tasks
from nc1fast.sums.class_sums import ClassSums
from nc1fast.support.arguments import as_count, as_number, shown
from nc1fast.support.arithmetic import ieee
from nc1fast.support.progress import reporting
from nc1fast.support.reading import reading

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from nc1fast.distributed.planning import Plan
    from nc1fast.distributed.problem import Problem
    from nc1fast.distributed.shares import Share

_NAMED = 10  # missing parts that a message names


@ieee
def merge(paths: Iterable[str | os.PathLike[str]]) -> ClassSums:
    """Add the parts of one problem from their files.

    Parameters
    ----------
    paths : iterable of path-like
        Files written by `ClassSums.save` or `nc1fast shard`, in any order.

    Returns
    -------
    ClassSums
        Complete, and bit-identical to a single pass.

    Raises
    ------
    TypeError
        If `paths` is a single path.
    OSError
        If a file cannot be read.
    ValueError
        If there are no files; if one is damaged, holds no part, is of another problem, or repeats a
        part; if parts are missing, which the message names.

    Notes
    -----
    Cost: one reading of each file. Memory: the sums of two parts.
    """
    total: ClassSums | None = None
    origin: dict[int, Path] = {}
    if isinstance(paths, str | os.PathLike):
        raise TypeError(f"paths must be a sequence of paths, got {shown(paths)}")
    for path in map(Path, paths):
        part = ClassSums.load(path)
        if part.exact is None:
            raise ValueError(f"{path} holds no part of a problem: nothing can be added to it")
        if total is not None and (differs := _difference(part, total)):
            first = next(iter(origin.values()))
            raise ValueError(f"{path} cannot be added to {first}: {differs}")
        for index in part.exact.covered & origin.keys():
            raise ValueError(f"{path} has part {index}, which {origin[index]} has already")
        with reading(str(path)):
            total = part if total is None else total + part
        origin |= dict.fromkeys(part.exact.covered, path)
    if total is None or total.exact is None:
        raise ValueError("there is no file to merge")
    parts, covered = total.exact.parts, total.exact.covered
    if n_missing := parts - len(covered):
        missing = (index for index in range(parts) if index not in covered)
        named = ", ".join(map(str, itertools.islice(missing, _NAMED)))
        named += ", ..." if n_missing > _NAMED else ""
        raise ValueError(f"{n_missing} of {parts} parts are missing: {named}")
    return total


def _difference(part: ClassSums, total: ClassSums) -> str:
    """Why two parts cannot be added; "" if they can."""
    a, b = part.exact, total.exact
    assert a is not None
    assert b is not None
    if a.parts != b.parts:
        return f"it is one of {a.parts} parts, not of {b.parts}"
    if repr(part.kernel) != repr(total.kernel):
        return f"its kernel is {part.kernel!r}, not {total.kernel!r}"
    if (a.rows is None) != (b.rows is None) and len(b.covered) < b.parts:
        return "one has the row sums of statistics='all', the other has not"
    if a.problem != b.problem:
        return "it is of another problem: data, dtype or instruction set differ"
    return ""


_SILENCE = 600.0  # seconds without a bundle that begins or ends that an executor may take, or
_EXPECTED = 100.0  # times as long as the plan expects of a bundle


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
        Needs `submit` and futures with `add_done_callback`, nothing more. Default: one bundle after
        the other, in this process.
    journal : path-like, optional
        A file in which every finished bundle is recorded, on disk before it counts. If it exists,
        its bundles are not computed again, and the number of bundles is that of the journal.
    retries : int, default 3
        How often a bundle is tried again after an error of its worker, the network or the file
        system.
    timeout : float, optional
        If no bundle begins or ends for this many seconds, the executor is taken to have lost them;
        `math.inf` waits for ever. Default: 600, or 100 times what the plan expects of a bundle if
        that is more; for ever for dask, which replaces what it loses and may have to wait for its
        first worker.
    progress : bool or callable(done, total), default False
        Counts bundles.

    Returns
    -------
    list of ClassSums
        One per kernel, bit-identical to `nc1fast.class_sums` in one process, for any number of
        bundles, workers, failures and interruptions and any order in which bundles end.

    Raises
    ------
    TypeError, ValueError
        As for `nc1fast.class_sums`; if the journal is of another problem; if X changes while it is
        summed.
    OSError
        If X is deleted, the disk is full or the journal cannot be written. The journal keeps every
        finished bundle.
    RuntimeError
        If the executor is broken, or silent for `timeout` seconds, or a bundle fails more than
        `retries` times. The journal keeps every finished bundle.

    Notes
    -----
    Cost: that of the plan. This process reads X three times (a survey in two scans, a hash); a
    bundle reads and packs the rows that it touches, about 1.65 N/sqrt(bundles) of them, and with
    statistics="all" returns 8 C bytes for each of them per kernel. This process holds one total and
    one bundle's sums per kernel. A change of X is noticed by the size and the time of its file
    after every bundle, before the bundle counts; between two calls with one journal, by the hash.
    Two things look like a slow executor until `timeout`: a worker that hangs, and a queue of other
    work before the bundles. Ctrl-C ends every wait at once.
    """
    executor = as_executor(executor)
    if journal is not None and not isinstance(journal, str | os.PathLike):
        raise TypeError(f"journal must be the path of a file or None, got {shown(journal)}")
    silence, retries = _silence(timeout, plan, executor), as_count("retries", retries, 0)
    # While the problem is surveyed workers have nothing to do: this process may use all cores.
    alone = plan.n_threads if executor is None else None
    with contextlib.ExitStack() as stack:
        report = stack.enter_context(reporting(progress, "bundles"))
        surveyed = Surveyed.of(plan.problem, plan.n_threads, survey_threads=alone)
        finished = Finished(surveyed.nothing(), plan.bundles)
        if journal is not None:
            about = _about(plan.problem)
            finished = BundleJournal(finished.totals, plan.bundles, journal, about)
        stack.callback(finished.close)
        count = finished.bundles
        missing = [index for index in range(count) if index not in finished.covered]
        if report is not None:
            report(count - len(missing), count)
        results: Generator[list[Share], None, None]
        if executor is None or not missing:
            results = (surveyed.shares((index, count)) for index in missing)
        else:
            beside = None if journal is None else Path(journal)
            task = stack.enter_context(shared_tasks(surveyed, beside))
            tasks = (replace(task, part=(index, count)) for index in missing)
            most = most_results(executor, plan.workers)
            results = computed(tasks, executor, retries=retries, silence=silence, most=most)
            stack.enter_context(contextlib.closing(results))
        for shares in results:
            finished.add(shares)
            if report is not None:
                report(len(finished.covered), count)
        return surveyed.finish(finished.totals)


def _about(problem: Problem) -> dict[str, Any]:
    """The entries of a journal that say which problem it is of; messages name what differs."""
    return {
        "statistics": problem.settings.statistics,
        "dtype": problem.settings.dtype,
        "shape": list(problem.data.rows.shape),
        "kernels": [repr(kernel) for kernel in problem.kernels],
        "isa": bits_of(problem.settings.device),
    }


def _silence(timeout: Any, plan: Plan, executor: Any) -> float:
    """Seconds without a sign of life after which the bundles of an executor count as lost."""
    if timeout is None:
        dask = isinstance(executor, DaskWorkers)
        return math.inf if dask else max(_SILENCE, _EXPECTED * plan.seconds_per_bundle)
    if isinstance(timeout, float) and timeout == math.inf:
        return math.inf
    return as_number("timeout", timeout, above=0)
