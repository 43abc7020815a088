"""The metrics against explicit features, exact rational arithmetic and their own edges."""

from __future__ import annotations

import dataclasses
import math
import warnings
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest

from nc1fast import metrics, reference
from nc1fast.kernels import NTK, Linear
from nc1fast.metrics import CONVENTIONS, collapse_from_sums
from nc1fast.metrics.ratio import quotient_error
from nc1fast.metrics.table import to_table
from nc1fast.sums import ClassSums, SumsError
from nc1fast.support.warnings import AccuracyWarning

SIZES = (7, 23, 60, 111, 200)
each_convention = pytest.mark.parametrize("convention", CONVENTIONS)


@pytest.fixture(autouse=True)
def _imbalance_not_yet_announced(monkeypatch):
    monkeypatch.setattr(metrics.definitions._imbalance, "said", False)


def _sums(H, y, error=0.0, **kwargs):
    """Class sums of K = H H^T, with a relative error bound on each."""
    K = H @ H.T
    s = reference.class_sums(K, y)
    order = np.argsort(y, kind="stable")
    bounds = SumsError(*(error * np.abs(s[name]) for name in ("block_sums", "traces", "within")))
    return ClassSums(
        **{name: s[name] for name in ("block_sums", "traces", "within", "sizes", "labels")},
        error=bounds,
        class_rows=s["row_sums"][order].T.copy(),
        order=order,
        **kwargs,
    )


def _result(H, y, convention=None, **kwargs):
    return collapse_from_sums(_sums(H, y, **kwargs), convention)


def _data(seed=0, sizes=SIZES, d=9, separation=2.0):
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    means = separation * rng.normal(size=(len(sizes), d)) + 0.5
    return rng.normal(size=(len(y), d)) + means[y], y


def _exact(X, y, convention):
    """(nc1, trace_within, trace_between) in rational arithmetic, from the definitions."""
    rows = [[Fraction(float(v)) for v in row] for row in X]
    labels = sorted(set(y.tolist()))
    C, N, d = len(labels), len(rows), len(rows[0])
    members = [[rows[i] for i in np.flatnonzero(y == c)] for c in labels]
    p, u = [Fraction(len(m), N) for m in members], [Fraction(1, C)] * C
    wW, wB, g = ({"p": p, "u": u}[letter] for letter in CONVENTIONS[convention])
    means = [[sum(row[k] for row in m) / len(m) for k in range(d)] for m in members]
    center = [sum(g[c] * means[c][k] for c in range(C)) for k in range(d)]

    def square(a, b):
        return sum((s - t) ** 2 for s, t in zip(a, b, strict=True))

    V = [sum(square(row, mu) for row in m) / len(m) for m, mu in zip(members, means, strict=True)]
    W = sum(w * v for w, v in zip(wW, V, strict=True))
    B = sum(w * square(mu, center) for w, mu in zip(wB, means, strict=True))
    if convention == "released":
        origin = [Fraction(0)] * d
        norms = sum(square(mu, origin) for mu in means) / C
        W = sum(square(row, origin) for row in rows) / N - norms
        B = norms - square(center, origin)
    return W / B, W, B


@each_convention
def test_under_equals_a_fresh_evaluation(convention):
    H, y = _data()
    fresh = _result(H, y, convention)
    start = collapse_from_sums(_sums(H, y), "sample", keep_rows=False)
    assert start.sums.class_rows is None
    again = start.under(convention)
    for field in dataclasses.fields(fresh):
        if field.name not in ("sums", "metrics", "_rows"):
            np.testing.assert_array_equal(getattr(again, field.name), getattr(fresh, field.name))
    for name in metrics.METRICS:
        np.testing.assert_array_equal(getattr(again, name), getattr(fresh, name))


def test_conventions_agree_on_balanced_classes():
    H, y = _data(sizes=(30, 30, 30))
    results = [_result(H, y, convention) for convention in CONVENTIONS]
    for name in ("nc1", "nc1_pinv", "trace_within", "trace_between", "nc2_etf"):
        values = [getattr(result, name) for result in results]
        np.testing.assert_allclose(values, values[0], rtol=1e-13)


def test_sample_weights_split_the_total_variance():
    H, y = _data()
    result = _result(H, y, "sample")
    assert result.trace_within + result.trace_between == pytest.approx(
        H.var(axis=0).sum(), rel=1e-13
    )


def test_released_traces_can_be_negative():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], [20, 200])
    H = rng.normal(size=(220, 1)) * 0.1 + np.array([[6.0], [-0.5]])[y]
    result = _result(H, y, "released")
    nc1, within, _ = _exact(H, y, "released")
    assert within < 0
    assert result.nc1 == pytest.approx(float(nc1), rel=1e-12)
    assert result.trace_within == pytest.approx(float(within), rel=1e-12)


@each_convention
@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e-6])
def test_error_bound_covers_perturbed_sums(convention, scale):
    """Sums moved by anything within their bounds move nc1 by at most error_bound."""
    rng = np.random.default_rng(3)
    H, y = _data(4, sizes=(5, 8, 30), d=4)
    H = scale * (H - reference.collapse_features(H, y)["class_gram"][0, 0] * 0.1) + np.eye(4)[y]
    sums = _sums(H, y, error=1e-13)
    exact, bound = collapse_from_sums(sums, convention), None
    for _ in range(50):
        sign = rng.choice([-1, 1], size=(3, 3))
        moved = dataclasses.replace(
            sums,
            block_sums=sums.block_sums
            + np.tril(sign) * sums.error.block_sums
            + np.tril(sign, -1).T * sums.error.block_sums,
            within=sums.within + rng.choice([-1, 1], size=3) * sums.error.within,
        )
        result = collapse_from_sums(moved, convention)
        bound = result.error_bound
        assert abs(result.nc1 - exact.nc1) <= bound
    assert bound < 1e-8 * abs(exact.nc1) / scale**2


@each_convention
def test_error_bound_covers_the_rounding_of_the_metric(convention):
    """Integer features of few bits make exact sums, so that only the metric itself rounds."""
    rng = np.random.default_rng(5)
    for _ in range(20):
        sizes = rng.integers(1, 9, size=rng.integers(2, 6))
        y = np.repeat(np.arange(len(sizes)), sizes)
        H = rng.integers(-9, 10, size=(len(y), 3)).astype(float) + 20 * rng.integers(2)
        sums = _sums(H, y)
        exact, within, between = _exact(H, y, convention)
        if not within or not between:
            continue
        result = collapse_from_sums(sums, convention)
        # `within` is a quotient by 2 n_c: half a unit in the last place, within the metric's own
        # margin of V_c
        slack = Fraction(2.0**-53) * abs(exact)
        assert abs(Fraction(result.nc1) - exact) <= Fraction(result.error_bound) + slack
        condition = (1 + abs(exact)) * (1 + np.abs(result.class_gram).max() / abs(between))
        assert result.error_bound <= 100 * 2.0**-53 * condition


def test_error_bound_is_infinite_where_trace_between_may_be_zero():
    assert quotient_error(1.0, 1e-3, 0.0, 1e-3) == math.inf
    assert quotient_error(1.0, 1e-3, 0.0, math.nan) == math.inf
    assert quotient_error(1.0, 1.0, 1e-3, 0.0) == pytest.approx(1e-3, rel=0.02)


def test_coinciding_class_means_give_infinity_and_a_warning():
    H = np.array([[1.0, 0], [3, 0], [2, 1], [2, -1]])
    y = np.array([0, 0, 1, 1])
    with pytest.warns(AccuracyWarning, match="coincide"):
        result = _result(H, y)
    assert result.nc1 == result.cdnv == result.nc1_pinv == result.error_bound == math.inf
    assert (result.nc1_by_class == math.inf).all()
    assert (result.trace_between, result.trace_within, result.between_rank) == (0, 1, 0)
    assert (result.nc2_equinorm, result.nc2_equiangle) == (0, 0)
    assert result.nc2_etf == pytest.approx(1)
    np.testing.assert_array_equal(result.nearest_center, 0)  # ties go to the lowest
    assert result.ncc_accuracy == 0.5


def test_rows_that_are_all_equal_have_no_nc1():
    H, y = np.full((6, 3), 0.1), np.repeat([0, 1], 3)
    with pytest.raises(ValueError, match="0/0"):
        _result(H, y, error=1e-15)


def test_classes_of_one_row_have_no_variance():
    H, y = np.array([[1.0, 0], [0, 1], [3, 3]]), np.array([0, 1, 2])
    result = _result(H, y)
    assert result.nc1 == result.nc1_pinv == result.cdnv == 0
    np.testing.assert_array_equal(result.within_by_class, 0)
    assert result.ncc_accuracy == 1


def test_two_classes_have_one_angle():
    result = collapse_from_sums(_sums(*_data(sizes=(20, 20))))
    assert (result.nc2_equiangle, result.between_rank) == (0, 1)
    np.testing.assert_allclose([result.nc2_equinorm, result.nc2_etf], 0, atol=1e-13)


def test_a_mean_at_the_global_mean_has_no_direction():
    H, y = np.array([[-2.0], [-2], [-1], [1], [2], [2]]), np.repeat([0, 1, 2], 2)
    result = _result(H, y)
    assert result.nc1_by_class[1] == math.inf
    assert result.nc2_equiangle == pytest.approx(np.std([0, -1, 0]))
    assert not np.isnan([result.nc2_equinorm, result.nc2_etf, result.nc1_pinv, result.cdnv]).any()


def test_a_loose_bound_draws_a_warning():
    H, y = _data(sizes=(20, 20))
    with pytest.warns(AccuracyWarning, match="error bound"):
        _result(H, y, error=0.1)


def test_imbalance_is_announced_once_and_only_when_no_convention_is_named():
    H, y = _data(sizes=(20, 30))
    _result(H, y, "papyan")
    collapse_from_sums(_sums(*_data(sizes=(20, 22))))  # ten per cent are none
    for _ in range(2):  # where warnings are errors it stays one
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(UserWarning, match="class sizes"):
                _result(H, y)
    with pytest.warns(UserWarning, match="class sizes range from 20 to 30") as caught:
        _result(H, y)
    assert caught[0].filename == __file__
    assert _result(H, y).convention == "papyan"  # a warning would be an error


TWO = _data(sizes=(20, 20))
FEWER = TWO[0][1:], TWO[1][1:]
POINTS = np.eye(2)[TWO[1]], TWO[1]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: _result(*TWO, "all"), ValueError, "must be one of 'papyan'"),
        (lambda: _result(*TWO, exact=SimpleNamespace(complete=False)), ValueError, "complete"),
        (lambda: _result(TWO[0], np.zeros(40, dtype=int)), ValueError, "two classes"),
        (lambda: _result(*TWO).under("all"), ValueError, "convention"),
        (lambda: _result(*TWO).relative_to(1.0), TypeError, "other"),
        (lambda: _result(*TWO).relative_to(_result(*FEWER)), ValueError, "same data"),
        (lambda: _result(*TWO).relative_to(_result(*POINTS)), ValueError, "nc1 is 0"),
        (lambda: to_table([1.0]), TypeError, "Collapse"),  # type: ignore[list-item]
        (lambda: to_table(1.0), TypeError, "Collapse"),
        (lambda: to_table([]), ValueError, "empty"),
        (lambda: setattr(_result(*TWO), "nc1", 0.0), dataclasses.FrozenInstanceError, "nc1"),
    ],
)
def test_bad_input_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_relative_nc1_is_the_ratio():
    H, y = TWO
    one, two = _result(H, y), _result(H**3, y)
    assert two.relative_to(one) == two.nc1 / one.nc1


def test_rows_are_processed_in_chunks(monkeypatch):
    H, y = _data()
    whole = _result(H, y, "sample")
    monkeypatch.setattr("nc1fast.metrics.rows._CHUNK", 37)
    monkeypatch.setattr("nc1fast.metrics.rows._COLUMNS", 11)
    pieces = _result(H, y, "sample")
    np.testing.assert_array_equal(pieces.nearest_center, whole.nearest_center)
    assert pieces.nc1_pinv == pytest.approx(whole.nc1_pinv, rel=1e-13)


def test_a_result_has_a_short_repr():
    result = _result(*TWO)
    assert len(repr(result)) < 200
    assert "papyan" in repr(result)
    assert result != _result(*TWO)


def test_table_has_one_row_per_result_and_one_array_per_column():
    H, y = _data(sizes=(20, 20))
    deep = NTK("erf", depth=3, weight_variance=(1.0, 2.0, 3.0))
    kernels = (None, "precomputed", Linear(), deep, abs)
    results = [_result(H, y, kernel=kernel) for kernel in kernels]
    table = to_table(results)
    assert {len(column) for column in table.values()} == {5}
    assert table["kernel"].tolist() == ["features", "precomputed", "Linear", "NTK", "abs"]
    assert table["activation"].tolist() == ["", "", "", "erf", ""]
    assert table["depth"].tolist() == [0, 0, 1, 3, 0]
    assert table["nc1"].tolist() == [result.nc1 for result in results]
    assert np.isnan(table["weight_variance"]).tolist() == [True, True, False, True, True]
    assert "(1.0, 2.0, 3.0)" in table["description"][3]
    assert all(column.dtype.kind in "Uif" for column in table.values())
    pyarrow = pytest.importorskip("pyarrow")
    arrow = pyarrow.table(table)
    assert arrow.num_rows == 5
    assert arrow["nc1"].type == "double"
