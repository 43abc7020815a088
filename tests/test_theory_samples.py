"""Expected collapse of finite data sets: Monte Carlo over them, sizes, conventions, and symmetries
of the kernels.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

import nc1fast as nc
from nc1fast import metrics
from nc1fast.theory import expected_collapse

UNEQUAL = ((-1.5, 0.4, 2.0), (0.3, 1.2, 0.7))
KERNELS = {
    "nngp-relu": nc.NNGP("relu"),
    "ntk-relu": nc.NTK("relu"),
    "nngp-erf": nc.NNGP("erf"),
    "ntk-erf": nc.NTK("erf"),
}


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
    """30 mixtures, 100 data sets each, all kernels: trace_within, trace_between, and within - nc1
    between, of mean 0.
    """
    n_sets, deviates = 100, []
    for number, mixture in enumerate(_mixtures(30)):
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
            for values in (
                within - theory.trace_within,
                between - theory.trace_between,
                within - theory.nc1 * between,
            ):
                t = values.mean() / (values.std(ddof=1) / math.sqrt(n_sets))
                # the normal deviate as improbable as this t of n_sets - 1 degrees of freedom
                deviates.append(math.copysign(stats.norm.isf(stats.t.sf(abs(t), n_sets - 1)), t))
    assert np.abs(deviates).max() <= 4
    assert np.mean(np.abs(deviates) <= 3) >= 0.98
    assert 0.8 <= np.std(deviates) <= 1.2  # neither the spread nor the expectation is off


@pytest.mark.parametrize("name", KERNELS)
def test_samples_of_any_size_lie_on_the_population(name):
    sizes = (8, 24, 5)
    for convention in metrics.CONVENTIONS:
        found = expected_collapse(
            KERNELS[name], *UNEQUAL, n_features=3, sizes=sizes, convention=convention
        )
        population = expected_collapse(KERNELS[name], *UNEQUAL, n_features=3)
        n = np.array(sizes)
        V, M = population.within_by_class, population.class_gram
        np.testing.assert_allclose(found.within_by_class, V * (1 - 1 / n), rtol=1e-14)
        np.testing.assert_allclose(found.class_gram, M + np.diag(V / n), rtol=1e-14)
        assert found.nc1 == found.trace_within / found.trace_between
        many = expected_collapse(
            KERNELS[name], *UNEQUAL, n_features=3, sizes=[10**9] * 3, convention=convention
        )
        assert many.nc1 == pytest.approx(population.nc1, rel=1e-8)
    single = expected_collapse(KERNELS[name], *UNEQUAL, n_features=3, sizes=(1, 1, 1))
    assert single.nc1 == 0


def test_conventions_weigh_classes_as_in_collapse():
    """By hand for two classes: p = (1/4, 3/4)."""
    common = {"n_features": 2, "sizes": (10, 30)}
    by_name = {
        name: expected_collapse(nc.NTK("erf"), (-1, 2), (0.5, 0.8), convention=name, **common)
        for name in metrics.CONVENTIONS
    }
    V, M = by_name["papyan"].within_by_class, by_name["papyan"].class_gram
    distance2 = M[0, 0] + M[1, 1] - 2 * M[0, 1]
    p = np.array([0.25, 0.75])
    assert by_name["papyan"].nc1 == pytest.approx(p @ V / (distance2 / 4))
    assert by_name["probe"].nc1 == pytest.approx(p @ V / (distance2 * (9 + 1) / 16 / 2))
    assert by_name["class"].nc1 == pytest.approx(V.mean() / (distance2 / 4))
    assert by_name["sample"].nc1 == pytest.approx(p @ V / (distance2 * 3 / 16))
    diagonal = np.diag(M)
    released = (p @ (V + diagonal) - diagonal.mean()) / (diagonal.mean() - p @ M @ p)
    assert by_name["released"].nc1 == pytest.approx(released)


@pytest.mark.parametrize("activation", ["relu", "erf"])
def test_symmetries_of_the_kernels_carry_over(activation):
    means, stds = np.array(UNEQUAL[0]), np.array(UNEQUAL[1])

    def nc1(kernel, means=means, stds=stds):
        return expected_collapse(kernel, means, stds, n_features=6).nc1

    for kind in (nc.NNGP, nc.NTK):
        base = nc1(kind(activation))
        assert nc1(kind(activation), means[::-1], stds[::-1]) == pytest.approx(base, rel=1e-13)
        assert nc1(kind(activation), -means) == pytest.approx(base, rel=1e-13)
        assert nc1(kind(activation, weight_variance=(1, 7))) == pytest.approx(base, rel=1e-13)
        assert nc1(kind(activation, weight_variance=(4, 1)), means / 2, stds / 2) == pytest.approx(
            base, rel=1e-13
        )
    conjugate = expected_collapse(
        nc.ConjugateKernel(activation, weight_variance=(1, 5), bias_variance=(0, 3)),
        means,
        stds,
        n_features=6,
    )
    assert conjugate.nc1 == pytest.approx(nc1(nc.NNGP(activation)), rel=1e-13)
    assert conjugate.trace_within == pytest.approx(
        expected_collapse(nc.NNGP(activation), means, stds, n_features=6).trace_within, rel=1e-13
    )
