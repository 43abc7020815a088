"""Progress as callers ask for it: a bar, a function of theirs, or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nc1fast._extras import require

if TYPE_CHECKING:
    from collections.abc import Callable


def reporter(progress: Any, unit: str = "tile") -> Callable[[int, int], object] | None:
    """A callable(done, total), or None; True is a bar of tqdm on standard error, with the time that is left.

    Work that is done at the first call does not count towards the speed.

    Raises
    ------
    TypeError
        If `progress` is neither a bool nor callable.
    ImportError
        At the first call, if tqdm is not installed.
    """
    if progress is False:
        return None
    if progress is not True:
        if not callable(progress):
            raise TypeError(f"progress must be a bool or a callable(done, total), got {progress!r}")
        return progress  # type: ignore[no-any-return]
    bar: Any = None

    def report(done: int, total: int) -> None:
        nonlocal bar
        if bar is None:
            bar = require("tqdm", "cli").tqdm(total=total, initial=done, unit=unit, leave=False)
        bar.update(done - bar.n)
        if done == total:
            bar.close()

    return report
