"""Expected collapse of finite data sets: Monte Carlo over them, sizes, conventions, and symmetries
of the kernels.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from tests.test_theory import KERNELS, UNEQUAL

import nc1fast as nc
from nc1fast import metrics
from nc1fast.theory import expected_collapse


def _deviate(values):
    """The normal deviate as improbable as Student's t of values of mean 0."""
    t = values.mean() / (values.std(ddof=1) / math.sqrt(len(values)))
    return math.copysign(stats.norm.isf(stats.t.sf(abs(t), len(values) - 1)), t)


def _mixtures(count):
    rng = np.random.default_rng(20)
    for k in range(count):
        C = int(rng.integers(2, 5))
        yield {
            "means": rng.uniform(-3, 3, C),
            "stds": rng.uniform(0.2, 1.5, C),
            "n_features": int(rng.choice([1, 2, 3, 8, 30])),
            "sizes": rng.integers(2, 25, C).tolist(),  # imbalanced
            "convention": list(metrics.CONVENTIONS)[k % 5],
            "weight_variance": tuple(rng.uniform(0.5, 2, 2)),
        }


@pytest.mark.slow
def test_data_sets_scatter_around_their_expectations():
    """12 mixtures, 100 data sets each, all kernels: trace_within, trace_between, and within - nc1
    between, of mean 0.
    """
    n_sets, deviates = 100, []
    for number, mixture in enumerate(_mixtures(12)):
        variance, convention = mixture.pop("weight_variance"), mixture["convention"]
        kernels = [type(k)(k.activation, weight_variance=variance) for k in KERNELS.values()]
        expected = [expected_collapse(kernel, **mixture) for kernel in kernels]
        w = metrics.weights(convention, np.array(mixture["sizes"]))
        y = np.repeat(np.arange(len(mixture["sizes"])), mixture["sizes"])
        traces = np.empty((n_sets, len(kernels), 2))
        rng = np.random.default_rng([5, number])
        for one in traces:
            noise = rng.standard_normal((len(y), mixture["n_features"]))
            X = mixture["means"][y, None] + mixture["stds"][y, None] * noise
            for k, sums in enumerate(nc.class_sums(X, y, kernels, statistics="sums", n_threads=1)):
                V, M = metrics.within_by_class(sums), metrics.class_gram(sums)
                one[k] = metrics.trace_within(V, M, w), metrics.trace_between(M, w)
        for k, theory in enumerate(expected):
            within, between = traces[:, k].T
            off = within - theory.trace_within, between - theory.trace_between
            deviates += [_deviate(values) for values in (*off, within - theory.nc1 * between)]
    assert np.abs(deviates).max() <= 4
    assert np.mean(np.abs(deviates) <= 3) >= 0.98
    assert 0.8 <= np.std(deviates) <= 1.2  # neither the spread nor the expectation is off


@pytest.mark.slow
@pytest.mark.parametrize("n_features", [1, 2, 8, 128])
@pytest.mark.parametrize("means", [(-2.0, 2.0), (-6.0, -2.0, 2.0, 6.0)], ids=["D1", "D2"])
def test_nc1_of_large_samples_scatters_around_the_ratio_of_expectations(means, n_features):
    """In float32, which moves NC1 by 1e-7; its spread is above 1e-3."""
    n_sets, n = 24, 4096 // len(means)
    y = np.repeat(np.arange(len(means)), n)
    nc1 = []
    for seed in range(n_sets):
        rng = np.random.default_rng([n_features, len(means), seed])
        X = np.float32(0.5) * rng.standard_normal((4096, n_features), dtype=np.float32)
        X += np.array(means, dtype=np.float32)[y, None]
        results = nc.collapse(X, y, list(KERNELS.values()), statistics="sums", dtype="float32")
        nc1.append([result.nc1 for result in results])
    for kernel, values in zip(KERNELS.values(), np.transpose(nc1), strict=True):
        how = {"n_features": n_features, "sizes": [n] * len(means)}
        assert abs(_deviate(values - expected_collapse(kernel, means, 0.5, **how).nc1)) <= 4


@pytest.mark.parametrize("name", KERNELS)
def test_samples_of_any_size_lie_on_the_population(name):
    """In every convention, of means over few rows and many."""

    def of(**how):
        return expected_collapse(KERNELS[name], *UNEQUAL, n_features=3, **how)

    n, population = np.array([8, 24, 5]), of()
    V, M = population.within_by_class, population.class_gram
    for convention in metrics.CONVENTIONS:
        found = of(sizes=n, convention=convention)
        np.testing.assert_allclose(found.within_by_class, V * (1 - 1 / n), rtol=1e-14)
        np.testing.assert_allclose(found.class_gram, M + np.diag(V / n), rtol=1e-14)
        assert found.nc1 == found.trace_within / found.trace_between
        many = of(sizes=[10**9] * 3, convention=convention)
        assert many.nc1 == pytest.approx(population.nc1, rel=1e-8)
    assert of(sizes=(1, 1, 1)).nc1 == 0


def test_conventions_weigh_classes_as_in_collapse():
    """By hand for two classes: p = (1/4, 3/4)."""
    data = {"means": (-1, 2), "stds": (0.5, 0.8), "n_features": 2, "sizes": (10, 30)}
    found = {
        name: expected_collapse(nc.NTK("erf"), **data, convention=name)
        for name in metrics.CONVENTIONS
    }
    V, M = found["papyan"].within_by_class, found["papyan"].class_gram
    distance2, diagonal, p = M[0, 0] + M[1, 1] - 2 * M[0, 1], np.diag(M), np.array([0.25, 0.75])
    expected = {
        "papyan": p @ V / (distance2 / 4),
        "probe": p @ V / (distance2 * (9 + 1) / 16 / 2),
        "class": V.mean() / (distance2 / 4),
        "sample": p @ V / (distance2 * 3 / 16),
        "released": (p @ (V + diagonal) - diagonal.mean()) / (diagonal.mean() - p @ M @ p),
    }
    assert {name: result.nc1 for name, result in found.items()} == pytest.approx(expected)


@pytest.mark.parametrize("activation", ["relu", "erf"])
def test_symmetries_of_the_kernels_carry_over(activation):
    means, stds = np.array(UNEQUAL[0]), np.array(UNEQUAL[1])

    def nc1(kernel, means=means, stds=stds):
        return expected_collapse(kernel, means, stds, n_features=6).nc1

    for kind in (nc.NNGP, nc.NTK):
        base, scaled = kind(activation), kind(activation, weight_variance=(4, 1))
        same = [
            nc1(base, means[::-1], stds[::-1]),
            nc1(base, -means),
            nc1(kind(activation, weight_variance=(1, 7))),
            nc1(scaled, means / 2, stds / 2),
        ]
        np.testing.assert_allclose(same, nc1(base), rtol=1e-13)
    conjugate = nc.ConjugateKernel(activation, weight_variance=(1, 5), bias_variance=(0, 3))
    found, expected = (
        expected_collapse(kernel, means, stds, n_features=6)
        for kernel in (conjugate, nc.NNGP(activation))
    )
    assert found.nc1 == pytest.approx(expected.nc1, rel=1e-13)
    assert found.trace_within == pytest.approx(expected.trace_within, rel=1e-13)
