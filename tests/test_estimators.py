"""Estimates against the exact kernels: unbiased, with intervals that cover, and the same bits for
the same seed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from tests.gaussians import gaussians

import nc1fast as nc
from nc1fast import estimators, metrics, reference
from nc1fast.core.activations import of_arrays
from nc1fast.estimators import features as features_of
from nc1fast.estimators import pairs as pairs_of
from nc1fast.estimators.class_moments import ClassMoments, add_tangents, add_values, segments
from nc1fast.estimators.directions import directions
from nc1fast.estimators.estimate import class_weights, trace_forms
from nc1fast.estimators.statistics import central_moments, student_quantile

stats = pytest.importorskip("scipy.stats")


def _data(sizes=(40, 20, 12), n_features=3, **how):
    return gaussians(sizes, n_features, **how)


KERNELS = [
    nc.NNGP("relu"),
    nc.NTK("relu", 2, (1.3, 0.7), (0.2, 0.1)),
    nc.NTK("erf", parametrization="standard", width=20),
    nc.ConjugateKernel("sign", bias_variance=0.1),
    nc.NTK("gelu", bias_variance=0.3, train_bias=False),
    nc.NTK(nc.LeakyReLU(0.2)),
    nc.AdaptiveKernel(np.diag([0.5, 0.2, 0.3])),
]


@pytest.mark.parametrize(
    "activation", [*nc.activations(elementary=True), nc.LeakyReLU(0.3)], ids=str
)
def test_units_have_the_dual_activation_as_their_mean(activation):
    """A trapezoidal rule over two Gaussian weights, and phi' against differences of phi."""
    phi, slope = of_arrays(nc.NNGP(activation).activation)
    t = np.linspace(-9, 9, 601)
    u, v = np.meshgrid(t, t)
    density = np.exp(-(u**2 + v**2) / 2)
    density /= density.sum()
    first, second = phi(u), phi(0.6 * u + 0.8 * v)
    kappa, kdot = reference.dual(activation, 1.0, 1.0, 0.6)
    assert (density * first * second).sum() == pytest.approx(float(kappa), rel=2e-2)
    if slope is not None:
        product = slope(u) * slope(0.6 * u + 0.8 * v)
        assert (density * product).sum() == pytest.approx(float(kdot), rel=2e-2)


def _z_scores(estimate, exact, n):
    """(mean - exact) / standard error of V and M over n seeds."""
    results = [estimate(seed) for seed in range(n)]
    scores: list[Any] = []
    for name in ("within_by_class", "class_gram"):
        values = np.array([getattr(r, name) for r in results])
        error = values.std(axis=0, ddof=1) / np.sqrt(n)
        difference = values.mean(axis=0) - getattr(exact, name)
        # what all draws agree on, as the sum over a whole orthogonal block, is right to rounding
        floor = 1e-12 * np.abs(getattr(exact, name)).max()
        scores.extend(
            np.where(np.abs(difference) < floor, 0.0, difference / (error + floor)).ravel()
        )
    return np.array(scores)


def _assert_unbiased(X, y, kernel, method, **how):
    how = {"convention": "papyan", **how}
    exact = nc.collapse(X, y, kernel, convention="papyan")
    scores = _z_scores(lambda seed: method(X, y, kernel, seed=seed, **how), exact, 24)
    assert np.abs(scores).max() < 5


@pytest.mark.parametrize("kernel", KERNELS, ids=repr)
@pytest.mark.parametrize("sampling", ["stratified", "orthogonal", "plain"])
@pytest.mark.slow
def test_features_are_unbiased(kernel, sampling):
    _assert_unbiased(*_data(), kernel, features_of, n_units=256, sampling=sampling)


@pytest.mark.parametrize("kernel", [*KERNELS, nc.NTK("relu", 4), nc.NTK("gelu", 3)], ids=repr)
def test_pairs_are_unbiased(kernel):
    _assert_unbiased(*_data(), kernel, pairs_of, n_pairs=500)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["features", "pairs"])
@pytest.mark.parametrize("kernel", [nc.NNGP("relu"), nc.NTK("erf")], ids=repr)
@pytest.mark.parametrize("sizes", [(100, 100), (200, 20)], ids=str)
def test_intervals_cover_the_exact_value(method, kernel, sizes):
    """95 % of 150 seeds within four binomial standard deviations; bench/bench_coverage.py takes
    2,000.
    """
    X, y = _data(sizes, 8)
    how = {"n_pairs": 2000, "convention": "sample"}
    if method == "features":
        how = {"n_units": 256, "convention": "papyan"}
    exact, n = nc.collapse(X, y, kernel, convention=how["convention"]).nc1, 150
    estimate = getattr(estimators, method)
    found = [estimate(X, y, kernel, seed=seed, **how).interval for seed in range(n)]
    covered = np.mean([low <= exact <= high for low, high in found])
    assert covered == pytest.approx(0.95, abs=4 * np.sqrt(0.95 * 0.05 / n))


@pytest.mark.slow
def test_stratified_features_reach_one_percent_on_the_published_data():
    X, y = nc.datasets.paper_d1(256, 128, seed=0)
    for kernel in (nc.NNGP("relu"), nc.NTK("relu"), nc.NNGP("erf"), nc.NTK("erf")):
        exact = nc.collapse(X, y, kernel).nc1
        errors = [
            features_of(X, y, kernel, n_units=1024, seed=s).nc1 / exact - 1 for s in range(12)
        ]
        assert np.sqrt(np.mean(np.square(errors))) <= 0.01


@pytest.mark.parametrize("convention", list(metrics.CONVENTIONS))
def test_traces_are_the_linear_forms(convention):
    X, y = _data()
    result = nc.collapse(X, y, nc.NTK("relu"), convention=convention)
    f = trace_forms(convention, result.sizes)
    M, V, P = result.class_gram, result.within_by_class, class_weights(result.sizes)
    between = f.spread @ np.diag(M) + (f.mixed * (P @ M @ P.T)).sum()
    assert between == pytest.approx(result.trace_between, rel=1e-12)
    assert f.within @ V + f.norms @ np.diag(M) == pytest.approx(result.trace_within, rel=1e-12)
    assert (f.between * M).sum() == pytest.approx(result.trace_between, rel=1e-12)


def test_another_convention_has_its_own_interval():
    X, y = _data((800, 500))
    for method in (features_of, pairs_of):
        result = method(X, y, nc.NNGP("relu"), seed=3, convention="papyan")
        again = method(X, y, nc.NNGP("relu"), seed=3, convention="sample")
        other = result.under("sample")
        # the same units; pairs are shared out among the strata for the convention asked for
        assert other.nc1 == pytest.approx(again.nc1, rel=0.05)
        assert other.standard_error == pytest.approx(again.standard_error, rel=0.5)
        assert other.error_bound == np.inf
        assert other.interval != result.interval


def test_tolerance_is_met_or_a_warning_says_so():
    X, y = _data((350, 350))
    for kernel in (nc.NNGP("relu"), nc.NTK("relu", 3)):
        result = pairs_of(X, y, kernel, tolerance=0.005)
        assert result.interval[1] - result.nc1 <= 0.005 * result.nc1
    result = features_of(X, y, nc.NTK("relu"), tolerance=0.01)
    assert result.interval[1] - result.nc1 <= 0.01 * result.nc1
    for method, size in ((features_of, {"n_units": 256}), (pairs_of, {"n_pairs": 10_000})):
        with pytest.warns(nc.AccuracyWarning, match="wider than the tolerance"):
            method(X, y, nc.NTK("relu"), tolerance=1e-6, **size)


def test_all_pairs_are_the_exact_value():
    X, y = _data()
    result = pairs_of(X, y, nc.NTK("relu"), n_pairs=10**6, convention="papyan")
    exact = nc.collapse(X, y, nc.NTK("relu"), convention="papyan")
    assert result.nc1 == pytest.approx(exact.nc1, rel=1e-12)
    assert result.standard_error == 0


def test_classes_of_one_row():
    X, y = _data((30, 1, 1))
    exact = nc.collapse(X, y, nc.NNGP("erf"), convention="class").nc1
    for method in (features_of, pairs_of):
        result = method(X, y, nc.NNGP("erf"), convention="class")
        assert (result.within_by_class[1:] == 0).all()
        assert abs(result.nc1 - exact) <= 5 * result.standard_error + 1e-12 * exact


def test_collapsed_features_keep_their_digits():
    """Within-class variances are sums of squares: relative errors are those of sampling, whatever
    NC1.
    """
    X, y = _data(std=1e-7)
    for kernel in (nc.NNGP("relu"), nc.NNGP("erf"), nc.NTK("erf")):
        exact = nc.collapse(X, y, kernel, convention="papyan")
        for method in (features_of, pairs_of):
            result = method(X, y, kernel, convention="papyan")
            assert result.nc1 == pytest.approx(exact.nc1, rel=0.3)
            assert result.standard_error < 0.1 * exact.nc1


@pytest.mark.parametrize("n_classes", [3, 40])
def test_moments_of_values_and_of_derivatives_times_rows(n_classes):
    rng = np.random.default_rng(0)
    classes = np.append(np.arange(n_classes), rng.integers(n_classes, size=160 - n_classes))
    H, t = rng.normal(size=(160, 5)), rng.normal(2, 1, (160, 3))
    values, tangents = ClassMoments(n_classes, 5), ClassMoments(n_classes, 5, 3)
    for part in (slice(0, 70), slice(70, 71), slice(71, 160)):
        order, parts = segments(classes[part])
        add_values(values, H[part][order], parts)
        add_tangents(tangents, H[part][order], t[part][order], parts)
    for c in range(n_classes):
        own = H[classes == c]
        whole = own[:, :, None] * t[classes == c][:, None]  # (n, m, d)
        np.testing.assert_allclose(values.mean[c], own.mean(axis=0), rtol=1e-11)
        np.testing.assert_allclose(values.squares[c], len(own) * own.var(axis=0), rtol=1e-11)
        np.testing.assert_allclose(tangents.mean[c], whole.mean(axis=0), rtol=1e-11)
        squares = len(own) * whole.var(axis=0).sum(axis=1)
        np.testing.assert_allclose(tangents.squares[c], squares, rtol=1e-11)


def _assert_gaussian(W):
    np.testing.assert_allclose(W.T @ W / len(W), np.eye(6), atol=0.08)
    assert np.mean(W**4, axis=0) == pytest.approx(np.full(6, 3.0), abs=0.5)


def _weights(means, sampling, **how):
    plan = directions(6, means, 512, sampling, seed=1, **how)
    return plan, np.concatenate([plan.draw(i) for i in range(4000 // plan.group)])


def test_weights_are_gaussian():
    means = np.random.default_rng(0).normal(size=(3, 6))
    for sampling in ("stratified", "orthogonal", "plain"):
        _assert_gaussian(_weights(means, sampling)[1])
    half, W = _weights(means, "stratified", even=True)
    assert (W @ half.basis[0] > 0).all()
    _assert_gaussian(W * np.random.default_rng(1).choice([-1, 1], size=(len(W), 1)))
    with pytest.raises(ValueError, match="sampling"):
        directions(6, means, 512, "sobol", seed=1)


def test_central_moments_of_power_sums():
    terms = np.random.default_rng(0).gamma(2.0, size=(400, 3)) - 2
    found = central_moments(np.array([(terms**p).sum(axis=0) for p in range(5)]))
    centred = terms - terms.mean(axis=0)
    expected = terms, centred**2, centred**4, terms**2
    for moment, powers in zip(found, expected, strict=True):
        np.testing.assert_allclose(moment, powers.mean(axis=0), rtol=1e-12, atol=1e-13)
    assert not np.any(central_moments(np.zeros((5, 2))))


@pytest.mark.parametrize("freedom", [1, 7, 8, 30, 999, np.inf])
def test_student_quantiles_are_those_of_scipy(freedom):
    for confidence in (0.5, 0.9, 0.95, 0.999):
        expected = stats.t.ppf((1 + confidence) / 2, freedom)
        assert student_quantile(confidence, freedom) == pytest.approx(expected, rel=1e-9)
    assert student_quantile(0.9, freedom + 0.9) == student_quantile(0.9, freedom)


_PROGRAM = """
import nc1fast as nc
X, y = nc.datasets.paper_d1(4100, 20, seed=0)
for kernel in (nc.NTK("relu"), nc.NNGP("relu")):
    for method in (nc.estimators.features, nc.estimators.pairs):
        print(method(X, y, kernel, seed=5).nc1.hex())
"""


def test_the_same_seed_gives_the_same_bits_on_any_number_of_threads():
    outputs, program = set(), [sys.executable, "-c", _PROGRAM]
    for threads in ("1", "2"):
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        env = os.environ | dict.fromkeys(names, threads)
        outputs.add(subprocess.check_output(program, env=env))
    assert len(outputs) == 1
    X, y = _data((30, 30))
    first = [features_of(X, y, nc.NNGP("relu"), seed=s, n_units=256).nc1 for s in (0, 0, 1)]
    assert first[0] == first[1] != first[2]
    sizes = ((n, seed) for seed in (0, 1) for n in (1000, 1500))  # no sample holds another
    found = {pairs_of(X, y, nc.NNGP("relu"), n_pairs=n, seed=s).nc1 for n, s in sizes}
    assert len(found) == 4


X, Y = _data((60, 60))
CALLS = {
    "features": lambda **how: features_of(X, Y, nc.NNGP("relu"), **how).nc1,
    "pairs": lambda **how: pairs_of(X, Y, nc.NNGP("relu"), n_pairs=1500, **how).nc1,
    "ntk_features": lambda **how: estimators.ntk_features(X, nc.NTK("relu"), 64, **how).tolist(),
    "proximal_features": lambda **how: estimators.proximal_features(X, 64, **how).tolist(),
    "expected_collapse": lambda **how: (
        nc.theory.expected_collapse(
            nc.NNGP("erf", 3), (-1, 1), 0.5, n_features=3, tolerance=0.1, **how
        ).nc1
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_rng_is_the_seed_or_gives_one(name):
    call = CALLS[name]
    assert call(rng=3) == call(seed=3) != call()
    number = int(np.random.default_rng(7).integers(2**63))
    assert call(rng=np.random.default_rng(7)) == call(seed=number)
    with pytest.raises(ValueError, match="two names"):
        call(rng=3, seed=2)
    with pytest.raises(TypeError, match="rng must be"):
        call(rng="3")


def test_what_cannot_be_estimated():
    X, y = _data()
    with pytest.raises(ValueError, match="method='pairs'"):
        estimators.features(X, y, nc.NNGP("erf", 3))
    with pytest.raises(TypeError, match="kernel"):
        estimators.features(X, y, nc.Linear())
    with pytest.raises(TypeError, match="kernel"):
        estimators.pairs(X, y, lambda A, B: A @ B.T)
