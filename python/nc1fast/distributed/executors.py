"""Executors: how many bundles at once, on how many threads each; bundles on their way to the
workers and back, with retries, and signs that the workers are lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections import Counter
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from nc1fast.core.machine import core_ids, thread_count
from nc1fast.distributed.tasks import Task
from nc1fast.support.arguments import as_count

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Iterable

    from nc1fast.distributed.shares import Share

_MANY = 256  # futures for a cluster, which may gain workers


@dataclass(frozen=True)
class DaskWorkers:
    """The workers of a dask client as an executor.

    It stands in for `client.get_executor()`, whose futures may never end if the scheduler dies
    while a result is on its way.

    Attributes
    ----------
    client : dask.distributed.Client
    retries : int
        How often dask itself repeats a task that failed.
    """

    client: Any
    retries: int

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Submit function(*arguments); returns a future of dask."""
        return self.client.submit(function, *arguments, retries=self.retries, pure=False)

    @property
    def lost(self) -> bool:
        """Whether the client has given up its scheduler; futures then never end."""
        return self.client.status in ("closing", "closed")


def dask(client: Any, *, retries: int = 2) -> DaskWorkers:
    """An executor that runs bundles on the workers of a dask cluster.

    Parameters
    ----------
    client : dask.distributed.Client
        Client of a LocalCluster, of SLURM or another queue (by dask-jobqueue), or of Kubernetes.
    retries : int, default 2
        How often dask itself repeats a bundle that failed.

    Returns
    -------
    executor
        For `nc1fast.collapse`, `nc1fast.class_sums`, `plan` and `reduce`, which take a bare client
        as `dask(client)`.

    Raises
    ------
    TypeError, ValueError
        For retries that are not an integer >= 0.

    Notes
    -----
    Workers read X from its path: give a file that all of them can read, or an array together with a
    journal in a folder that they can read. The bundles of a worker that dies are computed again by
    others; if the scheduler dies, the journal has what was finished.
    """
    return DaskWorkers(client, as_count("retries", retries, 0))


def as_executor(executor: Any) -> Any:
    """Check an executor; a dask client, or what its `get_executor` returns, becomes `DaskWorkers`.

    Raises
    ------
    TypeError
        If it has no `submit`.
    """
    if executor is None or isinstance(executor, DaskWorkers):
        return executor
    client = executor if hasattr(executor, "get_executor") else getattr(executor, "_client", None)
    if client is not None:
        return dask(client)
    if not callable(getattr(executor, "submit", None)) or isinstance(executor, type):
        raise TypeError(
            "executor must be a concurrent.futures.Executor or a dask.distributed.Client, "
            f"got {executor!r}"
        )
    return executor


def capacity(executor: Any, n_threads: int | None) -> tuple[int, int]:
    """Tasks that run at once, and threads for each.

    Parameters
    ----------
    executor : executor or None
    n_threads : int or None
        Threads for each, if given. None: the cores of a machine divided by the tasks that share it.
    """
    n_each = thread_count(n_threads)
    if executor is None:
        return 1, n_each
    if not isinstance(executor, DaskWorkers):
        workers = int(getattr(executor, "_max_workers", 1))
        return workers, n_each if n_threads is not None else max(1, n_each // workers)
    client = executor.client
    tasks = dict(client.nthreads())  # {"tcp://host:port": tasks at once}
    workers = sum(tasks.values()) or 1
    if n_threads is not None:
        return workers, n_each
    per_host: Counter[str | None] = Counter()
    # dask sets OMP_NUM_THREADS to 1 for its workers, so that thread counts say nothing
    cores: dict[str | None, set[int]] = {}
    for address, found in (client.run(core_ids) if tasks else {}).items():
        per_host[_host(address)] += tasks.get(address, 1)
        cores.setdefault(_host(address), set()).update(found)
    shares = [len(found) // per_host[host] for host, found in cores.items()]
    return workers, max(1, min(shares, default=1))


def most_results(executor: Any, workers: int) -> int:
    """How many futures to keep at a time: few for a pool, whose finished futures hold results in
    this process.
    """
    pool = hasattr(executor, "_max_workers")
    return 2 * workers + 1 if pool else max(4 * workers, _MANY)


def _host(address: str) -> str | None:
    """The host of an address such as tcp://host:port."""
    return urlsplit(address).hostname


_PATIENCE = 1.0  # seconds without a result after which the executor is looked at
_FINAL = (ValueError, TypeError, BrokenExecutor)  # errors that another try would not mend
_GONE = (
    "the executor has lost its workers or its scheduler: a journal keeps what was finished, go on "
    "with a new one"
)
_SILENT = (
    "no bundle has begun or ended for {:.0f} s: the executor has lost them, or has other work to "
    "do; a journal keeps what was finished, and reduce(..., timeout=) waits longer"
)


def computed(
    tasks: Iterable[Task], executor: Any, *, retries: int, silence: float, most: int
) -> Generator[list[Share], None, None]:
    """The shares of each task, in the order in which they arrive; a future is dropped as soon as
    its result is taken.

    Parameters
    ----------
    tasks : iterable of Task
    executor : executor
    retries : int
        How often a bundle is tried again.
    silence : float
        Seconds in which no bundle begins or ends after which they are given up.
    most : int
        Futures kept at a time; finished ones may hold their results.

    Raises
    ------
    RuntimeError
        If the executor is broken or silent, or a task fails more than `retries` times.
    ValueError, TypeError, OSError, MemoryError
        Of the task itself, where they say what is wrong with the data or the files.
    """
    ended: SimpleQueue[Any] = SimpleQueue()
    pending: dict[Any, tuple[Task, int]] = {}

    def submit(task: Task, n_failed: int) -> None:
        try:
            future = executor.submit(Task.run, task)
        except Exception as error:
            raise _raised(error, executor, task, n_failed) from error
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
                    raise _raised(error, executor, task, n_failed + 1) from error
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
    """The next of the pending futures that ends.

    Raises
    ------
    RuntimeError
        If the executor is lost, or none of them begins or ends for `silence` seconds.
    """
    begun, since = 0, time.monotonic()
    while True:
        with contextlib.suppress(Empty):
            future = ended.get(timeout=_PATIENCE)
            if future in pending:
                return future
            continue  # it was taken before
        if _is_lost(executor):
            raise RuntimeError(_GONE)
        for future in pending:
            if future.done():  # of an executor that has not called back
                return future
        now = sum(future.running() for future in pending if hasattr(future, "running"))
        if now != begun:
            begun, since = now, time.monotonic()
        elif time.monotonic() - since > silence:
            raise RuntimeError(_SILENT.format(time.monotonic() - since))


def _is_lost(executor: Any) -> bool:
    """Whether the executor has given up its workers: its futures may then never end."""
    return isinstance(executor, DaskWorkers) and executor.lost


def _raised(error: BaseException, executor: Any, task: Task, n_failed: int) -> BaseException:
    """The error to raise: itself where it says what is wrong with the data or the files, else a
    RuntimeError.
    """
    if isinstance(error, ValueError | TypeError | OSError | MemoryError) and not _is_lost(executor):
        return error
    if isinstance(error, BrokenExecutor) or _is_lost(executor):
        return RuntimeError(f"{_GONE} ({error!r})")
    return RuntimeError(
        f"bundle {task.part[0]} of {task.part[1]} failed {n_failed} times, last by {error!r}"
    )
