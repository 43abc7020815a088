"""Mixtures against theory, scales against exact arithmetic."""

from __future__ import annotations

import functools
import sys
from fractions import Fraction
from math import isqrt

import numpy as np
import pytest

from nc1fast import datasets
from nc1fast.datasets import readers

U = 2.0**-53

# ---------------------------------------------------------------------------------------- mixtures


@pytest.mark.parametrize("sizes", [(20_000, 20_000, 20_000), (5_000, 40_000, 12_345)])
def test_moments_of_a_mixture_are_those_of_theory(sizes):
    d0 = 6
    means = np.array([[-2.0, 0, 1, 3, -1, 5], [0.5] * d0, [7.0, -7, 0, 0, 1, 2]])
    stds = (0.5, 2.0, 0.01)
    X, y = datasets.gaussian_mixture(means, stds, sizes, d0, seed=11)
    assert X.shape == (sum(sizes), d0)
    assert X.dtype == np.float64
    assert X.flags.c_contiguous
    assert np.array_equal(np.bincount(y), sizes)
    n, classes = min(sizes), [X[y == c][: min(sizes)] - means[c] for c in range(3)]
    for (a, b), std in (((0, 1), 1.0), ((0, 2), 0.005), ((1, 2), 0.02)):
        assert np.abs(classes[a].T @ classes[b]).max() < 5 * std * np.sqrt(n)
    for c, n in enumerate(sizes):
        Z = (X[y == c] - means[c]) / stds[c]
        assert np.abs(Z.sum(axis=0)).max() < 4.5 * np.sqrt(n)  # sums of n deviates, 6 features
        covariance = Z.T @ Z / n - np.eye(d0)
        assert np.abs(np.diag(covariance)).max() < 4.5 * np.sqrt(2 / n)
        assert np.abs(covariance - np.diag(np.diag(covariance))).max() < 4.5 / np.sqrt(n)
        assert np.abs((Z**3).mean(axis=0)).max() < 4.5 * np.sqrt(15 / n)
        assert np.abs((Z**4).mean(axis=0) - 3).max() < 4.5 * np.sqrt(96 / n)


@pytest.mark.parametrize("seed", [42, [1, 2], np.random.SeedSequence(5).spawn(2)[1]], ids=repr)
def test_each_class_can_be_generated_alone_and_in_any_order(seed):
    means, stds, sizes, d0 = (-1.0, 4.0, 0.25), (0.5, 1.5, 3.0), (7, 1, 12), 5
    root = seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)
    for _ in range(2):  # the seed stays as it is
        X, y = datasets.gaussian_mixture(means, stds, sizes, d0, seed=seed)
        assert root.n_children_spawned == 0
    assert not np.array_equal(X, datasets.gaussian_mixture(means, stds, sizes, d0, seed=6)[0])
    vectors = [[mean] * d0 for mean in means]
    assert np.array_equal(X, datasets.gaussian_mixture(vectors, stds, sizes, seed=seed)[0])
    children = root.spawn(3)
    for c in (2, 0, 1):
        z = np.random.Generator(np.random.PCG64(children[c])).standard_normal((sizes[c], d0))
        assert np.array_equal(X[y == c], stds[c] * z + means[c])


def test_a_class_does_not_depend_on_the_others():
    X, y = datasets.gaussian_mixture((-1, 4, 2), (0.5, 1.5, 3), (7, 4, 12), 5, seed=1)
    for other in (
        datasets.gaussian_mixture((9, 4), (7, 1.5), (100, 4), 5, seed=1),
        datasets.gaussian_mixture((0, 4, 2, 8), (1, 1.5, 3, 2), (1, 4, 1, 2), 5, seed=1),
    ):
        assert np.array_equal(other[0][other[1] == 1], X[y == 1])
    grown, labels = datasets.gaussian_mixture((-1, 4, 2), (0.5, 1.5, 3), (7, 40, 12), 5, seed=1)
    assert np.array_equal(grown[labels == 1][:4], X[y == 1])


@pytest.mark.parametrize(
    "draw",
    [
        functools.partial(datasets.gaussian_mixture, (0, 1), 1, (3, 4), 2),
        functools.partial(datasets.paper_d1, 4, 2),
        functools.partial(datasets.paper_d2, 4, 2),
    ],
    ids=["mixture", "d1", "d2"],
)
def test_rng_is_a_seed_or_a_generator(draw):
    assert np.array_equal(draw(rng=5)[0], draw(seed=5)[0])
    first, second = (draw(rng=rng)[0] for rng in [np.random.default_rng(5)] * 2)
    assert not np.array_equal(first, second)
    assert np.array_equal(first, draw(rng=np.random.default_rng(5))[0])
    with pytest.raises(ValueError, match="seed and rng are two names of one thing"):
        draw(seed=1, rng=2)


@pytest.mark.parametrize(
    "labels", [None, ("b", "a"), (-1, 7), (0.5, -0.5), np.array([True, False])]
)
def test_labels_name_the_classes_and_change_nothing_else(labels):
    X, y = datasets.gaussian_mixture((0, 1), 1, (3, 2), 2, seed=8, labels=labels)
    names = np.arange(2) if labels is None else np.asarray(labels)
    assert y.dtype == names.dtype
    assert y.tolist() == [names[0]] * 3 + [names[1]] * 2
    assert np.array_equal(X, datasets.gaussian_mixture((0, 1), 1, (3, 2), 2, seed=8)[0])


@pytest.mark.parametrize(
    ("make", "means", "labels"),
    [(datasets.paper_d1, (-2, 2), (-1, 1)), (datasets.paper_d2, (-6, -2, 2, 6), (-3, -1, 1, 3))],
)
def test_data_sets_of_the_paper(make, means, labels):
    C = len(means)
    X, y = make(16_384, 8, 3)
    assert y.dtype == np.int64
    assert np.unique(y).tolist() == list(labels)
    for mean, label in zip(means, labels, strict=True):
        rows = X[y == label]
        assert len(rows) == 16_384 // C
        n = rows.size
        assert abs(rows.mean() - mean) < 4.5 * 0.5 / np.sqrt(n)
        assert abs(rows.var() / 0.25 - 1) < 4.5 * np.sqrt(2 / n)
    sizes = tuple(range(3, 3 + C))
    X, y = make(sum(sizes), 2, seed=1, sizes=sizes)
    assert [int((y == label).sum()) for label in labels] == list(sizes)
    assert np.array_equal(X, datasets.gaussian_mixture(means, 0.5, sizes, 2, 1)[0])


BAD_MIXTURES = [
    ("means", (0, np.nan), ValueError, "means must be finite"),
    ("means", ("a", "b"), TypeError, "means must be real numbers"),
    ("means", (0, 1j), TypeError, "means must be real numbers"),
    ("means", ([0, 1], [1]), ValueError, "means must be numbers, or vectors"),
    *(("means", bad, ValueError, "means must have shape") for bad in ((), 1.0, np.zeros((2,) * 3))),
    ("means", np.zeros((2, 4)), ValueError, "means has 4 columns, but n_features"),
    ("means", (0, 1.7e308), ValueError, "overflows"),
    ("stds", -0.5, ValueError, "stds must be >= 0"),
    ("stds", (1, np.inf), ValueError, "stds must be finite"),
    ("stds", (1, 1, 1), ValueError, r"stds must be a number or 2 numbers"),
    ("sizes", (0, 1), ValueError, r"sizes\[0\] must be >= 1"),
    ("sizes", (1, 1, 1), ValueError, "sizes must be 2 integers"),
    *(("sizes", (1, n), TypeError, r"sizes\[1\] must be an integer") for n in (1.5, True)),
    ("sizes", 4, TypeError, "sizes must be 2 integers"),
    ("n_features", 0, ValueError, "n_features must be >= 1"),
    ("n_features", "8", TypeError, "n_features must be an integer"),
    ("n_features", None, ValueError, "n_features is needed"),
    ("seed", -1, ValueError, "seed must be an integer >= 0"),
    *(("seed", seed, TypeError, "seed must be an integer >= 0") for seed in (None, 0.5)),
    ("labels", (1, 1), ValueError, "labels must be distinct"),
    ("labels", (1, 2, 3), ValueError, r"labels must have shape \(2,\)"),
    ("labels", (None, {}), TypeError, "labels must be numbers or strings"),
    ("labels", (0, np.nan), ValueError, "labels must not contain NaN"),
]


@pytest.mark.parametrize(("argument", "value", "error", "text"), BAD_MIXTURES)
def test_bad_mixtures_are_refused(argument, value, error, text):
    given = {"means": (0, 1), "stds": 1e307, "sizes": (2, 2), "n_features": 3, "seed": 0}
    with pytest.raises(error, match=text):
        datasets.gaussian_mixture(**{**given, argument: value})


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: datasets.paper_d1(5, 2, 0), "N must be divisible by 2"),
        (lambda: datasets.paper_d2(6, 2, 0), "N must be divisible by 4"),
        (lambda: datasets.paper_d1(0, 2, 0), "N must be >= 1"),
        (lambda: datasets.paper_d1(4, 0, 0), "d0 must be >= 1"),
        (lambda: datasets.paper_d1(4, 2, 0, sizes=(1, 2)), "sizes must add up to N = 4, got 3"),
        (lambda: datasets.paper_d1(4, 2, 0, sizes=(1, 2, 1)), "sizes must be 2 integers"),
    ],
)
def test_bad_sizes_of_the_paper_are_refused(call, text):
    with pytest.raises(ValueError, match=text):
        call()


# ---------------------------------------------------------------------------------------- scales


def exact(scale, X):
    """The scale's definition in rational arithmetic; roots to 2^-200."""
    F = [[Fraction(float(x)) for x in row] for row in X]

    def root(q):
        shift = 1 << 1200  # Fraction -> integer square root, far below float64's resolution
        return Fraction(isqrt(q.numerator * shift * shift // q.denominator), shift)

    if scale == "unit-interval":
        lo, hi = min(map(min, F)), max(map(max, F))
        return [[(x - lo) / (hi - lo) if hi > lo else Fraction(0) for x in row] for row in F]
    if scale == "unit-norm":
        norms = [root(sum(x * x for x in row)) for row in F]
        return [[x / n if n else x for x in row] for row, n in zip(F, norms, strict=True)]
    columns = []
    for column in zip(*F, strict=True):
        m = sum(column) / len(column)
        s = root(sum((x - m) ** 2 for x in column) / len(column))
        columns.append([(x - m) / s if s else Fraction(0) for x in column])
    return [list(row) for row in zip(*columns, strict=True)]


def hard_matrices():
    rng = np.random.default_rng(9)
    X = rng.standard_normal((37, 5))
    return {
        "plain": X,
        "one column": X[:, :1],
        "large offset": 1e8 + X,
        "spread of an ulp": 1 + np.spacing(1.0) * rng.integers(0, 2, (37, 5)),
        "scales differ": X * np.array([1e-150, 1e-5, 1, 1e5, 1e150]),
        "near the largest": X * 3e307,
        "small": X * 1e-290,
        "outlier first": np.vstack([[1e12] * 5, X]),
        "constant column, zero row": np.vstack(
            [[0, 0, 0, 0.1, 0], X * [1, 1, 1, 0, 1] + [0, 0, 0, 0.1, 0]]
        ),
        "a zero row": np.vstack([X, np.zeros(5)]),
        "pixels": rng.integers(0, 256, (37, 5)).astype(np.uint8),
    }


def entry_bound(scale, z, shape):
    """The bound of the docstring of apply_scale."""
    n, d = shape
    return {
        "unit-interval": 3 * U * z,
        "standardize": 8 * U * np.sqrt(n) + n * U * np.abs(z),
        "unit-norm": (d + 4) * U * np.abs(z),
    }[scale]


@pytest.mark.parametrize("scale", ["unit-interval", "standardize", "unit-norm"])
@pytest.mark.parametrize("name", list(hard_matrices()))
def test_scales_keep_their_bound_against_exact_arithmetic(name, scale):
    X = hard_matrices()[name]
    before = X.copy()
    Z = datasets.apply_scale(X, scale)
    assert np.array_equal(X, before)
    assert Z.dtype == np.float64
    assert Z.flags.c_contiguous
    want = exact(scale, X)
    pairs = zip(Z.ravel().tolist(), (w for row in want for w in row), strict=True)
    error = np.array([abs(float(Fraction(z) - w)) for z, w in pairs]).reshape(X.shape)
    assert (error <= entry_bound(scale, np.array(want, dtype=float), X.shape) + 1e-323).all()


def test_constant_features_and_zero_rows_become_exactly_zero():
    X = np.array([[0.1, 1, 0], [0.1, 2, 0], [0.1, 4, 0]])
    Z = datasets.apply_scale(X, "standardize")
    assert (Z[:, [0, 2]] == 0).all()
    assert abs(Z[:, 1].mean()) < 4 * U
    assert abs(Z[:, 1].std() - 1) < 4 * U
    assert datasets.apply_scale([[0, 0], [3, 4]], "unit-norm").tolist() == [[0, 0], [0.6, 0.8]]
    assert not datasets.apply_scale([[5.0, 6.0]], "standardize").any()
    assert not datasets.apply_scale(np.full((2, 2), 7), "unit-interval").any()
    X = np.random.default_rng(0).standard_normal((99, 7))
    Z = datasets.apply_scale(X, "unit-interval")
    assert (Z.min(), Z.max()) == (0, 1)
    assert datasets.apply_scale([[-1.7e308, 0, 1.7e308]], "unit-interval").tolist() == [[0, 0.5, 1]]


@pytest.mark.parametrize("dtype", ["?", "u1", "i2", ">i4", "u8", "f2", ">f4", "f8"])
def test_widening_is_exact(dtype):
    X = np.array([[0, 1, 100], [1, 0, 17]]).astype(dtype)
    Z = datasets.apply_scale(X[:, ::-1])
    assert Z.dtype == np.float64
    assert np.array_equal(Z, X[:, ::-1].astype(float))


@pytest.mark.parametrize(
    ("X", "scale", "text"),
    [
        ([[1.0]], "unit", "scale must be one of 'none', 'unit-interval'"),
        ([[1.0]], None, "scale must be one of"),
        ([1.0, 2.0], "none", r"X must have shape \(n_samples, n_features\), got \(2,\)"),
        ([[]], "none", "X must have at least one row and one feature"),
        ([[1.0, 2.0], [1.0]], "none", "X must be an array of numbers"),
        ([["a"]], "none", "X must be real numbers"),
        ([[1j]], "none", "X must be real numbers"),
        ([[None]], "none", "X must be real numbers"),
        ([[0, 1.0], [np.nan, 1]], "standardize", r"finite, but row 1, column 0 \(from 0\) is nan"),
        ([[0, -np.inf]], "unit-norm", r"X must be finite, but row 0, column 1 \(from 0\) is -inf"),
        ([[2**53 + 1]], "none", r"X must hold integers of at most 2\^53"),
        ([[-(2**63)]], "none", r"X must hold integers of at most 2\^53"),
        (np.uint64([[2**64 - 1]]), "none", r"X must hold integers of at most 2\^53"),
    ],
)
def test_what_cannot_be_scaled_is_refused(X, scale, text):
    with pytest.raises(ValueError, match=text):
        datasets.apply_scale(X, scale)


def test_digits():
    sklearn = pytest.importorskip("sklearn.datasets")
    X, y = datasets.digits()
    assert X.shape == (1797, 64)
    assert (X.min(), X.max()) == (0, 16)
    assert np.array_equal(y, sklearn.load_digits().target)
    assert np.bincount(y).min() == 174
    assert np.bincount(y).max() == 183
    assert np.array_equal(datasets.digits("unit-interval")[0], X / 16)
    with pytest.raises(ValueError, match="scale must be one of"):
        datasets.digits("best")


def test_digits_without_scikit_learn_names_the_extra(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "sklearn"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ImportError, match=r"pip install 'nc1fast\[sklearn\]'"):
        datasets.digits()


@pytest.mark.parametrize("scale", datasets.SCALES)
def test_load_scales_as_apply_scale_does(tmp_path, scale):
    path = tmp_path / "a.npz"
    y = np.arange(9)
    rng = np.random.default_rng(4)
    for X in (rng.standard_normal((9, 3)), rng.integers(0, 256, (9, 4, 3)).astype(np.uint8)):
        np.savez(path, X=X, y=y)
        got = datasets.load(path, scale=scale)
        assert np.array_equal(got[0], datasets.apply_scale(X.reshape(9, -1), scale))
        assert np.array_equal(got[1], y)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"path": 3}, TypeError, "path must be a path, got int"),
        ({"keys": "Xy"}, TypeError, "keys must be two names"),
        ({"keys": ("X",)}, TypeError, "keys must be two names"),
        ({"keys": ("X", 1)}, TypeError, "keys must be two names"),
        ({"keys": 7}, TypeError, "keys must be two names"),
        ({"scale": "unit"}, ValueError, "scale must be one of 'none', 'unit-interval'"),
    ],
)  # fmt: skip
def test_bad_arguments_of_load_are_named(tmp_path, arguments, error, text):
    np.savez(tmp_path / "a.npz", X=[[1.0], [2.0]], y=[0, 1])
    with pytest.raises(error, match=text):
        datasets.load(**({"path": tmp_path / "a.npz"} | arguments))


def test_a_new_kind_of_file_is_one_reader_in_the_list(tmp_path, monkeypatch):
    def read(file, given):
        table = np.loadtxt(file)
        return readers.Contents(table[:, 1:], table[:, 0].astype(int) + given.labels, file)

    toy = readers.Reader(".tab", lambda file: file.suffix == ".tab", lambda *_: None, read)
    file = tmp_path / "a.tab"
    file.write_text("0 1.5 2\n1 -3 4\n")
    with pytest.raises(ValueError, match=r"unknown kind of file '\.tab'"):
        datasets.load(file)
    monkeypatch.setattr(readers, "READERS", (*readers.READERS, toy))
    X, y = datasets.load(file, labels=5, scale="unit-interval")
    np.testing.assert_array_equal(X, (np.array([[1.5, 2], [-3, 4]]) + 3) / 7)
    assert y.tolist() == [5, 6]
    with pytest.raises(
        ValueError, match=r"keys belongs to files of named arrays or columns: \.npz, .* and \.arrow"
    ):
        datasets.load(file, keys=("X", "y"))
    with pytest.raises(ValueError, match=r"must be \.npz, .* or \.tab$"):
        datasets.load(tmp_path / "a.unknown")
