"""Classes without a direction: rows of zeros, and means of zero.

Their distances are taken from the origin.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from mpmath import mp
from tests import precise

import nc1fast as nc
from nc1fast import reference

KERNELS = [
    nc.Linear(),
    nc.NNGP("relu"),
    nc.NTK("relu"),
    nc.NNGP("abs", 3),
    nc.NTK(nc.LeakyReLU(0.2), 3),
    nc.NNGP("relu", 3, 1.0, (0.0, 0.3, 0.1)),
    nc.NTK("relu", 3, 1.0, (0.0, 0.3, 0.1)),
    nc.NTK("relu", parametrization="standard", width=50, train_bias=False),
    nc.NNGP("erf"),
    nc.NTK("erf"),
    nc.NNGP("erf", 3),
    nc.NTK("erf", parametrization="standard", width=50),
    nc.NNGP("gelu"),
    nc.NTK("gelu"),
    nc.AdaptiveKernel(np.diag([0.5, 0.1, 0.2]), "relu"),
]


def _rows(case):
    rng = np.random.default_rng(7)
    X = rng.normal(size=(24, 3)) + np.repeat([[0.5], [-1.0]], 12, axis=0)
    if case == "one zero row":
        X[3] = 0
    elif case == "zero rows":
        X[[0, 5, 6, 20]] = 0
    elif case == "zero rows among near ones":
        X[:12] = X[0] + 1e-3 * rng.normal(size=(12, 3))
        X[4] = 0
    elif case == "zero mean":
        X[6:12] = -X[:6]
    else:
        X[:12] = 0
    return X, np.repeat([0, 1], 12)


CASES = ["one zero row", "zero rows", "zero rows among near ones", "zero mean", "a class of zeros"]


@cache
def _precise_nc1(kernel, case):
    X, y = _rows(case)
    with mp.workdps(50):
        return float(precise.collapse(precise.gram(kernel, X), y)[0])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kernel", KERNELS, ids=repr)
@pytest.mark.filterwarnings("ignore::nc1fast.AccuracyWarning")
def test_nc1_against_extended_precision(kernel, case, dtype, device):
    X, y = _rows(case)
    result = nc.collapse(X, y, kernel, dtype=dtype, device=device)
    nc1 = _precise_nc1(kernel, case)
    assert abs(result.nc1 - nc1) <= result.error_bound
    if dtype == "float64":
        # The angle of opposite rows is the root of a rounding error, which the bound knows.
        opposite = case == "zero mean" and isinstance(kernel, nc.NTK)
        assert result.nc1 == pytest.approx(nc1, rel=1e-7 if opposite else 1e-11)


@pytest.mark.parametrize("case", CASES)
def test_every_sum_against_the_dense_kernel(case, small_device):
    X, y = _rows(case)
    for kernel, found in zip(
        KERNELS, nc.class_sums(X, y, KERNELS, device=small_device), strict=True
    ):
        K = reference.gram(kernel, X)
        expected = reference.class_sums(K, y) | {"row_sums": K @ np.eye(2)[y]}
        for name in ("within", "block_sums", "row_sums"):
            np.testing.assert_allclose(  # of the dense reference, see there
                getattr(found, name),
                expected[name],
                rtol=1e-6,
                atol=1e-7 * np.abs(K).max(),
                err_msg=f"{name} of {kernel!r}",
            )


def test_the_slope_at_a_kink_is_asked_for_in_vain():
    X, y = _rows("one zero row")
    for activation in ("relu", "abs", nc.LeakyReLU(0.2)):
        kernel = nc.NTK(activation, parametrization="standard", width=50)
        for call in (lambda k=kernel: nc.collapse(X, y, k), lambda k=kernel: k(X)):
            with pytest.raises(
                ValueError, match="1 zero rows, for which an NTK with trained input"
            ):
                call()
    assert np.isfinite(nc.collapse(X, y, nc.NTK("gelu", parametrization="standard", width=50)).nc1)
