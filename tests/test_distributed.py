"""Bundles on the workers of any executor: the bits of one process, whatever happens on the way."""

from __future__ import annotations

import gc
import multiprocessing
import pickle
import random
import threading
import weakref
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from tests import cases, long_pass, plans
from tests.cases import DTYPES, KERNELS
from tests.full_disk import files_of_at_most

import nc1fast as nc
from nc1fast import _core, distributed
from nc1fast.distributed.shares import Finished
from nc1fast.sums.rectangles import rows_of_part

RELU = nc.NNGP("relu")


@pytest.fixture(scope="module")
def pool():
    with ThreadPoolExecutor(3) as executor:
        yield executor


def _same(found, expected):
    assert long_pass.digest(found) == long_pass.digest(expected)


@pytest.mark.parametrize("statistics", ["sums", "all"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_bits_do_not_depend_on_bundles_or_executor(pool, dtype, statistics):
    X, y = cases.data()
    kernels = [*KERNELS.values(), nc.AdaptiveKernel(np.diag(np.arange(1.0, 8.0)))]
    settings = {"dtype": dtype, "statistics": statistics}
    expected = nc.class_sums(X, y, kernels, **settings)
    for executor, bundles in ((pool, 2), (pool, 11), (None, 5)):
        plan = plans.uncalibrated(X, y, kernels, bundles, executor, **settings)
        _same(distributed.reduce(plan, executor), expected)


def test_collapse_and_class_sums_take_an_executor(pool):
    X, y = long_pass.data(700)
    kernels = [RELU, nc.NTK("erf")]
    expected = nc.collapse(X, y, kernels, convention="papyan")
    _same(nc.class_sums(X, y, kernels, executor=pool), [nc.class_sums(X, y, k) for k in kernels])
    _same([nc.class_sums(X, y, RELU, executor=pool)], [nc.class_sums(X, y, RELU)])
    one = nc.collapse(X, y, RELU, convention="papyan", executor=pool)
    for found, other in zip(
        [one, *nc.collapse(X, y, kernels, convention="papyan", executor=pool)],
        [expected[0], *expected],
        strict=True,
    ):
        for name in ("nc1", "nc1_pinv", "error_bound", "kernel"):
            assert getattr(found, name) == getattr(other, name)
        np.testing.assert_array_equal(found.nearest_center, other.nearest_center)


def test_processes_give_the_bits_of_one_process():
    X, y = long_pass.data(900)
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as executor:
        found = distributed.reduce(plans.uncalibrated(X, y, [RELU], 7, executor), executor)
    _same(found, [nc.class_sums(X, y, RELU)])


@pytest.mark.parametrize("seed", range(3))
def test_order_of_the_bundles_does_not_matter(seed):
    X, y = long_pass.data(800)
    surveyed = plans.surveyed(X, y, 9)
    finished = Finished(surveyed.nothing(), 9)
    for index in random.Random(seed).sample(range(9), 9):
        finished.add(surveyed.shares((index, 9)))
    _same(surveyed.finish(finished.totals), [nc.class_sums(X, y, RELU)])


# --- what travels ---


class Watching(ThreadPoolExecutor):
    """Keeps what is submitted, where its rows are, and how many futures are alive."""

    def __init__(self):
        super().__init__(2)
        self.tasks, self.rows = [], set()
        self.futures: weakref.WeakSet[Future[object]] = weakref.WeakSet()

    def submit(self, function, task):  # type: ignore[override]
        self.tasks.append(task)
        self.rows.add(task.surveyed().problem.data.rows.path)
        future = super().submit(function, task)
        self.futures.add(future)
        return future


def test_tasks_carry_a_path_and_numbers_and_files_go_at_the_end():
    X, y = long_pass.data(900)
    kernels = [RELU, nc.AdaptiveKernel(np.eye(X.shape[1]))]
    with Watching() as executor:
        distributed.reduce(plans.uncalibrated(X, y, kernels, 6, executor), executor)
    assert len(executor.tasks) == 6
    assert all(len(pickle.dumps(task)) < 300 for task in executor.tasks)
    assert len(executor.rows) == 1
    assert not Path(executor.tasks[0].base).exists()


def test_rows_are_surveyed_once_and_read_where_they_are_needed(pool, monkeypatch, tmp_path):
    """However many bundles a worker does, it reads rows of its rectangles."""
    X, y = long_pass.data(4_800)
    np.save(tmp_path / "X.npy", X)
    plan = plans.uncalibrated(tmp_path / "X.npy", y, [RELU], 40, pool)
    expected = [nc.class_sums(X, y, RELU)]
    surveys, bundles = [], []
    survey, sums = _core.survey, _core.class_sums

    def surveying(*arguments):
        surveys.append(1)
        return survey(*arguments)

    def summing(*arguments):
        bundles.append(arguments[-3])
        return sums(*arguments)

    monkeypatch.setattr(_core, "survey", surveying)
    monkeypatch.setattr(_core, "class_sums", summing)
    _same(distributed.reduce(plan, pool), expected)
    read = [
        {row for a, b, c, d in bundle for row in (*range(a, b), *range(c, d))} for bundle in bundles
    ]
    assert (len(surveys), len(bundles)) == (1, 41)  # one is empty
    assert sum(map(len, read)) <= 1.1 * 40 * rows_of_part(4_800, 40)


@pytest.mark.parametrize("given", ["path", "memory map"])
def test_a_file_of_rows_is_read_where_it_lies(given, tmp_path):
    X, y = long_pass.data(900)
    path = tmp_path / "X.npy"
    np.save(path, X)
    rows = path if given == "path" else np.load(path, mmap_mode="r")
    with Watching() as executor:
        found = distributed.reduce(plans.uncalibrated(rows, y, [RELU], 4, executor), executor)
    assert executor.rows == {str(path)}
    assert path.exists()
    _same(found, [nc.class_sums(X, y, RELU)])


@pytest.mark.parametrize("part", [slice(1, None), slice(None, None, 2)], ids=["shifted", "strided"])
def test_a_part_of_a_memory_map_is_not_taken_for_the_whole(part, pool, tmp_path):
    X, y = long_pass.data(900)
    np.save(tmp_path / "X.npy", X)
    rows = np.load(tmp_path / "X.npy", mmap_mode="r")[part]
    found = distributed.reduce(plans.uncalibrated(rows, y[part], [RELU], 4, pool), pool)
    _same(found, [nc.class_sums(X[part], y[part], RELU)])


def test_futures_are_dropped_as_they_end():
    X, y = long_pass.data(900)
    alive = []

    def progress(done, total):
        gc.collect()
        alive.append(len(executor.futures))

    gc.freeze()  # what is there already is not looked through each time
    try:
        with Watching() as executor:
            plan = plans.uncalibrated(X, y, [RELU], 12, executor)
            distributed.reduce(plan, executor, progress=progress)
    finally:
        gc.unfreeze()
    assert len(alive) == 13
    assert max(alive) <= 6  # of 12: twice the workers, and one that a worker still holds
    assert alive[-1] <= 1


# --- what fails ---


class Failing(ThreadPoolExecutor):
    """Every bundle fails `times` times."""

    def __init__(self, times, error):
        super().__init__(2)
        self.error, self.lock = error, threading.Lock()
        self.left = dict.fromkeys(range(6), times)

    def submit(self, function, task):  # type: ignore[override]
        return super().submit(self._run, function, task)

    def _run(self, function, task):
        with self.lock:
            self.left[task.part[0]] -= 1
            if self.left[task.part[0]] >= 0:
                raise self.error
        return function(task)


@pytest.mark.parametrize("error", [OSError("network"), RuntimeError("worker"), MemoryError()])
def test_bundles_that_fail_are_tried_again(error):
    X, y = long_pass.data(500)
    with Failing(3, error) as executor:
        found = distributed.reduce(plans.uncalibrated(X, y, [RELU], 6, executor), executor)
    _same(found, [nc.class_sums(X, y, RELU)])


@pytest.mark.parametrize(
    ("error", "expected", "message"),
    [
        (OSError(5, "cannot be read", "X.npy"), OSError, "X.npy"),
        (RuntimeError("lost"), RuntimeError, r"bundle \d of 6 failed 4 times.*lost"),
    ],
)
def test_bundles_that_fail_for_good_are_an_error(error, expected, message):
    X, y = long_pass.data(500)
    with Failing(4, error) as executor, pytest.raises(expected, match=message):
        distributed.reduce(plans.uncalibrated(X, y, [RELU], 6, executor), executor)


def test_wrong_data_are_not_tried_again():
    X, y = long_pass.data(500)
    with Failing(1, ValueError("wrong")) as executor, pytest.raises(ValueError, match="wrong"):
        distributed.reduce(plans.uncalibrated(X, y, [RELU], 6, executor), executor)
    assert min(executor.left.values()) >= 0


def test_an_executor_that_is_shut_down_is_an_error():
    X, y = long_pass.data(500)
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    with pytest.raises(RuntimeError, match="shutdown"):
        nc.collapse(X, y, RELU, executor=executor)


def test_interruption_cancels_what_waits_and_removes_the_files():
    X, y = long_pass.data(900)

    def progress(done, total):
        if done == 2:
            raise KeyboardInterrupt

    with Watching() as executor, pytest.raises(KeyboardInterrupt):
        distributed.reduce(
            plans.uncalibrated(X, y, [RELU], 12, executor), executor, progress=progress
        )
    assert len(executor.tasks) < 12
    assert not Path(executor.tasks[0].base).exists()


def test_data_that_change_meanwhile_are_refused(tmp_path):
    X, y = long_pass.data(500)
    path = tmp_path / "X.npy"
    np.save(path, X)

    def progress(done, total):
        if done == 1:
            np.save(path, X + 1e-9)

    with ThreadPoolExecutor(1) as executor:
        plan = plans.uncalibrated(path, y, [RELU], 8, executor)
        with pytest.raises(ValueError, match="X has changed"):
            distributed.reduce(plan, executor, progress=progress)


def test_a_full_disk_is_named(pool):
    X, y = long_pass.data(2_000)
    with files_of_at_most(20_000), pytest.raises(OSError, match=r"rows\.npy") as caught:
        distributed.reduce(plans.uncalibrated(X, y, [RELU], 4, pool), pool)
    assert f"{X.nbytes} bytes are needed" in str(caught.value)
    assert not Path(caught.value.filename).parent.exists()
