"""Predictions against NumPy's on stored matrices; conjugate gradients against the factorisation;
certificates hold.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nc1fast as nc
from nc1fast import prediction

RNG = np.random.default_rng(0)
N, M, OUTPUTS, RIDGE = 1000, 40, 3, 0.05
X, Z = RNG.normal(size=(N, 8)), RNG.normal(size=(M, 8))
Y = RNG.normal(size=(N, OUTPUTS))
KERNEL = nc.NTK("relu", depth=3, weight_variance=2.0)


class Stored:
    """The same answers from the inverse and the eigenvectors of the stored matrix."""

    K, cross, prior = KERNEL(X), KERNEL(Z, X), KERNEL(Z)
    A = K + RIDGE * np.eye(N)
    inverse = np.linalg.inv(A)
    dual = inverse @ Y
    mean = cross @ dual
    covariance = prior - cross @ inverse @ cross.T

    @classmethod
    def flow(cls, time):
        values, U = np.linalg.eigh(cls.K)
        factor = (1 - np.exp(-values * time / (N * OUTPUTS))) / values
        return cls.cross @ (U @ (factor[:, None] * (U.T @ Y)))


def assert_close(found, expected, tolerance):
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()


SOLVERS = {"cholesky": 1e-10, "cg": 1e-9}
each_solver = pytest.mark.parametrize(("solver", "accuracy"), SOLVERS.items())


@each_solver
def test_ridge(solver, accuracy):
    found = prediction.ridge(KERNEL, X, Y, Z, ridge=RIDGE, solver=solver, tolerance=1e-11)
    assert_close(found.mean, Stored.mean, accuracy)
    assert_close(found.dual, Stored.dual, accuracy)
    assert found.converged
    assert found.solver == solver
    assert (found.iterations > 0) == (found.rank > 0) == (solver == "cg")
    assert found.residual <= 1e-11
    there = prediction.ridge(KERNEL, X, Y, ridge=RIDGE, solver=solver, tolerance=1e-11)
    assert_close(there.mean, Y - RIDGE * there.dual, 1e-8)


@each_solver
def test_posterior(solver, accuracy):
    found = prediction.gp_posterior(
        KERNEL, X, Y, Z, noise=RIDGE, covariance=True, solver=solver, tolerance=1e-9
    )
    assert_close(found.mean, Stored.mean, 100 * accuracy)
    assert_close(found.covariance, Stored.covariance, accuracy)
    assert (found.covariance == found.covariance.T).all()
    alone = prediction.gp_posterior(KERNEL, X, Y, Z, noise=RIDGE, solver=solver, tolerance=1e-9)
    assert alone.covariance is None
    assert_close(alone.variance, np.diag(Stored.covariance), accuracy)
    _, determinant = np.linalg.slogdet(Stored.A)
    expected = -0.5 * (np.sum(Y * Stored.dual) + OUTPUTS * (determinant + N * np.log(2 * np.pi)))
    low, high = found.log_marginal_likelihood_interval
    if solver == "cholesky":
        assert found.log_marginal_likelihood == pytest.approx(expected, rel=1e-12)
        assert low == high == found.log_marginal_likelihood
        return
    assert low <= expected <= high
    assert high - low < 60 * OUTPUTS
    without = prediction.gp_posterior(
        KERNEL, X, Y, Z, noise=RIDGE, variance=False, solver=solver, probes=0
    )
    assert without.log_marginal_likelihood is None
    assert without.log_marginal_likelihood_interval is None


@each_solver
@pytest.mark.parametrize("time", [0.0, 1e-3, 30.0, 3000.0])
def test_gradient_flow(solver, accuracy, time):
    found = prediction.gradient_flow(KERNEL, X, Y, Z, time=time, solver=solver)
    expected = Stored.flow(time)
    assert np.abs(found.mean - expected).max() <= accuracy * max(1.0, np.abs(expected).max())
    assert (np.abs(found.mean - expected) <= found.error_bound + 1e-12).all()


def test_gradient_flow_ends_in_interpolation():
    found = prediction.gradient_flow(KERNEL, X, Y, time=np.inf)
    np.testing.assert_allclose(found.mean, Y, atol=1e-9)
    with pytest.raises(ValueError, match="finite with solver='cg'"):
        prediction.gradient_flow(KERNEL, X, Y, time=np.inf, solver="cg")
    with pytest.raises(ValueError, match="too long"):
        prediction.gradient_flow(KERNEL, X, Y, time=1e15, solver="cg")


def test_a_vector_of_targets_gives_vectors():
    for call in (prediction.ridge, prediction.gp_posterior, prediction.gradient_flow):
        one, column = call(KERNEL, X, Y[:, 0], Z), call(KERNEL, X, Y[:, :1], Z)
        assert one.mean.shape == one.error_bound.shape == (M,)
        assert (one.mean == column.mean[:, 0]).all()


def test_leaving_one_out_is_fitting_without_it():
    found = prediction.ridge(KERNEL, X, Y, Z, ridge=RIDGE, leave_one_out=True).leave_one_out
    for i in (0, 500, 999):
        rest = np.arange(N) != i
        dual = np.linalg.solve(Stored.A[np.ix_(rest, rest)], Y[rest])
        np.testing.assert_allclose(found[i], Stored.K[i, rest] @ dual, atol=1e-10)


@pytest.mark.parametrize("tolerance", [1e-2, 1e-5, 1e-8])
def test_the_bound_holds_at_any_tolerance(tolerance):
    found = prediction.ridge(KERNEL, X, Y, Z, ridge=RIDGE, solver="cg", tolerance=tolerance)
    error = np.abs(found.mean - Stored.mean)
    assert (error <= found.error_bound + 1e-12).all()
    assert found.residual <= tolerance
    true = np.linalg.norm(Y - Stored.A @ found.dual, axis=0) / np.linalg.norm(Y, axis=0)
    assert found.residual == pytest.approx(true.max(), rel=1e-3, abs=1e-13)


def test_a_preconditioner_pays_and_without_one_the_answer_is_the_same():
    found = [
        prediction.ridge(KERNEL, X, Y, Z, ridge=RIDGE, solver="cg", tolerance=1e-10, rank=rank)
        for rank in (0, 200)
    ]
    assert found[0].rank == 0
    assert found[1].iterations < 0.5 * found[0].iterations
    assert_close(found[0].mean, found[1].mean, 1e-7)


def test_a_solution_goes_on_from_an_earlier_one():
    with pytest.warns(nc.AccuracyWarning, match="end with a residual"):
        stopped = prediction.ridge(
            KERNEL, X, Y, Z, ridge=RIDGE, solver="cg", tolerance=1e-10, max_iterations=10
        )
    assert not stopped.converged
    again = prediction.ridge(
        KERNEL, X, Y, Z, ridge=RIDGE, solver="cg", tolerance=1e-10, start=stopped.dual
    )
    whole = prediction.ridge(KERNEL, X, Y, Z, ridge=RIDGE, solver="cg", tolerance=1e-10)
    assert again.converged
    assert again.iterations < whole.iterations
    done = prediction.ridge(KERNEL, X, Y, Z, ridge=RIDGE, solver="cg", start=whole.dual)
    assert done.iterations == 0


def test_a_tolerance_below_rounding_warns():
    with pytest.warns(nc.AccuracyWarning, match="end with a residual"):
        found = prediction.ridge(
            KERNEL, X[:300], Y[:300], Z, ridge=1e-9, solver="cg", tolerance=1e-15
        )
    assert not found.converged
    assert np.isfinite(found.mean).all()


def test_the_bits_of_products_do_not_depend_on_threads():
    first, second = (
        prediction.ridge(KERNEL, X, Y, Z, ridge=RIDGE, solver="cg", rank=0, n_threads=n).mean
        for n in (1, 3)
    )
    assert first.tobytes() == second.tobytes()


def test_targets_of_zero_are_predicted_at_once():
    targets = np.column_stack([Y[:, 0], np.zeros(N)])
    found = prediction.ridge(KERNEL, X, targets, Z, ridge=RIDGE, solver="cg", tolerance=1e-10)
    assert not found.mean[:, 1].any()
    assert_close(found.mean[:, :1], Stored.mean[:, :1], 1e-8)


def test_equal_rows_and_a_low_rank_do_not_break_the_preconditioner():
    rows = np.repeat(RNG.normal(size=(30, 3)), 20, axis=0)
    targets = RNG.normal(size=600)
    for kernel in (nc.Linear(), nc.NNGP("relu")):
        found = prediction.ridge(kernel, rows, targets, ridge=1e-3, solver="cg", tolerance=1e-9)
        expected = prediction.ridge(kernel, rows, targets, ridge=1e-3, solver="cholesky")
        assert_close(found.mean, expected.mean, 1e-6)


def test_progress_reaches_its_end():
    for call in (prediction.ridge, prediction.gradient_flow):
        seen: list[Any] = []
        call(KERNEL, X, Y, Z, solver="cg", progress=lambda *state, seen=seen: seen.append(state))
        assert seen == sorted(seen)
        assert seen[-1][0] == seen[-1][1]


def test_the_posterior_is_that_of_scikit_learn():
    gaussian_process = pytest.importorskip("sklearn.gaussian_process")
    covariance = nc.sklearn.GPKernel(KERNEL)
    model = gaussian_process.GaussianProcessRegressor(covariance, alpha=RIDGE, optimizer=None)
    model.fit(X, Y[:, 0])
    mean, covariance = model.predict(Z, return_cov=True)
    found = prediction.gp_posterior(KERNEL, X, Y[:, 0], Z, noise=RIDGE, covariance=True)
    assert_close(found.mean, mean, 1e-10)
    assert_close(found.covariance, covariance, 1e-10)
    likelihood = model.log_marginal_likelihood_value_
    assert found.log_marginal_likelihood == pytest.approx(likelihood, rel=1e-11)


def test_select_finds_the_kernel_that_made_the_targets():
    kernels = [nc.NNGP("relu", depth=2), nc.NNGP("erf", depth=2, weight_variance=9.0)]
    rows = RNG.normal(size=(200, 4))
    for index, kernel in enumerate(kernels):
        root = np.linalg.cholesky(kernel(rows) + 1e-3 * np.eye(200))
        targets = root @ RNG.normal(size=(200, 20))
        for criterion in ("marginal_likelihood", "leave_one_out"):
            found = prediction.select(kernels, rows, targets, criterion=criterion)
            assert found.kernel is kernel, criterion
            assert found.scores.shape == (2, 5)
            assert found.scores.max() == found.scores[index, found.ridges.index(found.ridge)]


def test_the_scores_of_select_are_those_of_single_fits():
    found = prediction.select([KERNEL], X, Y, ridges=[0.01, RIDGE])
    alone = prediction.gp_posterior(KERNEL, X, Y, Z, noise=RIDGE, leave_one_out=True)
    assert found.scores[0, 1] == pytest.approx(alone.log_marginal_likelihood, rel=1e-10)
    found = prediction.select([KERNEL], X, Y, ridges=[RIDGE], criterion="leave_one_out")
    error = np.square(alone.leave_one_out - Y).mean()
    assert found.scores[0, 0] == pytest.approx(-error, rel=1e-10)


def test_select_reads_a_file_once(tmp_path, monkeypatch):
    reads = []

    def counted(X, rows):
        reads.append(rows)
        return X[rows]

    monkeypatch.setattr(prediction.dense, "rows_at", counted)
    path = tmp_path / "X.npy"
    np.save(path, X[:100])
    kernels = nc.NTK("erf", depth=4).layers()
    found = prediction.select(kernels, path, Y[:100])
    assert len(reads) == 1
    for index, kernel in enumerate(kernels):
        alone = prediction.select([kernel], X[:100], Y[:100])
        assert found.scores[index].tobytes() == alone.scores.tobytes()


def test_effective_dimension():
    rows = X[:400]
    expected = np.trace(np.linalg.solve(KERNEL(rows) + RIDGE * np.eye(400), KERNEL(rows)))
    exact = prediction.effective_dimension(KERNEL, rows, ridge=RIDGE)
    assert exact.value == pytest.approx(expected, rel=1e-10)
    assert exact.probes == 0
    found = [
        prediction.effective_dimension(KERNEL, rows, ridge=RIDGE, solver="cg", probes=16, seed=seed)
        for seed in range(20)
    ]
    covered = sum(one.interval[0] <= expected <= one.interval[1] for one in found)
    assert covered >= 16  # of 20 at 95 %: fewer have a probability of 2e-4
    assert all(one.interval[1] - one.interval[0] < 0.02 * expected for one in found)


FEW = {"n_samples": 64, "max_iter": 2, "n_threads": 1}
FIELD = nc.adaptive.mean_field(X[:20], Y[:20], noise=0.1, width=8, **FEW)
SEEDED = {
    "solve": lambda **seed: nc.adaptive.solve(X[:9], Y[:9], noise=1, multistart=7, **seed).sigma,
    "shuffled_control": lambda **seed: (
        nc.adaptive.shuffled_control(
            X[:20], np.arange(20) % 2, noise=1.0, multistart=1, **seed
        ).shuffled.sigma
    ),
    "mean_field": lambda **seed: nc.adaptive.mean_field(X[:9], Y[:9], noise=1, **FEW, **seed).gram,
    "finite_width": lambda **seed: (
        nc.adaptive.finite_width(FIELD, X[:20], Y[:20], n_networks=8, **seed).gram
    ),
    "spectrum": lambda **seed: nc.spectrum(np.tile(X, (2, 1)), KERNEL, 2, **seed).vectors,
    "ridge": lambda **seed: (
        prediction.ridge(KERNEL, X[:200], Y[:200], solver="cg", rank=9, **seed).dual
    ),
    "gp_posterior": lambda **seed: (
        prediction.gp_posterior(KERNEL, X[:200], Y[:200], Z, solver="cg", rank=9, **seed).dual
    ),
    "effective_dimension": lambda **seed: (
        prediction.effective_dimension(KERNEL, X[:200], solver="cg", probes=2, **seed).value
    ),
}


@pytest.mark.parametrize("name", SEEDED)
def test_rng_is_a_seed_or_draws_one(name):
    call = SEEDED[name]
    drawn = int(np.random.default_rng(5).integers(2**63))
    for rng, seed in ((3, 3), (np.random.default_rng(5), drawn)):
        np.testing.assert_array_equal(call(rng=rng), call(seed=seed))
    with pytest.raises(ValueError, match="seed and rng are two names"):
        call(rng=1, seed=2)
    with pytest.raises(TypeError, match="rng must be"):
        call(rng="seed")


def call(**changed):
    arguments = {"kernel": KERNEL, "X": X[:50], "targets": Y[:50], "Z": Z} | changed
    name = arguments.pop("call", "ridge")
    return getattr(prediction, name)(**arguments)


MALFORMED = {
    "no kernel": ({"kernel": "ntk"}, TypeError, "kernel must be a kernel object"),
    "targets too short": ({"targets": Y[:49]}, ValueError, "targets must have shape"),
    "targets of text": ({"targets": ["a"] * 50}, TypeError, "targets must be real"),
    "targets NaN": ({"targets": np.full(50, np.nan)}, ValueError, "targets must be finite"),
    "X of one axis": ({"X": np.ones(50)}, ValueError, "X must have shape"),
    "X NaN": ({"X": np.full((50, 8), np.nan)}, ValueError, "X must be finite"),
    "X complex": ({"X": np.ones((50, 8), complex)}, TypeError, "X must be real"),
    "other features": ({"Z": np.ones((3, 7))}, ValueError, "Z must have 8 features"),
    "negative ridge": ({"ridge": -1.0}, ValueError, "ridge must be finite and >= 0"),
    "ridge NaN": ({"ridge": np.nan}, ValueError, "ridge must be finite"),
    "ridge of text": ({"ridge": "1"}, TypeError, "ridge must be a number"),
    "ridge 0 by cg": ({"ridge": 0, "solver": "cg"}, ValueError, "needs a ridge"),
    "unknown solver": ({"solver": "lu"}, ValueError, "solver must be one of"),
    "tolerance 0": ({"tolerance": 0}, ValueError, "tolerance must be"),
    "no iterations": ({"max_iterations": 0}, ValueError, "max_iterations must be >= 1"),
    "negative rank": ({"rank": -1}, ValueError, "rank must be >= 0"),
    "rank a float": ({"rank": 1.5}, TypeError, "rank must be an integer"),
    "start too short": ({"start": Y[:9], "solver": "cg"}, ValueError, "start must have shape"),
    "start of less": ({"start": Y[:50, 0], "solver": "cg"}, ValueError, "start must have shape"),
    "flag": ({"leave_one_out": 1}, TypeError, "leave_one_out must be True or False"),
    "left out by cg": ({"leave_one_out": True, "solver": "cg"}, ValueError, "needs the inverse"),
    "dtype": ({"dtype": "float16"}, ValueError, "dtype must be one of"),
    "seed": ({"seed": -1}, ValueError, "seed must be >= 0"),
    "progress": ({"progress": 1, "solver": "cg"}, TypeError, "progress must be a bool"),
    "noise": ({"call": "gp_posterior", "noise": -1}, ValueError, "noise must be finite"),
    "variance": ({"call": "gp_posterior", "variance": 1}, TypeError, "variance must be True"),
    "one probe": ({"call": "gp_posterior", "probes": 1}, ValueError, "probes must be 0 or >= 2"),
    "confidence": ({"call": "gp_posterior", "confidence": 1}, ValueError, "confidence must be"),
    "time": ({"call": "gradient_flow", "time": -1}, ValueError, "time must be finite"),
    "time NaN": ({"call": "gradient_flow", "time": np.nan}, ValueError, "time must be finite"),
    "flow's solver": ({"call": "gradient_flow", "solver": 3}, ValueError, "solver must be one of"),
}


@pytest.mark.parametrize(("changed", "kind", "message"), MALFORMED.values(), ids=MALFORMED)
def test_malformed_calls(changed, kind, message):
    with pytest.raises(kind, match=message):
        call(**changed)


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (([], X, Y), ValueError, "must not be empty"),
        ((["ntk"], X, Y), TypeError, "kernel must be a kernel object"),
        ((KERNEL, X, Y), TypeError, "kernels must be a sequence"),
    ],
)
def test_malformed_selections(arguments, kind, message):
    with pytest.raises(kind, match=message):
        prediction.select(*arguments)
    with pytest.raises(ValueError, match="ridges must be"):
        prediction.select([KERNEL], X, Y, ridges=[0.0])
    with pytest.raises(ValueError, match="criterion must be one of"):
        prediction.select([KERNEL], X, Y, criterion="aic")


def test_a_singular_matrix_is_named():
    with pytest.raises(ValueError, match="not positive definite"):
        prediction.ridge(nc.Linear(), X, Y, Z, ridge=0.0)
