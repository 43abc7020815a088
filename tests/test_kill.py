"""SIGKILL at random moments, then the same call again: the same bits.

NC1FAST_KILLS=20 for more rounds than a few.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests import long_pass

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]
ROUNDS = int(os.environ.get("NC1FAST_KILLS", "1"))
MODES = ["alone", "processes", "dask", "scheduler"]


@pytest.fixture(scope="module")
def expected():
    return long_pass.expected()


@pytest.fixture
def journal(tmp_path):
    path = tmp_path / "journal"
    _hold(path).touch()
    return path


@contextlib.contextmanager
def _started(mode, journal):
    """A pass in a session of its own, of which nothing is left at the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.long_pass", mode, str(journal)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process, json.loads(process.stdout.readline())
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def _hold(journal):
    return journal.with_name("journal.hold")


def _records(journal):
    return len(long_pass.recorded(journal))


def _kill(process, victim, journal, rng):
    """Kill at a random moment: while the pass is planned and surveyed, or between two records."""
    requested = rng.randrange(long_pass.HELD)
    while _hold(journal).stat().st_size < requested and process.poll() is None:
        time.sleep(0.002)
    time.sleep(rng.uniform(0, 0.02 if requested else 1))
    os.kill(victim, signal.SIGKILL)
    _hold(journal).unlink()


def _finish(process):
    out, err = process.communicate(timeout=120)
    return process.returncode, out.strip().splitlines()[-1:], err


def _digest(mode, journal):
    with _started(mode, journal) as (process, _):
        code, last, err = _finish(process)
    assert code == 0, err
    return last[0]


def test_a_cluster_that_nothing_happens_to(expected, tmp_path):
    assert _digest("dask", tmp_path / "journal") == expected


@pytest.mark.parametrize("seed", range(ROUNDS))
@pytest.mark.parametrize("mode", MODES)
def test_driver_killed(mode, seed, expected, journal):
    with _started(mode, journal) as (process, _):
        _kill(process, process.pid, journal, random.Random(seed))
        assert process.wait() == -signal.SIGKILL
        assert _records(journal) <= long_pass.HELD
        assert _digest(mode, journal) == expected  # while workers of the first may still be there
    assert _records(journal) == long_pass.BUNDLES
    assert [path.name for path in journal.parent.iterdir()] == ["journal"]


@pytest.mark.parametrize("seed", range(ROUNDS))
@pytest.mark.parametrize(
    ("mode", "victim", "message", "then"),
    [
        ("processes", "workers", "the executor has lost its workers", "alone"),
        ("scheduler", "scheduler", "its scheduler", "processes"),
    ],
)
def test_what_cannot_be_mended_killed(mode, victim, message, then, seed, expected, journal):
    """A pool of processes, a scheduler: an error that says so, and another call."""
    rng = random.Random(seed)
    with _started(mode, journal) as (process, pids):
        killed = pids[victim] if victim == "scheduler" else rng.choice(pids[victim])
        _kill(process, killed, journal, rng)
        code, _, err = _finish(process)
    assert code != 0
    assert message in err
    assert _records(journal) <= long_pass.HELD
    assert _digest(then, journal) == expected


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_worker_of_a_cluster_killed(seed, expected, journal):
    """The cluster replaces it: the call goes on."""
    rng = random.Random(seed)
    with _started("dask", journal) as (process, pids):
        _kill(process, rng.choice(pids["workers"]), journal, rng)
        code, last, err = _finish(process)
    assert code == 0, err
    assert last == [expected]
