"""`collapse` by other methods than the pass over all pairs, and the choice among them."""

from __future__ import annotations

import numpy as np
import pytest

import nc1fast as nc
from nc1fast.methods.choice import Price, prices

RELU, ERF = nc.NNGP("relu"), nc.NNGP("erf")


def _data(n, n_features, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    return 2 * y[:, None] - 1 + 0.5 * rng.normal(size=(n, n_features)), y


def _tried(n, n_features, kernel=RELU, n_classes=2):
    """Methods that cost little to begin with, beside the exact pass, the one of least cost
    first.
    """
    price = prices(kernel, n, n_features, n_classes, single=False, n_threads=2)
    exact = price.pop("exact").begun
    return sorted(
        (name for name in price if price[name].begun < 0.15 * exact),
        key=lambda name: price[name].begun,
    )


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


@pytest.mark.parametrize("each", [False, True])
def test_rng_is_a_seed_or_a_generator_of_seeds(each):
    X, y = _data(300, 2)

    def nc1(**draws):
        if each:
            return nc.collapse_each([(X, y)], RELU, method="pairs", **draws)[0].nc1
        return nc.collapse(X, y, RELU, method="pairs", **draws).nc1

    seed = int(np.random.default_rng(3).integers(2**63))
    assert nc1(rng=4) == nc1(seed=4)
    assert nc1(rng=np.random.default_rng(3)) == nc1(seed=seed)
    with pytest.raises(ValueError, match="seed and rng"):
        nc1(seed=1, rng=2)
    with pytest.raises(TypeError, match="rng must be None"):
        nc1(rng="2")


def test_auto_is_exact_without_a_tolerance():
    X, y = _data(400, 8)
    result = nc.collapse(X, y, RELU, method="auto")
    assert result.method == "exact"
    assert "s expected" in result.reason
    assert result.nc1 == nc.collapse(X, y, RELU).nc1
    assert nc.collapse(X, y, method="auto").method == "exact"  # explicit features


def test_prices():
    assert _tried(1_000, 2) == []
    assert _tried(5_000, 2, ERF) == []
    assert "shortcut" in _tried(200_000, 2)
    assert "shortcut" in _tried(200_000, 1, ERF)
    assert _tried(200_000, 128) == ["pairs", "features"]
    assert _tried(20_000_000, 128, nc.NTK("relu", 5)) == ["pairs"]
    assert _tried(100_000, 8, n_classes=5_000) == ["features"]
    assert _tried(10_000, 8, n_classes=100) == []


def test_auto_takes_the_fastest():
    X, y = _data(30_000, 2)
    result = nc.collapse(X, y, RELU, method="auto", n_threads=1)
    assert result.method == "shortcut"
    assert "by exact" in result.reason
    X, y = _data(1_000, 2)
    assert nc.collapse(X, y, RELU, method="auto").method == "exact"
    X, y = _data(1_000, 128)
    result = nc.collapse(X, y, RELU, method="auto", tolerance=1e-4)
    assert result.method == "exact"
    assert "by pairs to begin with" in result.reason


def test_auto_is_exact_where_an_estimate_would_take_longer():
    """Lognormal rows in classes that differ by chance: class means take nearly all pairs to be told
    apart.
    """
    rng = np.random.default_rng(0)
    X, y = np.exp(2 * rng.normal(size=(12_000, 8))), np.arange(12_000) % 4
    kernel = nc.NTK("relu", 3)
    result = nc.collapse(X, y, kernel, method="auto", tolerance=0.05, n_threads=1)
    assert result.method == "exact"
    assert "may take longer than the exact value" in result.reason
    assert result.interval is None
    assert result.nc1 == nc.collapse(X, y, kernel, n_threads=1).nc1


def test_auto_meets_the_tolerance():
    X, y = _data(20_000, 64)
    kernel = nc.NTK("relu", 3)
    result = nc.collapse(X, y, kernel, method="auto", tolerance=0.02, seed=1)
    assert result.method == "pairs"
    assert "pairs of rows" in result.reason
    assert result.interval[1] - result.nc1 <= 0.02 * result.nc1


def test_auto_leaves_a_shortcut_that_does_not_do(monkeypatch):
    """Rows too far apart for interpolation, and a bound that is not small: the pass over pairs
    takes over.
    """
    from nc1fast.methods import choice

    cheap = {"exact": Price(1.0), "shortcut": Price(0.01)}
    monkeypatch.setattr(choice, "prices", lambda *_, **__: dict(cheap))
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
