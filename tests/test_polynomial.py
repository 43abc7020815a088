"""Kernels and networks of products: against closed forms by arc cosines, quadrature in polar
coordinates, and each other.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

import nc1fast as nc
from nc1fast.kernels import SkipPolynomial, polynomial_nngp, polynomial_ntk

DEGREES = pytest.mark.parametrize("degree", [1, 2, 3, 5])


def _rows(n=7, d0=4, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d0))


def _arc_cosines(X, Z):
    """<x, z>, |x||z| kappa1 and kappa0, x and z over sqrt(d0)."""
    lengths = np.outer(np.linalg.norm(X, axis=1), np.linalg.norm(Z, axis=1)) / X.shape[1]
    inner = X @ Z.T / X.shape[1]
    r = np.clip(inner / lengths, -1, 1)
    angle = np.pi - np.arccos(r)
    return inner, lengths * (np.sqrt(1 - r**2) + r * angle) / np.pi, angle / np.pi


@DEGREES
def test_both_kernels_are_products_of_arc_cosine_kernels(degree):
    X, Z = _rows(), _rows(5, seed=1)
    inner, k1, k0 = _arc_cosines(X, Z)
    assert polynomial_nngp(degree)(X, Z) == pytest.approx(k1**degree, rel=1e-12)
    expected = k1**degree + degree * inner * k0 * k1 ** (degree - 1)
    assert polynomial_ntk(degree)(X, Z) == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_one_factor_is_a_layer():
    X = _rows(20)
    for activation in ("relu", "gelu", nc.LeakyReLU(0.2)):
        variances = {"weight_variance": (1.3, 0.7)}
        nngp, ntk = nc.NNGP(activation, **variances), nc.NTK(activation, **variances)
        assert polynomial_nngp(1, activation, **variances) == nngp
        assert polynomial_ntk(1, activation, **variances)(X) == pytest.approx(ntk(X), rel=1e-12)


def test_the_frequencies_on_the_circle():
    """Relative to the constant, at 3, 5, 7, 9: numbers of another implementation, by quadrature in
    the angle.
    """
    t = 2 * np.pi * np.arange(512) / 512
    X = np.stack([np.cos(t), np.sin(t)], axis=1)
    known = {1: [0, 0, 0, 0], 2: [0.152, 0.018, 0.0071, 0.0039], 3: [0.27, 0.036, 0.011, 0.0056]}
    for degree, expected in known.items():
        c = np.fft.rfft(polynomial_ntk(degree)(X[:1], X)[0]).real
        assert c[3:10:2] / c[0] == pytest.approx(expected, rel=0.05, abs=1e-15), degree


def _skip_moments(x, z, n=4096):
    """S, D and M of two rows: radius in closed form, angle by a midpoint rule on a plane of weights
    that holds both.
    """
    basis = np.linalg.qr(np.stack([x, z]).T)[0]
    t = 2 * np.pi * (np.arange(n) + 0.5) / n
    u, v = (np.stack([np.cos(t), np.sin(t)], axis=1) @ (basis.T @ one) for one in (x, z))
    first, second = math.sqrt(math.pi / 2), 2.0  # E r and E r^2 of the radius of a normal pair
    S = second * np.mean(np.maximum(u, 0) * np.maximum(v, 0))
    means = first * np.mean(np.maximum(u, 0) + np.maximum(v, 0))
    return S, np.mean((u > 0) & (v > 0)), 1 + means + S


@pytest.mark.parametrize("degree", [1, 2, 4])
def test_kernels_with_skips_are_those_of_their_moments(degree):
    X, Z = _rows(3), _rows(2, seed=4)
    nngp, ntk = SkipPolynomial(degree)(X, Z), SkipPolynomial(degree, tangent=True)(X, Z)
    for i, x in enumerate(X):
        for j, z in enumerate(Z):
            S, D, M = _skip_moments(x / 2, z / 2)
            assert nngp[i, j] == pytest.approx(S * M ** (degree - 1), rel=1e-3)
            slopes = M ** (degree - 1) + (degree - 1) * S * M ** max(degree - 2, 0)
            assert ntk[i, j] - nngp[i, j] == pytest.approx(
                x @ z / 4 * D * slopes, rel=2e-3, abs=1e-4
            )


def test_kernels_with_skips_go_into_collapse():
    X, y = nc.datasets.paper_d1(60, 3, seed=0)
    kernel = SkipPolynomial(2, tangent=True)
    stored = nc.collapse(kernel(X), y, "precomputed", convention="papyan")
    assert nc.collapse(X, y, kernel, convention="papyan").nc1 == pytest.approx(
        stored.nc1, rel=1e-12
    )
    assert np.array_equal(kernel(X), kernel(X).T)
    assert kernel(X, X) == pytest.approx(kernel(X), rel=1e-12)


@pytest.mark.parametrize("degree", [0, 33, 1.5, "2"])
def test_degrees_are_checked(degree):
    for make in (polynomial_nngp, polynomial_ntk, SkipPolynomial):
        with pytest.raises((TypeError, ValueError), match="degree"):
            make(degree)


# --- networks


def _by_hand(network, X):
    """Output and tangent kernel of a network, unit by unit, in NumPy."""
    W, a = network.weight.detach().numpy(), network.readout.detach().numpy()
    d0, m = X.shape[1], len(a)
    U = X @ W.transpose(0, 2, 1) / math.sqrt(d0)
    gain, shift = (1.0, 1.0) if network.skip else (math.sqrt(2), 0.0)
    parts = gain * np.maximum(U, 0) + shift
    if network.skip:
        parts[0] -= 1
    y = parts.prod(axis=0)
    K = y @ y.T
    for n in range(len(W)):
        others = np.delete(parts, n, axis=0).prod(axis=0)
        g = a * others * gain * (U[n] > 0)
        K = K + (g @ g.T) * (X @ X.T) / d0
    return y @ a / math.sqrt(m), K / m


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("degree", [1, 2, 3])
def test_a_network_is_what_it_says(degree, skip):
    torch = pytest.importorskip("torch")
    X = _rows(5, 3)
    network = nc.networks.PolynomialNetwork(3, degree=degree, width=11, skip=skip, seed=2)
    outputs, tangent = _by_hand(network, X)
    with torch.no_grad():
        assert network(torch.from_numpy(X))[:, 0].numpy() == pytest.approx(outputs, rel=1e-12)
    K = nc.networks.empirical_ntk(network, X)
    assert pytest.approx(tangent, rel=1e-11, abs=1e-13) == K


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("degree", [2, 3])
def test_networks_tend_to_their_kernels(degree, skip):
    """Within four standard errors of 12 networks, for the mean entry of either kernel."""
    torch = pytest.importorskip("torch")
    X = _rows(4, 3, seed=5)
    if skip:
        limits = [SkipPolynomial(degree)(X), SkipPolynomial(degree, tangent=True)(X)]
    else:
        limits = [polynomial_nngp(degree)(X), polynomial_ntk(degree)(X)]
    found = []
    for seed in range(12):
        network = nc.networks.PolynomialNetwork(3, degree=degree, width=4096, skip=skip, seed=seed)
        with torch.no_grad():
            H = network.features(torch.from_numpy(X)).numpy()
        found.append([(H @ H.T).sum() / 4096, nc.networks.empirical_ntk(network, X).sum()])
    ratios = np.array(found) / [K.sum() for K in limits]
    errors = ratios.std(axis=0, ddof=1) / math.sqrt(12)
    assert (np.abs(ratios.mean(axis=0) - 1) <= 4 * errors).all()
    assert (errors <= 0.1).all()


def test_a_seed_is_a_network():
    torch = pytest.importorskip("torch")
    first, again, other = (
        nc.networks.PolynomialNetwork(3, degree=2, width=5, seed=seed).weight for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    single = nc.networks.PolynomialNetwork(3, degree=2, width=5, seed=0, dtype="float32").weight
    assert torch.equal(single, first.float())
