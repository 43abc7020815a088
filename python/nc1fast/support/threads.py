"""Threads for tasks of NumPy and the compiled core, which let go of the interpreter's lock."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

    In = TypeVar("In")
    Out = TypeVar("Out")


def ahead(n_threads: int) -> int:
    """Tasks of `workers` that run or wait with their results for those before them, at most."""
    return n_threads + 1 if n_threads > 1 else 1


@contextmanager
def workers(
    n_threads: int,
) -> Iterator[Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]]:
    """A `map` that runs on so many threads; results come in order."""
    if n_threads == 1:
        yield map
        return
    pool = ThreadPoolExecutor(n_threads)

    def in_order(task: Callable[[In], Out], items: Iterable[In]) -> Iterator[Out]:
        pending: deque[Future[Out]] = deque()
        for item in items:
            if len(pending) == ahead(n_threads):
                yield pending.popleft().result()
            pending.append(pool.submit(task, item))
        while pending:
            yield pending.popleft().result()

    try:
        yield in_order
    finally:
        pool.shutdown(cancel_futures=True)
