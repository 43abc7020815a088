"""Planning takes every problem that a pass takes: its samples of rows are problems of their own."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import nc1fast as nc
from nc1fast import distributed
from nc1fast.distributed.problem import Problem

RARE = (700, 1, 1299)
KERNELS = [
    nc.NTK("relu", 3),
    nc.NNGP("erf", 4),
    nc.NTK("gelu", 3),
    nc.NNGP("sign", 3),
    nc.NNGP("abs"),
]


def _data(sizes, d=4, seed=0):
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(len(sizes)), sizes)
    X = rng.normal(size=(len(y), d)) + np.linspace(-1, 1, len(sizes))[y, None]
    order = rng.permutation(len(y))
    return X[order], y[order]


@pytest.mark.parametrize("statistics", ["all", "sums"])
@pytest.mark.parametrize("kernel", KERNELS, ids=str)
@pytest.mark.parametrize("sizes", [RARE, (1, 1999), (1999, 1), (1, 1, 2000, 1, 1)], ids=str)
def test_rare_classes_are_planned_for(sizes, kernel, statistics):
    X, y = _data(sizes)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plan = distributed.plan(X, y, kernel, statistics=statistics, n_threads=1)
    told = plan.describe()
    assert told["classes"] == len(sizes)
    assert told["tiles"] > 0
    assert 0 < told["seconds"] < 60


def test_a_thousand_classes_are_planned_for_without_warnings():
    X, y = _data((2,) * 1000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert distributed.plan(X, y, nc.NTK("relu", 3), n_threads=1).describe()["classes"] == 1000


def test_a_rare_class_has_the_bits_of_one_process(tmp_path):
    X, y = _data(RARE)
    kernel = nc.NTK("relu", depth=4)
    whole = nc.class_sums(X, y, kernel)
    found = nc.collapse(X, y, kernel, convention="papyan", journal=tmp_path / "run.journal")
    np.testing.assert_array_equal(found.sums.block_sums, whole.block_sums)
    assert found.sizes.tolist() == list(RARE)


def test_rows_that_are_out_of_range_only_by_themselves_do_not_stop_a_plan(monkeypatch):
    """A bound of a sample may fail where that of the whole holds: then the problem itself is
    timed.
    """
    X, y = _data(RARE)
    sample = Problem.sample

    def out_of_range(self, n_rows):
        found = sample(self, n_rows)
        found.data.rows[0] = 1e200
        return found

    monkeypatch.setattr(Problem, "sample", out_of_range)
    plan = distributed.plan(X, y, nc.NNGP("relu", 3), n_threads=1)
    assert plan.describe()["tiles"] > 0
    X[3, 1] = np.nan
    with pytest.raises(ValueError, match="X must be finite"):
        distributed.plan(X, y, nc.NNGP("relu", 3), n_threads=1)
