"""Squared distances of given pairs against the Gram matrices of the reference and of extended
precision.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from mpmath import mp
from tests import precise

import nc1fast as nc
from nc1fast import reference
from nc1fast.core.activations import has_ntk
from nc1fast.kernels.pairwise import squared_distances, stable

ACTIVATIONS = [*nc.activations(elementary=True), nc.LeakyReLU(0.2), nc.LeakyReLU(-0.5)]
KERNELS: list[Any] = [
    kind(activation, depth, (1.3, 0.7, 1.1)[:depth], bias)
    for activation in ACTIVATIONS
    for kind in (nc.NNGP, nc.NTK, nc.ConjugateKernel)
    for depth in (2, 3)
    for bias in (0.0, 0.3)
    if kind is not nc.NTK or has_ntk(activation)
]
KERNELS += [
    nc.Linear(0.7, 0.2),
    nc.NTK("relu", 3, parametrization="standard", width=70),
    nc.NTK("erf", parametrization="standard", width=70),
    nc.NTK("leaky_relu", train_bias=False, bias_variance=0.4),
    nc.NTK("erf", train_bias=False, bias_variance=0.4),
]
A = np.random.default_rng(1).normal(size=(4, 4))
KERNELS += [nc.AdaptiveKernel(A @ A.T + np.eye(4), name) for name in ("erf", "relu", "gelu")]


def _pairs(n=60, n_features=4):
    rng = np.random.default_rng(5)
    X, Z = 0.7 * rng.normal(size=(2, n, n_features))
    Z[:3], Z[3:6] = X[:3], -X[3:6]  # equal and opposite rows
    return X, Z


@pytest.mark.parametrize("kernel", KERNELS, ids=repr)
def test_distances_are_those_of_the_gram_matrix(kernel):
    X, Z = _pairs()
    xx, zz = reference.diag(kernel, X), reference.diag(kernel, Z)
    expected = xx + zz - 2 * np.diag(reference.gram(kernel, X, Z))
    # beyond one hidden layer the reference loses half the digits of small angles
    rooted = (
        isinstance(kernel, nc.NTK) or not has_ntk(kernel.activation) if kernel.depth > 2 else False
    )
    tolerance = 2e-7 if rooted else 1e-13
    np.testing.assert_allclose(
        squared_distances(kernel, X, Z), expected, rtol=0, atol=tolerance * (xx + zz).max()
    )


@pytest.mark.parametrize("kernel", [k for k in KERNELS if stable(k, 4)], ids=repr)
@pytest.mark.parametrize("distance", [1e-3, 1e-9])
def test_nearly_equal_rows_keep_their_digits(kernel, distance):
    rng = np.random.default_rng(11)
    X = rng.normal(size=(3, 4))
    Z = X + distance * rng.normal(size=X.shape)
    with mp.workdps(70):
        expected = []
        for x, z in zip(X, Z, strict=True):
            K = precise.gram(kernel, np.array([x, z]))
            expected.append(float(K[0, 0] + K[1, 1] - 2 * K[0, 1]))
    np.testing.assert_allclose(squared_distances(kernel, X, Z), expected, rtol=2e-13)


def test_the_bits_do_not_depend_on_neighbours():
    X, Z = _pairs()
    kernel = nc.NTK("relu", 3)
    alone = [squared_distances(kernel, X[i : i + 1], Z[i : i + 1])[0] for i in range(len(X))]
    np.testing.assert_array_equal(squared_distances(kernel, X, Z), alone)
