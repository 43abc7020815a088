"""The warnings of the package, which point at its caller."""

from __future__ import annotations

import sys
import threading
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_PACKAGE = str(Path(__file__).parents[1])
_in_this_thread = threading.local()


class AccuracyWarning(UserWarning):
    """The error bound of a result is large, or the result is infinite."""


class Once:
    """A warning that is given once per process; where warnings are errors it is raised every time,
    for nobody has seen it yet.
    """

    said = False


class Held(NamedTuple):
    """A warning that was kept back: the arguments of `warn`."""

    message: str
    category: type[Warning]
    once: Once | None


def warn(message: str, category: type[Warning] = UserWarning, once: Once | None = None) -> None:
    """Issue a warning that points at the first caller outside the package."""
    if once is not None and once.said:
        return
    if (kept := getattr(_in_this_thread, "kept", None)) is not None:
        kept.append(Held(message, category, once))
        return
    depth, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        depth, frame = depth + 1, frame.f_back
    warnings.warn(message, category, stacklevel=depth)
    if once is not None:
        once.said = True


@contextmanager
def held() -> Iterator[list[Held]]:
    """Yields the warnings of this package in this thread, which are kept back for as long as the
    context.
    """
    before = getattr(_in_this_thread, "kept", None)
    kept: list[Held] = []
    _in_this_thread.kept = kept
    try:
        yield kept
    finally:
        _in_this_thread.kept = before
