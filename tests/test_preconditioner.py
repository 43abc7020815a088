"""Factors of a low rank against Nystrom's approximation by NumPy; stored or evaluated, they
precondition alike.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nc1fast as nc
from nc1fast import prediction
from nc1fast.core.products import KernelMap, ProductSettings
from nc1fast.prediction.preconditioner import (
    EvaluatedFactor,
    Preconditioner,
    StoredFactor,
    low_rank,
    pivoted_cholesky,
)

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
