"""Random features of deep kernels against the exact ones: Gram matrices, NC1 and its interval, and
bits that do not depend on the machine.
"""

from __future__ import annotations

import numpy as np
import pytest
from tests.gaussians import gaussians

import nc1fast as nc
from nc1fast.estimators import features, ntk_features
from nc1fast.estimators.deep_map import Design, deep_map, widest
from nc1fast.estimators.directions import sketch, walsh_hadamard

KERNELS = [
    nc.NTK("relu", 3),
    nc.NNGP("relu", 3),
    nc.NTK("relu", 4, (1.3, 0.7, 1.1, 0.9), (0.2, 0.1, 0.3, 0.4), train_bias=False),
    nc.NTK(nc.LeakyReLU(0.3), 3, 1.2, 0.1, parametrization="standard", width=(30, 20)),
    nc.ConjugateKernel("abs", 3, bias_variance=0.1),
    nc.NTK("relu", 2),
]


def _data(sizes=(60, 40, 20), n_features=6, **how):
    return gaussians(sizes, n_features, **how)


@pytest.mark.parametrize("sampling", ["stratified", "plain"])
@pytest.mark.parametrize("kernel", KERNELS, ids=repr)
@pytest.mark.slow
def test_features_have_the_gram_matrix_of_the_kernel(kernel, sampling):
    """Within 1/sqrt(m)."""
    X, _ = _data()
    K = kernel(X)
    H = ntk_features(X, kernel, 2001, seed=3, sampling=sampling)
    assert H.shape == (len(X), 2001)
    error = np.linalg.norm(H @ H.T - K) / np.linalg.norm(K)
    assert error <= (0.15 if sampling == "plain" else 0.06)
    single = ntk_features(X, kernel, 2001, seed=3, sampling=sampling, dtype="float32")
    assert single.dtype == np.float32
    near = np.linalg.norm(single @ single.T - K) / np.linalg.norm(K)
    assert near == pytest.approx(error, abs=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("kernel", KERNELS[:4], ids=repr)
def test_the_bias_falls_with_the_width(kernel):
    """The mean of many narrow maps has an error by the width, that of wide ones a smaller one."""
    X, _ = _data((12, 8))
    K = kernel(X)
    errors = []
    for width, draws in ((4, 100), (128, 25)):
        design = Design(width, "stratified", np.float64)
        maps = (deep_map(kernel, X, np.asarray, design, (seed,)) for seed in range(draws))
        mean = sum(H @ H.T for H in (drawn(X) for drawn in maps)) / draws
        errors.append(np.linalg.norm(mean - K) / np.linalg.norm(K))
    assert errors[1] < errors[0] < 0.1
    assert errors[1] < 0.015


@pytest.mark.slow
def test_deep_features_on_the_published_means():
    """N = 1,200, four classes, 8,192 features: Gram matrix and NC1, from the array and from a pass
    over the rows.
    """
    X, y = nc.datasets.gaussian_mixture(
        means=(-6, -2, 2, 6), stds=0.5, sizes=(300,) * 4, n_features=128, seed=0
    )
    for kernel in (nc.NTK("relu", 3), nc.NNGP("relu", 3)):
        exact, K = nc.collapse(X, y, kernel).nc1, kernel(X)
        H = ntk_features(X, kernel, 8192, seed=1)
        assert np.linalg.norm(H @ H.T - K) <= 0.06 * np.linalg.norm(K)
        assert nc.collapse(H, y).nc1 == pytest.approx(exact, rel=0.03)
        result = nc.collapse(X, y, kernel, method="features", seed=0)
        assert result.nc1 == pytest.approx(exact, rel=0.03)
        assert result.method == "features"
        assert "2 layers in 8 groups" in result.reason


@pytest.mark.slow
@pytest.mark.parametrize("kernel", [nc.NTK("relu", 3), nc.NNGP("relu", 3)], ids=repr)
@pytest.mark.parametrize("sizes", [(30, 30), (50, 6)], ids=str)
def test_intervals_of_deep_features_cover_the_exact_value(kernel, sizes):
    """Bench/bench_coverage.py takes 300 seeds."""
    X, y = _data(sizes, 8)
    exact = nc.collapse(X, y, kernel, convention="papyan").nc1
    results = [features(X, y, kernel, n_units=1024, seed=s, convention="papyan") for s in range(60)]
    covered = np.mean([r.interval[0] <= exact <= r.interval[1] for r in results])
    assert covered >= 0.85
    halves = np.mean([r.interval[1] - r.nc1 for r in results])
    errors = np.std([r.nc1 for r in results])
    assert halves < 5 * errors


def test_the_interval_is_wider_by_the_bias_of_a_group():
    X, y = _data()
    result = features(X, y, nc.NTK("relu", 3), seed=1, convention="papyan")
    half, error = result.interval[1] - result.nc1, result.standard_error
    assert half == pytest.approx(2.364624 * error + 8 * error**2 / result.nc1, rel=5e-3)


@pytest.mark.slow
def test_collapsed_deep_features_keep_their_digits():
    X, y = _data(std=1e-7)
    for kernel in (nc.ConjugateKernel("abs", 3), nc.NNGP("relu", 4)):
        exact = nc.collapse(X, y, kernel, convention="papyan").nc1
        result = features(X, y, kernel, convention="papyan")
        assert result.nc1 == pytest.approx(exact, rel=0.3)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_features_have_the_same_bits_from_a_file_on_any_threads(dtype, tmp_path):
    """Estimates: test_estimators_on_disk.py."""
    X, _ = _data((1200, 900, 30))
    X[5] = 0  # its features are zero
    np.save(tmp_path / "X.npy", X)
    whole = ntk_features(X, nc.NTK("relu", 3), 500, dtype=dtype, n_threads=1)
    assert not whole[5].any()
    there = ntk_features(tmp_path / "X.npy", nc.NTK("relu", 3), 500, dtype=dtype, n_threads=2)
    assert (there == whole).all()


@pytest.mark.slow
def test_more_groups_until_the_tolerance_is_met():
    X, y = _data((300, 300))
    result = features(X, y, nc.NTK("relu", 3), tolerance=0.02)
    assert result.interval[1] - result.nc1 <= 0.02 * result.nc1
    with pytest.warns(nc.AccuracyWarning, match="wider than the tolerance"):
        features(X, y, nc.NTK("relu", 3), n_units=512, tolerance=1e-5)


def test_walsh_hadamard_and_sketches_of_it():
    """The transform against its definition; a whole sketch keeps inner products, and its octets
    keep the first features apart.
    """
    rng = np.random.default_rng(0)
    H = np.array([[(-1) ** (i & j).bit_count() for j in range(32)] for i in range(32)])
    A = rng.normal(size=(5, 32))
    np.testing.assert_allclose(walsh_hadamard(A), A @ H, atol=1e-12)
    S = sketch(20, 32, rng)
    V = rng.normal(size=(7, 20))
    np.testing.assert_allclose(S(V) @ S(V).T / 32, V @ V.T, atol=1e-12)
    first = sketch(20, 24, rng)(np.eye(20)[:8])
    for start in (0, 8, 16):
        octet = first[:, start : start + 8]
        np.testing.assert_allclose(octet @ octet.T, 8 * np.eye(8), atol=1e-12)


@pytest.mark.parametrize("n_features", [50, 83])
@pytest.mark.parametrize("kernel", KERNELS, ids=repr)
def test_as_many_units_as_features_allow(kernel, n_features):
    width = widest(kernel, 6, n_features)
    designs = [Design(m, "plain", np.float64) for m in (width, width + 1)]
    maps = [deep_map(kernel, np.eye(6), np.asarray, design, (0,)) for design in designs]
    assert maps[0].n_features <= n_features < maps[1].n_features


@pytest.mark.parametrize("kernel", [nc.NNGP("erf", 3), nc.NTK("gelu", 3)], ids=repr)
def test_other_activations_have_no_deep_features(kernel):
    X, y = _data()
    with pytest.raises(ValueError, match=r"ReLU family.*method='pairs'"):
        nc.collapse(X, y, kernel, method="features")


@pytest.mark.parametrize(
    ("kernel", "how", "message"),
    [
        (nc.NTK("relu", 3), {"n_features": 8}, "n_features must leave a unit for each layer"),
        (nc.AdaptiveKernel(np.eye(6)), {}, "to have random features"),
        (nc.NTK("relu", 3), {"sampling": "sobol"}, "sampling must be"),
    ],
)
def test_what_has_no_features(kernel, how, message):
    X, y = _data()
    with pytest.raises((TypeError, ValueError), match=message):
        ntk_features(X, kernel, **{"n_features": 100, **how})
    if "sampling" in how:
        with pytest.raises(ValueError, match=message):
            features(X, y, kernel, **how)
