"""Full and failing disks, short and interrupted calls, at the k-th call of every writer and reader;
and clocks that jump.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tests import long_pass, plans
from tests.faults import scenarios

import nc1fast as nc
from nc1fast import distributed
from nc1fast.support.files import append_whole

ROOT = Path(__file__).parents[1]
CALLS = 8  # of each kind that fail in turn; NC1FAST_EXHAUSTIVE=1: all
MOST = 10_000 if os.environ.get("NC1FAST_EXHAUSTIVE") == "1" else CALLS


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("needs Linux and a C compiler")
    path = tmp_path_factory.mktemp("shim") / "faults.so"
    source = ROOT / "tests" / "faults" / "shim.c"
    subprocess.run(
        [compiler, "-O1", "-Wall", "-Werror", "-fPIC", "-shared", "-o", path, source, "-ldl"],
        check=True,
    )
    return path


@pytest.mark.tools
@pytest.mark.slow
@pytest.mark.parametrize("name", scenarios.SCENARIOS)
def test_every_call_that_fails_leaves_the_old_file_or_the_new_one_and_no_number(shim, name):
    needs = {"checkpoint": "torch", "monitor": "torch", "study": "pydantic", "tables": "pyarrow"}
    for word, package in needs.items():
        if word in name:
            pytest.importorskip(package)
    one = {"NC1FAST_NUM_THREADS": "2", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    found = subprocess.run(
        [sys.executable, "-m", "tests.faults", str(MOST), name],
        cwd=ROOT,
        env={**os.environ, **one, "LD_PRELOAD": str(shim)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr[-2000:]
    told = json.loads(found.stdout)
    assert told["wrong"] == []
    assert told["struck"] >= CALLS


def test_what_cannot_be_appended_whole_leaves_nothing(tmp_path):
    path = tmp_path / "rows.csv"
    append_whole(path, b"one\n")
    append_whole(path, b"two\n")
    assert path.read_bytes() == b"one\ntwo\n"
    with pytest.raises(FileNotFoundError, match="nowhere"):
        append_whole(tmp_path / "nowhere" / "rows.csv", b"x")


# --- clocks ---


@pytest.fixture
def jumping(monkeypatch):
    """The time of day leaps by years, forth and back, at every look."""
    looks = []

    def time_of_day():
        looks.append(1)
        return 1e9 + (-1) ** len(looks) * 1e8 * len(looks)

    monkeypatch.setattr(time, "time", time_of_day)
    monkeypatch.setattr(time, "time_ns", lambda: int(1e9 * time_of_day()))
    monkeypatch.setattr(pytest.importorskip("tqdm.std"), "time", time_of_day)
    return looks


def test_clocks_that_jump_change_nothing(tmp_path, jumping, capsys):
    X, y = long_pass.data(300)
    expected = long_pass.digest([nc.class_sums(X, y, scenarios.RELU)])

    def reduced(progress):
        plan = plans.uncalibrated(X, y, [scenarios.RELU], 5)
        found = distributed.reduce(plan, journal=tmp_path / "run.journal", progress=progress)
        return long_pass.digest(found)

    def stop(done, _total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reduced(stop)
    assert reduced(True) == expected  # with a bar of tqdm, which looks at the time of day
    assert jumping
    np.save(tmp_path / "X.npy", X)
    assert long_pass.digest([nc.class_sums(tmp_path / "X.npy", y, scenarios.RELU)]) == expected
    assert "100%" in capsys.readouterr().err


def test_no_duration_is_taken_from_the_time_of_day():
    sources = sorted((ROOT / "python" / "nc1fast").rglob("*.py"))
    assert sources
    users = [path.name for path in sources if "time.time(" in path.read_text()]
    assert users == []


def test_files_from_another_time_are_files(tmp_path):
    X, y = long_pass.data(300)
    path = tmp_path / "X.npy"
    np.save(path, X)
    expected = long_pass.digest([nc.class_sums(X, y, scenarios.RELU)])
    for when in (0, 1, 2**33 * 10**9):  # before the epoch of no file, and in the year 2242
        os.utime(path, ns=(when, when))
        assert long_pass.digest([nc.class_sums(path, y, scenarios.RELU)]) == expected
