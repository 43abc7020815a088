"""Progress reports: a bar, a callable of the caller's, or nothing."""

from __future__ import annotations

import shutil
import sys
from contextlib import ExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from nc1fast.support.arguments import shown
from nc1fast.support.extras import require

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    Report: TypeAlias = Callable[[int, int], object]
    Progress: TypeAlias = bool | Report

# Seconds between two states of a bar in a file, where, unlike on a terminal, each one stays.
_SELDOM = 10.0


def check_progress(progress: Any) -> None:
    """Raise TypeError unless `progress` is a bool or callable."""
    if not (isinstance(progress, bool | np.bool_) or callable(progress)):
        raise TypeError(
            f"progress must be a bool or a callable(done, total), got {shown(progress)}"
        )


def reporting(
    progress: Any, unit: str = "tiles", *, leave: bool = True
) -> AbstractContextManager[Report | None]:
    """A context that gives report(done, total) for as long as the work lasts, or None where none is
    requested.

    Parameters
    ----------
    progress : bool or callable(done, total)
        True shows a bar of tqdm on standard error, with the time left. A callable gets each
        state once: total is positive and constant, done never falls, and it reaches total unless
        the work ends with an error.
    unit : str, default "tiles"
        Name of what is counted.
    leave : bool, default True
        Whether a bar stays when the work is done.

    Raises
    ------
    TypeError
        If `progress` is neither a bool nor a callable.
    ImportError
        If tqdm is not installed.
    """
    check_progress(progress)
    if isinstance(progress, bool | np.bool_) and not progress:
        return nullcontext()
    return _reporting(progress, unit, leave=leave)


@contextmanager
def _reporting(progress: Any, unit: str, *, leave: bool) -> Iterator[Report]:
    """The same where a report is requested."""
    with ExitStack() as stack:
        shows = isinstance(progress, bool | np.bool_)
        monotone = _Monotone(_bar(stack, unit, leave=leave) if shows else progress)
        yield monotone
        monotone.finish()


def staged(report: Report | None, count: int) -> list[Report] | list[None]:
    """Split a report into those of `count` successive stages of about equal length.

    While the total of a stage is not known yet (0), nothing is passed on.
    """
    if report is None:
        return [None] * count
    length = 0

    def stage(index: int) -> Report:
        def of_stage(done: int, total: int) -> None:
            nonlocal length
            if total > 0:
                length = length or total
                report(index * length + done * length // total, count * length)

        return of_stage

    return [stage(index) for index in range(count)]


class _Monotone:
    """Passes on only progress, as a share of the first total."""

    def __init__(self, report: Report) -> None:
        self.report, self.done, self.total = report, -1, 0

    def __call__(self, done: int, total: int) -> None:
        if total <= 0:
            return
        self.total = self.total or total
        self._pass_on(min(done, total) * self.total // total)

    def finish(self) -> None:
        """Report that the work is done, however long it was expected to be."""
        if self.total:
            self._pass_on(self.total)

    def _pass_on(self, done: int) -> None:
        """Report a state unless it is no progress."""
        if done > self.done:
            self.done = done
            self.report(done, self.total)


def _bar(stack: ExitStack, unit: str, *, leave: bool) -> Report:
    """A bar that appears once the total is known; work done before that does not count towards its
    speed.
    """
    tqdm = require("tqdm", "cli").tqdm
    settings: dict[str, Any] = {"unit": f" {unit}", "leave": leave}
    if sys.stderr.isatty():
        size = shutil.get_terminal_size()  # of one that says 0 x 0, as some do, the usual one
        settings |= {"ncols": size.columns, "nrows": size.lines}
    else:
        settings["mininterval"] = _SELDOM
    bar: Any = None

    def report(done: int, total: int) -> None:
        nonlocal bar
        if bar is None:
            bar = tqdm(total=total, initial=done, **settings)
            stack.callback(bar.close)
        bar.update(done - bar.n)
        if done == total:
            bar.refresh()

    return report
