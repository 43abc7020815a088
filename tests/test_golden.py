"""Gram matrices against neural-tangents, and where that loses digits against 50-digit arithmetic."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests.make_fixtures import DATA, golden_kernel

import nc1fast as nc

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
def test_nngp_equals_neural_tangents(entry, other, small_device):
    kernel = golden_kernel(entry, nc.NNGP)
    K = kernel(GOLDEN["X"], None if other == "xx" else GOLDEN["Z"], device=small_device)
    assert _error(K, GOLDEN[f"{entry['key']}/nngp_{other}"]) <= 1e-13


@each_entry
@pytest.mark.parametrize("other", ["xx", "xz"])
def test_ntk_equals_neural_tangents(entry, other, small_device):
    if entry["activation"] == "sign":
        with pytest.raises(ValueError, match="no finite NTK"):
            golden_kernel(entry, nc.NTK)
        return
    kernel = golden_kernel(entry, nc.NTK)
    K = kernel(GOLDEN["X"], None if other == "xx" else GOLDEN["Z"], device=small_device)
    tolerance = 2e-8 if entry["activation"] in RELU_FAMILY else 1e-13
    assert _error(K, GOLDEN[f"{entry['key']}/ntk_{other}"]) <= tolerance


@pytest.mark.parametrize(
    "entry",
    [entry for entry in ENTRIES if entry["activation"] in RELU_FAMILY],
    ids=lambda entry: entry["key"],
)
@pytest.mark.parametrize("other", ["xx", "xz"])
def test_relu_family_ntk_is_right_at_every_entry(entry, other, small_device):
    kernel = golden_kernel(entry, nc.NTK)
    K = kernel(GOLDEN["X"], None if other == "xx" else GOLDEN["Z"], device=small_device)
    with np.load(DATA / "relu_family.npz") as file:
        expected = file[f"{entry['key']}/ntk_{other}"]
    assert _error(K, expected) <= 1e-13
    if other == "xx":  # duplicates 2, 3 and antipodes 4, 5, one by one
        i, j = np.array([2, 3, 4, 5]), np.array([3, 2, 5, 4])
        scale = np.sqrt(np.diag(expected)[i] * np.diag(expected)[j])
        assert np.max(np.abs(K[i, j] - expected[i, j]) / scale) <= 1e-13


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


@pytest.mark.parametrize("activation", ["sign", "step"])
def test_activations_without_finite_ntk_are_refused(activation):
    with pytest.raises(ValueError, match=f"'{activation}' has no finite NTK"):
        nc.NTK(activation)
