"""Bundles on their way to the workers of an executor and back: retries, and signs that the workers
are lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from nc1fast.distributed.executors import DaskWorkers
from nc1fast.distributed.tasks import Task

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterable

    from nc1fast.distributed.shares import Share

_PATIENCE = 1.0  # seconds without a result after which the executor is looked at
_FINAL = (ValueError, TypeError, BrokenExecutor)  # errors that another try would not mend
_GONE = "the executor has lost its workers or its scheduler: a journal keeps what was finished, go on with a new one"
_SILENT = (
    "no bundle has begun or ended for {:.0f} s: the executor has lost them, or has other work to do; a journal keeps what "
    "was finished, and reduce(..., timeout=) waits longer"
)


@dataclass(frozen=True)
class Patience:
    """How much an executor may try and wait.

    Attributes
    ----------
    retries : int
        How often a bundle is tried again.
    silence : float
        Seconds in which no bundle begins or ends after which they are given up.
    most : int
        Futures kept at a time; finished ones may hold their results.
    """

    retries: int
    silence: float
    most: int


def computed(
    tasks: Iterable[Task], executor: Any, patience: Patience
) -> Generator[list[Share], None, None]:
    """The shares of each task, in the order in which they arrive; a future is dropped as soon as
    its result is taken.

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
            raise _told(error, executor, task, n_failed) from error
        pending[future] = (task, n_failed)
        future.add_done_callback(ended.put)

    try:
        waiting = iter(tasks)
        for task in itertools.islice(waiting, patience.most):
            submit(task, 0)
        while pending:
            future = _ended(ended, pending, executor, patience.silence)
            task, n_failed = pending.pop(future)
            try:
                shares = future.result()
            except (Exception, asyncio.CancelledError) as error:
                if isinstance(error, _FINAL) or _is_lost(executor) or n_failed == patience.retries:
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


def _told(error: BaseException, executor: Any, task: Task, n_failed: int) -> BaseException:
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
