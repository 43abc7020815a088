"""Expected collapse from pairs of rows: against quadrature, closed forms and drawn data sets; its
standard error.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import nc1fast as nc
from nc1fast import metrics
from nc1fast.theory import expected_collapse


def _rotation(d0, rng):
    return np.linalg.qr(rng.standard_normal((d0, d0)))[0]


def _covariance(d0, rng):
    A = rng.standard_normal((d0, d0)) * rng.uniform(0.05, 0.5)
    return A @ A.T


def _deviates(found, expected):
    """(found - expected) / standard error."""
    return (found.nc1 - expected) / found.standard_error


@pytest.mark.slow
def test_rotated_mixtures_scatter_around_their_quadrature():
    """Means along any line, covariances given as matrices or not: no deviate is large, and they
    have the size of one.
    """
    rng, deviates = np.random.default_rng(1), []
    for seed in range(24):
        C, d0 = int(rng.integers(2, 4)), int(rng.choice([1, 2, 3, 4, 8, 40]))
        kernel = [nc.NNGP, nc.NTK][seed % 2](["relu", "erf"][seed // 2 % 2])
        m, s = rng.uniform(-3, 3, C), rng.uniform(0.1, 1.5, C)
        line = _rotation(d0, rng) @ np.ones(d0)
        spread: dict[str, Any] = {"stds": s}
        if seed % 3 == 0:
            spread = {"covariances": [v * np.eye(d0) for v in s**2]}
        exact = expected_collapse(kernel, m, s, n_features=d0).nc1
        found = expected_collapse(kernel, np.outer(m, line), **spread, tolerance=1e-3, seed=seed)
        assert found.method == "pairs"
        assert found.standard_error <= 1e-3 * found.nc1
        deviates.append(_deviates(found, exact))
    assert np.abs(deviates).max() < 5
    assert 0.4 < np.mean(np.square(deviates)) < 1.9


def test_linear_kernel_has_a_closed_form():
    """V_c = sw2 Tr Sigma_c/d0, M_cc' = sb2 + sw2 <mu_c, mu_c'>/d0."""
    rng = np.random.default_rng(2)
    mu, Sigma = rng.standard_normal((3, 6)), np.array([_covariance(6, rng) for _ in range(3)])
    found = expected_collapse(nc.Linear(2.0, 0.3), mu, covariances=Sigma)
    V = 2 * np.trace(Sigma, axis1=1, axis2=2) / 6
    np.testing.assert_allclose(found.within_by_class, V, rtol=1e-3)
    np.testing.assert_allclose(found.class_gram, 0.3 + 2 * mu @ mu.T / 6, atol=2e-4)
    w, M = metrics.weights("papyan", np.ones(3, dtype=np.int64)), 2 * mu @ mu.T / 6
    exact = metrics.trace_within(V, M, w) / metrics.trace_between(M, w)
    assert abs(_deviates(found, exact)) < 5


@pytest.mark.parametrize(
    "kernel", [nc.NTK("relu", 4, bias_variance=0.2), nc.NNGP("gelu", 3), nc.NTK("erf", 3)]
)
def test_many_features_have_the_kernel_of_their_limits(kernel):
    """At d0 = 10^8 all norms and angles are constant: T_c and M_cc' are k of two features of these
    norms and angles.
    """
    m, s = np.array([-1.0, 2.0]), np.array([0.5, 0.8])
    found = expected_collapse(kernel, m, s, n_features=10**8)
    apart = [np.sqrt(2) * np.array(([m[c], s[c], 0.0], [m[c], 0.0, s[c]])) for c in (0, 1)]
    assert np.abs(found.class_gram[0, 0] - kernel(apart[0] * math.sqrt(1.5))[0, 1]) < 1e-3
    between = kernel(apart[0][:1] * math.sqrt(1.5), apart[1][1:] * math.sqrt(1.5))[0, 0]
    assert abs(found.class_gram[0, 1] - between) < 1e-3
    own = kernel.diag(apart[1] * math.sqrt(1.5))[0] - kernel(apart[1] * math.sqrt(1.5))[0, 1]
    assert abs(found.within_by_class[1] - own) < 1e-3


@pytest.mark.slow
@pytest.mark.parametrize(
    "kernel",
    [
        nc.NTK("erf", 3, bias_variance=0.1),
        nc.NNGP("relu", 2, weight_variance=2, bias_variance=(0.5, 0.0)),
        nc.NTK("relu", 3, parametrization="standard", width=64),
        nc.ConjugateKernel("gelu", 4),
        nc.NTK(nc.LeakyReLU(0.3)),
    ],
    ids=repr,
)
def test_drawn_data_sets_scatter_around_their_expectation(kernel):
    """Anisotropic, unequal classes: the mean of within - nc1 between over 100 data sets is 0."""
    rng, d0, sizes = np.random.default_rng(3), 5, (12, 20, 7)
    mu, Sigma = rng.standard_normal((3, d0)), [_covariance(d0, rng) for _ in range(3)]
    theory = expected_collapse(kernel, mu, covariances=Sigma, sizes=sizes, convention="class")
    roots, y = [np.linalg.cholesky(one) for one in Sigma], np.repeat(np.arange(3), sizes)
    w, values = metrics.weights("class", np.array(sizes)), []
    for _ in range(100):
        X = mu[y] + np.array([roots[c] @ rng.standard_normal(d0) for c in y])
        sums = nc.class_sums(X, y, kernel, statistics="sums", n_threads=1)
        V, M = metrics.within_by_class(sums), metrics.class_gram(sums)
        values.append(metrics.trace_within(V, M, w) - theory.nc1 * metrics.trace_between(M, w))
    assert abs(np.mean(values)) < 4 * np.std(values) / math.sqrt(len(values))


def test_classes_at_the_corners_of_a_simplex_are_alike():
    """Means of an ETF: every class has one V, every pair of classes one distance."""
    mu = 2 * (np.eye(4, 7) - np.eye(4, 7).mean(axis=0))
    found = expected_collapse(nc.NTK("relu", 3), mu, 0.4)
    V, M = found.within_by_class, found.class_gram
    np.testing.assert_allclose(V, V.mean(), rtol=3e-3)
    apart = M[~np.eye(4, dtype=bool)]
    np.testing.assert_allclose(apart, apart.mean(), rtol=3e-3)
    # the same classes in many more features, scaled to the same norms
    wide = np.zeros((4, 700))
    wide[:, :7] = 10 * mu
    assert expected_collapse(nc.NTK("relu", 3), wide, 0.4).nc1 > 0


def test_same_seed_same_bits_and_another_tolerance_is_met():
    mu = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.5]])
    first, again = (expected_collapse(nc.NTK("erf", 3), mu, 0.3, seed=4) for _ in range(2))
    assert (first.nc1, first.standard_error) == (again.nc1, again.standard_error)
    finer = expected_collapse(nc.NTK("erf", 3), mu, 0.3, seed=5, tolerance=2e-5)
    assert 0 < finer.standard_error <= 2e-5 * finer.nc1 < first.standard_error
    assert abs(finer.nc1 - first.nc1) < 5 * first.standard_error


def test_missed_tolerance_is_a_warning():
    with pytest.warns(nc.AccuracyWarning, match="tolerance 1e-13"):
        expected_collapse(nc.Linear(), [[0.0], [1.0]], 1.0, tolerance=1e-13)
