"""`collapse` by other methods than the pass over all pairs, and the choice among them."""

from __future__ import annotations

import numpy as np
import pytest

import nc1fast as nc
from nc1fast._methods import expected_seconds

RELU, ERF = nc.NNGP("relu"), nc.NNGP("erf")


def _data(n, n_features, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    return 2 * y[:, None] - 1 + 0.5 * rng.normal(size=(n, n_features)), y


def _seconds(n, n_features, kernel=RELU, *, n_classes=2, half_width=None):
    return expected_seconds(
        kernel,
        *(n, n_features, n_classes),
        half_width=half_width,
        confidence=0.95,
        single=False,
        n_threads=2,
    )


def _fastest(*arguments, **settings):
    seconds = _seconds(*arguments, **settings)
    return min(seconds, key=seconds.get)


def test_the_default_is_the_pass_over_all_pairs():
    X, y = _data(50, 3)
    result = nc.collapse(X, y, RELU)
    assert (result.method, result.reason) == ("exact", "")


def test_methods_by_name():
    X, y = _data(2000, 2)
    exact = nc.collapse(X, y, RELU)
    shortcut = nc.collapse(X, y, RELU, method="shortcut")
    assert (shortcut.method, shortcut.reason) == ("shortcut", "sweep")
    assert shortcut.nc1 == pytest.approx(exact.nc1, rel=1e-12)
    assert shortcut.ncc_accuracy == exact.ncc_accuracy
    assert nc.collapse(X, y, RELU, method="shortcut", statistics="sums").nc1_pinv is None
    for method in ("features", "pairs"):
        result = nc.collapse(X, y, RELU, method=method, seed=4)
        assert result.method == method
        assert result.interval[0] < result.nc1 < result.interval[1]
        assert abs(result.nc1 - exact.nc1) < 6 * result.standard_error
        same = getattr(nc.estimators, method)(X, y, RELU, seed=4)
        assert same.nc1 == result.nc1
        wide = nc.collapse(X, y, RELU, method=method, seed=4, confidence=0.999)
        assert wide.interval[1] > result.interval[1]
        table = nc.to_table(result)
        assert table["interval_low"][0] == result.interval[0]
        assert table["method"][0] == method


def test_auto_is_exact_without_a_tolerance():
    X, y = _data(400, 8)
    result = nc.collapse(X, y, RELU, method="auto")
    assert result.method == "exact"
    assert "s expected" in result.reason
    assert result.nc1 == nc.collapse(X, y, RELU).nc1
    assert nc.collapse(X, y, method="auto").method == "exact"  # explicit features


def test_auto_takes_the_fastest():
    assert _fastest(1_000, 2) == "exact"
    assert _fastest(200_000, 2) == "shortcut"
    assert _fastest(200_000, 1, ERF) == "shortcut"
    assert _fastest(5_000, 2, ERF) == "exact"
    assert _fastest(200_000, 128) == "exact"
    assert _fastest(200_000, 128, half_width=0.01) == "pairs"
    assert _fastest(20_000_000, 128, nc.NTK("relu", 5), half_width=1e-3) == "pairs"
    assert _fastest(1_000, 128, half_width=1e-4) == "exact"
    assert _fastest(100_000, 8, half_width=0.05, n_classes=5_000) == "features"
    X, y = _data(30_000, 2)
    result = nc.collapse(X, y, RELU, method="auto", n_threads=1)
    assert result.method == "shortcut"
    assert "by exact" in result.reason


def test_auto_meets_the_tolerance():
    X, y = _data(20_000, 64)
    kernel = nc.NTK("relu", 3)
    result = nc.collapse(X, y, kernel, method="auto", tolerance=0.02, seed=1)
    assert result.method == "pairs"
    assert "pairs of rows" in result.reason
    assert result.interval[1] - result.nc1 <= 0.02 * result.nc1


def test_auto_leaves_a_shortcut_that_does_not_do(monkeypatch):
    """Rows too far apart for interpolation, and a bound that is not small: the pass over pairs takes over."""
    from nc1fast import _methods

    monkeypatch.setattr(_methods, "_choice", lambda *_: ("shortcut", "the fastest"))
    X, y = _data(300, 2)
    wide = nc.collapse(1e4 * X, y, ERF, method="auto")
    assert wide.method == "exact"
    assert "spreads too far" in wide.reason
    tight = y[:, None] + 1e-4 * X  # gelu has no form of D2 that keeps its digits here
    result = nc.collapse(tight, y, nc.NNGP("gelu"), method="auto")
    assert result.method == "exact"
    assert "error bound" in result.reason
    with pytest.raises(ValueError, match="NaN"):
        nc.collapse(X * np.nan, y, ERF, method="auto")


def test_lists_of_kernels():
    X, y = _data(300, 2)
    results = nc.collapse(X, y, [RELU, ERF], method="auto")
    assert [r.kernel for r in results] == [RELU, ERF]
    assert [r.method for r in results] == ["exact", "exact"]
    results = nc.collapse(X, y, [RELU, nc.NTK("relu")], method="shortcut")
    assert [r.method for r in results] == ["shortcut"] * 2
    with pytest.raises(ValueError, match="empty"):
        nc.collapse(X, y, [], method="auto")
