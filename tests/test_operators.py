"""Spectra and alignments against NumPy on stored Gram matrices."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from tests.cases import KERNELS

import nc1fast as nc

RNG = np.random.default_rng(0)
X10, Y10 = RNG.normal(size=(10, 3)), np.arange(10) % 2
RELU, ONES = nc.NNGP("relu"), np.ones((5, 2))


@pytest.mark.parametrize("n", [30, 1500])
@pytest.mark.parametrize("which", ["largest", "smallest"])
def test_eigenvalues_and_vectors(n, which):
    X, kernel, k = RNG.normal(size=(n, 6)), nc.NTK("relu", bias_variance=0.1), 20
    K = kernel(X)
    found = nc.spectrum(X, kernel, k, which)
    every = np.linalg.eigvalsh(K)[::-1]
    expected = every[:k] if which == "largest" else every[-k:]
    assert np.abs(found.eigenvalues - expected).max() <= 1e-14 * n * every[0]
    if which == "largest":
        np.testing.assert_allclose(found.eigenvalues, expected, rtol=1e-10)
    assert (np.diff(found.eigenvalues) <= 0).all()
    np.testing.assert_allclose(found.vectors.T @ found.vectors, np.eye(k), atol=1e-10)
    residuals = np.linalg.norm(K @ found.vectors - found.vectors * found.eigenvalues, axis=0)
    np.testing.assert_allclose(found.residuals, residuals, rtol=0.5, atol=1e-13 * every[0])
    assert found.residuals.max() <= 1e-9 * every[0]
    assert found.trace == pytest.approx(every.sum(), rel=1e-12)
    assert (found.products > 0) == (n == 1500 and which == "largest")
    assert (found.vectors[np.abs(found.vectors).argmax(axis=0), np.arange(k)] > 0).all()


def test_the_bits_of_lanczos_do_not_depend_on_threads():
    X, kernel = RNG.normal(size=(1200, 3)), nc.NNGP("erf")
    first, second = (nc.spectrum(X, kernel, 3, n_threads=n) for n in (1, 3))
    assert first.eigenvalues == pytest.approx(second.eigenvalues, rel=1e-13)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: nc.spectrum(X10, RELU, 0), ValueError, "k must be >= 1"),
        (lambda: nc.spectrum(X10, RELU, 11), ValueError, "k must be >= 1 and <= 10"),
        (lambda: nc.spectrum(X10, RELU, 2.5), TypeError, "k must be an integer"),
        (lambda: nc.spectrum(X10, RELU, 2, "LA"), ValueError, "which must be one of"),
        (lambda: nc.spectrum(X10, RELU, 2, tolerance=2.0), ValueError, "tolerance must be"),
        (lambda: nc.spectrum(X10, RELU, 2, seed="a"), TypeError, "seed must be an integer"),
        (lambda: nc.spectrum(X10, RELU, 2, n_threads=0), ValueError, "n_threads must be"),
        (
            lambda: nc.spectrum(np.ones((20_001, 1)), RELU, 2, "smallest"),
            ValueError,
            "at most 20000 rows",
        ),
        (lambda: nc.operator(RELU, np.ones(5)), ValueError, "X must have shape"),
        (lambda: nc.operator(nc.NNGP("sign"), np.zeros((5, 2))), ValueError, "zero rows"),
        (lambda: nc.operator(nc.Linear(), ONES, dtype="f8"), ValueError, "dtype must"),
        (lambda: nc.operator("ntk", ONES), TypeError, "kernel must be a kernel object"),
        (lambda: nc.operator(nc.NTK, ONES), TypeError, "kernel must be a kernel object"),
        (lambda: nc.spectrum(ONES, "ntk"), TypeError, "kernel must be a kernel object"),
        (lambda: nc.spectrum(ONES, np.dot), TypeError, "kernel must be a kernel object"),
        (lambda: nc.spectrum(RELU, ONES), TypeError, "in the place of another"),
        (lambda: nc.operator(ONES, RELU), TypeError, "in the place of another"),
        (lambda: nc.prediction.ridge(X10, Y10, RELU), TypeError, "in the place of another"),
        (lambda: nc.prediction.ridge(X10, RELU, Y10), TypeError, "in the place of another"),
        (lambda: nc.spectrum(RELU, ONES), TypeError, "kernel must be a kernel"),
        (lambda: nc.operator(nc.Linear(), ONES, n_threads=0), ValueError, "n_threads"),
        (lambda: nc.operator(nc.Linear(), np.full((5, 2), np.inf)), ValueError, "must be finite"),
        (lambda: nc.operator(nc.Linear(), ONES) @ np.ones(4), ValueError, "[Dd]imension mismatch"),
        (
            lambda: nc.operator(nc.Linear(), ONES) @ np.full(5, np.nan),
            ValueError,
            "V must be finite",
        ),
        (lambda: nc.alignment(X10, Y10, []), ValueError, "must not be an empty list"),
        (
            lambda: nc.alignment(X10, Y10, ["ntk"]),
            TypeError,
            r"kernels\[0\] must be a kernel object",
        ),
        (lambda: nc.alignment(X10, Y10, [X10[:9]]), ValueError, r"kernels\[0\] has 9 rows"),
        (lambda: nc.alignment(X10, Y10[:9], RELU), ValueError, "y must"),
        (lambda: nc.alignment(X10, np.zeros(10, int), RELU), ValueError, "at least two classes"),
        (
            lambda: nc.alignment(X10, np.full(10, np.nan), RELU),
            ValueError,
            "targets must be finite",
        ),
        (lambda: nc.alignment(X10, np.zeros(10), RELU), ValueError, "the targets has a centred"),
        (lambda: nc.alignment(X10, Y10, [np.ones((10, 2))]), ValueError, "kernel 0 has a centred"),
        (lambda: nc.alignment(X10[:, 0], Y10, RELU), ValueError, "X must have shape"),
    ],
)
def test_malformed_calls(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


def cosine(A, B):
    return np.sum(A * B) / np.sqrt(np.sum(A * A) * np.sum(B * B))


def centre(K):
    return K - K.mean(axis=0) - K.mean(axis=1)[:, None] + K.mean()


def simplex(y):
    same = y[:, None] == y
    return np.where(same, 1.0, -1.0 / (len(np.unique(y)) - 1))


@pytest.mark.parametrize("n_classes", [2, 5])
def test_alignments_are_cosines_of_stored_matrices(n_classes):
    n = 700
    X, y = RNG.normal(size=(n, 6)), np.arange(n) % n_classes
    nngp, ntk = nc.NNGP("relu"), nc.NTK("erf", bias_variance=0.1)
    features = X[:, :3].astype(np.float32)
    found = nc.alignment(X, y, [nngp, ntk, features])
    H = features.astype(np.float64)
    grams, T = [nngp(X), ntk(X), H @ H.T], simplex(y)
    bound = found.error_bound
    assert 0 < bound < 1e-10
    for i, K in enumerate(grams):
        assert abs(found.target[i] - cosine(K, T)) <= bound + 1e-14
        assert abs(found.centred_target[i] - cosine(centre(K), centre(T))) <= bound + 1e-14
        assert found.norms[i] == pytest.approx(np.linalg.norm(K), rel=1e-13)
    for i, j in itertools.product(range(3), repeat=2):
        expected = cosine(centre(grams[i]), centre(grams[j]))
        assert abs(found.centred[i, j] - expected) <= bound + 1e-14
    same = y[:, None] == y
    for blocks, K in zip(found.blocks, grams, strict=True):
        parts = (np.diag(K), K[same & ~np.eye(n, dtype=bool)], K[~same])
        expected = [f(part) for part in parts for f in (np.mean, np.var)]
        np.testing.assert_allclose(blocks, expected, rtol=1e-10, atol=1e-14)


def test_two_balanced_classes_of_signs():
    """A = N Tr Sigma_B/|K| for balanced labels +-1."""
    X, y = RNG.normal(size=(600, 4)), np.arange(600) % 2
    kernel = nc.NTK("relu")
    found = nc.alignment(X, y, kernel)
    between = nc.collapse(X, y, kernel).trace_between
    assert found.target[0] == pytest.approx(600 * between / found.norms[0], rel=1e-12)
    signs = nc.alignment(X, 2.0 * y - 1, kernel)
    assert signs.target[0] == pytest.approx(found.target[0], rel=1e-12)
    assert np.isnan(signs.blocks[0].within_mean)
    assert signs.blocks[0].diagonal_mean == found.blocks[0].diagonal_mean


def test_a_kernel_close_to_a_constant_keeps_its_digits():
    X, y = 1e-4 * np.random.default_rng(1).normal(size=(300, 5)), np.arange(300) % 2
    kernel, features = nc.Linear(bias_variance=1.0), X / np.sqrt(5)
    found = nc.alignment(X, y, [kernel, features])
    assert found.centred[0, 1] == pytest.approx(1.0, abs=found.error_bound)
    assert found.error_bound < 2e-4
    assert abs(found.centred_target[0] - found.centred_target[1]) <= found.error_bound


@pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
def test_a_kernel_is_aligned_with_itself(kernel):
    X, y = RNG.normal(size=(120, 7)), np.arange(120) % 3
    found = nc.alignment(X, y, [kernel, kernel(X) @ np.linalg.eigh(kernel(X))[1]])
    assert found.centred[0, 0] == pytest.approx(1.0, abs=1e-12)


def test_files_targets_of_text_and_progress(tmp_path):
    X, y, seen = RNG.normal(size=(1100, 3)), np.array(["a", "b"])[np.arange(1100) % 2], []
    np.save(tmp_path / "X.npy", X)
    found = nc.alignment(
        tmp_path / "X.npy", y, nc.NNGP("relu"), progress=lambda *state: seen.append(state)
    )
    again = nc.alignment(X, y, nc.NNGP("relu"), n_threads=1)
    assert found.target.tobytes() == again.target.tobytes()
    assert seen == sorted(seen)
    assert seen[-1][0] == seen[-1][1]
