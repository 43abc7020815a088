"""The released code's erf NTK: its formula entry by entry, its published numbers, its limits."""

from __future__ import annotations

import math

import numpy as np
import pytest

import nc1fast as nc
from nc1fast.compat import released

# NC1 of D1, mean of three data sets: N, d0, NNGP, erf NTK by its definition, erf NTK of the released code (float32).
D1 = [
    (128, 1, 0.00823, 0.0328, 0.0117),
    (128, 8, 0.0922, 0.1829, 0.0901),
    (128, 128, 0.1036, 0.2076, 0.1007),
    (512, 8, 0.0940, 0.1878, 0.0929),
    (1024, 1, 0.00896, 0.0324, 0.0102),
    (1024, 2, 0.0561, 0.1115, 0.0563),
    (1024, 32, 0.1030, 0.2063, 0.1019),
    (1024, 128, 0.1058, 0.2126, 0.1047),
]


def nc1_of_d1(N: int, d0: int, seed: int) -> tuple[float, float, float]:
    """NC1 of the erf NNGP, of its NTK, and of the NTK as the released code has it."""
    X, y = nc.datasets.paper_d1(N, d0, seed)
    nngp, ntk = nc.collapse(X, y, [nc.NNGP("erf"), nc.NTK("erf")], statistics="sums")
    K = released.erf_ntk(X)
    settings = {"convention": released.CONVENTION, "statistics": "sums"}
    return nngp.nc1, ntk.nc1, nc.collapse(K, y, "precomputed", **settings).nc1


@pytest.mark.parametrize(("N", "d0", "nngp", "ntk", "code"), D1)
def test_nc1_of_d1_by_definition_and_by_the_released_code(N, d0, nngp, ntk, code):
    values = np.array([nc1_of_d1(N, d0, seed) for seed in range(6)])
    expected = np.array([nngp, ntk, code])
    # the expectation is a mean of 3 data sets, this one of 6
    error = values.std(axis=0, ddof=1) * math.sqrt(1 / 3 + 1 / 6)
    assert (np.abs(values.mean(axis=0) - expected) <= 4 * error + 0.5e-4).all()
    assert (error < 0.2 * expected).all()  # so that the line above says something


def test_entries_follow_the_formula():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(7, 3))
    sw2, sb2 = 1.3, 0.2
    k = [[sb2 + sw2 * sum(a * b for a, b in zip(x, z, strict=True)) / 3 for z in X] for x in X]
    scalar = sum((1 + 2 * k[i][i]) ** 2 for i in range(7))
    K = released.erf_ntk(X, weight_variance=sw2, bias_variance=sb2)
    for i in range(7):
        for j in range(7):
            norm = math.sqrt((1 + 2 * k[i][i]) * (1 + 2 * k[j][j]))
            Q = 2 / math.pi * math.asin(2 * k[i][j] / norm)
            kdot = 4 / math.pi / math.sqrt(scalar - 4 * k[i][j] ** 2)
            assert K[i, j] == pytest.approx(sb2 + sw2 * (Q + k[i][j] * kdot), rel=1e-13)


def test_matrix_is_exactly_symmetric_and_leaves_the_data_alone():
    X, _ = nc.datasets.paper_d1(64, 5, 0)
    before = X.copy()
    K = released.erf_ntk(X)
    assert K.dtype == np.float64
    assert np.array_equal(K, K.T)
    assert np.array_equal(X, before)


def test_one_row_has_the_ntk_itself():
    X = np.array([[0.3, -1.2]])  # the sum over rows is then the product that belongs there
    assert released.erf_ntk(X)[0, 0] == pytest.approx(nc.NTK("erf")(X)[0, 0], rel=1e-14)


def test_extra_row_changes_every_entry():
    X, _ = nc.datasets.paper_d1(32, 2, 0)
    assert (released.erf_ntk(X)[:-1, :-1] != released.erf_ntk(X[:-1])).all()


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (np.zeros(3), ValueError, "shape"),
        (np.zeros((0, 3)), ValueError, "shape"),
        (np.zeros((3, 0)), ValueError, "shape"),
        ([[1.0, math.nan]], ValueError, "finite"),
        ([[1.0, math.inf]], ValueError, "finite"),
        ([[1e80, 1e80]], ValueError, "too large"),
        ([[1j]], TypeError, "real"),
        ([["a"]], TypeError, "real"),
    ],
)
def test_bad_data_is_refused(X, error, message):
    with pytest.raises(error, match=message):
        released.erf_ntk(X)


@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf])
@pytest.mark.parametrize("name", ["weight_variance", "bias_variance"])
def test_bad_variance_is_refused(name, value):
    with pytest.raises(ValueError, match=name):
        released.erf_ntk(np.ones((2, 2)), **{name: value})
