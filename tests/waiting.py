"""A limit of time for what might wait for ever."""

from __future__ import annotations

import signal
from contextlib import contextmanager


@contextmanager
def within(seconds):
    """A hang is a failure, not a hang of the tests."""

    def late(*_):
        raise AssertionError(f"hangs for {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
