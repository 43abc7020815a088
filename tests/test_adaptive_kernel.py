"""AdaptiveKernel: its Gram matrix, its passes, its error bound, and what identifies it."""

from __future__ import annotations

import numpy as np
import pytest

import nc1fast as nc
from nc1fast import reference
from nc1fast.core.activations import activations


def _sigma(d0, seed=0, condition=30.0):
    rng = np.random.default_rng(seed)
    basis, _ = np.linalg.qr(rng.normal(size=(d0, d0)))
    return (basis * np.geomspace(1, condition, d0) / d0) @ basis.T


def _problem(d0=7, n=60, seed=1):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d0)) + np.repeat([[-1.0], [1.0], [2.0]], n // 3, axis=0)
    return X, np.repeat([0, 1, 2], n // 3)


@pytest.mark.parametrize(
    "activation", sorted(set(activations(elementary=True)) - {"leaky_relu", "step", "sign"})
)
def test_gram_matrix_is_the_dual_of_x_sigma_z(activation):
    X, _ = _problem()
    kernel = nc.AdaptiveKernel(_sigma(7), activation)
    K = reference.gram(kernel, X)
    scale = np.abs(K).max()
    # the reference takes sqrt(ab - c^2) by subtraction: 1e-8 of an angle for nearly parallel rows
    np.testing.assert_allclose(kernel(X), K, rtol=0, atol=1e-11 * scale)
    np.testing.assert_allclose(kernel(X[:9], X[5:]), K[:9, 5:], rtol=0, atol=1e-11 * scale)
    np.testing.assert_allclose(kernel.diag(X), np.diag(K), rtol=1e-12)


@pytest.mark.parametrize("activation", ["erf", "relu"])
def test_the_prior_is_the_conjugate_kernel(activation):
    X, y = _problem()
    prior = nc.AdaptiveKernel(np.eye(7) * 1.7 / 7, activation)
    same = nc.ConjugateKernel(activation, weight_variance=1.7)
    np.testing.assert_allclose(prior(X), same(X), rtol=0, atol=1e-14)
    assert nc.collapse(X, y, prior).nc1 == pytest.approx(nc.collapse(X, y, same).nc1, rel=1e-12)


@pytest.mark.parametrize("sd", [1.0, 1e-2, 1e-4])
def test_error_bound_is_small(sd):
    """That it covers the error is judged in test_adversary.py."""
    X, y = _problem(5)
    X = X[::20][y] + sd * np.random.default_rng(3).normal(size=X.shape)
    for activation in ("erf", "relu", "gelu"):
        result = nc.collapse(X, y, nc.AdaptiveKernel(_sigma(5, condition=1e4), activation))
        assert result.error_bound <= 1e-9 * max(1.0, result.nc1)


def test_a_list_of_kernels_has_the_results_of_each():
    X, y = _problem()
    kernels = [
        nc.AdaptiveKernel(_sigma(7)),
        nc.NNGP("erf"),
        nc.AdaptiveKernel(_sigma(7, 4), "relu"),
    ]
    together = nc.collapse(X, y, kernels)
    assert [r.nc1 for r in together] == [nc.collapse(X, y, k).nc1 for k in kernels]


def test_sums_of_other_sigmas_do_not_join():
    X, y = _problem()
    one, other = (
        nc.class_sums(X, y, nc.AdaptiveKernel(_sigma(7, seed)), part=(seed, 3)) for seed in (0, 1)
    )
    with pytest.raises(ValueError, match="different problems"):
        one + other


def test_equality_and_hash_follow_the_bits_of_sigma():
    a, b = nc.AdaptiveKernel(_sigma(4)), nc.AdaptiveKernel(_sigma(4))
    assert a == b
    assert hash(a) == hash(b)
    assert repr(a) == repr(b)
    nudged = _sigma(4)
    nudged[0, 0] *= 1 + 2e-16 * 4
    assert a != nc.AdaptiveKernel(nudged)
    assert a != nc.AdaptiveKernel(_sigma(4), "relu")
    assert a != "erf"
    with pytest.raises(ValueError, match="read-only"):
        a.sigma[0, 0] = 1.0


@pytest.mark.parametrize(
    ("sigma", "message"),
    [
        (np.ones((2, 3)), "shape"),
        (np.empty((0, 0)), "shape"),
        ([[1.0, 0.0], [0.5, 1.0]], "symmetric"),
        ([[1.0, 2.0], [2.0, 1.0]], "positive definite"),
        ([[np.nan, 0.0], [0.0, 1.0]], "finite"),
    ],
)
def test_bad_sigma(sigma, message):
    with pytest.raises(ValueError, match=message):
        nc.AdaptiveKernel(sigma)


def test_sigma_of_other_features():
    X, y = _problem()
    with pytest.raises(ValueError, match="sigma is 3 x 3, but X has 7 features"):
        nc.collapse(X, y, nc.AdaptiveKernel(np.eye(3)))
