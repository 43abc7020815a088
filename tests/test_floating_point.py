"""`numpy.errstate` of a caller: no result changes and nothing is raised, whatever it says."""

from __future__ import annotations

import numpy as np
import pytest
from tests import long_pass, plans

import nc1fast as nc
from nc1fast import distributed

RELU = nc.NNGP("relu")


@pytest.fixture(scope="module")
def data():
    return long_pass.data(300)


def _on_a_line(X, y, kernel):
    """By a shortcut, which has no say about data of any other scale."""
    line = X[:, :1] / np.abs(X[:, :1]).max()
    return nc.collapse(line, y, kernel, method="shortcut", convention="papyan").nc1


def _features(X, y):
    sums = nc.FeatureSums()
    sums.update(X[:100], y[:100])
    sums.update(X[100:], y[100:])
    return sums.collapse("papyan").nc1


def _mixture(X, y):
    return nc.theory.expected_collapse(
        nc.NTK("erf"), means=(-2, 2), stds=0.5, sizes=(50, 50), n_features=3
    ).nc1


KERNELS = [RELU, nc.NTK("erf", 3, bias_variance=0.1), nc.NTK("gelu"), nc.NNGP("sin"), nc.Linear()]
BROAD = {
    "collapse": lambda X, y: [r.nc1 for r in nc.collapse(X, y, KERNELS, convention="papyan")],
    "conventions": lambda X, y: [
        nc.collapse(X, y, RELU, convention="papyan").under(name).nc1
        for name in ("probe", "class", "sample")
    ],
    "relative": lambda X, y: nc.collapse(X, y, RELU, convention="papyan").relative_to(
        nc.collapse(X, y, convention="papyan")
    ),
    "parts": lambda X, y: (
        (nc.class_sums(X, y, RELU, part=(0, 2)) + nc.class_sums(X, y, RELU, part=(1, 2))).block_sums
    ),
    "journal": lambda X, y: distributed.reduce(plans.uncalibrated(X, y, KERNELS, 3))[1].block_sums,
    "features": _features,
    "callable": lambda X, y: nc.class_sums(X, y, lambda A, B: A @ B.T).block_sums,
    "gram": lambda X, y: [kernel(X[:50]) for kernel in KERNELS],
    "diagonal": lambda X, y: [kernel.diag(X[:50]) for kernel in KERNELS],
    "pairs": lambda X, y: nc.estimators.pairs(X, y, RELU, n_pairs=3000, convention="papyan").nc1,
    "random features": lambda X, y: (
        nc.estimators.features(X, y, RELU, n_units=64, convention="papyan").nc1
    ),
    "codes": lambda X, y: nc.estimators.proximal_features(X, 9, steps=3, prox="soft"),
    "deep features": lambda X, y: nc.estimators.ntk_features(X, nc.NTK("relu", depth=3), 64),
    "shortcut": lambda X, y: _on_a_line(X, y, nc.NNGP("erf")),
    "sweep": lambda X, y: _on_a_line(X, y, nc.NTK("relu")),
    "adaptive kernel": lambda X, y: nc.AdaptiveKernel(np.diag([1.0, 1e-150, 1, 1e-160, 1, 1]))(
        X[:9]
    ),
    "scales": lambda X, y: [nc.datasets.apply_scale(X, s) for s in ("standardize", "unit-norm")],
    "mixture": _mixture,
}


@pytest.mark.parametrize("scale", [1.0, 1e-150])
@pytest.mark.parametrize("name", BROAD)
@pytest.mark.filterwarnings("ignore::nc1fast.AccuracyWarning")
def test_floating_point_settings_of_the_caller_change_nothing(data, name, scale):
    call = BROAD[name]
    X, y = data
    X = X * scale * (10.0 ** -np.arange(0, 12, 2))  # (300, 6): columns that underflow in products

    def told():
        try:
            return call(X, y)
        except ValueError as error:  # out of range is out of range, whatever the settings
            return str(error)

    expected = told()
    with np.errstate(all="raise"):
        found = told()
    for a, b in zip(np.atleast_1d(expected), np.atleast_1d(found), strict=True):
        np.testing.assert_array_equal(a, b)
