"""What a distributed pass is planned to do: bundles, threads, tasks and shares."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from tests import long_pass, plans

import nc1fast as nc
from nc1fast import distributed
from nc1fast.distributed.executors import as_executor, capacity
from nc1fast.distributed.planning import MOST_BUNDLES, best_count
from nc1fast.distributed.shares import Share, decoded, encoded
from nc1fast.distributed.tasks import Task, shared_tasks

RELU = nc.NNGP("relu")


@pytest.fixture(scope="module")
def pool():
    with ThreadPoolExecutor(3) as executor:
        yield executor


@pytest.mark.parametrize(
    ("work", "packing", "workers", "n_rows", "bundles"),
    [
        (0.01, 0.0, 1, 10**6, 2),  # never one
        (100.0, 0.0, 1, 10**6, 100),  # seconds
        # 3 seconds, of which 3 % are the packing of 1.65/sqrt(34) of all rows
        (100.0, 0.315, 1, 10**6, 34),
        (100.0, 1.2122, 1, 10**6, 16),  # 6.25 seconds, 8 %
        (9.0, 0.0, 4, 10**6, 12),  # whole rounds
        (1e9, 0.0, 64, 10**9, MOST_BUNDLES),
        (1e3, 0.0, 1, 640, 10),  # a panel row for each
    ],
)
def test_bundles_take_seconds(work, packing, workers, n_rows, bundles):
    assert best_count(work, packing, workers, n_rows) == bundles


def test_a_plan_says_what_it_comes_to(pool):
    X, y = long_pass.data(700)
    plan = distributed.plan(X, y, [RELU, nc.NTK("relu")], executor=pool, n_threads=2, bundles=5)
    told = plan.describe()
    expected = {
        "rows": 700,
        "features": 6,
        "classes": 4,
        "kernels": 2,
        "pairs": 700 * 701 // 2,
        "flops": 700**2 * 6,
        "bytes_of_data": 700 * 6 * 8,
        "bundles": 5,
        "workers": 3,
        "threads_per_worker": 2,
    }
    assert {name: told[name] for name in expected} == expected
    survey = 700 * plan.cost.row
    assert told["seconds"] == pytest.approx(survey + 2 * told["seconds_per_bundle"])
    assert told["tiles"] >= 1
    with pytest.raises(ValueError, match="bundles"):
        distributed.plan(X, y, RELU, bundles=1)


def test_threads_are_shared_among_workers(pool, monkeypatch):
    monkeypatch.setenv("NC1FAST_NUM_THREADS", "8")
    assert capacity(pool, None) == (3, 2)
    assert capacity(pool, 5) == (3, 5)
    assert capacity(None, None) == (1, 8)


class Client:
    """A dask client of two machines: one with 8 cores for 2 + 2 tasks, of which each sees 6; one
    with 4 cores for 1.
    """

    status = "running"
    cores: ClassVar = {
        "tcp://10.0.0.1:1": [0, 1, 2, 3, 4, 5],
        "tcp://10.0.0.1:2": [2, 3, 4, 5, 6, 7],
        "tcp://10.0.0.2:1": [0, 1, 2, 3],
    }

    def nthreads(self):
        return {"tcp://10.0.0.1:1": 2, "tcp://10.0.0.1:2": 2, "tcp://10.0.0.2:1": 1}

    def run(self, function):
        assert set(function()) == os.sched_getaffinity(0)
        return self.cores

    def get_executor(self):
        raise AssertionError("its futures may never end")

    def submit(self, function, *arguments, retries, pure):
        raise AssertionError("nothing is run by a plan")


def test_threads_of_a_cluster_are_counted_by_machine():
    executor = as_executor(Client())
    assert capacity(executor, None) == (5, 2)
    assert capacity(executor, 3) == (5, 3)


def test_a_task_is_what_it_says(tmp_path):
    X, y = long_pass.data(300)
    surveyed = plans.surveyed(X, y, 3)
    with shared_tasks(surveyed, None) as task:
        assert isinstance(task, Task)
        assert Path(task.base) != tmp_path
    with shared_tasks(surveyed, tmp_path / "journal"):
        assert sorted(path.name for path in tmp_path.iterdir()) == [
            "journal.classes.npy",
            "journal.order.npy",
            "journal.pass",
            "journal.rows.npy",
        ]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("seed", range(5))
def test_rows_without_a_sum_do_not_travel(seed):
    rng = np.random.default_rng(seed)
    X, y = long_pass.data(4_000)
    total = plans.surveyed(X, y, 5).nothing()[0]
    rows = np.zeros_like(total.rows)
    for begin in rng.integers(0, 4_000, 3):
        rows[:, begin : begin + 50] = rng.integers(-(2**50), 2**50, (len(rows), 50))[
            :, : 4_000 - begin
        ]
    part = replace(total, rows=rows, covered=frozenset({seed}))
    share = Share.of(part)
    assert share.rows.shape[1] <= 3 * 50 + 2 * 256
    total = replace(total, covered=frozenset())
    for _ in range(2):
        found = share.added_to(total)
        (share,) = decoded(encoded([share]))
        np.testing.assert_array_equal(found.rows, rows)
        assert found.covered == {seed}
        with pytest.raises(ValueError, match="twice"):
            share.added_to(found)
        total.rows[:] = 0
    empty = Share.of(replace(part, rows=np.zeros_like(rows)))
    assert (len(empty.spans), empty.rows.shape) == (0, (4, 0))
