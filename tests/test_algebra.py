"""Kernels as an algebra: a * k, k1 + k2, k1 * k2 and k ** p, against NumPy on stored Gram matrices
and against balls.
"""

from __future__ import annotations

import json
import math
import os
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from tests import cases
from tests.adversary import verdict
from tests.adversary.drawing import composite_problem
from tests.composites import BIASED, DEEP, ERF, GELU, KERNELS, RELU, each_kernel, on_stored

import nc1fast as nc
from nc1fast import reference
from nc1fast.kernels import Product, Scaled, Sum, from_json, to_json

MORE = 10 if os.environ.get("NC1FAST_EXHAUSTIVE") == "1" else 1


def _data(n_features=6, spread=0.4, seed=0):
    rng = np.random.default_rng(seed)
    y = np.repeat([0, 1, 2], [130, 170, 100])
    X = rng.normal(size=(3, n_features))[y] + spread * rng.normal(size=(len(y), n_features))
    order = rng.permutation(len(y))
    return X[order], y[order]


@each_kernel
def test_a_gram_matrix_is_that_of_numpy_on_the_parts(kernel):
    X, _ = _data()
    Z = X[:50] + 0.1
    K, cross = kernel(X), kernel(X, Z)
    assert np.array_equal(K, K.T)
    assert np.array_equal(K.diagonal(), kernel.diag(X))
    scale = np.sqrt(np.outer(kernel.diag(X), kernel.diag(X)))
    assert np.abs(K - on_stored(kernel, lambda k: k(X))).max() <= 1e-13 * scale.max()
    assert (np.abs(K - on_stored(kernel, lambda k: k(X))) <= 1e-13 * scale).all()
    scale = np.sqrt(np.outer(kernel.diag(X), kernel.diag(Z)))
    assert (np.abs(cross - on_stored(kernel, lambda k: k(X, Z))) <= 1e-13 * scale).all()
    single = kernel(X, dtype="float32")
    assert single.dtype == np.float32
    assert np.abs(single - K).max() <= 3e-4 * K.diagonal().max()  # the angle of a root: 1e-4


@each_kernel
def test_the_reference_knows_composites(kernel):
    X, _ = _data(seed=3)
    scale = np.sqrt(np.outer(kernel.diag(X), kernel.diag(X)))
    assert (np.abs(kernel(X) - reference.gram(kernel, X)) <= 1e-7 * scale).all()


@each_kernel
def test_nc1_is_that_of_the_stored_gram_matrix(kernel):
    X, y = _data()
    result = nc.collapse(X, y, kernel, convention="papyan", keep_rows=True)
    stored = nc.collapse(kernel(X), y, "precomputed", convention="papyan", keep_rows=True)
    for name in ("nc1", "trace_within", "trace_between", "nc1_pinv", "cdnv", "nc2_etf"):
        assert getattr(result, name) == pytest.approx(getattr(stored, name), rel=1e-10), name
    assert np.array_equal(result.nearest_center, stored.nearest_center)
    scale = np.abs(stored.sums.row_sums).max()
    assert np.abs(result.sums.row_sums - stored.sums.row_sums).max() <= 1e-12 * scale


@each_kernel
@pytest.mark.parametrize("dtype", ["float32", "mixed"])
def test_lower_precisions_stay_within_their_bounds(kernel, dtype):
    X, y = _data()
    exact = nc.collapse(X, y, kernel, convention="papyan")
    other = cases.collapse(X, y, kernel, dtype=dtype)
    assert abs(other.nc1 - exact.nc1) <= other.error_bound + exact.error_bound
    assert other.error_bound <= 0.05 * other.nc1


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
def test_bits_depend_on_no_thread_part_or_neighbour(kernel):
    X, y = cases.data(cases.FEW)
    whole = cases.collapse(X, y, kernel, n_threads=1)
    cases.assert_same_bits(whole, cases.collapse(X, y, kernel, n_threads=3))
    (among, _, _) = cases.collapse(X, y, [kernel, ERF, RELU])
    if "biases" not in repr(kernel):  # others share its rows or have their own
        assert among.nc1 == pytest.approx(whole.nc1, rel=1e-12)
    parts = [nc.class_sums(X, y, kernel, part=(index, 3)) for index in range(3)]
    joined = parts[2] + parts[0] + parts[1]
    assert np.array_equal(joined.block_sums, whole.sums.block_sums)
    assert np.array_equal(joined.within, whole.sums.within)
    assert np.array_equal(joined.class_rows, whole.sums.class_rows)


def test_files_journals_and_executors(tmp_path):
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
    sums = nc.class_sums(X, y, kernel)
    sums.save(tmp_path / "sums.npz")
    loaded = nc.ClassSums.load(tmp_path / "sums.npz")
    assert loaded.kernel == kernel
    assert np.array_equal(loaded.block_sums, sums.block_sums)


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
    course = [nc.blend(results, [1 - s, s]).nc1 for s in np.linspace(0, 1, 9)]
    assert course[0] == results[0].nc1
    assert course[-1] == results[1].nc1
    assert (np.diff(course) < 0).all()


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
    with pytest.raises(ValueError, match="2 numbers"):
        nc.blend([a, b], [1.0])
    with pytest.raises(ValueError, match="zero"):
        nc.blend([a, b], [0.0, 0.0])
    with pytest.raises(ValueError, match=">= 0"):
        nc.blend([a, b], [1.0, -1.0])
    with pytest.raises(TypeError, match="list of Collapse"):
        nc.blend([a, "b"], [1.0, 1.0])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="convention"):
        nc.blend([a, b.under("class")], [1.0, 1.0])
    with pytest.raises(ValueError, match="one data set"):
        nc.blend([a, nc.collapse(X[:-5], y[:-5], RELU, convention="papyan")], [1.0, 1.0])
    estimate = nc.estimators.pairs(X, y, RELU, n_pairs=20_000, convention="papyan")
    with pytest.raises(ValueError, match="exact"):
        nc.blend([a, estimate], [1.0, 1.0])


# --- the objects ---


def test_kernels_read_as_the_formula():
    linear = "Linear()"
    k = nc.Linear()
    assert repr(0.5 * k + k**2) == f"0.5 * {linear} + {linear} ** 2"
    assert repr((k + k) * k) == f"({linear} + {linear}) * {linear}"
    assert repr((k * k) ** 2) == f"({linear} * {linear}) ** 2"
    assert repr(2.0 * (k * k)) == f"2.0 * {linear} * {linear}"
    assert repr((2.0 * k) * k) == f"(2.0 * {linear}) * {linear}"
    assert repr(3 * (2 * k)) == f"6.0 * {linear}"


@each_kernel
def test_kernels_are_values(kernel):
    assert from_json(json.loads(json.dumps(to_json(kernel)))) == kernel
    again = pickle.loads(pickle.dumps(kernel))
    assert again == kernel
    assert hash(again) == hash(kernel)
    assert eval(repr(kernel), {**vars(nc.kernels), **vars(nc)}) == kernel
    assert kernel.depth == max(part.depth for part in kernel.parts)
    assert nc.to_table(nc.collapse(*_data(), kernel, convention="papyan"))["description"] == [
        repr(kernel)
    ]


def test_operators_take_numbers_and_kernels_alone():
    assert np.float64(2.0) * ERF == ERF * 2
    assert Scaled(ERF, 2.0) == ERF * 2
    assert repr(sum([ERF, RELU, GELU])) == repr(ERF + RELU + GELU)
    assert Sum((ERF, RELU, GELU)) == ERF + RELU + GELU
    assert Product((ERF, RELU, GELU)) == ERF * RELU * GELU


@pytest.mark.parametrize("factor", [-1.0, 0.0, math.nan, math.inf])
def test_multiples_are_above_zero(factor):
    with pytest.raises(ValueError, match="factor"):
        factor * ERF


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


def test_exponents_are_whole_numbers_up_to_64():
    for wrong in (0, -1, 65):
        with pytest.raises(ValueError, match="exponent"):
            ERF**wrong
    with pytest.raises(TypeError, match="exponent"):
        ERF**0.5


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


def test_adaptive_kernels_of_one_sigma_can_be_combined():
    X, y = _data()
    sigma = np.diag(np.linspace(0.5, 1.5, 6))
    erf, relu = nc.AdaptiveKernel(sigma), nc.AdaptiveKernel(sigma.copy(), "relu")
    kernel = 0.5 * erf * relu + erf**2
    expected = 0.5 * erf(X) * relu(X) + erf(X) ** 2
    assert np.abs(kernel(X) - expected).max() <= 1e-13 * expected.max()
    stored = nc.collapse(kernel(X), y, "precomputed", convention="papyan")
    assert nc.collapse(X, y, kernel, convention="papyan").nc1 == pytest.approx(
        stored.nc1, rel=1e-10
    )
