"""Factors of a low rank against Nystrom's approximation by NumPy; log-determinants by Lanczos
quadrature, and the likelihoods made of them, against factorisations.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import nc1fast as nc
from nc1fast import prediction
from nc1fast.core.products import KernelMap, ProductSettings
from nc1fast.prediction.conjugate import RidgeSystem
from nc1fast.prediction.preconditioner import (
    EvaluatedFactor,
    Preconditioner,
    StoredFactor,
    low_rank,
    pivoted_cholesky,
)
from nc1fast.prediction.traces import Probing, log_determinant

RNG = np.random.default_rng(0)
N, M, OUTPUTS, RIDGE = 1000, 40, 3, 0.05
X, Z = RNG.normal(size=(N, 8)), RNG.normal(size=(M, 8))
Y = RNG.normal(size=(N, OUTPUTS))
KERNEL = nc.NTK("relu", depth=3, weight_variance=2.0)


def assert_close(found, expected, tolerance):
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()


@pytest.mark.parametrize("ridge", [1e-6, 1e-2])
@pytest.mark.parametrize("stored", [False, True])
def test_a_factor_is_nystrom_s_approximation_stored_or_not(stored, ridge):
    made = KernelMap.of(KERNEL, X, None, ProductSettings())
    _, pivots = pivoted_cholesky(made, 70, None, np.random.default_rng(0))
    assert len(set(pivots)) == len(pivots) > 40
    K = KERNEL(X)
    F = np.linalg.solve(np.linalg.cholesky(K[np.ix_(pivots, pivots)]), K[pivots]).T
    L = np.linalg.cholesky(K[np.ix_(pivots, pivots)])
    factor = StoredFactor(F, 1) if stored else EvaluatedFactor(made, pivots, L)
    V, W = RNG.normal(size=(N, 3)), RNG.normal(size=(len(pivots), 2))
    assert_close(factor.inner, F.T @ F, 1e-10)
    assert_close(factor.down(V), F.T @ V, 1e-10)
    assert_close(factor.up(W), F @ W, 1e-10)
    inverse = Preconditioner(factor, ridge)
    P = F @ F.T + ridge * np.eye(N)
    assert_close(P @ inverse(V), V, 1e-13 * np.linalg.norm(K, 2) / ridge)
    assert_close(P @ inverse.half(inverse.half(V)), V, 1e-13 * np.linalg.norm(K, 2) / ridge)
    assert inverse.log_determinant(N) == pytest.approx(np.linalg.slogdet(P)[1], rel=1e-9)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-9), ("float32", 1e-4)])
def test_a_factor_without_room_is_evaluated_to_the_same_answer(dtype, tolerance):
    settings: dict[str, Any] = {"ridge": RIDGE, "solver": "cg", "dtype": dtype}
    settings["tolerance"] = tolerance
    stored = prediction.ridge(KERNEL, X, Y, Z, **settings)
    limit = 4 * 8 * N * stored.rank - 1  # a quarter of which has no room for F
    evaluated = prediction.ridge(KERNEL, X, Y, Z, rank=stored.rank, memory_limit=limit, **settings)
    made = KernelMap.of(KERNEL, X, None, ProductSettings(memory_limit=limit))
    assert isinstance(low_rank(made, RIDGE, stored.rank, 0), EvaluatedFactor)
    assert evaluated.converged
    assert evaluated.iterations <= 2 * stored.iterations + 2
    assert_close(evaluated.mean, stored.mean, 1e3 * tolerance)


# Kernel, noise and rank; the columns of a preconditioner may be many, few or none.
DETERMINANTS = [
    (nc.NTK("relu", depth=3, weight_variance=2.0), 1e-4, None),
    (nc.NNGP("erf", weight_variance=4.0), 1e-2, None),
    (nc.NNGP("tanh", bias_variance=0.2) + 0.1 * nc.NNGP("relu"), 0.1, 20),
    (nc.NTK("gelu"), 0.5, 0),
]


def test_intervals_of_the_determinant_cover_it():
    inside, rows = 0, X[:300]
    for kernel, noise, rank in DETERMINANTS:
        _, expected = np.linalg.slogdet(kernel(rows) + noise * np.eye(300))
        made = KernelMap.of(kernel, rows, None, ProductSettings("float64", 1))
        for seed in range(10):
            system = RidgeSystem.of(made, noise, rank, seed)
            found = log_determinant(system, Probing(16, 0.95), seed, 1000)
            inside += abs(found.value - expected) <= found.half_width
            assert 0 < found.half_width < 40
    assert inside >= 35  # of 40 at 95 %: fewer have a probability of 1e-2


def test_the_determinant_is_that_of_the_likelihood():
    kernel, noise, _ = DETERMINANTS[1]
    rows, targets = X[:300], Y[:300]
    exact, found = (
        prediction.gp_posterior(
            kernel, rows, targets, noise=noise, variance=False, solver=solver, seed=3
        )
        for solver in ("cholesky", "cg")
    )
    system = RidgeSystem.of(KernelMap.of(kernel, rows, None, ProductSettings()), noise, None, 3)
    determinant = log_determinant(system, Probing(16, 0.95), 3, 1000)
    error = determinant.value - np.linalg.slogdet(kernel(rows) + noise * np.eye(300))[1]
    off = found.log_marginal_likelihood - exact.log_marginal_likelihood
    assert off == pytest.approx(-0.5 * OUTPUTS * error, rel=1e-4)
    low, high = found.log_marginal_likelihood_interval
    assert high - low == pytest.approx(OUTPUTS * determinant.half_width, rel=1e-3)


def test_a_whole_preconditioner_gives_the_likelihood_itself():
    rows, targets = X[:300], Y[:300]
    for kernel in (nc.Linear(), nc.Linear(bias_variance=0.5)):
        exact, found = (
            prediction.gp_posterior(
                kernel, rows, targets, noise=0.01, variance=False, solver=solver, tolerance=1e-10
            )
            for solver in ("cholesky", "cg")
        )
        assert found.log_marginal_likelihood == pytest.approx(
            exact.log_marginal_likelihood, rel=1e-10
        )
        low, high = found.log_marginal_likelihood_interval
        assert low <= exact.log_marginal_likelihood <= high
        assert high - low < 1e-6 * abs(high)


def test_the_interval_of_the_likelihood_covers_an_early_end():
    """Few steps: the two rules of the quadrature are far apart, and so are the ends of the
    interval.
    """
    rows, targets = X[:400], Y[:400, :1]
    kernel = nc.NNGP("erf", weight_variance=4.0)
    settings: dict[str, Any] = {"noise": 1e-4, "variance": False}
    expected = prediction.gp_posterior(kernel, rows, targets, **settings).log_marginal_likelihood
    widths = []
    for most in (1, 3, 10, 100):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", nc.AccuracyWarning)
            found = prediction.gp_posterior(
                kernel, rows, targets, solver="cg", rank=0, max_iterations=most, **settings
            )
        low, high = found.log_marginal_likelihood_interval
        assert low <= expected <= high
        widths.append(high - low)
    assert widths[0] > 10 * widths[-1]


@pytest.mark.parametrize("ridge", [1e-8, 1e-3, 10.0])
def test_the_root_of_the_preconditioner(ridge):
    F, V = RNG.normal(size=(60, 9)), RNG.normal(size=(60, 4))
    F[:, 8] = 1e-9 * F[:, 0]  # all but dependent columns
    inner = Preconditioner(StoredFactor(F, 1), ridge)
    U, s, _ = np.linalg.svd(F)
    values = ridge + np.square(np.pad(s, (0, 51)))
    expected = (U / np.sqrt(values)) @ (U.T @ V)
    np.testing.assert_allclose(inner.half(V), expected, atol=1e-12 / np.sqrt(ridge))
    rounding = 9 * 2**-53 * np.square(F).sum() / ridge
    found = inner.log_determinant(60)
    assert found == pytest.approx(np.log(values).sum(), rel=1e-13, abs=rounding)


def test_a_matrix_that_rounding_makes_indefinite_has_no_likelihood():
    rows, targets = 1e3 * np.repeat(X[:20], 10, axis=0), Y[:200]
    kernel = nc.NNGP("relu", depth=4)
    settings: dict[str, Any] = {"noise": 1e-9, "variance": False}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = prediction.gp_posterior(
            kernel, rows, targets, solver="cg", rank=0, dtype="float32", **settings
        )
    assert any("is not positive definite in float32" in str(one.message) for one in caught)
    assert found.log_marginal_likelihood is None
    assert found.log_marginal_likelihood_interval is None
