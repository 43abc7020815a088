"""Cells side by side, each in a process of its own with one thread; only the parent writes.

A function and its arguments go through a pipe to a fresh interpreter (spawn). A worker that dies
raises an error that names its item; closing the generator ends all workers at once. (The workers of
`nc1fast.distributed` compute bundles of tiles instead, with any executor of the caller.)
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
    """One process, and the item that it is computing.

    Parameters
    ----------
    function : callable
        A function of a module, since it is sent by name.
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
        """Send an item with the further arguments of the function."""
        self.doing = item
        self.pipe.send((item, *arguments))

    def take(self) -> tuple[Any, Any]:
        """The item it was given and its result; waits for it.

        Raises
        ------
        RuntimeError
            If the process ended: names the item and the exit code.
        Exception
            The one that the function raised.
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
        """Terminate the process, whatever it is doing."""
        self.process.terminate()
        self.process.join()
        self.pipe.close()


def side_by_side(
    function: Callable[..., T], items: Iterable[Any], arguments: tuple[Any, ...], n_workers: int
) -> Generator[tuple[Any, T], None, None]:
    """Pairs (item, function(item, *arguments)) in the order in which they are finished.

    Raises
    ------
    RuntimeError
        If a worker dies: names its item.
    Exception
        The one that the function raises; the other workers are ended.
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
    """Answer one item after the other until the parent closes the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            arguments = pipe.recv()
            result, error = None, None
            try:
                result = function(*arguments)
            except Exception as caught:  # noqa: BLE001  (raised again by the parent)
                error = caught
            pipe.send((result, error))
