"""Cells side by side: the same tables as one after the other; a worker that dies is named; Ctrl-C
ends all at once.
"""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time

import pytest

from nc1fast import studies
from nc1fast.studies.processes import side_by_side

SMALL = """
name: small
title: A small study
repeats: 3
arms:
  - name: balanced
    data:
      - {source: gaussian_mixture, name: D1, means: [-2, 2], stds: 0.5, n_samples: [24],
            n_features: [1, 3]}
    kernels: [{kernel: NTK, activation: erf}, {kernel: compat.released.erf_ntk}]
    networks: [{activation: erf, width: 50, epochs: EPOCHS}]
    adaptive: [{noise: 1.0e-3}]
    illustrate: [{dataset: D1, show: [training, sigma]}]
"""
# A job in the background of a shell script inherits that SIGINT is ignored; a terminal's does not.
MAIN = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from nc1fast.cli import main
main()
"""


def known(rows):
    return [repr({k: v for k, v in row.items() if k != "seconds"}) for row in rows]


def children():
    """Processes whose parent is this one."""
    found = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(os.getpid())],
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout.split()


@pytest.mark.slow
def test_numbers_do_not_depend_on_the_number_of_processes(tmp_path):
    pytest.importorskip("torch")
    study = studies.parse(SMALL.replace("EPOCHS", "20"))
    alone = studies.run(study, tmp_path / "1")
    together = studies.run(study, tmp_path / "2", jobs=2)
    assert known(together.rows) == known(alone.rows)
    assert known(together.series) == known(alone.series)
    assert (tmp_path / "1" / "series.csv").read_bytes() == (
        tmp_path / "2" / "series.csv"
    ).read_bytes()


def test_every_item_is_done_once_and_workers_end():
    before = set(children())
    done = dict(side_by_side(math.factorial, range(7), (), 3))
    assert done == {n: math.factorial(n) for n in range(7)}
    assert len(set(children()) - before) <= 2  # ps itself, and a resource tracker


def test_worker_that_dies_is_named():
    with pytest.raises(RuntimeError, match="the process that computed 3 ended with exit code 3"):
        list(side_by_side(os._exit, [3], (), 1))


def test_what_a_worker_raises_is_raised_here():
    with pytest.raises(ValueError, match=r"math domain error|nonnegative"):
        list(side_by_side(math.sqrt, [4, -1, 9], (), 2))


def test_jobs_must_be_positive(tmp_path):
    study = studies.parse(SMALL.replace("EPOCHS", "20"))
    with pytest.raises(ValueError, match="jobs"):
        studies.run(study, tmp_path, jobs=0)


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_stopped_goes_on_to_the_same_tables(tmp_path, how):
    """From the terminal: the signal reaches the parent alone when killed, everybody when
    interrupted.
    """
    pytest.importorskip("torch")
    pytest.importorskip("typer")
    description = tmp_path / "small.yml"
    description.write_text(SMALL.replace("EPOCHS", "1000"))
    out = tmp_path / "out"
    command = [sys.executable, "-c", MAIN, "study", description, "--out", out, "--jobs", "2"]
    process = subprocess.Popen(
        command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    journal = out / "journal.sqlite"
    deadline = time.monotonic() + 120
    records = journal.with_name("journal.sqlite-wal")  # until it is closed
    while not (records.exists() and records.stat().st_size > 10 * 4096):  # its tables, and some
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    (os.killpg if how == signal.SIGINT else os.kill)(process.pid, how)
    assert process.wait(timeout=30) == (130 if how == signal.SIGINT else -how)
    study = studies.load(description)
    resumed = studies.run(study, out, resume=True, jobs=2)
    assert 0 < resumed.n_computed < len(studies.plan(study))
    whole = studies.run(study, tmp_path / "whole")
    assert known(resumed.rows) == known(whole.rows)
    assert known(resumed.series) == known(whole.series)
