"""NC1 of strongly collapsed classes against 50-digit arithmetic."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from tests.make_fixtures import COLLAPSED_KERNELS, DATA, DEVIATIONS, FEATURES

import nc1fast as nc

STORED = np.load(DATA / "collapsed.npz")
y = STORED["y"]
each_problem = pytest.mark.parametrize(
    ("n_features", "deviation"),
    [(d, s) for d in FEATURES for s in DEVIATIONS],
    ids=lambda value: f"{value:g}",
)
each_kernel = pytest.mark.parametrize("name", COLLAPSED_KERNELS)


def _problem(n_features, deviation, data, name):
    """(X, [nc1, trace_within, trace_between])."""
    key = f"d{n_features}-sd{deviation:.0e}-{data}"
    return STORED[f"{key}/X"], STORED[f"{key}/{name}"]


def _collapse(X, name, dtype):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", nc.AccuracyWarning)  # the error itself is asserted
        return nc.collapse(X, y, COLLAPSED_KERNELS[name], convention="papyan", dtype=dtype)


def _errors(result, expected):
    actual = np.array([result.nc1, result.trace_within, result.trace_between])
    return np.abs(actual / expected - 1)


def _non_negative(result):
    return (
        result.nc1 >= 0 and (result.within_by_class >= 0).all() and (result.sums.within >= 0).all()
    )


@each_kernel
@each_problem
@pytest.mark.parametrize("data", ["float64", "float32"])
def test_float64_keeps_twelve_digits(n_features, deviation, data, name):
    X, expected = _problem(n_features, deviation, data, name)
    result = _collapse(X, name, "float64")
    assert _errors(result, expected).max() <= 1e-12
    assert abs(result.nc1 - expected[0]) <= result.error_bound
    assert _non_negative(result)


@each_kernel
@each_problem
def test_float32_keeps_three_digits_down_to_1e_9(n_features, deviation, name):
    X, expected = _problem(n_features, deviation, "float32", name)
    result = _collapse(X, name, "float32")
    assert _non_negative(result)
    assert abs(result.nc1 - expected[0]) <= result.error_bound
    if expected[0] >= 1e-9:
        assert _errors(result, expected).max() <= 1e-3


@each_kernel
@each_problem
@pytest.mark.parametrize("data", ["float64", "float32"])
def test_mixed_keeps_six_digits(n_features, deviation, data, name):
    X, expected = _problem(n_features, deviation, data, name)
    result = _collapse(X, name, "mixed")
    # one float32 rounding of a between-class tile, k_ii u, counts k_ii/trace_between times in the
    # quotient: 1e-6 wherever the class means are further apart than a tenth of k_ii, as nearly all
    # of these are
    closeness = COLLAPSED_KERNELS[name].diag(X).max() / expected[2]
    tolerance = 1e-6 if closeness <= 10 else 4 * 2.0**-24 * closeness
    assert _errors(result, expected)[0] <= tolerance
    assert _errors(result, expected)[1] <= 1e-12  # within-class tiles are float64
    assert abs(result.nc1 - expected[0]) <= result.error_bound
    assert _non_negative(result)


@each_kernel
@pytest.mark.parametrize("dtype", ["float64", "float32", "mixed"])
@pytest.mark.parametrize("n_features", FEATURES)
def test_completely_collapsed_classes_have_exactly_zero_nc1(n_features, dtype, name):
    X, _ = _problem(n_features, 1e-2, "float64", name)
    first = np.array([np.flatnonzero(y == label)[0] for label in y])
    result = _collapse(X[first], name, dtype)
    assert result.nc1 == 0
    assert result.trace_within == 0
    assert result.trace_between > 0
