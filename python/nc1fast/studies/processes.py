"""Cells side by side, in processes of their own: each computes on one thread, the parent alone writes.

A function and its arguments go through a pipe to a fresh interpreter (spawn). A worker that dies is an error that names
what it was doing; leaving the context ends all of them at once, whatever they do.
"""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import signal
from multiprocessing import connection
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

T = TypeVar("T")


class Worker:
    """One process, and what it is doing.

    Parameters
    ----------
    function : callable
        Of a module: it is sent by name.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(
            target=_serve, args=(theirs, function), daemon=True
        )
        self.process.start()
        theirs.close()
        self.doing: Any = None

    def give(self, item: Any, arguments: tuple[Any, ...]) -> None:
        """Send it something to do."""
        self.doing = item
        self.pipe.send((item, *arguments))

    def take(self) -> tuple[Any, Any]:
        """What it was doing, and the result; waits for it.

        Raises
        ------
        RuntimeError
            If the process ended.
        Exception
            What the function raised.
        """
        item, self.doing = self.doing, None
        try:
            result, error = self.pipe.recv()
        except EOFError:
            self.process.join()
            raise RuntimeError(
                f"the process that computed {item} ended with exit code {self.process.exitcode}"
            ) from None
        if error is not None:
            raise error
        return item, result

    def end(self) -> None:
        """Stop the process at once."""
        self.process.terminate()
        self.process.join()
        self.pipe.close()


def side_by_side(
    function: Callable[..., T], items: Iterable[Any], arguments: tuple[Any, ...], n_workers: int
) -> Generator[tuple[Any, T], None, None]:
    """Pairs of an item and function(item, *arguments), in the order in which they are finished.

    Raises
    ------
    RuntimeError
        If a worker dies: says which item it had.
    Exception
        What the function raises; the other workers are ended.
    """
    waiting = iter(items)
    with contextlib.ExitStack() as stack:
        busy: dict[Any, Worker] = {}
        for item in itertools.islice(waiting, n_workers):
            worker = Worker(function)
            stack.callback(worker.end)
            worker.give(item, arguments)
            busy[worker.pipe] = worker
        while busy:
            for pipe in connection.wait(list(busy)):
                worker = busy.pop(pipe)
                done = worker.take()
                for item in itertools.islice(waiting, 1):
                    worker.give(item, arguments)
                    busy[worker.pipe] = worker
                yield done


def _serve(pipe: Connection, function: Callable[..., Any]) -> None:
    """What a worker does: one item after the other, until the parent has gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends it
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            arguments = pipe.recv()
            result, error = None, None
            try:
                result = function(*arguments)
            except Exception as caught:  # noqa: BLE001  (raised again by the parent)
                error = caught
            pipe.send((result, error))
