"""`GPKernel`: posteriors of scikit-learn's Gaussian processes, hyperparameters, and gradients
against finer differences.
"""

from __future__ import annotations

import pickle
from itertools import pairwise

import numpy as np
import pytest

import nc1fast as nc
from nc1fast import reference

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.model_selection import GridSearchCV, cross_val_score

from nc1fast.sklearn import gp_kernel

GPKernel = nc.sklearn.GPKernel
RNG = np.random.default_rng(1)
X, Z = RNG.normal(size=(40, 4)), RNG.normal(size=(9, 4))
Y = np.sin(X[:, 0]) + 0.3 * X[:, 1]
KERNEL = nc.NTK("erf", 3, (1.0, 2.0, 1.5), 0.2)


@pytest.mark.parametrize(
    "kernel", [nc.NTK("relu"), nc.NNGP("erf", 4, 1.5, 0.1), nc.Linear(1.0, 0.3)]
)
def test_the_posterior_is_that_of_the_dense_formulas(kernel):
    noise = 0.01
    both = reference.gram(kernel, np.concatenate([X, Z]))
    n = len(X)
    A, K = both[:n, :n] + noise * np.eye(n), both[n:, :n]
    mean = K @ np.linalg.solve(A, Y)
    covariance = both[n:, n:] - K @ np.linalg.solve(A, K.T)
    likelihood = -0.5 * (
        Y @ np.linalg.solve(A, Y) + np.linalg.slogdet(A)[1] + n * np.log(2 * np.pi)
    )
    model = GaussianProcessRegressor(GPKernel(kernel), alpha=noise, optimizer=None).fit(X, Y)
    found, spread = model.predict(Z, return_std=True)
    np.testing.assert_allclose(found, mean, atol=1e-10)
    np.testing.assert_allclose(model.predict(Z, return_cov=True)[1], covariance, atol=1e-10)
    np.testing.assert_allclose(spread**2, np.diag(covariance), atol=1e-10)
    assert model.log_marginal_likelihood_value_ == pytest.approx(likelihood, rel=1e-10)


SUM_OF_EQUALS = nc.NNGP("erf") + nc.NNGP("erf")

# Gradients: all from known formulas, all from differences, and both.
CASES = {
    "relu, one variance": GPKernel(nc.NTK("relu", 5)),
    "relu, variances": GPKernel(nc.NTK("relu", 4, (1.0, 2.0, 0.5, 1.5))),
    "relu, last bias": GPKernel(nc.NTK("relu", 3, (1.0, 2.0, 1.5), (0.0, 0.0, 0.3))),
    "relu, first bias": GPKernel(nc.NTK("relu", 3, (1.0, 2.0, 1.5), (0.2, 0.0, 0.3))),
    "relu, biases": GPKernel(nc.NNGP("relu", 3, 2.0, 0.3)),
    "relu, frozen biases": GPKernel(nc.NTK("relu", 3, 2.0, 0.3, train_bias=False)),
    "relu, standard": GPKernel(
        nc.NTK("relu", 3, (2.0, 1.0, 3.0), 0.1, parametrization="standard", width=4)
    ),
    "relu2": GPKernel(nc.NTK("relu2", 3, 1.5)),
    "relu2, NNGP": GPKernel(nc.NNGP("relu2", 4, (1.5, 1.0, 0.5, 2.0), (0.0, 0.0, 0.3, 0.1))),
    "step": GPKernel(nc.NNGP("step", 3, 1.5)),
    "conjugate": GPKernel(nc.ConjugateKernel("relu", 3, 1.5)),
    "conjugate, erf": GPKernel(nc.ConjugateKernel("erf", 3, (1.5, 2.0, 1.0), 0.3)),
    "erf": GPKernel(nc.NNGP("erf", 4, 1.5)),
    "erf, NTK": GPKernel(KERNEL),
    "linear": GPKernel(nc.Linear(1.5, 0.3)),
    "normalized": GPKernel(nc.NTK("relu", 3, (1.0, 2.0, 1.5), 0.3), normalize=True),
    "adaptive": GPKernel(nc.AdaptiveKernel(np.eye(4))),
    "fixed weights": GPKernel(KERNEL, weight_variance_bounds="fixed"),
    "deep": GPKernel(nc.NTK("gelu", 16, 2.0, 0.2)),
    "sum": 2.0 * GPKernel(nc.NNGP("relu", 3)) + RBF() * GPKernel(KERNEL) + WhiteKernel(),
    "power": GPKernel(nc.NNGP("erf")) ** 2,
    "a multiple": GPKernel(2.5 * nc.NTK("relu", 3)),
    "a sum": GPKernel(0.5 * nc.NTK("relu") + nc.NNGP("erf", 3, (1.0, 2.0, 0.5), 0.1)),
    "a sum of equals": GPKernel(SUM_OF_EQUALS),
    "a product": GPKernel(nc.NTK("relu", 2, (1.5, 0.5)) * nc.NNGP("erf") * nc.Linear(1.0, 0.3)),
    "a power": GPKernel(nc.NNGP("relu", 2, 1.5, 0.2) ** 3),
    "nested": GPKernel(
        0.3 * (nc.NTK("relu") + 2.0 * nc.NNGP("erf")) ** 2 * nc.Linear() + nc.NNGP("gelu", 3)
    ),
    "nested, normalized": GPKernel(
        0.3 * nc.NTK("relu", 2, 1.0, 0.5) + nc.NNGP("erf") * nc.Linear(1.0, 0.2), normalize=True
    ),
    "fixed factor": GPKernel(2.0 * nc.NNGP("erf") + nc.Linear(), factor_bounds="fixed"),
}


def exact_gram(kernel, theta):
    """Gram matrix by the reference at other hyperparameters; of composites by the kernel."""
    moved = kernel.clone_with_theta(theta)
    if not isinstance(moved, GPKernel) or isinstance(moved.kernel, nc.AdaptiveKernel):
        return moved(X)
    K = reference.gram(moved.kernel, X)
    if not moved.normalize:
        return K
    scale = 1 / np.sqrt(np.diag(K))
    return K * scale[:, None] * scale


@pytest.mark.parametrize("case", CASES)
def test_gradients_are_those_of_richardson(case):
    kernel = CASES[case]
    theta = kernel.theta
    K, gradient = kernel(X, eval_gradient=True)
    assert (kernel(X) == K).all()
    assert gradient.shape == (*K.shape, len(theta))
    for index in range(len(theta)):
        step = np.zeros(len(theta))
        step[index] = 0.02

        def central(size, step=step):
            up, down = (exact_gram(kernel, theta + sign * size * step) for sign in (1, -1))
            return (up - down) / (0.04 * size)

        coarse = [central(size) for size in (1.0, 0.5, 0.25)]
        finer = [(4 * b - a) / 3 for a, b in pairwise(coarse)]
        expected = (16 * finer[1] - finer[0]) / 15
        atol = (1e-7 if case == "deep" else 2e-9) * np.abs(K).max()
        np.testing.assert_allclose(gradient[..., index], expected, atol=atol, rtol=1e-9)


def test_known_derivatives_take_no_gram_matrix(monkeypatch):
    def refused(*_):
        raise AssertionError("a Gram matrix was computed")

    for case in ("relu, one variance", "relu, variances", "relu, last bias", "relu2", "linear"):
        kernel = CASES[case].kernel
        grams = gp_kernel.Grams(refused, {kernel: kernel(X)})
        for scale in gp_kernel.scales(kernel):
            grams.derivative(kernel, scale)


def test_theta_is_the_logarithms_of_variances_above_zero():
    kernel = GPKernel(nc.NTK("relu", 3, (1.0, 2.0, 3.0), (0.0, 0.5, 0.0)), (0.1, 10.0))
    np.testing.assert_allclose(np.exp(kernel.theta), [1.0, 2.0, 3.0, 0.5])
    assert kernel.n_dims == 4
    np.testing.assert_allclose(np.exp(kernel.bounds), [[0.1, 10.0]] * 3 + [[1e-5, 1e5]])
    other = kernel.clone_with_theta(np.log([2.0, 3.0, 4.0, 1.0]))
    np.testing.assert_allclose(other.kernel.weight_variances, (2.0, 3.0, 4.0))
    np.testing.assert_allclose(other.kernel.bias_variances, (0.0, 1.0, 0.0))
    assert kernel.kernel.weight_variances == (1.0, 2.0, 3.0)
    assert kernel.clone_with_theta(kernel.theta).kernel.depth == 3
    with pytest.raises(ValueError, match="4 entries"):
        kernel.theta = np.zeros(3)


def test_bounds_may_be_given_for_each_variance_or_hold_it_fixed():
    bounds = [(0.1, 1.0), (0.2, 2.0), (0.3, 3.0)]
    kernel = GPKernel(KERNEL, bounds, "fixed")
    np.testing.assert_allclose(np.exp(kernel.bounds), bounds)
    fixed = GPKernel(KERNEL, "fixed", "fixed")
    assert fixed.theta.shape == (0,)
    assert fixed(X, eval_gradient=True)[1].shape == (40, 40, 0)
    with pytest.raises(ValueError, match=r"shape \(3, 2\), got shape \(2, 2\)"):
        _ = GPKernel(KERNEL, bounds[:2]).bounds


def test_theta_of_a_kernel_made_of_others():
    made = 0.5 * nc.NTK("relu", 2, (1.0, 2.0)) + 3.0 * nc.NNGP("erf", 2, 4.0, 0.25) ** 2
    kernel = GPKernel(made, [(0.1, 1.0), (0.2, 2.0), (0.3, 5.0)], factor_bounds=(0.01, 100.0))
    np.testing.assert_allclose(np.exp(kernel.theta), [0.5, 1.0, 2.0, 3.0, 4.0, 0.25])
    np.testing.assert_allclose(
        np.exp(kernel.bounds),
        [(0.01, 100.0), (0.1, 1.0), (0.2, 2.0), (0.01, 100.0), (0.3, 5.0), (1e-5, 1e5)],
    )
    assert [one.name for one in kernel.hyperparameters] == [
        "kernel__kernels__0__factor",
        "kernel__kernels__0__kernel__weight_variance",
        "kernel__kernels__1__factor",
        "kernel__kernels__1__kernel__kernel__weight_variance",
        "kernel__kernels__1__kernel__kernel__bias_variance",
    ]
    params = kernel.get_params()
    for one in kernel.hyperparameters:
        assert np.size(params[one.name]) == one.n_elements
    new = np.log([7.0, 1.5, 2.5, 8.0, 9.0, 0.5])
    other = 7.0 * nc.NTK("relu", 2, (1.5, 2.5)) + 8.0 * nc.NNGP("erf", 2, 9.0, 0.5) ** 2
    np.testing.assert_allclose(GPKernel(other).theta, new)
    np.testing.assert_allclose(kernel.clone_with_theta(new)(X), other(X), rtol=1e-12)
    ones = kernel.clone_with_theta(np.zeros(6)).kernel
    assert ones == 1.0 * nc.NTK("relu", 2, (1.0, 1.0)) + 1.0 * nc.NNGP("erf", 2, 1.0, 1.0) ** 2
    assert kernel.kernel == made
    assert GPKernel(made, "fixed", factor_bounds="fixed").n_dims == 1
    equals = GPKernel(SUM_OF_EQUALS).clone_with_theta(np.log([2.0, 3.0])).kernel  # still two
    assert [one.weight_variance for one in equals.kernels] == pytest.approx([2.0, 3.0])
    with pytest.raises(ValueError, match=r"factor_bounds must be a pair or .* \(2, 2\)"):
        _ = GPKernel(made, factor_bounds=[(1, 2)] * 3).bounds


def test_clones_copies_and_equality():
    kernel = GPKernel(KERNEL, normalize=True)
    for same in (clone(kernel), pickle.loads(pickle.dumps(kernel))):
        assert same == kernel
        assert same is not kernel
        assert (same(X) == kernel(X)).all()
    assert kernel != GPKernel(KERNEL)
    assert "NTK" in repr(kernel)
    assert repr(KERNEL.activation) in repr(kernel + WhiteKernel())
    assert not kernel.is_stationary()
    assert kernel.set_params(kernel__depth=2, kernel__weight_variance=1.0).kernel.depth == 2


def test_parameters_of_parts():
    first, second = nc.NTK("relu"), 0.5 * nc.NNGP("erf")
    made = first + second
    kernel = GPKernel(made)
    params = kernel.get_params()
    assert params["kernel__kernels__0"] is first
    assert params["kernel__kernels__1__factor"] == 0.5
    assert params["kernel__kernels__1__kernel__activation"] == "erf"
    same = clone(kernel)
    assert same == kernel
    assert same.get_params() == params
    kernel.set_params(kernel__kernels__0__depth=4, kernel__kernels__1__factor=2.0)
    assert kernel.kernel == nc.NTK("relu", 4) + 2.0 * nc.NNGP("erf")
    assert same.kernel == made
    kernel.set_params(kernel__kernels__0=nc.Linear(), kernel__kernels__0__bias_variance=0.3)
    assert kernel.kernel == nc.Linear(1.0, 0.3) + 2.0 * nc.NNGP("erf")
    kernel.set_params(kernel=nc.NNGP("erf") ** 2, kernel__exponent=3, kernel__kernel__depth=3)
    assert kernel.kernel == nc.NNGP("erf", 3) ** 3
    kernel.set_params(**params)
    assert kernel.kernel == made
    for name in ("kernel__kernels__2__depth", "kernel__kernels__1__depth", "kernel__kernel__depth"):
        with pytest.raises(ValueError, match="invalid parameter"):
            GPKernel(made).set_params(**{name: 3})
    with pytest.raises(TypeError, match="kernel object"):
        GPKernel(made).set_params(kernel__kernels__0="relu")


def test_grids_over_parts():
    made = nc.NTK("relu") * nc.NNGP("erf")
    grid = {"kernel__kernels__0__depth": [2, 3], "kernel__kernels__1__weight_variance": [1.0, 3.0]}
    search = GridSearchCV(nc.sklearn.KernelRidge(made), grid, cv=2).fit(X, Y)
    for params, score in zip(
        search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True
    ):
        depth, variance = params.values()
        kernel = nc.NTK("relu", depth) * nc.NNGP("erf", 2, variance)
        alone = cross_val_score(nc.sklearn.KernelRidge(kernel), X, Y, cv=2).mean()
        assert score == pytest.approx(alone, rel=1e-12)
    assert len(set(search.cv_results_["mean_test_score"])) == 4
    covariance = GaussianProcessRegressor(GPKernel(made), alpha=0.1, optimizer=None)
    over = {"kernel__kernel__kernels__0__depth": [2, 4]}
    found = GridSearchCV(covariance, over, cv=2).fit(X, Y).best_estimator_.kernel.kernel
    assert found.kernels[0].depth in (2, 4)


@pytest.mark.parametrize(
    ("truth", "kernel", "theta"),
    [
        (
            nc.NNGP("erf", 2, (3.0, 2.0)),
            GPKernel(nc.NNGP("erf", 2, (1.0, 1.0))),
            np.log([3.0, 2.0]),
        ),
        (
            4.0 * nc.Linear() + 0.5 * nc.NNGP("erf", 2, (3.0, 1.0)),
            GPKernel(1.0 * nc.Linear() + 1.0 * nc.NNGP("erf", 2, (3.0, 1.0)), "fixed"),
            np.log([4.0, 0.5]),
        ),
    ],
    ids=["variances", "factors"],
)
def test_a_fit_finds_the_hyperparameters_of_the_largest_likelihood(truth, kernel, theta):
    K = reference.gram(truth, X) + 0.01 * np.eye(len(X))
    targets = np.linalg.cholesky(K) @ np.random.default_rng(7).normal(size=len(X))
    model = GaussianProcessRegressor(kernel, alpha=0.01).fit(X, targets)
    best = model.log_marginal_likelihood_value_
    assert best > model.log_marginal_likelihood(theta)
    assert best > model.log_marginal_likelihood(kernel.theta)
    value, gradient = model.log_marginal_likelihood(model.kernel_.theta, eval_gradient=True)
    assert value == pytest.approx(best)
    assert np.abs(gradient).max() < 1e-2
    assert kernel.theta == pytest.approx(np.zeros(2))


def test_a_classifier_has_probabilities():
    labels = np.argmax(X[:, :3], axis=1)
    kernel = ConstantKernel(4.0) * GPKernel(nc.NNGP("relu", 3, "he"), "fixed")
    model = GaussianProcessClassifier(kernel).fit(X, labels)
    probabilities = model.predict_proba(Z)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    assert model.score(X, labels) > 0.9


MALFORMED = {
    "a name": (lambda: GPKernel("rbf")(X), TypeError, "kernel object"),
    "a class": (lambda: GPKernel(nc.NTK).theta, TypeError, "kernel object"),
    "gradient": (lambda: GPKernel(KERNEL)(X, Z, eval_gradient=True), ValueError, "without Y"),
    "features": (lambda: GPKernel(KERNEL)(X, Z[:, 1:]), ValueError, "features"),
    "normalize": (lambda: GPKernel(KERNEL, normalize=2)(X), TypeError, "normalize"),
    "field": (lambda: GPKernel(KERNEL).set_params(kernel__slope=1), ValueError, "slope"),
    "parts": (
        lambda: GPKernel(SUM_OF_EQUALS).set_params(kernel__kernels=3),
        TypeError,
        "kernels must be two kernels or more",
    ),
    "bounds": (lambda: GPKernel(KERNEL, "free").theta, ValueError, "must be one of 'fixed'"),
    "parameter": (lambda: GPKernel(KERNEL).set_params(length_scale=1), ValueError, "length_scale"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_calls(case):
    call, error, words = MALFORMED[case]
    with pytest.raises(error, match=words):
        call()
