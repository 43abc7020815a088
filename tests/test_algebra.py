"""Kernels as an algebra: a * k, k1 + k2, k1 * k2 and k ** p, against NumPy on stored Gram matrices
and against balls.
"""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from tests import cases
from tests.adversary import verdict
from tests.adversary.drawing import composite_problem
from tests.composites import BIASED, DEEP, ERF, GELU, KERNELS, RELU, each_kernel, on_stored

import nc1fast as nc
from nc1fast import reference
from nc1fast.kernels import Product, Scaled, Sum

MORE = 10 if os.environ.get("NC1FAST_EXHAUSTIVE") == "1" else 1


def _data(n_features=6, spread=0.4, seed=0):
    rng = np.random.default_rng(seed)
    y = np.repeat([0, 1, 2], [130, 170, 100])
    X = rng.normal(size=(3, n_features))[y] + spread * rng.normal(size=(len(y), n_features))
    order = rng.permutation(len(y))
    return X[order], y[order]


@each_kernel
def test_values_are_those_of_the_reference(kernel):
    X, _ = _data(seed=3)
    Z = X[:50] + 0.1
    scale = np.sqrt(np.outer(kernel.diag(X), kernel.diag(X)))
    assert (np.abs(kernel(X) - reference.gram(kernel, X)) <= 1e-7 * scale).all()
    scale = np.sqrt(np.outer(kernel.diag(X), kernel.diag(Z)))
    assert (np.abs(kernel(X, Z) - on_stored(kernel, lambda k: k(X, Z))) <= 1e-13 * scale).all()


@pytest.mark.parametrize("batch", range(10))
def test_no_error_above_its_bound(batch):
    """Random composites, data and precisions, judged by balls."""
    failures, undecided = [], 0
    for index in range(batch, 400 * MORE, 10):
        case = composite_problem(index)
        found = verdict.judge(case)
        undecided += found.status == "undecided"
        if found.status in verdict.FAILURES:
            failures.append(f"{case!r}: {found}")
    assert not failures, "\n".join(failures)
    assert undecided <= 2 * MORE


@pytest.mark.parametrize(
    "kernel",
    [RELU * ERF, RELU + DEEP, ERF**3, DEEP * nc.Linear(), BIASED * RELU, 0.1 * RELU + ERF * DEEP],
    ids=repr,
)
def test_collapsed_classes_keep_their_digits(kernel):
    """D2 of products and sums of kernels whose D2 does not cancel does not cancel either."""
    X, y = _data(spread=1e-9)
    result = nc.collapse(X, y, kernel, convention="papyan")
    assert result.error_bound <= 1e-10 * result.nc1


def test_what_subtracts_says_so():
    X, y = _data(spread=1e-9)
    with pytest.warns(nc.AccuracyWarning, match="error bound"):
        assert nc.collapse(X, y, ERF * GELU, convention="papyan").error_bound > 1e-16


@each_kernel
def test_bits_depend_on_no_thread_or_neighbour(kernel):
    X, y = cases.data(cases.FEW)
    whole = cases.collapse(X, y, kernel, n_threads=1)
    cases.assert_same_bits(whole, cases.collapse(X, y, kernel, n_threads=3))
    (among, _, _) = cases.collapse(X, y, [kernel, ERF, RELU])
    if "biases" not in repr(kernel):  # others share its rows or have their own
        assert among.nc1 == pytest.approx(whole.nc1, rel=1e-12)


def test_files_and_executors(tmp_path):
    X, y = cases.data(cases.FEW)
    kernel = KERNELS["biases"]
    whole = cases.collapse(X, y, kernel, n_threads=1)
    path = tmp_path / "X.npy"
    np.save(path, X)
    limited = cases.collapse(path, y, kernel, memory_limit=4 << 20, n_threads=1)
    cases.assert_same_bits(whole, limited)
    with ThreadPoolExecutor(2) as pool:
        shared = cases.collapse(X, y, kernel, executor=pool, journal=tmp_path / "journal")
    cases.assert_same_bits(whole, shared)


def test_sums_and_multiples_are_linear():
    X, y = _data()
    a, b, mixed = nc.collapse(X, y, [RELU, ERF, 0.3 * RELU + 0.7 * ERF], convention="papyan")
    for name in ("trace_within", "trace_between"):
        expected = 0.3 * getattr(a, name) + 0.7 * getattr(b, name)
        assert getattr(mixed, name) == pytest.approx(expected, rel=1e-13)
    scaled = nc.collapse(X, y, 4.0 * RELU, convention="papyan")
    assert scaled.nc1 == a.nc1  # a power of two


def test_a_product_with_itself_is_a_power():
    X, y = _data()
    once, twice = nc.collapse(X, y, [ERF * ERF, ERF**2], convention="papyan")
    assert once.nc1 == twice.nc1
    assert (ERF**1) is ERF


@each_kernel
def test_products_and_solves_take_composites(kernel):
    X, _ = _data()
    V = np.random.default_rng(2).normal(size=(len(X), 3))
    K, Z = kernel(X), X[:40] + 0.1
    size = np.sqrt(np.outer(kernel.diag(X), kernel.diag(X))) @ np.abs(V)
    assert (np.abs(kernel.matvec(X, V) - K @ V) <= 1e-12 * size).all()
    assert np.abs(kernel.matvec(X, V, Z) - kernel(Z, X) @ V).max() <= 1e-12 * size.max()
    found = nc.prediction.ridge(kernel, X, V, Z, ridge=0.1, solver="cholesky")
    expected = kernel(Z, X) @ np.linalg.solve(K + 0.1 * np.eye(len(X)), V)
    assert np.abs(found.mean - expected).max() <= 1e-6 * np.abs(expected).max()


# --- blend ---


def test_blend_is_the_sum_of_kernels():
    X, y = _data()
    results = nc.collapse(X, y, [RELU, ERF, DEEP], convention="class", keep_rows=True)
    found = nc.blend(results, [0.3, 0.0, 2.0])
    expected = nc.collapse(X, y, 0.3 * RELU + 2.0 * DEEP, convention="class", keep_rows=True)
    assert found.kernel == expected.kernel
    assert abs(found.nc1 - expected.nc1) <= found.error_bound + expected.error_bound
    for name in ("nc1", "trace_within", "trace_between", "nc1_pinv", "cdnv"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), rel=1e-12)
    assert found.error_bound <= 1e-11 * found.nc1
    assert nc.blend(results[:1], [1]).nc1 == results[0].nc1


def test_blend_lies_between_its_ends():
    X, y = _data()
    results = nc.collapse(X, y, [RELU, nc.NNGP("relu")], convention="papyan")
    curve = [nc.blend(results, [1 - s, s]).nc1 for s in np.linspace(0, 1, 9)]
    assert curve[0] == results[0].nc1
    assert curve[-1] == results[1].nc1
    assert (np.diff(curve) < 0).all()


def test_blend_of_features_is_that_of_features_side_by_side():
    X, y = _data()
    H, G = X[:, :2], X[:, 2:]
    parts = [nc.collapse(part, y, convention="papyan") for part in (H, G)]
    both = nc.blend(parts, [1.0, 1.0])
    assert both.nc1 == pytest.approx(nc.collapse(X, y, convention="papyan").nc1, rel=1e-13)
    assert both.kernel == "1.0 * features + 1.0 * features"


def test_blend_refuses_what_it_cannot_blend():
    X, y = _data()
    a, b = nc.collapse(X, y, [RELU, ERF], convention="papyan")
    fewer = nc.collapse(X[:-5], y[:-5], RELU, convention="papyan")
    estimate = nc.estimators.pairs(X, y, RELU, n_pairs=20_000, convention="papyan")
    for results, weights, error, message in (
        ([a, b], [1.0], ValueError, "2 numbers"),
        ([a, b], [0.0, 0.0], ValueError, "zero"),
        ([a, b], [1.0, -1.0], ValueError, ">= 0"),
        ([a, "b"], [1.0, 1.0], TypeError, "list of Collapse"),
        ([a, b.under("class")], [1.0, 1.0], ValueError, "convention"),
        ([a, fewer], [1.0, 1.0], ValueError, "one data set"),
        ([a, estimate], [1.0, 1.0], ValueError, "exact"),
    ):
        with pytest.raises(error, match=message):
            nc.blend(results, weights)


# --- the objects ---


def test_kernels_read_as_the_formula():
    k = nc.Linear()
    for kernel, text in (
        (0.5 * k + k**2, "0.5 * k + k ** 2"),
        ((k + k) * k, "(k + k) * k"),
        ((k * k) ** 2, "(k * k) ** 2"),
        (2.0 * (k * k), "2.0 * k * k"),
        ((2.0 * k) * k, "(2.0 * k) * k"),
        (3 * (2 * k), "6.0 * k"),
    ):
        assert repr(kernel).replace("Linear()", "k") == text


def test_operators_take_numbers_and_kernels_alone():
    assert np.float64(2.0) * ERF == ERF * 2
    assert Scaled(ERF, 2.0) == ERF * 2
    assert repr(sum([ERF, RELU, GELU])) == repr(ERF + RELU + GELU)
    assert Sum((ERF, RELU, GELU)) == ERF + RELU + GELU
    assert Product((ERF, RELU, GELU)) == ERF * RELU * GELU
    assert (ERF * RELU + DEEP).depth == DEEP.depth


def test_factors_and_exponents_are_checked():
    for factor in (-1.0, 0.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="factor"):
            factor * ERF
    for exponent in (0, -1, 65):
        with pytest.raises(ValueError, match="exponent"):
            ERF**exponent
    with pytest.raises(TypeError, match="exponent"):
        ERF**0.5


@pytest.mark.parametrize("other", ["2", None, [1.0], 1j])
def test_what_is_no_number_and_no_kernel_is_refused(other):
    for made in (lambda: other * ERF, lambda: ERF + other, lambda: ERF**other):
        with pytest.raises(TypeError):
            made()
    with pytest.raises(TypeError):
        ERF + 1.0
    with pytest.raises(TypeError, match="two kernels or more"):
        Sum((ERF,))
    with pytest.raises(TypeError, match="two kernels or more"):
        Product((ERF, other))


def test_what_does_not_fit_is_refused():
    X, y = _data()
    many = sum(nc.NNGP("erf", weight_variance=1.0 + n / 100) for n in range(40))
    with pytest.raises(ValueError, match="64 terms"):
        nc.collapse(X, y, many, convention="papyan")
    one, two = (nc.AdaptiveKernel(np.eye(6) * s) for s in (1.0, 2.0))
    with pytest.raises(ValueError, match="rows of its own"):
        nc.collapse(X, y, one + two, convention="papyan")
    with pytest.raises(ValueError, match="rows of its own"):
        (one * ERF)(X)
    for method in ("shortcut", "features", "pairs"):
        with pytest.raises((ValueError, TypeError), match=r"exact|shortcut|kernel"):
            nc.collapse(X, y, RELU + ERF, method=method, convention="papyan")
    assert nc.collapse(X, y, RELU + ERF, method="auto", convention="papyan").method == "exact"
    with pytest.raises(ValueError, match="out of range"):
        nc.collapse(1e40 * X, y, nc.Linear() ** 5, convention="papyan")
