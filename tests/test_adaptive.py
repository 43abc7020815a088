"""The equations of state: free energy and gradient, solutions and their certificates, the control,
the released ones.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

import nc1fast as nc
from nc1fast import reference
from nc1fast.adaptive.equations import FreeEnergy
from nc1fast.adaptive.settings import SolverSettings
from nc1fast.inputs.targets import encode

SETTINGS = {"noise": 0.05, "weight_variance": 1.3, "readout_variance": 0.4, "width": 70.0}


def _data(n=40, d0=4, n_outputs=1, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d0)), rng.normal(size=(n, n_outputs))


def _random_factor(r, seed=1):
    L = np.tril(np.random.default_rng(seed).normal(size=(r, r))) * 0.3
    L[np.diag_indices(r)] = np.exp(np.random.default_rng(seed + 1).normal(size=r) * 0.3)
    return L


def _free_energy(X, Y, sigma, activation):
    return reference.free_energy(nc.AdaptiveKernel(sigma, activation), X, Y, **SETTINGS)


def _trace_slope(A, q, sigma):
    """d Tr(A q(sigma))/d sigma with A held fixed, by central differences."""
    d0, step = len(sigma), 1e-5
    G = np.zeros((d0, d0))
    for i, j in np.ndindex(d0, d0):
        E = np.zeros((d0, d0))
        E[i, j] += step / 2
        E[j, i] += step / 2
        G[i, j] = np.trace(A @ (q(sigma + E) - q(sigma - E))) / (2 * step)
    return G


@pytest.mark.parametrize("activation", ["erf", "relu"])
@pytest.mark.parametrize(("n", "d0", "n_outputs"), [(40, 4, 1), (40, 4, 3), (6, 9, 2), (30, 1, 1)])
def test_free_energy_and_gradient_against_the_dense_reference(activation, n, d0, n_outputs):
    """The gradient in Sigma: dF = Tr(G dSigma), by central differences of the reference's F."""
    X, Y = _data(n, d0, n_outputs)
    energy = FreeEnergy(X, Y, SolverSettings(activation=activation, **SETTINGS))
    assert energy.rank == min(n, d0)
    L = _random_factor(energy.rank)
    found = energy.evaluate(L, SETTINGS["width"])
    sigma = energy.sigma(L)
    assert found.value == pytest.approx(_free_energy(X, Y, sigma, activation), rel=1e-11)
    step = 1e-5
    rng = np.random.default_rng(5)
    for _ in range(6):
        dL = np.tril(rng.normal(size=L.shape))
        up, down = (_free_energy(X, Y, energy.sigma(L + s * dL), activation) for s in (step, -step))
        difference = (up - down) / (2 * step)
        assert (found.gradient * dL).sum() == pytest.approx(
            difference, rel=1e-7, abs=1e-7 * np.linalg.norm(found.gradient)
        )


def test_mismatch_is_the_equation_of_state():
    """L^T Sigma-equation L, from a gradient of Tr(A Q) by differences of Q with A held fixed."""
    X, Y = _data()
    energy = FreeEnergy(X, Y, SolverSettings(**SETTINGS))
    L = _random_factor(4)
    sigma = energy.sigma(L)
    sa2, s2, h = SETTINGS["readout_variance"], SETTINGS["noise"], SETTINGS["width"]

    def q(matrix):
        return sa2 * reference.gram(nc.AdaptiveKernel(matrix), X)

    inverse = np.linalg.inv(q(sigma) + s2 * np.eye(len(X)))
    A = inverse - (inverse @ Y) @ (inverse @ Y).T
    G = _trace_slope(A, q, sigma)
    equation = 4 / SETTINGS["weight_variance"] * np.eye(4) + G / h - np.linalg.inv(sigma)
    factor = np.sqrt(energy.prior) * energy.basis @ L  # Sigma = factor factor^T
    expected = factor.T @ equation @ factor
    np.testing.assert_allclose(energy.evaluate(L, SETTINGS["width"]).mismatch, expected, atol=1e-7)


def test_solution_is_a_minimum_of_the_reference():
    X, Y = _data(60, 3)
    solution = nc.adaptive.solve(X, Y, **SETTINGS)
    assert solution.converged
    assert solution.residual <= 1e-8
    assert solution.free_energy == pytest.approx(
        _free_energy(X, Y, solution.sigma, "erf"), rel=1e-12
    )
    rng = np.random.default_rng(0)
    for _ in range(20):
        E = rng.normal(size=(3, 3)) * 1e-3
        other = solution.sigma + (E + E.T) * solution.sigma.diagonal().mean()
        assert _free_energy(X, Y, other, "erf") > solution.free_energy


def test_predictions_are_those_of_kernel_regression():
    X, Y = _data(50, 3, 2)
    solution = nc.adaptive.solve(X, Y, activation="relu", **SETTINGS)
    Q = SETTINGS["readout_variance"] * solution.kernel(X)
    expected = Q @ np.linalg.solve(Q + SETTINGS["noise"] * np.eye(50), Y)
    np.testing.assert_allclose(solution.predictions, expected, atol=1e-11)


def test_outside_of_the_rows_sigma_is_the_prior():
    X, Y = _data(5, 12)
    solution = nc.adaptive.solve(X, Y, **SETTINGS)
    _, _, Vt = np.linalg.svd(X)
    null = Vt[5:]
    prior = SETTINGS["weight_variance"] / 12
    np.testing.assert_allclose(solution.sigma @ null.T, prior * null.T, atol=1e-15)
    assert np.abs(Vt[:5] @ solution.sigma @ Vt[:5].T - prior * np.eye(5)).max() > 1e-2 * prior


def test_an_infinitely_wide_network_keeps_its_prior():
    X, Y = _data()
    wide = nc.adaptive.solve(X, Y, **(SETTINGS | {"width": 1e9}))
    np.testing.assert_allclose(wide.sigma, np.eye(4) * 1.3 / 4, atol=1e-6)


def test_solutions_turn_with_the_data():
    X, Y = _data()
    basis, _ = np.linalg.qr(np.random.default_rng(9).normal(size=(4, 4)))
    a, b = (nc.adaptive.solve(Z, Y, **SETTINGS) for Z in (X, X @ basis))
    np.testing.assert_allclose(basis.T @ a.sigma @ basis, b.sigma, atol=1e-7)
    assert a.free_energy == pytest.approx(b.free_energy, rel=1e-12)


# NC1 of D1 under the adaptive kernel, one data set each: N, d0, NNGP, released equations, correct
# ones; noise 1e-6.
D1 = [
    (128, 2, 0.05592, 0.054080, 0.0365),
    (128, 8, 0.09389, 0.085223, 0.0688),
    (128, 32, 0.10298, 0.095203, 0.0821),
    (512, 8, 0.09373, 0.072688, 0.0572),
]


def _paper(data, N, d0, seed):
    X, y = data(N, d0, seed)
    classes = np.unique(y, return_inverse=True)[1]
    return X, y, encode("scalar", classes, classes.max() + 1).values


@pytest.mark.parametrize(("N", "d0", "nngp", "released", "correct"), D1)
@pytest.mark.slow
def test_nc1_of_d1_with_true_and_with_released_equations(N, d0, nngp, released, correct):
    found = []
    for seed in range(5):
        X, y, Y = _paper(nc.datasets.paper_d1, N, d0, seed)
        solution = nc.adaptive.solve(X, Y, noise=1e-6)
        theirs = nc.compat.released_adaptive(X, Y)
        assert solution.residual <= 1e-7
        assert theirs.residual <= 1e-7
        kernels = [nc.NNGP("erf"), theirs.kernel, solution.kernel]
        found.append([r.nc1 for r in nc.collapse(X, y, kernels, statistics="sums")])
    values = np.array(found)
    spread = values.std(axis=0, ddof=1) * math.sqrt(1 + 1 / 5)  # one data set against five
    assert (np.abs(values.mean(axis=0) - [nngp, released, correct]) <= 4 * spread).all()
    # On one data set the three go together: their ratios scatter less.
    ratios = values[:, 1:] / values[:, :1]
    spread = ratios.std(axis=0, ddof=1) * math.sqrt(1 + 1 / 5)
    expected = np.array([released, correct]) / nngp
    assert (np.abs(ratios.mean(axis=0) - expected) <= 4 * spread + 2e-4).all()


@pytest.mark.parametrize(
    ("X", "y"),
    [
        nc.datasets.paper_d2(128, 8, 0),
        nc.datasets.paper_d2(256, 32, 0),
        nc.datasets.gaussian_mixture((-2, 2), 0.5, (32, 224), n_features=8, seed=0),
    ],
)
def test_residual_of_four_and_of_unequal_classes(X, y):
    classes = np.unique(y, return_inverse=True)[1]
    Y = encode("scalar", classes, classes.max() + 1).values
    assert nc.adaptive.solve(X, Y, noise=1e-6).residual <= 1e-5


@pytest.mark.parametrize(("d0", "least"), [(2, 0.5), (8, 3.0), (32, 0.6)])
def test_shuffled_labels_raise_nc1(d0, least):
    X, y = nc.datasets.paper_d1(128, d0, seed=0)
    control = nc.adaptive.shuffled_control(X, y, noise=1e-6, tol=1e-6)
    assert control.collapse.nc1 < control.nngp.nc1 < least < control.shuffled_collapse.nc1
    assert control.nngp.nc1 == pytest.approx(nc.collapse(X, y, nc.NNGP("erf")).nc1, rel=1e-12)


def test_the_released_equations_do_not_see_the_labels():
    X, y, Y = _paper(nc.datasets.paper_d1, 128, 8, 0)
    shuffled = np.random.default_rng(0).permutation(Y)
    a, b = (nc.collapse(X, y, nc.compat.released_adaptive(X, t).kernel).nc1 for t in (Y, shuffled))
    assert a == pytest.approx(b, rel=1e-3)
    correct = nc.collapse(X, y, nc.adaptive.solve(X, shuffled, noise=1e-6, tol=1e-6).kernel).nc1
    assert correct > 10 * a


def test_released_equations_entry_by_entry():
    """A as it is written there: D_ij = y_j - f_i by broadcasting, times the noise."""
    X, Y = _data(30, 3)
    noise, sa2, h = 0.3, 0.5, 40.0
    solution = nc.compat.released_adaptive(X, Y, noise=noise, readout_variance=sa2, width=h)
    Q = sa2 * solution.kernel(X)
    inverse = np.linalg.inv(Q + noise * np.eye(30))
    f = (Q @ inverse @ Y[:, 0])[:, None]
    D = Y[:, 0] - f  # (N,) - (N, 1): N x N
    A = -noise * D @ D.T + inverse

    def q(matrix):
        return sa2 * reference.gram(nc.AdaptiveKernel(matrix), X)

    G = _trace_slope(A, q, solution.sigma)
    expected = np.linalg.inv(3 * np.eye(3) + G / h)
    np.testing.assert_allclose(solution.sigma, expected, atol=1e-7)


def test_continuation_ends_at_the_direct_solution():
    X, y, Y = _paper(nc.datasets.paper_d1, 128, 8, 0)
    direct = nc.adaptive.solve(X, Y, noise=1e-6)
    along = nc.adaptive.solve(X, Y, noise=1e-6, widths=[1e5, 1e4, 1e3])
    assert [s.width for s in along.stages] == [1e5, 1e4, 1e3, 500]
    np.testing.assert_allclose(along.sigma, direct.sigma, atol=1e-7)
    nc1 = [nc.collapse(X, y, s.kernel).nc1 for s in along.stages]
    assert nc1 == sorted(nc1, reverse=True)
    assert set(along.history["stage"]) == {0, 1, 2, 3}
    start = nc.adaptive.solve(X, Y, noise=1e-6, start=along.stages[2].sigma)
    np.testing.assert_allclose(start.sigma, direct.sigma, atol=1e-7)


def test_nonconvergence_is_reported():
    X, _, Y = _paper(nc.datasets.paper_d2, 128, 8, 0)
    stopped = nc.adaptive.solve(X, Y, noise=1e-6, max_iter=3)
    assert not stopped.converged
    assert "max_iter = 3" in stopped.reason
    assert "NOT converged" in repr(stopped)
    assert stopped.residual > 1e-8
    assert np.linalg.eigvalsh(stopped.sigma)[0] > 0


def test_progress_and_certificate():
    X, Y = _data()
    seen = []
    solution = nc.adaptive.solve(X, Y, multistart=1, progress=lambda *a: seen.append(a), **SETTINGS)
    assert seen == [*((i + 1, 2000) for i in range(len(seen) - 1)), (2000, 2000)]
    prior = SETTINGS["weight_variance"] / 4
    assert solution.smallest_eigenvalue == pytest.approx(
        np.linalg.eigvalsh(solution.sigma)[0] / prior, rel=1e-12
    )
    assert solution.history["residual"][-1] == solution.residual
    assert solution.history["free_energy"][-1] == solution.free_energy
    assert "converged" in repr(solution)


@pytest.mark.parametrize("solver", [nc.adaptive.solve, nc.adaptive.mean_field])
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"noise": 0}, ValueError, "noise must be finite and > 0"),
        ({"noise": "1"}, TypeError, "noise must be a number"),
        ({"width": 0}, ValueError, "width must be finite and > 0"),
        ({"weight_variance": -1}, ValueError, "weight_variance must be finite and > 0"),
        ({"readout_variance": math.nan}, ValueError, "readout_variance must be finite and > 0"),
        ({"max_iter": 1.5}, TypeError, "max_iter must be an integer"),
        ({"max_iter": 0}, ValueError, "max_iter must be >= 1"),
        ({"tol": 0}, ValueError, "tol must be finite and > 0"),
        ({"seed": -1}, ValueError, "seed must be >= 0"),
        ({"n_threads": 0}, ValueError, "n_threads must be"),
        ({"progress": 3}, TypeError, "progress must be a bool"),
        ({"targets": np.ones(39)}, ValueError, "targets must have shape"),
        ({"targets": np.full(40, np.nan)}, ValueError, "targets must be finite"),
        ({"targets": ["a"] * 40}, TypeError, "targets must be real numbers"),
        ({"X": np.full((40, 4), np.inf)}, ValueError, "X must be finite"),
        ({"X": np.zeros(40)}, ValueError, "X must have shape"),
    ],
)
def test_bad_arguments_of_both_solvers(solver, change, error, message):
    X, Y = _data()
    given = {"X": X, "targets": Y, **SETTINGS, **change}
    with pytest.raises(error, match=message):
        solver(given.pop("X"), given.pop("targets"), **given)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"noise": 1e-30}, ValueError, "noise 1e-30 is too small"),
        ({"widths": [100, -1]}, ValueError, "widths must be finite and > 0"),
        ({"activation": "gelu"}, ValueError, "activation must be one of 'erf', 'relu'"),
        ({"start": -np.eye(4)}, ValueError, "start: sigma must be positive definite"),
        ({"start": np.eye(3)}, ValueError, "start must have shape"),
        ({"multistart": 0}, ValueError, "multistart must be >= 1"),
    ],
)
def test_bad_arguments(change, error, message):
    X, Y = _data()
    X[20:] = X[:20]  # so that Q has rank 20
    with pytest.raises(error, match=message):
        nc.adaptive.solve(X, Y, **(SETTINGS | change))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda X: nc.adaptive.shuffled_control(X, np.zeros(40), noise=0.1),
            ValueError,
            "at least two classes",
        ),
        (lambda X: nc.compat.released_adaptive(X, np.ones((40, 2))), ValueError, "one output"),
    ],
)
def test_bad_targets(call, error, message):
    with pytest.raises(error, match=message):
        call(_data()[0])
