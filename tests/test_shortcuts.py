"""Shortcuts against the pass over all pairs, and against extended precision where features are
collapsed.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from mpmath import mp
from tests import precise

import nc1fast as nc
from nc1fast import reference
from nc1fast.inputs.labelled import LabelledData
from nc1fast.metrics import collapse_from_sums
from nc1fast.shortcuts import interpolation, shortcut_of, shortcut_sums
from nc1fast.sums.settings import Settings

RECTIFIERS = ("relu", "abs", nc.LeakyReLU(0.2), nc.LeakyReLU(-0.5), nc.LeakyReLU(1.0))
ENTIRE = ("erf", "probit", "gelu", "sin", "cos", "gaussian")


def _cases():
    """(kernel, n_features) of every shortcut."""
    for activation in RECTIFIERS:
        yield nc.NNGP(activation, 2, (1.3, 0.7)), 1
        yield nc.NTK(activation, 2, (1.3, 0.7)), 2
        yield nc.NTK(activation, 2, (1.3, 0.7), (0.4, 0.2)), 1
        yield nc.NTK(activation, parametrization="standard", width=30), 2
        yield nc.NTK(activation, parametrization="standard", width=30, bias_variance=0.1), 1
    yield nc.NNGP("relu", 2, (1.3, 0.7), (0.0, 0.5)), 2
    yield nc.NTK("relu", bias_variance=0.3, train_bias=False), 1
    yield nc.NNGP("relu2", 2, (1.3, 0.7), (0.0, 0.5)), 2
    yield nc.NNGP("relu2", bias_variance=0.3), 1
    for activation in ("sign", "step"):
        yield nc.NNGP(activation), 2
        yield nc.NNGP(activation, bias_variance=0.3), 1
    for activation in ENTIRE:
        yield nc.NNGP(activation, bias_variance=0.2), 1
        yield nc.NTK(activation), 1
    yield nc.NTK("erf", 4, 1.2, 0.1), 1
    yield nc.NNGP("gelu", 3), 2
    yield nc.NTK("erf"), 2
    yield nc.AdaptiveKernel([[0.7, 0.2], [0.2, 0.4]]), 2
    yield nc.Linear(0.7), 3
    yield nc.Linear(0.7, 0.4), 2


CASES = list(_cases())
each_case = pytest.mark.parametrize(("kernel", "n_features"), CASES, ids=repr)


def _shortcut(X, y, kernel, *, rows=True, convention="papyan"):
    settings = Settings("all" if rows else "sums")
    sums = shortcut_sums(LabelledData.of(X, y), kernel, settings)
    return collapse_from_sums(sums, convention)


def _beside_precise(X, y, kernel):
    """The result, and nc1 and the trace within classes by 80 digits."""
    with mp.workdps(80):
        expected = [float(v) for v in precise.collapse(precise.gram(kernel, X.astype(float)), y)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", nc.AccuracyWarning)
        return _shortcut(X, y, kernel) if expected[0] >= 1e-40 else None, expected


def _mixture(n, n_features, *, std=0.5, seed=0):
    """Three unequal classes, about every direction of the plane, in no order."""
    rng = np.random.default_rng(seed)
    y = rng.choice(3, size=n, p=[0.5, 0.3, 0.2])
    means = np.array([[-2.0, 1.0, 0.5], [1.5, 1.5, -1.0], [0.3, -0.8, 0.2]])
    return means[y, :n_features] + std * rng.normal(size=(n, n_features)), y


FIELDS = [
    *("nc1", "trace_within", "trace_between", "nc1_pinv", "cdnv", "nc2_etf", "nc2_equinorm"),
    *("within_by_class", "class_gram", "nc1_by_class"),
]


@each_case
def test_every_field_is_that_of_the_pass_over_pairs(kernel, n_features):
    X, y = _mixture(5000, n_features)
    quick, exact = _shortcut(X, y, kernel), nc.collapse(X, y, kernel, convention="papyan")
    for name in FIELDS:
        expected = getattr(exact, name)
        np.testing.assert_allclose(getattr(quick, name), expected, rtol=1e-11, err_msg=name)
    same = quick.nearest_center == exact.nearest_center
    assert np.mean(same) >= 0.999  # but for ties in rounding
    assert abs(quick.nc1 - exact.nc1) <= quick.error_bound + exact.error_bound
    assert quick.error_bound <= 1e-10 * quick.nc1


@pytest.mark.parametrize("std", [3.0, 30.0])
@pytest.mark.parametrize(
    "kernel", [nc.NNGP("relu"), nc.NTK("relu"), nc.NNGP("sign"), nc.NNGP("relu2")], ids=repr
)
def test_classes_all_around_the_origin(kernel, std):
    X, y = _mixture(3000, 2, std=std)
    quick, exact = _shortcut(X, y, kernel), nc.collapse(X, y, kernel, convention="papyan")
    assert quick.trace_within == pytest.approx(exact.trace_within, rel=1e-12)
    M = exact.class_gram
    np.testing.assert_allclose(quick.class_gram, M, rtol=0, atol=1e-12 * M.max())


COLLAPSED = [
    *((nc.NNGP(a), 1) for a in ("relu", "erf", "abs")),
    *((kind(a), 2) for kind in (nc.NNGP, nc.NTK) for a in ("relu", "erf", "leaky_relu")),
    *((nc.NNGP("relu2", bias_variance=b), d) for d, b in ((1, 0.4), (2, 0.0))),
    *((kind(a, bias_variance=0.4), 1) for kind in (nc.NNGP, nc.NTK) for a in ("relu", "erf")),
    (nc.NTK("relu", parametrization="standard", width=30, bias_variance=0.1), 1),
    (nc.AdaptiveKernel([[0.7, 0.2], [0.2, 0.4]]), 2),
    (nc.Linear(), 2),
]


@pytest.mark.parametrize(("kernel", "n_features"), COLLAPSED, ids=repr)
@pytest.mark.parametrize("std", [1e-2, 1e-5, 1e-9])
@pytest.mark.parametrize("data", ["float64", "float32"])
def test_collapsed_features_keep_their_digits(kernel, n_features, std, data):
    X, y = _mixture(24, n_features, std=std, seed=3)
    X = X.astype(data)
    result, expected = _beside_precise(X, y, kernel)
    if expected[0] < 1e-40:  # float32 rows that are equal
        pytest.skip("the rows of each class are equal")
    assert abs(result.nc1 - expected[0]) <= result.error_bound
    assert result.nc1 == pytest.approx(expected[0], rel=1e-11)
    assert result.trace_within == pytest.approx(expected[1], rel=1e-11)
    assert result.error_bound <= 1e-10 * result.nc1


def test_equal_and_opposite_rows_have_exactly_zero_spread():
    """Equal rows under relu, opposite ones under abs: the sweep turns them into one half plane."""
    x = np.array([[0.3, -1.7], [1.1, 0.4]])
    y = np.array([0, 0, 0, 1, 1])
    assert _shortcut(x[y], y, nc.NNGP("relu")).nc1 == 0
    assert _shortcut(x[y], y, nc.NTK("relu")).nc1 == 0
    opposite = x[y] * np.array([1.0, -1.0, 1.0, -1.0, 1.0])[:, None]
    assert _shortcut(opposite, y, nc.NNGP("abs")).nc1 == 0


def test_heavy_clusters_beside_the_cut():
    """Two nearly opposite clusters and a few rows everywhere else: abs sees one narrow cluster and
    an outlier.
    """
    rng = np.random.default_rng(2)
    a = np.concatenate([[0.01] * 400, [np.pi - 0.01] * 400, rng.uniform(0, np.pi, 5)])
    X = np.column_stack([np.cos(a), np.sin(a)]) + 1e-4 * rng.normal(size=(len(a), 2))
    X = np.concatenate([X, X[:50] + np.array([0.5, 2.0])])
    y = np.repeat([0, 1], [len(a), 50])
    for kernel in (nc.NNGP("abs"), nc.NTK("abs")):
        exact = nc.collapse(X, y, kernel, convention="papyan").trace_within
        assert _shortcut(X, y, kernel).trace_within == pytest.approx(exact, rel=1e-12)


def test_single_rows_zero_rows_and_wide_data(monkeypatch):
    X, y = _mixture(40, 2)
    X[3] = 0
    y[7] = 5  # a class of one row
    for kernel in (nc.NNGP("relu"), nc.NTK("relu"), nc.NNGP("erf"), nc.NTK("gelu")):
        sums = _shortcut(X, y, kernel).sums
        expected = reference.class_sums(reference.gram(kernel, X), y)
        for name in ("block_sums", "within", "traces", "row_sums"):
            actual, whole = getattr(sums, name), np.abs(expected[name]).max()
            np.testing.assert_allclose(actual, expected[name], rtol=0, atol=1e-12 * whole)
        assert sums.within[-1] == 0
    with pytest.raises(ValueError, match="zero rows"):
        _shortcut(X, y, nc.NNGP("sign"))
    for kernel in (nc.NNGP("erf"), nc.NTK("sin")):  # each row is a node
        wide = _shortcut(1e4 * X, y, kernel)
        exact = nc.collapse(1e4 * X, y, kernel, convention="papyan")
        assert wide.nc1 == pytest.approx(exact.nc1, rel=1e-12)
    monkeypatch.setattr(interpolation, "_MOST", 30)
    with pytest.raises(ValueError, match="spreads too far"):
        _shortcut(1e4 * X, y, nc.NNGP("erf"))


@pytest.mark.parametrize("kernel", [nc.NTK("relu"), nc.NTK("erf"), nc.NNGP("gelu")], ids=repr)
def test_the_bits_depend_neither_on_the_threads_nor_on_row_sums(kernel):
    data = LabelledData.of(*_mixture(6000, 2, std=0.3))
    settings = Settings(n_threads=1), Settings(n_threads=3), Settings("sums")
    one, three, bare = (shortcut_sums(data, kernel, how) for how in settings)
    assert bare.class_rows is None
    for name in ("block_sums", "within", "traces", "class_rows"):
        np.testing.assert_array_equal(getattr(one, name), getattr(three, name), err_msg=name)
        if name != "class_rows":
            np.testing.assert_array_equal(getattr(one, name), getattr(bare, name), err_msg=name)


@pytest.mark.parametrize(
    ("kernel", "n_features", "kind"),
    [
        (nc.Linear(), 100, "linear"),
        (nc.NTK("relu"), 2, "sweep"),
        (nc.NTK("relu", bias_variance=0.1), 1, "sweep"),
        (nc.NTK("relu", bias_variance=(0.0, 0.1)), 2, "sweep"),
        (nc.NTK("erf", 5), 2, "interpolation"),
        (nc.NTK("relu", bias_variance=0.1), 2, None),
        (nc.NTK("relu", 3), 2, None),
        (nc.NNGP("relu2"), 2, "sweep"),
        (nc.NTK("relu2"), 2, None),
        (nc.NNGP("relu2", 3), 2, None),
        (nc.NTK("erf"), 3, None),
        (nc.AdaptiveKernel(np.eye(2), "relu"), 2, None),
    ],
    ids=repr,
)
def test_which_kernels_have_a_shortcut(kernel, n_features, kind):
    assert shortcut_of(kernel, n_features) == kind
    if kind is None:
        X, y = _mixture(20, min(n_features, 3))
        with pytest.raises(ValueError, match="no shortcut"):
            _shortcut(X, y, kernel)


def test_bounds_hold_on_random_problems():
    rng = np.random.default_rng(8)
    for _ in range(30):
        kernel, n_features = CASES[rng.integers(len(CASES))]
        X, y = _mixture(20, n_features, std=10 ** rng.uniform(-6, 0.5), seed=rng.integers(1000))
        if isinstance(kernel, nc.AdaptiveKernel) or len(np.unique(y)) < 3:
            continue
        result, (expected, *_) = _beside_precise(X, y, kernel)
        assert abs(result.nc1 - expected) <= result.error_bound, (kernel, result, expected)
