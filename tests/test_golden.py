"""Gram matrices, and those of the reference, against neural-tangents, and where that loses digits
against 50-digit arithmetic.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests.make_fixtures import DATA, golden_kernel

import nc1fast as nc
from nc1fast import reference

GOLDEN = np.load(DATA / "neural_tangents.npz")
ENTRIES = json.loads(str(GOLDEN["meta"]))
RELU_FAMILY = ("relu", "leaky_relu", "abs")
each_entry = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["key"])


def _error(actual: np.ndarray, expected: np.ndarray) -> float:
    """Largest error relative to the largest entry; inf for a wrong shape or a NaN."""
    if actual.shape != expected.shape or not np.isfinite(actual).all():
        return np.inf
    return float(np.abs(actual - expected).max() / np.abs(expected).max())


@each_entry
@pytest.mark.parametrize("other", ["xx", "xz"])
@pytest.mark.parametrize("kind", [nc.NNGP, nc.NTK])
def test_gram_matrices_equal_neural_tangents(entry, other, kind, small_device):
    if kind is nc.NTK and entry["activation"] == "sign":
        with pytest.raises(ValueError, match="no finite NTK"):
            golden_kernel(entry, kind)
        return
    kernel, X = golden_kernel(entry, kind), GOLDEN["X"]
    Z = None if other == "xx" else GOLDEN["Z"]
    expected = GOLDEN[f"{entry['key']}/{kind.__name__.lower()}_{other}"]
    rooted = kind is nc.NTK and entry["activation"] in RELU_FAMILY  # a root of a small angle
    K = kernel(X, Z, device=small_device)
    assert _error(K, expected) <= (2e-8 if rooted else 1e-13)
    slow = reference.gram(kernel, X, Z)
    assert _error(slow, expected) <= (2e-8 if rooted else 1e-13)
    if not rooted:
        return
    with np.load(DATA / "relu_family.npz") as file:
        exact = file[f"{entry['key']}/ntk_{other}"]
    assert _error(K, exact) <= 1e-13
    assert _error(slow, exact) <= (1e-13 if entry["depth"] == 2 else 2e-8)
    if other == "xx":  # duplicates 2, 3 and antipodes 4, 5, one by one
        i, j = np.array([2, 3, 4, 5]), np.array([3, 2, 5, 4])
        scale = np.sqrt(np.diag(exact)[i] * np.diag(exact)[j])
        assert np.max(np.abs(K[i, j] - exact[i, j]) / scale) <= 1e-13


@each_entry
def test_gram_is_exactly_symmetric_with_the_exact_diagonal(entry):
    for kind in (nc.NNGP, nc.NTK):
        if kind is nc.NTK and entry["activation"] == "sign":
            continue
        kernel = golden_kernel(entry, kind)
        K = kernel(GOLDEN["X"])
        np.testing.assert_array_equal(K, K.T)
        np.testing.assert_array_equal(np.diag(K), kernel.diag(GOLDEN["X"]))
        np.testing.assert_array_equal(K[2], K[3])  # equal rows have equal kernel values


def test_activations_without_finite_ntk_are_refused():
    with pytest.raises(ValueError, match="'step' has no finite NTK"):
        nc.NTK("step")
