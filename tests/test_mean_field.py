"""The mean field: the Gaussian limit, quadrature, a sampler of the exact posterior, standard
errors, malformed input.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.special import erf

import nc1fast as nc
from nc1fast.adaptive.hidden import HiddenDraws, Prior, Stretch
from nc1fast.adaptive.settings import MeanFieldSettings
from nc1fast.adaptive.tilting import StateEquations, TiltDescent

PHI = {"erf": erf, "relu": lambda u: np.maximum(u, 0)}
FEW = {"n_samples": 4096, "n_threads": 1}


def _data(n=24, d0=3, n_outputs=1, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d0)), rng.normal(size=(n, n_outputs))


def _equation(gram, Y, noise, readout_variance, width):
    """The coefficient matrix (sa2/2h) A of the action."""
    inverse = np.linalg.inv(readout_variance * gram + noise * np.eye(len(gram)))
    T = inverse @ Y
    return readout_variance / (2 * width) * (Y.shape[1] * inverse - T @ T.T)


def _by_quadrature(X, Y, activation, problem):
    """(Q, variance) for d0 = 1, where the law is a density on the line: a damped fixed point by the
    trapezoidal rule.
    """
    z = np.linspace(-9, 9, 6001)  # with a node at the kink of ReLU
    phi = PHI[activation](np.outer(z, X[:, 0]) * math.sqrt(1.3))
    density = np.exp(-(z**2) / 2)
    action = np.zeros_like(z)
    for _ in range(300):
        p = density * np.exp(action.min() - action)
        p /= p.sum()
        gram = (phi * p[:, None]).T @ phi
        S = np.einsum("ij,ij->i", phi @ _equation(gram, Y, **problem), phi)
        action = 0.8 * action + 0.2 * S
    assert np.abs(S - action).max() < 1e-6
    return gram, 1.3 * (p * z**2).sum()


@pytest.mark.parametrize("activation", ["erf", "relu"])
@pytest.mark.parametrize(("n_outputs", "width"), [(1, 30.0), (3, 30.0), (1, 8.0)])
def test_one_feature_by_quadrature(activation, n_outputs, width):
    """At width 8 a fortieth of the law of erf lies beyond 4.5 standard deviations of the prior."""
    X, Y = _data(12, 1, n_outputs)
    problem = {"noise": 0.05, "readout_variance": 0.7, "width": width}
    gram, variance = _by_quadrature(X, Y, activation, problem)
    solution = nc.adaptive.mean_field(
        X, Y, activation=activation, weight_variance=1.3, n_threads=1, **problem
    )
    assert solution.converged, solution.reason
    prior = nc.ConjugateKernel(activation, weight_variance=1.3)(X)
    norm = np.linalg.norm(gram)
    assert np.linalg.norm(prior - gram) > 0.015 * norm  # it has learned
    assert np.linalg.norm(solution.gram - gram) < 5e-4 * norm
    T = np.linalg.solve(0.7 * gram + 0.05 * np.eye(12), Y)
    np.testing.assert_allclose(solution.predictions, 0.7 * gram @ T, atol=3e-3)
    assert solution.second_moment[0, 0] == pytest.approx(variance, rel=1e-2)


@pytest.mark.parametrize("readout_variance", [1 / 128, 3.8809])
def test_every_start_ends_in_the_same_free_energy(readout_variance):
    """On D2, where F of the Gaussian laws has several minima: narrow, wide and randomly tilted
    starts.
    """
    X, y = nc.datasets.paper_d2(32, 2, seed=0)
    Y = y[:, None].astype(float)
    settings = MeanFieldSettings(noise=0.01, readout_variance=readout_variance, n_threads=1)
    prior = Prior(X, settings)
    weights, base = prior.draw(4096, np.random.default_rng(0))
    draws = HiddenDraws(prior, weights, base)
    equations = StateEquations(draws, Y, settings)
    squares = np.square(weights / prior.scale).sum(axis=1)
    tilts = [draws.quadratic(np.outer(v, v)) for v in np.random.default_rng(1).normal(size=(4, 32))]
    starts = [
        0 * squares,
        -0.2 * squares,
        squares,
        *(2 * t / t.std() * (-1) ** k for k, t in enumerate(tilts)),
    ]
    descents = [TiltDescent(equations, start, 1e-6).run() for start in starts]
    assert all(descent.change < 1e-6 for descent in descents)
    values = [descent.law.free_energy for descent in descents]
    assert np.ptp(values) < 1e-6 * abs(values[0])


@pytest.mark.parametrize("activation", ["erf", "relu", "gelu"])
def test_infinite_noise_leaves_the_prior(activation):
    X, Y = _data()
    solution = nc.adaptive.mean_field(X, Y, noise=1e9, activation=activation, **FEW)
    np.testing.assert_allclose(solution.gram, nc.ConjugateKernel(activation)(X), atol=1e-11)
    np.testing.assert_allclose(solution.second_moment, np.eye(3) / 3, atol=1e-8)
    assert solution.effective_sample_size == pytest.approx(4096)


@pytest.mark.parametrize("activation", ["erf", "relu"])
def test_the_result_solves_the_equations(activation):
    """With the map that the draws had: weights ~ exp(-action), and the kernel is their mean."""
    X, Y = _data(n_outputs=2)
    problem = {"noise": 0.02, "readout_variance": 0.5, "width": 80.0}
    solution = nc.adaptive.mean_field(X, Y, activation=activation, **problem, **FEW)
    phi = PHI[activation](solution.hidden @ X.T) @ solution.map
    before = (phi * solution.prior_weights[:, None]).T @ phi
    np.testing.assert_allclose(before, nc.ConjugateKernel(activation)(X), atol=1e-2)
    S = np.einsum("ij,ij->i", phi @ _equation(solution.gram, Y, **problem), phi)
    p = solution.prior_weights * np.exp(S.min() - S)
    np.testing.assert_allclose(solution.weights, p / p.sum(), rtol=1e-4)
    gram = (phi * solution.weights[:, None]).T @ phi
    np.testing.assert_allclose(gram, solution.gram, atol=1e-3 * np.abs(gram).max())


@pytest.mark.parametrize("dataset", ["paper_d1", "paper_d2"])
def test_free_energy_is_below_that_of_every_gaussian_law(dataset):
    X, y = getattr(nc.datasets, dataset)(32, 4, seed=1)
    problem = {"noise": 0.01, "width": 200}
    gaussian = nc.adaptive.solve(X, y, **problem)
    solution = nc.adaptive.mean_field(X, y, n_threads=1, **problem)
    assert solution.converged
    assert solution.free_energy < gaussian.free_energy
    weak = {"noise": 1e6, "width": 200}  # both are the prior
    assert nc.adaptive.mean_field(X, y, **weak, **FEW).free_energy == pytest.approx(
        nc.adaptive.solve(X, y, **weak).free_energy, rel=1e-6
    )


def test_standard_errors_are_those_of_repeats():
    """|value - truth| / standard error over seeds: a root mean square between 0.7 and 1.5,
    Student's t of 7 has 1.18.
    """
    X, y = nc.datasets.paper_d1(32, 4, seed=0)
    problem = {"noise": 0.01, "width": 100, "readout_variance": 1.0}
    truth = nc.adaptive.mean_field(X, y, n_samples=1 << 17, seed=99, **problem).collapse(y).nc1
    results = [
        nc.adaptive.mean_field(X, y, seed=seed, n_samples=2048, n_threads=1, **problem).collapse(y)
        for seed in range(24)
    ]
    scores = np.array([(r.nc1 - truth) / r.standard_error for r in results])
    assert 0.7 < math.sqrt(np.mean(scores**2)) < 1.7
    assert np.mean([low <= truth <= high for low, high in (r.interval for r in results)]) > 0.8


def test_collapse_is_that_of_the_gram_under_every_convention():
    X, y = nc.datasets.paper_d1(40, 3, seed=0, sizes=(10, 30))
    solution = nc.adaptive.mean_field(X, y, noise=0.01, **FEW)
    result = solution.collapse(y, convention="class")
    for convention in ("class", "sample"):
        again = result.under(convention)
        direct = nc.collapse(solution.gram, y, "precomputed", convention=convention)
        assert again.nc1 == direct.nc1
        batches = [
            nc.collapse(K, y, "precomputed", convention=convention).nc1
            for K in solution.batch_grams
        ]
        assert again.standard_error == pytest.approx(np.std(batches, ddof=1) / math.sqrt(8))


def test_features_have_the_kernel_of_the_solution():
    X, y = nc.datasets.paper_d1(40, 3, seed=0)
    solution = nc.adaptive.mean_field(X, y, noise=0.01)
    H = solution.features(X)
    np.testing.assert_allclose(H @ H.T, solution.gram, atol=5e-3)
    assert nc.collapse(H, y).nc1 == pytest.approx(solution.collapse(y).nc1, rel=2e-2)
    Z, _ = nc.datasets.paper_d1(10, 3, seed=1)
    expected = (PHI["erf"](Z @ solution.hidden.T) * solution.weights) @ PHI["erf"](
        solution.hidden @ X.T
    )
    np.testing.assert_allclose(solution.features(Z) @ H.T, expected, atol=1e-12)
    with pytest.raises(ValueError, match="Z must have 3 features"):
        solution.features(X[:, :2])
    with pytest.raises(ValueError, match="y"):
        solution.collapse(y[:5])


def test_the_bits_depend_on_the_seed_and_not_on_threads_or_tiles(monkeypatch):
    X, Y = _data()
    solve = {"noise": 0.01, "n_samples": 4096}
    one = nc.adaptive.mean_field(X, Y, n_threads=1, **solve)
    two = nc.adaptive.mean_field(X, Y, n_threads=2, **solve)
    other = nc.adaptive.mean_field(X, Y, n_threads=1, seed=1, **solve)
    monkeypatch.setattr("nc1fast.adaptive.hidden._KEPT", 0)
    anew = nc.adaptive.mean_field(X, Y, n_threads=1, **solve)
    assert (one.gram == two.gram).all()
    assert (one.gram == anew.gram).all()
    assert not (one.gram == other.gram).any()


def test_stretched_draws_have_the_moments_of_the_prior():
    X, _ = _data(d0=4)
    prior = Prior(X, MeanFieldSettings(noise=1.0, n_threads=1))
    stretch = Stretch(
        np.linalg.qr(np.random.default_rng(0).normal(size=(4, 2)))[0], np.array([3.0, 0.4])
    )
    weights, base = prior.draw(1 << 14, np.random.default_rng(1), stretch)
    assert base.sum() == pytest.approx(1)
    assert base.max() <= 2.1 * base.mean()  # no draw counts more than twice
    np.testing.assert_allclose((weights * base[:, None]).T @ weights, np.eye(4) / 4, atol=3e-3)
    phi = erf(weights @ X.T)
    np.testing.assert_allclose((phi * base[:, None]).T @ phi, prior.gram, atol=3e-3)


def test_a_law_that_draws_cannot_find_is_not_called_converged():
    X, y = nc.datasets.paper_d2(32, 2, seed=0)
    solution = nc.adaptive.mean_field(X, y, noise=1e-6, width=20, n_samples=256, n_threads=1)
    assert not solution.converged
    assert solution.reason.startswith(("effective sample size", "one draw has"))


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"activation": "wavelet"}, ValueError, "unknown activation 'wavelet'"),
        ({"n_samples": 0}, ValueError, "n_samples must be >= 1"),
        ({"n_samples": 1.5}, TypeError, "n_samples must be an integer"),
    ],
)
def test_malformed_input(changes, error, words):
    with pytest.raises(error, match=words):
        nc.adaptive.mean_field(*_data(), **{"noise": 0.1, **FEW, **changes})


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["erf", "relu"])
def test_against_samples_of_the_exact_posterior(activation):
    """Elliptical slices over all hidden weights of 100 units; NC1 of the mean kernel."""
    posterior = pytest.importorskip("bench.posterior")
    X, y = nc.datasets.paper_d1(16, 2, seed=0)
    problem = {"noise": 0.05, "readout_variance": 1 / 16, "width": 100}
    target = posterior.Posterior(X, y, activation, **problem)
    chains = [
        np.array(list(itertools.islice(target.chain(np.random.default_rng(seed)), 4000)))
        for seed in range(4)
    ]
    exact, error = posterior.posterior_log_nc1(chains)
    solution = nc.adaptive.mean_field(X, y, activation=activation, n_threads=1, **problem)
    corrected = nc.adaptive.finite_width(solution, X, y)
    assert corrected.converged
    before = math.log(nc.collapse(X, y, nc.ConjugateKernel(activation)).nc1)
    for found in (solution.collapse(y).nc1, corrected.collapse(y).nc1):
        assert abs(math.log(found) - before) > 5 * error  # it has learned
        assert abs(math.log(found) - exact) < 3 * error
