"""How far errors move a kernel: the closed forms of the core against derivatives and moments in
mpmath.

The bounds that rest on them are tried in test_adversary.
"""

from __future__ import annotations

import numpy as np
import pytest
from mpmath import mp, mpf
from tests import precise

import nc1fast as nc
from nc1fast import _core

SMOOTH = ["erf", "probit", "gelu", "sin", "cos", "exp", "gaussian"]
RECTIFIERS = ["relu", "abs", nc.LeakyReLU(0.3), nc.LeakyReLU(-2.0)]
X = np.array([[0.7, -0.2, 0.4], [2.5, 1.0, -3.0], [9.0, 4.0, -7.0]])


def _slope(kernel, row):
    """dk_ii/drho at rho = 1, where the inputs have covariance a rho."""
    xx = precise.inner_products(row[None])[0, 0]
    d0 = len(row)
    sw2, sb2 = mpf(kernel.weight_variances[0]), mpf(kernel.bias_variances[0])
    a = sb2 + sw2 * xx / d0

    def k(rho):
        return precise.pair(kernel, xx, xx, (a * rho - sb2) * d0 / sw2, d0)

    return float(mp.diff(k, mpf(1), direction=-1, h=mpf(10) ** -30))


def _kernels():
    variances = (0.8, 1.3, 0.6, 1.1), (0.2, 0.0, 0.4, 0.1)
    for activation in [*SMOOTH, "relu2", *RECTIFIERS]:
        for depth in (2, 3, 4):
            scale = 0.02 if activation in ("exp", "relu2") else 1.0
            w, b = (tuple(scale * v for v in values[:depth]) for values in variances)
            yield nc.NNGP(activation, depth, w, b)
            if activation in SMOOTH:
                yield nc.NTK(activation, depth, w, b)
                yield nc.NTK(activation, depth, w, b, parametrization="standard", width=7)


@pytest.mark.parametrize("kernel", list(_kernels()), ids=repr)
def test_slope_of_the_diagonal(kernel):
    k, _, slope, _ = _core.growth(X, kernel.chain(3).as_dict())
    with mp.workdps(80):
        for i, row in enumerate(X):
            xx = precise.inner_products(row[None])[0, 0]
            assert k[i] == pytest.approx(float(precise.pair(kernel, xx, xx, xx, 3)), rel=1e-13)
            assert slope[i] == pytest.approx(_slope(kernel, row), rel=1e-9)


@pytest.mark.parametrize("kernel", list(_kernels()), ids=repr)
def test_slope_bounds_every_pair(kernel):
    """|dk_ij| <= lambda_i lambda_j |drho|, between rows of any lengths and angle."""
    rng = np.random.default_rng(5)
    slope = _core.growth(X, kernel.chain(3).as_dict())[2]
    sw2, sb2 = kernel.weight_variances[0], kernel.bias_variances[0]
    with mp.workdps(40):
        squares = [precise.inner_products(row[None])[0, 0] for row in X]
        for i, j in ((0, 1), (0, 2), (1, 2)):
            a, b = (mpf(sb2) + mpf(sw2) * squares[r] / 3 for r in (i, j))
            rho, other = (mpf(v) for v in np.sort(rng.uniform(-1, 1, 2)))
            values = [
                precise.pair(
                    kernel,
                    squares[i],
                    squares[j],
                    (mp.sqrt(a * b) * r - mpf(sb2)) * 3 / mpf(sw2),
                    3,
                )
                for r in (rho, other)
            ]
            bound = np.sqrt(slope[i] * slope[j]) * float(other - rho)
            assert abs(float(values[1] - values[0])) <= bound * (1 + 1e-9)
