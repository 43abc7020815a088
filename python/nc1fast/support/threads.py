"""Ordered maps over threads, for tasks of NumPy and the compiled core, which release the
interpreter's lock.
"""

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
    """Most tasks of `workers` that are running, or finished and waiting for those before them."""
    return n_threads + 1 if n_threads > 1 else 1


@contextmanager
def workers(
    n_threads: int,
) -> Iterator[Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]]:
    """Yields a `map(task, items)` that runs on `n_threads` threads; results come in the order of
    the items.
    """
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
