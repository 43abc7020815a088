"""The reference against quadrature, published Gram matrices, finite networks' formulas and explicit
sums.
"""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy.special import erf, ndtr

from nc1fast import reference
from nc1fast.activations import LeakyReLU, activations
from nc1fast.kernels import NNGP, NTK, ConjugateKernel, Linear

DATA = Path(__file__).parent / "data"
GOLDEN = np.load(DATA / "neural_tangents.npz")
ENTRIES = json.loads(str(GOLDEN["meta"]))
RELU_FAMILY = ("relu", "leaky_relu", "abs")

# (a, b, correlation)
POINTS = [(1.0, 1.0, 0.3), (0.4, 1.3, -0.6), (1.2, 0.1, 0.95), (0.7, 0.9, 0.0), (0.5, 0.5, -0.99)]
SMOOTH = {  # phi, phi'
    "erf": (erf, lambda u: 2 / math.sqrt(math.pi) * np.exp(-(u**2))),
    "probit": (ndtr, lambda u: np.exp(-(u**2) / 2) / math.sqrt(2 * math.pi)),
    "gelu": (
        lambda u: u * ndtr(u),
        lambda u: ndtr(u) + u * np.exp(-(u**2) / 2) / math.sqrt(2 * math.pi),
    ),
    "sin": (np.sin, np.cos),
    "cos": (np.cos, lambda u: -np.sin(u)),
    "exp": (np.exp, np.exp),
    "gaussian": (lambda u: np.exp(-(u**2)), lambda u: -2 * u * np.exp(-(u**2))),
    "rbf": (lambda u: np.sin(u) + np.cos(u), lambda u: np.cos(u) - np.sin(u)),
}
KINKED = {  # phi, its degree, phi', its degree; phi' of step and sign is no function
    "relu": (lambda u: np.maximum(u, 0), 1, lambda u: 1.0 * (u > 0), 0),
    "leaky_relu(0.2)": (lambda u: np.maximum(u, 0.2 * u), 1, lambda u: np.where(u > 0, 1, 0.2), 0),
    "abs": (np.abs, 1, np.sign, 0),
    "relu2": (lambda u: np.maximum(u, 0) ** 2, 2, lambda u: 2 * np.maximum(u, 0), 1),
    "step": (lambda u: 1.0 * (u > 0), 0, None, None),
    "sign": (np.sign, 0, None, None),
}
each_point = pytest.mark.parametrize(("a", "b", "rho"), POINTS)


def _activation(name):
    return LeakyReLU(0.2) if name.startswith("leaky") else name


def _hermite(f, a, b, rho, nodes=180):
    """E f(u) f(v) by Gauss-Hermite quadrature in both variables."""
    z, w = np.polynomial.hermite_e.hermegauss(nodes)
    w = w / w.sum()
    u = math.sqrt(a) * z[:, None]
    v = math.sqrt(b) * (rho * z[:, None] + math.sqrt(1 - rho**2) * z)
    return float(w @ (f(u) * f(v)) @ w)


def _polar(f, degree, a, b, rho):
    """E f(u) f(v), f homogeneous of a degree: exact radius, Gauss-Legendre between the kinks of the
    angle.
    """
    second = math.asin(rho)  # v is proportional to sin(phi + second')
    kinks = np.sort([-math.pi / 2, math.pi / 2, -second, math.pi - second, 1.5 * math.pi])
    x, w = np.polynomial.legendre.leggauss(40)
    total = 0.0
    for low, high in itertools.pairwise(kinks):
        phi = (low + high) / 2 + (high - low) / 2 * x
        u = math.sqrt(a) * np.cos(phi)
        v = math.sqrt(b) * (rho * np.cos(phi) + math.sqrt(1 - rho**2) * np.sin(phi))
        total += (high - low) / 2 * float(w @ (f(u) * f(v)))
    return 2**degree * math.factorial(degree) * total / (2 * math.pi)  # E r^2k of two normals


def _dual(name, a, b, rho):
    kappa, kdot = reference.dual(_activation(name), a, b, rho * math.sqrt(a * b))
    return float(kappa), float(kdot)


def test_every_activation_has_its_test():
    tested = {name.partition("(")[0] for name in (*SMOOTH, *KINKED)}
    assert tested == set(activations(elementary=True))


@pytest.mark.parametrize("name", SMOOTH)
@each_point
def test_smooth_duals_equal_gauss_hermite_quadrature(name, a, b, rho):
    for f, value in zip(SMOOTH[name], _dual(name, a, b, rho), strict=True):
        scale = math.sqrt(_hermite(f, a, a, 1.0) * _hermite(f, b, b, 1.0))
        assert abs(value - _hermite(f, a, b, rho)) <= 1e-12 * scale


@pytest.mark.parametrize("name", KINKED)
@each_point
def test_kinked_duals_equal_quadrature_between_the_kinks(name, a, b, rho):
    phi, degree, slope, slope_degree = KINKED[name]
    kappa, kdot = _dual(name, a, b, rho)
    assert kappa == pytest.approx(_polar(phi, degree, a, b, rho), rel=1e-12, abs=1e-13)
    if slope is not None:
        assert kdot == pytest.approx(_polar(slope, slope_degree, a, b, rho), rel=1e-12, abs=1e-13)


@pytest.mark.parametrize("name", [*SMOOTH, *KINKED])
@each_point
def test_kdot_is_the_derivative_in_the_covariance(name, a, b, rho):
    """Price's theorem, by central differences."""
    step = 1e-5 * (1 - abs(rho))
    up, down = (_dual(name, a, b, rho + sign * step)[0] for sign in (1, -1))
    assert _dual(name, a, b, rho)[1] == pytest.approx(
        (up - down) / (2 * step * math.sqrt(a * b)), rel=1e-4, abs=1e-8
    )


@pytest.mark.parametrize("name", [*SMOOTH, *KINKED])
def test_duals_are_finite_for_large_and_zero_variances(name):
    if name not in ("exp", "relu2"):
        a = np.array([1e8, 1e8, 1e8, 0.0, 0.0])
        c = np.array([1e8, -1e8, 0.0, 0.0, 0.0])
        b = np.array([1e8, 1e8, 1e8, 1e8, 0.0])
        kappa, kdot = reference.dual(_activation(name), a, b, c)
        assert np.isfinite(kappa).all()
        assert name in ("step", "sign") or np.isfinite(kdot).all()


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["key"])
@pytest.mark.parametrize("other", ["xx", "xz"])
def test_gram_equals_neural_tangents(entry, other):
    settings = {key: entry[key] for key in ("depth", "weight_variance", "bias_variance")}
    activation = _activation(entry["activation"])
    Z = None if other == "xx" else GOLDEN["Z"]
    for kernel, name in ((NNGP, "nngp"), (NTK, "ntk")):
        if (name, activation) == ("ntk", "sign"):
            continue
        expected = GOLDEN[f"{entry['key']}/{name}_{other}"]
        kinked = name == "ntk" and entry["activation"] in RELU_FAMILY
        K = reference.gram(kernel(activation, **settings), GOLDEN["X"], Z)
        assert np.abs(K - expected).max() <= (2e-8 if kinked else 1e-13) * np.abs(expected).max()


@pytest.mark.parametrize("depth", [2, 3])
def test_relu_ntk_equals_fifty_digit_arithmetic(depth):
    with np.load(DATA / "relu_family.npz") as file:
        stored = dict(file)
    checked = 0
    for entry in ENTRIES:
        if entry["activation"] in RELU_FAMILY and entry["depth"] == depth:
            settings = {key: entry[key] for key in ("depth", "weight_variance", "bias_variance")}
            kernel = NTK(_activation(entry["activation"]), **settings)
            expected = stored[f"{entry['key']}/ntk_xx"]
            tolerance = 1e-13 if depth == 2 else 2e-8
            K = reference.gram(kernel, GOLDEN["X"])
            assert np.abs(K - expected).max() <= tolerance * np.abs(expected).max()
            checked += 1
    assert checked


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
    kernel = NTK(
        "erf",
        weight_variance=(1.0, 1.97**2),
        parametrization="standard",
        width=500,
        train_bias=train_bias,
    )
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
    one, two = (
        reference.collapse_features(H, y, convention),
        reference.collapse(H @ H.T, y, convention),
    )
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
