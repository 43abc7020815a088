"""Values that are made when they are first asked for: once, by one thread or several, with the bits
that they have at once.
"""

from __future__ import annotations

import copy
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pytest

import nc1fast as nc
from nc1fast.metrics import result as of_result
from nc1fast.sums import class_sums as of_sums
from nc1fast.support.lazy import later, lazy

Y = np.arange(90) % 5 % 4  # the first class has twice the rows
X = np.random.default_rng(0).normal(size=(90, 6)) + Y[:, None]
KERNELS = [nc.NNGP("relu"), nc.NTK("erf", 3, bias_variance=0.1)]
OF_ROWS = ("nc1_pinv", "ncc_accuracy", "nearest_center", "nc1_truncated", "within_rank")


@lazy("late", "later")
@dataclass(frozen=True)
class _Two:
    late: int
    later: int | None = None


def test_a_value_is_made_once_for_all_fields_and_copies_that_hold_it():
    calls = []

    def make():
        calls.append(threading.get_ident())
        return 7

    value = later(make)
    one, other = _Two(value), _Two(1, value)
    same = copy.copy(one)
    assert calls == []
    assert (one.late, other.later, same.late, replace(one, later=2).late) == (7, 7, 7, 7)
    assert len(calls) == 1
    assert (other.late, one.later) == (1, None)
    assert one == _Two(7)


def test_threads_that_ask_at_once_get_the_same():
    barrier = threading.Barrier(8)
    twos = [_Two(later(partial(int, k))) for k in range(200)]

    def ask(_):
        barrier.wait()
        return [two.late for two in twos]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(8))) == [list(range(200))] * 8


def _at_once(monkeypatch):
    monkeypatch.setattr(of_result, "_FEW", 0)
    monkeypatch.setattr(of_sums, "_FEW", 0)


def _bits(result):
    return {name: np.asarray(getattr(result, name)).tobytes() for name in OF_ROWS}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("keep_rows", [False, True])
def test_metrics_of_rows_have_the_bits_that_they_have_at_once(dtype, keep_rows, monkeypatch):
    settings = {"dtype": dtype, "keep_rows": keep_rows, "convention": "papyan"}
    small = nc.collapse(X, Y, KERNELS, **settings)
    _at_once(monkeypatch)
    for one, expected in zip(small, nc.collapse(X, Y, KERNELS, **settings), strict=True):
        for other in (
            pickle.loads(pickle.dumps(one)),
            one,
            one.under("papyan"),
            copy.deepcopy(one),
        ):
            assert _bits(other) == _bits(expected)
        assert _bits(one.under("class")) == _bits(expected.under("class"))
        assert one.missing == expected.missing
        assert one.sums.has_rows == keep_rows
        if keep_rows:
            assert one.sums.class_rows.tobytes() == expected.sums.class_rows.tobytes()
            assert one.sums.row_sums.tobytes() == expected.sums.row_sums.tobytes()
        else:
            assert one.sums.class_rows is None


def test_row_sums_of_parts_and_of_files_have_the_bits_that_they_have_at_once(tmp_path, monkeypatch):
    whole = nc.class_sums(X, Y, KERNELS[1])
    first, second = (nc.class_sums(X, Y, KERNELS[1], part=(k, 2)) for k in (0, 1))
    assert first.class_rows is None
    joined = first + second
    joined.save(tmp_path / "sums.npz")
    read = nc.ClassSums.load(tmp_path / "sums.npz")
    _at_once(monkeypatch)
    expected = nc.class_sums(X, Y, KERNELS[1]).class_rows.tobytes()
    assert [s.class_rows.tobytes() for s in (whole, joined, read)] == [expected] * 3


def test_a_result_keeps_few_rows_and_only_until_they_are_digested():
    few = nc.collapse(X, Y, KERNELS[0], convention="papyan")
    assert few.nc1_pinv > 0
    assert b"row_scales" in pickle.dumps(nc.collapse(X, Y, KERNELS[0], convention="papyan"))
    assert b"row_scales" not in pickle.dumps(few)
    n = of_result._FEW // 2 + 1
    many = nc.collapse(np.resize(X, (n, 1)), np.arange(n) % 2, KERNELS[0], method="shortcut")
    assert many.metrics._geometry.__dict__["rows"].nearest_center.shape == (n,)
