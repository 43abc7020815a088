"""Executors that lose bundles, do not call back, or cancel: an error that says so, and no wait
without an end.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor

import pytest
from tests import long_pass, plans
from tests.waiting import within

import nc1fast as nc
from nc1fast import distributed

RELU = nc.NNGP("relu")


@pytest.fixture(scope="module")
def data():
    return long_pass.data(300)


class Losing(Executor):
    """Runs every third task; of the others nothing is heard again."""

    def __init__(self):
        self.count, self.pending = 0, []

    def submit(self, function, /, *arguments, **named):
        future: Future[object] = Future()
        self.count += 1
        self.pending.append(future)
        if self.count % 3 == 0:
            future.set_result(function(*arguments, **named))
        return future


class Mute(ThreadPoolExecutor):
    """Its futures end and call nobody back."""

    class _Future:
        def __init__(self, future):
            self.done, self.result, self.cancel = future.done, future.result, future.cancel

        def add_done_callback(self, function):
            pass

    def submit(self, function, /, *arguments, **named):
        return self._Future(super().submit(function, *arguments, **named))


class Cancelling(Losing):
    """Cancels whatever it gets."""

    def submit(self, function, /, *arguments, **named):
        future = super().submit(function, *arguments, **named)
        future.cancel()
        return future


def test_an_executor_that_loses_bundles_is_an_error(data, tmp_path):
    journal = tmp_path / "run.journal"
    with within(60), pytest.raises(RuntimeError, match="no bundle has begun or ended for"):
        distributed.reduce(
            plans.uncalibrated(*data, [RELU], 6, Losing()), Losing(), journal=journal, timeout=1.5
        )
    before = len(journal.read_bytes().splitlines())
    assert before > 1
    found = distributed.reduce(plans.uncalibrated(*data, [RELU], 6), journal=journal)
    assert long_pass.digest(found) == long_pass.digest([nc.class_sums(*data, RELU)])


@pytest.mark.slow
def test_an_executor_that_does_not_call_back_is_looked_at(data):
    with within(60), Mute(2) as executor:
        found = distributed.reduce(plans.uncalibrated(*data, [RELU], 2, executor), executor)
    assert long_pass.digest(found) == long_pass.digest([nc.class_sums(*data, RELU)])


def test_an_executor_that_cancels_is_an_error(data):
    with within(60), pytest.raises(RuntimeError, match="failed 4 times, last by CancelledError"):
        distributed.reduce(plans.uncalibrated(*data, [RELU], 3, Cancelling()), Cancelling())


@pytest.mark.slow
def test_a_bundle_that_runs_is_not_lost(data):
    class Slow(ThreadPoolExecutor):
        def submit(self, function, /, *arguments, **named):
            def slow():
                time.sleep(0.5)
                return function(*arguments, **named)

            return super().submit(slow)

    with within(60), Slow(1) as executor:
        found = distributed.reduce(
            plans.uncalibrated(*data, [RELU], 3, executor), executor, timeout=2
        )
    assert long_pass.digest(found) == long_pass.digest([nc.class_sums(*data, RELU)])


@pytest.fixture
def interrupts():
    """SIGINT is a KeyboardInterrupt, which it is not in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interruption_ends_the_wait(data, interrupts):
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    started = time.monotonic()
    with within(60), pytest.raises(KeyboardInterrupt):
        distributed.reduce(plans.uncalibrated(*data, [RELU], 2, Losing()), Losing())
    assert time.monotonic() - started < 30  # not the ten minutes of the default


@pytest.mark.parametrize(
    ("timeout", "error"),
    [(0, ValueError), (float("nan"), ValueError), ("1", TypeError), (True, TypeError)],
)
def test_timeouts_are_seconds(data, timeout, error):
    with pytest.raises(error, match="timeout must be"):
        distributed.reduce(plans.uncalibrated(*data, [RELU], 2), timeout=timeout)
