"""Dual activations, obtained through the public kernels, against closed forms at 60 digits and
more.

Those of `precise.dual` are compared with quadrature of phi in test_reference.py.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from mpmath import mp, mpf
from tests import precise

import nc1fast as nc
from nc1fast.core.activations import has_ntk

ACTIVATIONS = [*nc.activations(elementary=True), nc.LeakyReLU(0.2), nc.LeakyReLU(-0.5)]
DIFFERENTIABLE = [activation for activation in ACTIVATIONS if has_ntk(activation)]
# functions of the angle with a root at rho = +-1: there the angle must come from differences of
# rows
ANGULAR = {"relu", "leaky_relu", "abs", "step", "sign", "relu2"}
CORRELATIONS = (0, 1e-8, -1e-8, 0.5, -0.5, 0.97, -0.97)
NEAR = (1 - 1e-5, 1 - 1e-12)
SHIFTS = (0, 3, 7, 17)  # rows 100 u / 2^shift: variances 1e4, 156, 0.61, 5.8e-7
N_FEATURES = 3
E1, E2 = np.linalg.qr(np.random.default_rng(5).normal(size=(N_FEATURES, 2)))[0].T

each_activation = pytest.mark.parametrize("activation", ACTIVATIONS, ids=str)
each_differentiable = pytest.mark.parametrize("activation", DIFFERENTIABLE, ids=str)


def _object(activation):
    return nc.LeakyReLU() if activation == "leaky_relu" else activation


def _angular(activation):
    return not isinstance(activation, str) or activation in ANGULAR


def _rows(activation):
    """X (n, 3) on one ray; Z (m, 3) at every correlation to it, exactly collinear at rho = +-1."""
    shifts = [s for s in SHIFTS if activation != "exp" or s >= 3]  # exp(2 a) must be finite
    base = 100 * E1
    directions = [base, -base]
    for rho in (*CORRELATIONS, *NEAR, *(-r for r in NEAR)):
        directions.append(100 * (rho * E1 + math.sqrt((1 - rho) * (1 + rho)) * E2))
    X = np.array([base * 2.0**-shift for shift in shifts])
    Z = np.array([row * 2.0**-shift for shift in shifts for row in directions])
    return X, Z


def _sensitivity(kernel, xx, zz, xz):
    """First-order change of k under relative changes of |x| and |z|, a unit turn, and of rho."""
    h = mpf(10) ** -18
    value = precise.pair(kernel, xx, zz, xz, N_FEATURES)
    s2 = xx * zz - xz**2
    s = mp.sqrt(s2) if s2 > 0 else mpf(0)
    moved = [
        precise.pair(kernel, xx * (1 + h) ** 2, zz, xz * (1 + h), N_FEATURES),
        precise.pair(kernel, xx, zz * (1 + h) ** 2, xz * (1 + h), N_FEATURES),
        precise.pair(kernel, xx, zz, xz * mp.cos(h) - s * mp.sin(h), N_FEATURES),
    ]
    norm = mp.sqrt(xx * zz)
    if not _angular(kernel.activation) or norm - abs(xz) > mpf("0.9e-6") * norm:
        inward = xz - h * norm * (1 if xz >= 0 else -1)
        moved.append(precise.pair(kernel, xx, zz, inward, N_FEATURES))
    return sum(abs(other - value) for other in moved) / h


def _worst(kernel, X, Z):
    """Largest error over (1e-14 sqrt(k_ii k_jj) + 1e-15 sensitivity): <= 1 passes."""
    K = kernel(X, Z)
    assert np.isfinite(K).all()
    with mp.workdps(80):
        xx = [precise.inner_products(row[None])[0, 0] for row in X]
        zz = [precise.inner_products(row[None])[0, 0] for row in Z]
        xz = precise.inner_products(X, Z)
        own = {q: precise.pair(kernel, q, q, q, N_FEATURES) for q in (*xx, *zz)}
        worst, where = 0.0, None
        for i, j in np.ndindex(K.shape):
            expected = precise.pair(kernel, xx[i], zz[j], xz[i, j], N_FEATURES)
            allowed = mpf("1e-14") * mp.sqrt(own[xx[i]] * own[zz[j]])
            allowed += mpf("1e-15") * _sensitivity(kernel, xx[i], zz[j], xz[i, j])
            ratio = float(abs(mpf(float(K[i, j])) - expected) / allowed)
            if ratio > worst:
                rho = float(xz[i, j] / mp.sqrt(xx[i] * zz[j]))
                worst, where = ratio, (i, j, rho, float(K[i, j]), float(expected))
        return worst, where


@each_activation
def test_kappa_is_accurate_from_tiny_to_huge_variances(activation):
    kernel = nc.ConjugateKernel(_object(activation), weight_variance=float(N_FEATURES))
    worst, where = _worst(kernel, *_rows(activation))
    assert worst <= 1, where


def _tangent_kernel(activation):
    """An NTK that is 2^40 kdot to within 1e-11: Theta = kappa + 2^40 kdot (<x, z> + 1) + 1.

    Rows are scaled by 2^-30 and the first layer by 2^60, so that <x, z> vanishes beside the 1.
    """
    return nc.NTK(
        _object(activation),
        weight_variance=(2.0**60 * N_FEATURES, 2.0**40),
        parametrization="standard",
        width=1,
    )


@each_differentiable
def test_kdot_is_accurate_from_tiny_to_huge_variances(activation):
    X, Z = _rows(activation)
    worst, where = _worst(_tangent_kernel(activation), X * 2.0**-30, Z * 2.0**-30)
    assert worst <= 1, where


def _kernels(activation, **settings):
    kinds = [nc.ConjugateKernel, nc.NTK] if activation in DIFFERENTIABLE else [nc.ConjugateKernel]
    return [kind(_object(activation), **settings) for kind in kinds]


@each_activation
def test_diagonal_is_accurate(activation):
    X, _ = _rows(activation)
    for kernel in _kernels(activation, weight_variance=float(N_FEATURES)):
        with mp.workdps(60):
            xx = [precise.inner_products(row[None])[0, 0] for row in X]
            expected = np.array([precise.pair(kernel, q, q, q, N_FEATURES) for q in xx])
        relative = 1e-14 * (1 + (np.array(xx, dtype=float) if activation == "exp" else 0))
        error = np.abs(kernel.diag(X) / expected.astype(float) - 1)
        assert (error <= relative).all(), error


@each_activation
def test_float32_keeps_its_digits(activation):
    rng = np.random.default_rng(11)
    X, Z = rng.normal(size=(7, 5)).astype(np.float32), rng.normal(size=(9, 5)).astype(np.float32)
    for kernel in _kernels(activation):
        K = kernel(X, Z, dtype="float32")
        with mp.workdps(60):
            expected = precise.gram(kernel, X, Z).astype(float)
        scale = np.sqrt(np.outer(kernel.diag(X), kernel.diag(Z)))
        assert np.max(np.abs(K - expected) / scale) <= 4 * (5 + 20) * 2.0**-24


@each_activation
def test_zero_rows_are_fine_unless_phi_jumps(activation):
    X = np.array([[0.0, 0.0, 0.0], [1.0, 2.0, -1.0]])
    kernel = nc.ConjugateKernel(_object(activation))
    if activation not in DIFFERENTIABLE:
        with pytest.raises(ValueError, match="bias"):
            kernel(X)
        kernel = nc.ConjugateKernel(activation, bias_variance=0.5)
    with mp.workdps(60):
        expected = precise.gram(kernel, X).astype(float)
    np.testing.assert_allclose(kernel(X), expected, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("variance", [4.0**6, 4.0**10])
def test_sin_and_cos_do_not_overflow(variance):
    X = math.sqrt(variance) * np.array([[1.0, 0.0], [0.0, 1.0]])
    sin = nc.ConjugateKernel("sin", weight_variance=2.0)(X, np.concatenate([X, -X]))
    cos = nc.ConjugateKernel("cos", weight_variance=2.0)(X, np.concatenate([X, -X]))
    # exp(-a) sinh(a) = 1/2 and exp(-a) cosh(a) = 1/2 at these a; orthogonal rows give 0
    half = np.array([[0.5, 0.0], [0.0, 0.5]])
    np.testing.assert_allclose(sin, np.hstack([half, -half]), atol=1e-12)
    np.testing.assert_allclose(cos, np.hstack([half, half]), atol=1e-12)


def test_exp_does_not_overflow_on_the_way():
    X = np.array([[18.7, 0.0]])  # kappa with itself is exp(699.4); float64 ends at exp(709.8)
    kernel = nc.ConjugateKernel("exp", weight_variance=2.0)
    np.testing.assert_allclose(kernel(X, -X), [[1.0]], rtol=1e-12)
    np.testing.assert_allclose(np.log(kernel(X, X)), [[2 * 18.7**2]], rtol=1e-15)
    with pytest.raises(ValueError, match=r"\bX\b"):
        kernel(2 * X)


def test_compiled_and_python_lists_are_equal():
    from nc1fast import _core

    known = sorted([*nc.activations(elementary=True), "shifted_relu"])
    assert sorted(_core.activations()) == known
