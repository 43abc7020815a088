"""One call on many data sets: small ones beside each other, a thread for each, larger ones one
after the other with all threads.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nc1fast.core.machine import thread_count
from nc1fast.inputs.files import BY_PACKAGE
from nc1fast.kernels.classes import Kernel
from nc1fast.methods.request import Execution
from nc1fast.support.arguments import shown
from nc1fast.support.progress import reporting
from nc1fast.support.threads import workers
from nc1fast.support.warnings import Held, held, warn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from nc1fast.methods.request import Request
    from nc1fast.metrics.result import Collapse
    from nc1fast.sums.settings import Settings
    from nc1fast.support.progress import Progress

    Evaluate = Callable[[Any, Any, Settings, Execution], list[Collapse]]

# N^2 (d + _EPILOGUE) and kernels, of a pass of some 20 ms on one thread, and of one that takes no
# longer than what surrounds it.
_MOST, _LEAST = 1 << 30, 1 << 24
_EPILOGUE = 64  # features whose products take as long as a value of a kernel
_STEPS = 100  # of the progress of a data set


class _Item(NamedTuple):
    """A data set as it was given, or the error of the iterable, which had no other."""

    number: int
    given: Any
    small: bool = False
    error: Exception | None = None

    def pair(self) -> tuple[Any, Any]:
        """X and y; raises TypeError for anything but two of them."""
        if (pair := _pair(self.given)) is None:
            raise TypeError(f"a data set must be a pair (X, y), got {shown(self.given)}")
        return pair


class _Outcome(NamedTuple):
    """Results of a data set, or its error, and the warnings on the way."""

    results: list[Collapse]
    error: Exception | None
    said: list[Held]

    def taken(self, place: str) -> list[Collapse]:
        """The results; warnings are issued, and the error is raised, with the place of the data
        set.
        """
        for one in self.said:
            warn(f"{place}: {one.message}", one.category, one.once)
        if self.error is None:
            return self.results
        if (named := _named(self.error, place)) is None:
            raise self.error
        raise named from self.error


def each_by(
    evaluate: Evaluate,
    data_sets: Iterable[Any],
    kernels: Sequence[Any],
    settings: Settings,
    request: Request,
    progress: Progress,
) -> list[list[Collapse]]:
    """Results of `evaluate(X, y, settings, execution)` for each pair (X, y), in their order.

    Errors and warnings name the number of their data set, and are those of a loop over them; an
    error of the iterable itself comes when all before it are done.

    Raises
    ------
    TypeError
        For what is not iterable, and a progress where the number of data sets is not known.
    """
    if isinstance(data_sets, str | bytes | Mapping) or not hasattr(data_sets, "__iter__"):
        raise TypeError(f"data_sets must be an iterable of pairs (X, y), got {shown(data_sets)}")
    alone = replace(settings, n_threads=1)
    n_kernels = len(kernels) if _may_run_beside_others(kernels, settings, request) else 0
    results: list[list[Collapse]] = []
    with (
        reporting(progress, "steps") as report,
        workers(thread_count(settings.n_threads)) as on_threads,
    ):
        steps = 0 if report is None else _STEPS * _count(data_sets)

        def reached(number: int) -> Progress:
            """Progress of a data set as that of all of them."""
            if report is None:
                return False
            return lambda done, total: report(_STEPS * number + _STEPS * done // total, steps)

        def attempt(item: _Item) -> _Outcome:
            if item.error is not None:
                raise item.error
            own, report_own = (alone, False) if item.small else (settings, reached(item.number))
            with held() as said:
                try:
                    found = evaluate(*item.pair(), own, Execution(progress=report_own))
                except Exception as error:  # noqa: BLE001  (raised when its turn has come)
                    return _Outcome([], error, said)
            return _Outcome(found, None, said)

        for small, some in groupby(_items(data_sets, n_kernels), attrgetter("small")):
            for outcome in (on_threads if small else map)(attempt, some):
                results.append(outcome.taken(f"data_sets[{len(results)}]"))
                if report is not None:
                    report(_STEPS * len(results), steps)
    return results


def _items(data_sets: Iterable[Any], n_kernels: int) -> Iterator[_Item]:
    """The data sets by number, and at the end the error of the iterable, if it raises one; small
    ones if there are `n_kernels`.
    """
    number, small = 0, False
    try:
        for given in data_sets:
            work = _work(given) * n_kernels
            # What is too little for a thread goes where the one before it went.
            small = 0 < work <= _MOST and (small or work >= _least())
            yield _Item(number, given, small)
            number += 1
    except Exception as error:  # noqa: BLE001  (that of the caller)
        yield _Item(number, None, error=error)


def _count(data_sets: Any) -> int:
    """How many there are, which a progress needs to know."""
    try:
        return len(data_sets)
    except TypeError:
        raise TypeError(
            "progress needs the number of data sets: data_sets must have a length, as a list has, "
            f"got {shown(data_sets)}"
        ) from None


def _may_run_beside_others(kernels: Sequence[Any], settings: Settings, request: Request) -> bool:
    """Whether passes may run at the same time: those of this package, on the processor, without a
    limit that holds for one of them.
    """
    if request.method != "exact" or settings.device != "cpu" or settings.memory_limit is not None:
        return False
    return all(kernel is None or isinstance(kernel, str | Kernel) for kernel in kernels)


def _least() -> int:
    """Work from which a thread saves time: what surrounds a pass holds the lock of the interpreter,
    where there is one.
    """
    return _LEAST if getattr(sys, "_is_gil_enabled", lambda: True)() else 1


def _pair(given: Any) -> tuple[Any, Any] | None:
    """X and y of a data set; None for what is no pair."""
    return (given[0], given[1]) if isinstance(given, tuple | list) and len(given) == 2 else None


def _work(given: Any) -> int:
    """Multiply-adds of a pass over a data set of rows in memory; 0 for anything else."""
    X, _ = _pair(given) or (None, None)
    shape = getattr(X, "shape", None)
    if not isinstance(shape, tuple) or len(shape) != 2:
        return 0
    if isinstance(X, np.memmap) or type(X).__module__.partition(".")[0] in BY_PACKAGE:
        return 0
    return int(shape[0] ** 2 * (shape[1] + _EPILOGUE))


def _named(error: Exception, place: str) -> Exception | None:
    """An error of the same kind whose message begins with a place; None for one that is not made of
    a message alone.
    """
    kind = type(error)
    if isinstance(error, OSError) and error.errno is not None:
        return kind(error.errno, f"{place}: {error.strerror}", error.filename)
    if kind.__module__.partition(".")[0] not in ("builtins", "nc1fast"):
        return None
    if len(error.args) != 1 or not isinstance(error.args[0], str):
        return None
    return kind(f"{place}: {error}")
