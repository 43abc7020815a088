"""`nc1fast.sklearn`: estimators keep scikit-learn's rules, and their numbers are those of dense
NumPy formulas.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
from functools import partial

import numpy as np
import pytest

import nc1fast as nc
from nc1fast import reference

pytest.importorskip("sklearn")

from scipy import sparse
from sklearn.base import clone
from sklearn.cluster import SpectralClustering
from sklearn.decomposition import KernelPCA
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.kernel_approximation import Nystroem
from sklearn.kernel_ridge import KernelRidge as PlainRidge
from sklearn.metrics.pairwise import pairwise_kernels
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR
from sklearn.utils.estimator_checks import check_estimator

from nc1fast.sklearn import matrices, ridge

RNG = np.random.default_rng(0)
X, Z = RNG.normal(size=(60, 5)), RNG.normal(size=(23, 5))
Y = np.column_stack([np.sin(X[:, 0]) + X[:, 1], X[:, 2] ** 2])
LABELS = np.array(["a", "b", "c"])[np.argmax(X[:, :3], axis=1)]
KERNEL = nc.NTK("relu", depth=3, weight_variance=1.5, bias_variance=0.1)
skl = nc.sklearn


def gram(kernel, rows, columns=None, *, normalize=False):
    """Gram matrix by the reference."""
    columns = rows if columns is None else columns
    both = reference.gram(kernel, np.concatenate([rows, columns]))
    K = both[: len(rows), len(rows) :]
    if not normalize:
        return K
    diagonal = np.diag(both)
    return K / np.sqrt(diagonal[: len(rows), None] * diagonal[len(rows) :])


# The rules of scikit-learn


@pytest.mark.parametrize(
    "estimator",
    [
        skl.KernelRidge(),
        skl.KernelRidge(nc.NNGP("erf", bias_variance=0.1), normalize=True),
        skl.KernelClassifier(),
        skl.NTKFeatures(n_components=64),
        skl.RandomUnits(n_components=64),
    ],
    ids=lambda e: f"{type(e).__name__}-{e.kernel.name}",
)
def test_scikit_learn_checks_the_estimators(estimator):
    results = check_estimator(estimator, on_skip=None)
    assert sum(result["status"] == "passed" for result in results) > 40


ESTIMATORS = (
    skl.KernelRidge(KERNEL),
    skl.KernelClassifier(KERNEL, normalize=True),
    skl.NTKFeatures(KERNEL, 50),
    skl.RandomUnits(nc.NNGP("erf"), 50),
    skl.gram(KERNEL),
)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
def test_fields_of_the_kernel_are_parameters(estimator):
    params = estimator.get_params()
    assert params["kernel__depth"] == estimator.kernel.depth
    assert "kernel__depth" not in estimator.get_params(deep=False)
    before = estimator.kernel
    copy = clone(estimator).set_params(
        kernel__depth=4, kernel__weight_variance=(1.0, 2.0, 3.0, 4.0)
    )
    assert copy.kernel.depth == 4
    assert copy.kernel.weight_variances == (1.0, 2.0, 3.0, 4.0)
    assert estimator.kernel is before
    copy.set_params(kernel=nc.NNGP("relu"), kernel__depth=5)
    assert copy.kernel == nc.NNGP("relu", depth=5)
    assert clone(copy).get_params() == copy.get_params()


def test_a_pipeline_and_a_grid_over_the_kernel_of_an_svc():
    model = make_pipeline(StandardScaler(), SVC(kernel=skl.gram(nc.NNGP("erf"))))
    grid = {"svc__kernel__kernel__depth": [2, 4], "svc__kernel__normalize": [False, True]}
    search = GridSearchCV(model, grid, cv=3).fit(X, LABELS)
    found = search.best_estimator_.named_steps["svc"].kernel
    assert found.kernel == nc.NNGP("erf", search.best_params_["svc__kernel__kernel__depth"])
    assert model.named_steps["svc"].kernel.kernel.depth == 2
    assert search.score(X, LABELS) > 0.8


def test_the_callable_takes_whatever_an_array_can_be_made_of():
    for normalize in (False, True):
        made, x = skl.gram(KERNEL, normalize=normalize), X[0]
        expected = gram(KERNEL, Z, X, normalize=normalize)
        np.testing.assert_allclose(made(Z.tolist(), X.tolist()), expected, rtol=1e-12)
        np.testing.assert_allclose(made(Z, Z), made(Z), rtol=1e-15)
        np.testing.assert_allclose(made(Z[0], X[3]), expected[0, 3], rtol=1e-12)
        np.testing.assert_allclose(made(Z[0], list(Z[0])), made(Z)[0, 0], rtol=1e-12)
        assert type(made(x, x)) is float
        assert made(x, x) == made(X)[0, 0]
        np.testing.assert_allclose(made.diag(X), made(X).diagonal(), rtol=1e-14)
        assert not made.is_stationary()


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize(
    ("estimator", "parameter", "targets", "output"),
    [
        (SVC(), "kernel", LABELS, lambda model, rows: model.decision_function(rows)),
        (SVR(), "kernel", Y[:, 0], lambda model, rows: model.predict(rows)),
        (PlainRidge(0.1), "kernel", Y, lambda model, rows: model.predict(rows)),
        (KernelPCA(4), "kernel", None, lambda model, rows: np.abs(model.transform(rows))),
        (SpectralClustering(3, random_state=0), "affinity", None, lambda model, _: model.labels_),
    ],
    ids=lambda value: type(value).__name__,
)
def test_estimators_take_the_callable_as_they_take_the_gram_matrix(
    estimator, parameter, targets, output, normalize
):
    made = skl.gram(KERNEL, normalize=normalize)
    K, L = (gram(KERNEL, rows, X, normalize=normalize) for rows in (X, Z))
    ours, theirs = (clone(estimator).set_params(**{parameter: k}) for k in (made, "precomputed"))
    found, expected = output(ours.fit(X, targets), Z), output(theirs.fit(K, targets), L)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("normalize", [False, True])
def test_approximations_and_processes_take_the_callable(normalize):
    made = skl.gram(KERNEL, normalize=normalize)
    K, L = (gram(KERNEL, rows, X, normalize=normalize) for rows in (X, Z))
    H = Nystroem(made, n_components=len(X)).fit(X).transform(Z)
    np.testing.assert_allclose(H @ H.T, L @ np.linalg.solve(K, L.T), rtol=1e-7)
    expected = L @ np.linalg.solve(K + 0.1 * np.eye(len(K)), Y)
    for covariance in (made, skl.GPKernel(KERNEL, "fixed", "fixed", normalize)):
        process = GaussianProcessRegressor(covariance, alpha=0.1).fit(X, Y)
        np.testing.assert_allclose(process.predict(Z), expected, atol=1e-10)
    value, slope = process.log_marginal_likelihood(made.theta, eval_gradient=True)
    assert (np.isfinite(value), slope.shape) == (True, (0,))
    in_pairs = pairwise_kernels(Z, X, metric=partial(made))  # two single rows at a time
    np.testing.assert_allclose(in_pairs, L, rtol=1e-12)


def test_whole_matrices_are_requested_and_not_pairs(monkeypatch):
    calls = []
    between = matrices.KernelMatrices.between

    def counted(*arguments):
        calls.append(1)
        return between(*arguments)

    monkeypatch.setattr(matrices.KernelMatrices, "between", counted)
    PlainRidge(0.1, kernel=skl.gram(KERNEL)).fit(sparse.csr_array(X), Y).predict(Z)
    assert len(calls) == 2


# Ridge regression and classification


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("kernel", [KERNEL, nc.NNGP("erf", 2, 2.0), nc.Linear(1.0, 0.5)])
def test_ridge_is_the_dense_formula(kernel, normalize):
    K, L = (gram(kernel, rows, X, normalize=normalize) for rows in (X, Z))
    expected = L @ np.linalg.solve(K + 0.1 * np.eye(len(X)), Y)
    model = skl.KernelRidge(kernel, 0.1, normalize).fit(X, Y)
    np.testing.assert_allclose(model.predict(Z), expected, atol=1e-11)
    np.testing.assert_allclose(PlainRidge(0.1, kernel="precomputed").fit(K, Y).predict(L), expected)
    one = skl.KernelRidge(kernel, 0.1, normalize).fit(X, Y[:, 0])
    assert one.predict(Z).shape == (len(Z),)
    np.testing.assert_allclose(one.predict(Z), expected[:, 0], atol=1e-11)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_classifier_is_ridge_regression_on_codes(n_classes):
    labels = LABELS if n_classes == 3 else np.where(LABELS == "a", 7, -1)
    names, index = np.unique(labels, return_inverse=True)
    codes = np.eye(n_classes)[index]
    mean = codes.mean(axis=0)
    K, L = gram(KERNEL, X), gram(KERNEL, Z, X)
    outputs = mean + L @ np.linalg.solve(K + 0.1 * np.eye(len(X)), codes - mean)
    model = skl.KernelClassifier(KERNEL, 0.1).fit(X, labels)
    expected = outputs if n_classes == 3 else outputs[:, 1] - outputs[:, 0]
    np.testing.assert_allclose(model.decision_function(Z), expected, atol=1e-11)
    assert (model.predict(Z) == names[outputs.argmax(axis=1)]).all()
    assert not hasattr(model, "predict_proba")


@pytest.mark.parametrize("solver", ["cg", "auto"])
def test_conjugate_gradients_store_no_gram_matrix(solver, monkeypatch):
    monkeypatch.setattr(ridge, "MOST_DENSE", 50)
    stored = skl.KernelRidge(KERNEL, 0.1, solver="cholesky").fit(X, Y)
    classes = skl.KernelClassifier(KERNEL, 0.1, solver="cholesky").fit(X, LABELS)
    with monkeypatch.context() as context:
        context.setattr(matrices.KernelMatrices, "between", None)
        streamed = skl.KernelRidge(KERNEL, 0.1, solver=solver, tol=1e-12).fit(X, Y)
        np.testing.assert_allclose(streamed.predict(Z), stored.predict(Z), atol=1e-9)
        streamed = skl.KernelClassifier(KERNEL, 0.1, solver=solver, tol=1e-12).fit(X, LABELS)
        np.testing.assert_allclose(
            streamed.decision_function(Z), classes.decision_function(Z), atol=1e-9
        )
    sparser = skl.KernelRidge(KERNEL, 0.1).fit(sparse.csr_array(X), Y)  # stored by "auto"
    np.testing.assert_allclose(sparser.predict(Z), stored.predict(Z), atol=1e-9)


def test_a_fit_is_not_changed_by_later_parameters():
    model = skl.KernelRidge(KERNEL, 0.1).fit(X, Y)
    before = model.predict(Z)
    model.set_params(kernel__depth=5, normalize=True)
    assert (model.predict(Z) == before).all()
    assert (pickle.loads(pickle.dumps(model)).predict(Z) == before).all()


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("numbers", [1 << 22, 70])
def test_sparse_rows_give_the_numbers_of_dense_ones(normalize, numbers, monkeypatch):
    monkeypatch.setattr(matrices, "_NUMBERS", numbers)
    thin, other = (np.where(np.abs(rows) < 1, 0.0, rows) for rows in (X, Z))
    made = skl.gram(KERNEL, normalize=normalize)
    for convert in (sparse.csr_matrix, sparse.csc_array, sparse.coo_array):
        rows, columns = convert(thin), convert(other)
        K = made(rows)
        assert (K == K.T).all()
        np.testing.assert_allclose(K, gram(KERNEL, thin, normalize=normalize), rtol=1e-12)
        for left, right in ((columns, rows), (columns, thin), (other, rows)):
            expected = gram(KERNEL, other, thin, normalize=normalize)
            np.testing.assert_allclose(made(left, right), expected, rtol=1e-12)
        model = skl.KernelClassifier(KERNEL, normalize=normalize).fit(rows, LABELS)
        full = skl.KernelClassifier(KERNEL, normalize=normalize).fit(thin, LABELS)
        np.testing.assert_allclose(
            model.decision_function(columns), full.decision_function(other), atol=1e-9
        )
        assert SVC(kernel=made).fit(rows, LABELS).score(rows, LABELS) > 0.8


def test_a_normalized_kernel_has_ones_on_its_diagonal_and_zeros_for_zero_rows():
    rows = X.copy()
    rows[3] = 0
    K = skl.gram(nc.NNGP("relu"), normalize=True)(rows)
    others = np.arange(len(rows)) != 3
    assert (K.diagonal() == others).all()
    assert not K[3].any()
    assert np.abs(K).max() < 1 + 1e-14
    np.testing.assert_array_equal(
        skl.GPKernel(nc.NNGP("relu"), normalize=True).diag(rows), K.diagonal()
    )


# Transformers


def test_ntk_features_are_those_of_the_function():
    H = nc.estimators.ntk_features(X, KERNEL, 300, seed=3)
    made = skl.NTKFeatures(KERNEL, 300, seed=3)
    assert (made.fit_transform(X) == H).all()
    np.testing.assert_allclose(made.transform(X[5:9]), H[5:9], atol=1e-13)
    np.testing.assert_allclose(made.transform(sparse.csr_matrix(X)), H, atol=1e-13)
    names = made.get_feature_names_out()
    assert names.shape == (300,)
    assert names[0] == "ntkfeatures0"
    assert (pickle.loads(pickle.dumps(made)).transform(Z) == made.transform(Z)).all()


@pytest.mark.parametrize(
    "make",
    [
        lambda seed: skl.RandomUnits(nc.NNGP("relu", 2, 1.5, 0.3), 33, seed),
        lambda seed: skl.RandomUnits(nc.NNGP("gelu", 2, 2.0, (0.4, 0.0)), 32, seed),
        lambda seed: skl.RandomUnits(nc.ConjugateKernel("cos"), 32, seed, "plain"),
        lambda seed: skl.RandomUnits(nc.AdaptiveKernel(np.diag([1, 2, 3, 4, 5.0])), 32, seed),
        lambda seed: skl.NTKFeatures(nc.NTK("relu"), 2, seed),  # a projection of a wider map
        lambda seed: skl.NTKFeatures(nc.NNGP("abs", 2, 2.0, 0.1), 4, seed, "plain"),
    ],
)
def test_inner_products_of_features_are_the_kernel_on_average(make):
    rows, seeds = X[:6], range(200)
    products = np.array([(H := make(seed).fit_transform(rows)) @ H.T for seed in seeds])
    kernel = make(0).kernel
    K = kernel(rows) if isinstance(kernel, nc.AdaptiveKernel) else gram(kernel, rows)
    error = products.std(axis=0, ddof=1) / np.sqrt(len(seeds))
    assert (np.abs(products.mean(axis=0) - K) < 4.5 * error + 1e-12).all()


def test_features_keep_single_precision():
    for made in (skl.NTKFeatures(KERNEL, 200), skl.RandomUnits(nc.NNGP("erf"), 200)):
        wide = made.fit_transform(X)
        single = clone(made).fit_transform(X.astype(np.float32))
        assert (wide.dtype, single.dtype) == (np.float64, np.float32)
        np.testing.assert_allclose(single @ single.T, wide @ wide.T, atol=1e-3)


# Named variances, and what is imported when


@pytest.mark.parametrize("activation", ["relu", "abs", nc.LeakyReLU(0.3)])
def test_he_keeps_the_lengths_of_rows(activation):
    kernel = nc.NNGP(activation, 6, "he")
    variance = 2.0 if activation == "relu" else kernel.weight_variance
    np.testing.assert_allclose(kernel.diag(X), variance * (X**2).mean(axis=1), rtol=1e-13)


def test_scikit_learn_is_imported_when_a_name_is_used_and_named_where_it_is_missing():
    program = (
        "import sys, nc1fast as nc; dir(nc.sklearn); print('sklearn' in sys.modules);"
        "sys.modules['sklearn'] = None; nc.sklearn.GPKernel"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "False\n"
    assert "nc1fast[sklearn]" in done.stderr


# Malformed calls

Ridge, Units = skl.KernelRidge, skl.RandomUnits
MALFORMED = {
    "unknown name": (lambda: skl.Nothing, AttributeError, "Nothing"),
    "gram of a name": (lambda: skl.gram("rbf"), TypeError, "kernel object"),
    "gram with a word": (lambda: skl.gram(KERNEL, normalize="yes"), TypeError, "normalize"),
    "masked": (lambda: skl.gram(KERNEL)(np.ma.masked_less(X, 0)), ValueError, "masked"),
    "one axis": (lambda: skl.gram(KERNEL)(X[0]), ValueError, "shape"),
    "ridge of a name": (lambda: Ridge("ntk").fit(X, Y), TypeError, "kernel object"),
    "ridge of a class": (lambda: Ridge(nc.NTK).fit(X, Y), TypeError, "kernel object"),
    "negative alpha": (lambda: Ridge(alpha=-1).fit(X, Y), ValueError, "alpha"),
    "alpha of a word": (lambda: Ridge(alpha="x").fit(X, Y), TypeError, "alpha"),
    "singular": (lambda: Ridge(nc.Linear(), 0).fit(X, Y), ValueError, "alpha"),
    "normalize": (lambda: Ridge(normalize=1).fit(X, Y), TypeError, "normalize"),
    "unknown solver": (lambda: Ridge(solver="qr").fit(X, Y), ValueError, "solver"),
    "cg without alpha": (lambda: Ridge(KERNEL, 0, solver="cg").fit(X, Y), ValueError, "> 0"),
    "cg, normalized": (
        lambda: Ridge(normalize=True, solver="cg").fit(X, Y),
        ValueError,
        "normalize=False",
    ),
    "cg, sparse": (
        lambda: Ridge(solver="cg").fit(sparse.csr_array(X), Y),
        ValueError,
        "dense rows",
    ),
    "tol": (lambda: Ridge(solver="cg", tol=0).fit(X, Y), ValueError, "tolerance"),
    "one class": (lambda: skl.KernelClassifier().fit(X, [1] * 60), ValueError, "one class"),
    "continuous": (lambda: skl.KernelClassifier().fit(X, Y[:, 0]), ValueError, "label"),
    "lengths": (lambda: Ridge().fit(X, Y[:9]), ValueError, "inconsistent"),
    "not finite": (lambda: Ridge().fit(X * np.nan, Y), ValueError, "NaN"),
    "features": (lambda: Ridge().fit(X, Y).predict(X[:, 1:]), ValueError, "features"),
    "field": (lambda: Ridge().set_params(kernel__width2=1), ValueError, "width2"),
    "value": (lambda: Ridge().set_params(kernel__depth=1), ValueError, "depth"),
    "field of none": (lambda: Ridge("x").set_params(kernel__depth=1), TypeError, "kernel object"),
    "parameter": (lambda: Ridge().set_params(gamma=1), ValueError, "gamma"),
    "NTK units": (lambda: Units(nc.NTK("relu")).fit(X), ValueError, "depth 2"),
    "deep units": (lambda: Units(nc.NNGP("relu", 3)).fit(X), ValueError, "depth 2"),
    "erf features": (lambda: skl.NTKFeatures(nc.NTK("erf")).fit(X), ValueError, "ReLU family"),
    "no components": (lambda: skl.NTKFeatures(n_components=0).fit(X), ValueError, "n_components"),
    "bias alone": (lambda: Units(nc.NNGP("relu", 2, 1.0, 1.0), 1).fit(X), ValueError, "n_features"),
    "seed": (lambda: skl.NTKFeatures(seed=-1).fit(X), ValueError, "seed"),
    "sampling": (lambda: Units(sampling="halton").fit(X), ValueError, "sampling"),
    "he of erf": (lambda: nc.NNGP("erf", weight_variance="he"), ValueError, "ReLU family"),
    "glorot": (lambda: nc.NTK("relu", weight_variance="glorot"), ValueError, "'he'"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_calls(case):
    call, error, words = MALFORMED[case]
    with pytest.raises(error, match=words):
        call()
