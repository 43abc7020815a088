"""Log-determinants by Lanczos quadrature, and the likelihoods made of them, against factorisations."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import nc1fast as nc
from nc1fast import prediction
from nc1fast.core.products import KernelMap, ProductSettings
from nc1fast.prediction.conjugate import RidgeSystem
from nc1fast.prediction.preconditioner import Preconditioner, StoredFactor
from nc1fast.prediction.traces import Probing, log_determinant

RNG = np.random.default_rng(0)
OUTPUTS = 3
X, Y = RNG.normal(size=(500, 8)), RNG.normal(size=(500, OUTPUTS))

# Kernel, noise and rank; the columns of a preconditioner may be many, few or none.
DETERMINANTS = [
    (nc.NTK("relu", depth=3, weight_variance=2.0), 1e-4, None),
    (nc.NNGP("erf", weight_variance=4.0), 1e-2, None),
    (nc.NNGP("tanh", bias_variance=0.2) + 0.1 * nc.NNGP("relu"), 0.1, 20),
    (nc.NTK("gelu"), 0.5, 0),
]


def test_intervals_of_the_determinant_cover_it():
    inside = 0
    for kernel, noise, rank in DETERMINANTS:
        _, expected = np.linalg.slogdet(kernel(X) + noise * np.eye(500))
        made = KernelMap.of(kernel, X, None, ProductSettings("float64", 1))
        for seed in range(25):
            system = RidgeSystem.of(made, noise, rank, seed)
            found = log_determinant(system, Probing(16, 0.95), seed, 1000)
            inside += abs(found.value - expected) <= found.half_width
            assert 0 < found.half_width < 40
    assert inside >= 95  # of 100, as is likely at 95 %; fewer than 89 are not (4e-3)


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


def test_the_likelihood_owns_up_to_an_early_end():
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
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = prediction.gp_posterior(
            kernel, rows, targets, solver="cg", rank=0, dtype="float32", **settings
        )
    assert any("is not positive definite in float32" in str(one.message) for one in told)
    assert found.log_marginal_likelihood is None
    assert found.log_marginal_likelihood_interval is None
