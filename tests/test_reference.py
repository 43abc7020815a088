"""The reference against quadrature, formulas of single networks and explicit sums."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
from mpmath import mpf
from scipy import special
from tests import precise

from nc1fast import reference
from nc1fast.core.activations import LeakyReLU, activations, of_arrays, phi
from nc1fast.kernels import NNGP, NTK, ConjugateKernel, Linear

# (a, b, correlation)
POINTS = [(1.0, 1.0, 0.3), (0.4, 1.3, -0.6), (1.2, 0.1, 0.95), (0.7, 0.9, 0.0), (0.5, 0.5, -0.99)]
ACTIVATIONS = [*activations(elementary=True), LeakyReLU(0.2), LeakyReLU(-0.5)]
ACTIVATIONS.remove("leaky_relu")
each_activation = pytest.mark.parametrize("activation", ACTIVATIONS, ids=str)
each_point = pytest.mark.parametrize(("a", "b", "rho"), POINTS)


def _functions(activation):
    """Phi and phi' of NumPy; None for phi' that is no function."""
    slope = None if isinstance(activation, str) else activation.slope
    functions = {
        "relu": (lambda u: np.maximum(u, 0), lambda u: (u > 0) * 1.0),
        "abs": (np.abs, np.sign),
        "step": (lambda u: (u > 0) * 1.0, None),
        "sign": (np.sign, None),
        "relu2": (lambda u: np.maximum(u, 0) ** 2, lambda u: 2 * np.maximum(u, 0)),
        "erf": (special.erf, lambda u: 2 / math.sqrt(math.pi) * np.exp(-(u**2))),
        "probit": (special.ndtr, lambda u: np.exp(-(u**2) / 2) / math.sqrt(2 * math.pi)),
        "gelu": (
            lambda u: u * special.ndtr(u),
            lambda u: special.ndtr(u) + u * np.exp(-(u**2) / 2) / math.sqrt(2 * math.pi),
        ),
        "sin": (np.sin, np.cos),
        "cos": (np.cos, lambda u: -np.sin(u)),
        "exp": (np.exp, np.exp),
        "gaussian": (lambda u: np.exp(-(u**2)), lambda u: -2 * u * np.exp(-(u**2))),
        "rbf": (lambda u: np.sin(u) + np.cos(u), lambda u: np.cos(u) - np.sin(u)),
        "leaky_relu": (
            lambda u: np.where(u > 0, u, slope * u),
            lambda u: np.where(u > 0, 1.0, slope),
        ),
    }
    return functions[activation if isinstance(activation, str) else "leaky_relu"]


@cache
def _legendre():
    return np.polynomial.legendre.leggauss(120)


def _quadrature(f, a, b, rho):
    """E[f(u) f(v)]: Gauss-Legendre on each side of u = 0 and of v = 0; error below 1e-12."""
    nodes, weights = _legendre()
    reach, s = 12.0, math.sqrt(1 - rho**2)
    total = 0.0
    for low, high in ((-reach, 0.0), (0.0, reach)):
        z1 = (low + high) / 2 + (high - low) / 2 * nodes
        w1 = (high - low) / 2 * weights * np.exp(-(z1**2) / 2)
        kink = np.clip(-rho * z1 / s, -reach, reach)
        for left, right in ((np.full_like(kink, -reach), kink), (kink, np.full_like(kink, reach))):
            half = ((right - left) / 2)[:, None]
            z2 = ((left + right) / 2)[:, None] + half * nodes
            w2 = half * weights * np.exp(-(z2**2) / 2)
            v = math.sqrt(b) * (rho * z1[:, None] + s * z2)
            total += np.sum(w1 * f(math.sqrt(a) * z1) * np.sum(w2 * f(v), axis=1))
    return total / (2 * math.pi)


@each_activation
@each_point
def test_duals_equal_quadrature(activation, a, b, rho):
    c, functions = rho * math.sqrt(a * b), _functions(activation)
    for dual, number in ((reference.dual, float), (precise.dual, mpf)):
        for f, value in zip(functions, dual(activation, *map(number, (a, b, c))), strict=True):
            if f is not None:
                scale = math.sqrt(_quadrature(f, a, a, 1 - 1e-15) * _quadrature(f, b, b, 1 - 1e-15))
                assert abs(float(value) - _quadrature(f, a, b, rho)) <= 1e-12 * scale


@each_activation
def test_phi_is_that_of_the_formulas(activation):
    u = np.linspace(-3, 3, 600)
    functions = [f for f in _functions(activation) if f is not None]
    for f, found in zip(functions, of_arrays(activation), strict=False):
        np.testing.assert_allclose(found(u), f(u), rtol=1e-13, atol=1e-15)
    torch = pytest.importorskip("torch", reason="phi of tensors (extra: torch)")
    x = torch.from_numpy(u).requires_grad_()
    values = phi(activation)(x)
    np.testing.assert_allclose(values.detach().numpy(), functions[0](u), rtol=1e-13, atol=1e-15)
    if len(functions) > 1:
        (slopes,) = torch.autograd.grad(values.sum(), x)
        np.testing.assert_allclose(slopes.numpy(), functions[1](u), rtol=1e-13, atol=1e-15)


@each_activation
@each_point
def test_kdot_is_the_derivative_in_the_covariance(activation, a, b, rho):
    """Price's theorem, by central differences."""
    step, root = 1e-5 * (1 - abs(rho)), math.sqrt(a * b)
    down, middle, up = (
        reference.dual(activation, a, b, (rho + sign * step) * root) for sign in (-1, 0, 1)
    )
    slope = float(up[0] - down[0]) / (2 * step * root)
    assert float(middle[1]) == pytest.approx(slope, rel=1e-4, abs=1e-8)


@each_activation
def test_duals_are_finite_for_large_and_zero_variances(activation):
    if activation not in ("exp", "relu2"):
        a = np.array([1e8, 1e8, 1e8, 0.0, 0.0])
        c = np.array([1e8, -1e8, 0.0, 0.0, 0.0])
        b = np.array([1e8, 1e8, 1e8, 1e8, 0.0])
        kappa, kdot = reference.dual(activation, a, b, c)
        assert np.isfinite(kappa).all()
        assert activation in ("step", "sign") or np.isfinite(kdot).all()


def test_kernels_of_one_network_are_tied():
    X = np.random.default_rng(0).normal(size=(12, 5))
    settings = {"depth": 3, "weight_variance": (1.3, 0.7, 2.0), "bias_variance": (0.1, 0.0, 0.4)}
    conjugate = reference.gram(ConjugateKernel("gelu", **settings), X)
    np.testing.assert_allclose(
        reference.gram(NNGP("gelu", **settings), X), 0.4 + 2 * conjugate, rtol=1e-14
    )
    np.testing.assert_allclose(
        reference.gram(Linear(1.3, 0.1), X), 0.1 + 1.3 / 5 * X @ X.T, atol=1e-14
    )
    np.testing.assert_allclose(
        reference.diag(NTK("gelu", **settings), X),
        np.diag(reference.gram(NTK("gelu", **settings), X)),
        rtol=1e-14,
    )


@pytest.mark.parametrize("train_bias", [True, False])
def test_standard_parametrization_at_depth_two(train_bias):
    """h kappa + s_a^2 kdot (<x, x'> + tau) + tau."""
    X = np.random.default_rng(1).normal(size=(9, 4))
    settings = {"parametrization": "standard", "width": 500, "train_bias": train_bias}
    kernel = NTK("erf", weight_variance=(1.0, 1.97**2), **settings)
    S = X @ X.T / 4
    q = np.diag(S)
    kappa, kdot = reference.dual("erf", q[:, None], q, S)
    tau = float(train_bias)
    expected = 500 * kappa + 1.97**2 * kdot * (X @ X.T + tau) + tau
    np.testing.assert_allclose(reference.gram(kernel, X), expected, rtol=1e-12)


def test_untrained_biases_leave_the_tangent_kernel():
    X = np.random.default_rng(2).normal(size=(6, 3))
    on, off = (
        reference.gram(NTK("relu", bias_variance=0.5, train_bias=train), X)
        for train in (True, False)
    )
    S = 0.5 + X @ X.T / 3
    q = np.diag(S)
    _, kdot = reference.dual("relu", q[:, None], q, S)
    np.testing.assert_allclose(on - off, 0.5 + 0.5 * kdot, atol=1e-7)


def test_relu_in_one_dimension_has_ntk_twice_nngp():
    X = np.random.default_rng(3).normal(size=(30, 1))
    np.testing.assert_allclose(
        reference.gram(NTK("relu"), X), 2 * reference.gram(NNGP("relu"), X), rtol=1e-15, atol=1e-16
    )


def test_duplicates_and_antipodes_are_exact():
    x = np.random.default_rng(4).normal(size=(1, 6))
    K = reference.gram(NTK("relu"), np.vstack([x, x, -x]))
    assert K[0, 1] == K[0, 0] == pytest.approx(float((x @ x.T).item()) / 6, rel=1e-15)
    assert abs(K[0, 2]) <= 1e-16 * K[0, 0]


def test_a_row_of_zeros_needs_a_bias_for_sign_and_step():
    X = np.vstack([np.zeros(3), np.ones(3)])
    with pytest.raises(ValueError, match="zeros"):
        reference.gram(NNGP("sign"), X)
    assert np.isfinite(reference.gram(NNGP("sign", bias_variance=0.1), X)).all()
    assert np.isfinite(reference.gram(NTK("relu"), X)).all()


@pytest.mark.parametrize("convention", ["papyan", "probe", "class", "sample", "released"])
def test_metrics_of_a_gram_matrix_equal_those_of_its_features(convention):
    rng = np.random.default_rng(5)
    y = np.repeat(["a", "b", "c", "d"], [5, 9, 20, 30])
    H = rng.normal(size=(64, 6)) + 3 * np.eye(6)[np.unique(y, return_inverse=True)[1]]
    one = reference.collapse_features(H, y, convention)
    two = reference.collapse(H @ H.T, y, convention)
    for name, value in one.items():
        if name not in ("labels", "convention", "nearest_center"):
            np.testing.assert_allclose(two[name], value, rtol=1e-11, atol=1e-11, err_msg=name)
    np.testing.assert_array_equal(one["nearest_center"], two["nearest_center"])


def test_metrics_of_two_points_per_class_by_hand():
    H, y = np.array([[1.0, 0], [3, 0], [0, 1], [0, 3]]), [0, 0, 1, 1]
    found = reference.collapse_features(H, y)
    assert (found["trace_within"], found["trace_between"], found["nc1"]) == (1, 2, 0.5)
    assert found["cdnv"] == 1 / 8
    assert found["nc1_pinv"] == pytest.approx(0.125)  # Sigma_W = I/2, Sigma_B of one eigenvalue 2
    np.testing.assert_array_equal(found["nearest_center"], y)


def test_class_sums_by_hand():
    K, y = np.array([[2.0, 1, 0], [1, 4, 1], [0, 1, 3]]), ["x", "x", "y"]
    found = reference.class_sums(K, y)
    np.testing.assert_array_equal(found["block_sums"], [[8, 1], [1, 3]])
    np.testing.assert_array_equal(found["traces"], [6, 3])
    np.testing.assert_array_equal(found["within"], [2, 0])  # two rows at squared distance 4
    np.testing.assert_array_equal(found["row_sums"], [[3, 0], [5, 1], [1, 3]])
