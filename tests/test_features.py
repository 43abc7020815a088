"""Explicit features, whole and batch by batch, against definitions and exact arithmetic."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest

import nc1fast as nc
from nc1fast import metrics, reference
from nc1fast.inputs.labelled import Classes, LabelledData
from nc1fast.metrics import CONVENTIONS, collapse_from_sums
from nc1fast.metrics.feature_sums import FeatureSums
from nc1fast.sums import moments
from nc1fast.sums.given import feature_sums

SIZES = (7, 23, 60, 111, 200)
FLOATS = (
    *("nc1", "trace_within", "trace_between", "nc2_equinorm", "nc2_equiangle", "nc2_etf"),
    *("cdnv", "within_by_class", "nc1_by_class", "class_gram"),
)
each_convention = pytest.mark.parametrize("convention", CONVENTIONS)


def _data(seed=0, sizes=SIZES, d=9, sd=1.0):
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    return sd * rng.normal(size=(len(y), d)) + (rng.normal(size=(len(sizes), d)) + 0.5)[y], y


def _whole(H, y, **kwargs):
    labels, of_row = np.unique(y, return_inverse=True)
    return feature_sums(LabelledData(H, Classes(of_row, labels)), **kwargs)


def _batches(H, y, seed, count=7):
    """Sums of random batches in random order, some of them empty of some classes."""
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(y))
    sums = FeatureSums()
    for part in np.split(rows, np.sort(rng.choice(np.arange(1, len(y)), count - 1, replace=False))):
        sums.update(H[part], y[part])
    return sums


def _precise(H, y, convention="papyan"):
    """(nc1, within by class) at 60 digits, from the definitions."""
    with mpmath.workdps(60):
        rows = np.vectorize(mpmath.mpf, otypes=[object])(H.astype(float))
        members = [rows[y == c] for c in np.unique(y)]
        means = np.array([m.sum(axis=0) / len(m) for m in members])
        n = np.array([len(m) for m in members])
        p, u = ([mpmath.mpf(int(v)) / int(n.sum()) for v in n], [mpmath.mpf(1) / len(n)] * len(n))
        wW, wB, g = (np.array({"p": p, "u": u}[letter]) for letter in CONVENTIONS[convention])
        V = np.array([((m - mu) ** 2).sum() / len(m) for m, mu in zip(members, means, strict=True)])
        centred = means - g @ means
        return (wW @ V) / (wB @ (centred**2).sum(axis=1)), V


@each_convention
def test_metrics_equal_their_definitions(convention):
    H, y = _data()
    expected = reference.collapse_features(H, y, convention)
    results = {
        "whole": collapse_from_sums(_whole(H, y), convention),
        "batches": _batches(H, y, 1).collapse(convention),
    }
    for route, result in results.items():
        for name in FLOATS:
            np.testing.assert_allclose(
                getattr(result, name),
                expected[name],
                rtol=1e-12,
                atol=1e-13,
                err_msg=f"{route} {name}",
            )
        assert result.between_rank == expected["between_rank"]
    whole, batches = results["whole"], results["batches"]
    assert whole.nc1_pinv == pytest.approx(expected["nc1_pinv"], rel=1e-9)
    np.testing.assert_array_equal(whole.nearest_center, expected["nearest_center"])
    assert whole.ncc_accuracy == expected["ncc_accuracy"]
    assert batches.nearest_center is batches.ncc_accuracy is None
    if convention == "class":  # weighs rows by class sizes that batches do not know
        assert batches.nc1_pinv is None
    else:
        for name in ("nc1_pinv", "nc1_truncated", "within_effective_rank", "within_rank"):
            assert getattr(batches, name) == pytest.approx(getattr(whole, name), rel=1e-9), name


def test_row_sums_are_those_of_the_gram_matrix():
    H, y = _data()
    expected = reference.class_sums(H @ H.T, y)
    sums = _whole(H, y)
    for name in ("row_sums", "block_sums", "traces", "within", "sizes", "labels"):
        scale = np.abs(expected[name]).max()
        np.testing.assert_allclose(getattr(sums, name), expected[name], atol=1e-13 * scale)
    assert _whole(H, y, rows=False).row_sums is None


@pytest.mark.parametrize("chunk", [1, 20, 100])
def test_sums_do_not_depend_on_the_chunk(chunk, monkeypatch):
    H, y = _data()
    whole = _whole(H, y)
    monkeypatch.setattr(moments, "_CHUNK", chunk)
    pieces = _whole(H, y)
    np.testing.assert_allclose(pieces.within, whole.within, rtol=1e-14)
    np.testing.assert_allclose(pieces.row_sums, whole.row_sums, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("sd", [1.0, 1e-3, 1e-7, 1e-12])
@pytest.mark.parametrize("route", ["whole", "batches", "single rows"])
def test_collapsed_features_keep_their_digits_within_the_bound(sd, route):
    H, y = _data(2, sizes=(5, 20, 40), d=6, sd=sd)
    nc1, V = _precise(H, y)
    if route == "whole":
        sums = _whole(H, y)
    else:
        sums = _batches(H, y, 3, count=9 if route == "batches" else len(y)).class_sums()
    result = collapse_from_sums(sums, "papyan")
    assert abs(result.nc1 / nc1 - 1) < 1e-13
    assert (
        abs(result.nc1 - nc1) <= result.error_bound <= 3e-13 * nc1 * (1 if route == "whole" else 50)
    )
    for c in range(3):
        assert abs(result.within_by_class[c] / V[c] - 1) < 1e-13
        assert abs(sums.within[c] - len(H[y == c]) * V[c]) <= sums.error.within[c]


@each_convention
@pytest.mark.parametrize("offset", [0.0, 30.0, 1e4])
def test_error_bounds_cover_every_sum_and_nc1(convention, offset):
    for seed in range(4):
        H, y = _data(seed, sizes=(3, 17, 33), d=5)
        H += offset
        sums = _whole(H, y)
        rows = [[Fraction(v) for v in row] for row in H.tolist()]
        totals = [
            [
                sum(row[k] for row, label in zip(rows, y, strict=True) if label == c)
                for k in range(5)
            ]
            for c in range(3)
        ]
        for i in range(3):
            for j in range(3):
                exact = sum(a * b for a, b in zip(totals[i], totals[j], strict=True))
                assert abs(Fraction(sums.block_sums[i, j]) - exact) <= sums.error.block_sums[i, j]
            exact = sum(
                v * v for row, label in zip(rows, y, strict=True) if label == i for v in row
            )
            assert abs(Fraction(sums.traces[i]) - exact) <= sums.error.traces[i]
        if convention != "released":
            result = collapse_from_sums(sums, convention)
            assert abs(result.nc1 - _precise(H, y, convention)[0]) <= result.error_bound


def test_error_bounds_stay_tight_on_many_rows():
    H, y = _data(sizes=(30_000, 20_000), d=4)
    result = collapse_from_sums(_whole(H, y, rows=False), "papyan")
    assert result.error_bound <= 8 * 54 * 2.0**-53 * (1 + result.nc1)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_narrow_features_are_widened_exactly(dtype):
    H, y = _data()
    narrow = H.astype(dtype)
    same, wide = _whole(narrow, y), _whole(narrow.astype(np.float64), y)
    np.testing.assert_array_equal(same.within, wide.within)
    np.testing.assert_array_equal(same.block_sums, wide.block_sums)
    np.testing.assert_array_equal(same.row_sums, wide.row_sums)


@pytest.mark.parametrize("seed", range(5))
def test_batches_of_any_split_and_order_agree(seed):
    H, y = _data(sd=1e-3)
    whole = _whole(H, y)
    sums = _batches(H, y, seed, count=2 + 5 * seed).class_sums()
    np.testing.assert_array_equal(sums.sizes, whole.sizes)
    np.testing.assert_allclose(sums.within, whole.within, rtol=1e-13)
    np.testing.assert_allclose(sums.block_sums, whole.block_sums, rtol=1e-13)
    np.testing.assert_allclose(sums.traces, whole.traces, rtol=1e-13)


def test_sums_of_two_halves_add_in_either_order():
    H, y = _data(sd=1e-5)
    half = len(y) // 2
    left, right = FeatureSums(), FeatureSums()
    left.update(H[:half], y[:half])
    right.update(H[half:], y[half:])
    expected = _whole(H, y).within
    for both in (left + right, right + left, FeatureSums() + left + right):
        np.testing.assert_allclose(both.class_sums().within, expected, rtol=1e-13)
    assert left.class_sums().sizes.sum() == half  # adding changes neither


def test_labels_may_appear_late_and_keep_their_order():
    H = np.arange(12.0).reshape(6, 2) ** 2
    sums = FeatureSums()
    sums.update(H[:2], ["owl", "owl"])
    with pytest.raises(ValueError, match="two classes"):
        sums.collapse()
    sums.update(H[2:5], ["cat", "owl", "cat"])
    sums.update(H[5:], ["a longer name"])
    result = sums.collapse("class")
    assert result.labels.tolist() == ["a longer name", "cat", "owl"]
    assert result.sizes.tolist() == [1, 2, 3]
    y = np.array(["owl", "owl", "cat", "owl", "cat", "a longer name"])
    assert result.nc1 == pytest.approx(reference.collapse_features(H, y, "class")["nc1"], rel=1e-13)


def test_equal_rows_have_exactly_no_variance():
    H = np.repeat([[0.1, 0.7], [0.3, 0.2]], 7, axis=0)
    y = np.repeat([0, 1], 7)
    assert collapse_from_sums(_whole(H, y)).nc1 == 0
    sums = FeatureSums()
    for row, label in zip(H, y, strict=True):
        sums.update(row[None], [label])
    assert sums.collapse().nc1 == 0


def test_equal_rows_in_all_classes_are_zero_over_zero():
    H, y = np.full((8, 3), 0.1), np.repeat([0, 1], 4)
    with pytest.raises(ValueError, match="0/0"):
        collapse_from_sums(_whole(H, y))


def test_a_refused_batch_leaves_the_sums_as_they_were():
    H, y = _data(sizes=(20, 20))
    sums = FeatureSums()
    sums.update(H, y)
    before = sums.collapse().nc1
    with pytest.raises(ValueError, match="H must have 9 features"):
        sums.update(H[:, 1:], y)
    with pytest.raises(ValueError, match="labels"):
        sums.update(H, y.astype(str))
    with pytest.raises((TypeError, ValueError)):
        sums.update(H, y[1:])
    with pytest.raises(TypeError):
        sums + 1
    assert sums.collapse().nc1 == before
    assert repr(sums) == "FeatureSums(n_samples=40, n_classes=2, n_features=9)"


def test_batches_announce_imbalance(monkeypatch):
    monkeypatch.setattr(metrics.definitions._imbalance, "said", False)
    H, y = _data()
    with pytest.warns(UserWarning, match="class sizes range from 7 to 200"):
        _batches(H, y, 0).collapse()


@pytest.mark.parametrize("exponent", [-500, -270, 250, 490])
def test_a_power_of_two_scales_nothing_but_the_traces(exponent):
    """Every metric is a ratio; a power of two is exact while nothing leaves the range of
    numbers.
    """
    H, y = _data()
    data, scaled = (
        LabelledData(rows, Classes.of(y, len(H))) for rows in (H, np.ldexp(H, exponent))
    )
    plain, far = (collapse_from_sums(feature_sums(rows), "sample") for rows in (data, scaled))
    assert far.trace_within == np.ldexp(plain.trace_within, 2 * exponent)
    for name in ("nc1", "nc1_pinv", "nc2_equinorm", "nc2_equiangle", "nc2_etf", "cdnv"):
        assert getattr(far, name) == pytest.approx(getattr(plain, name), rel=1e-13)


@pytest.mark.parametrize("spread", [0.0, 1.0])
def test_features_whose_squares_overflow_are_refused(spread):
    H, y = _data()
    with pytest.raises(ValueError, match="X is out of range"):
        feature_sums(LabelledData(1e160 * (spread * H + 1), Classes.of(y, len(H))))
    with pytest.raises(ValueError, match="X is out of range"):
        FeatureSums().update(1e160 * (spread * H + 1), y)


@pytest.mark.parametrize("sd", [1.0, 1e-6])
def test_the_scatter_of_batches_is_that_of_the_rows(sd):
    H, y = _data(4, sd=sd)
    H = H + 5  # far from zero
    parts = [FeatureSums() for _ in range(3)]
    for k, rows in enumerate(np.array_split(np.random.default_rng(0).permutation(len(y)), 12)):
        parts[k % 3].update(H[rows], y[rows])
    merged = sum(parts)
    for convention in ("papyan", "probe", "sample"):
        found, whole = merged.collapse(convention), collapse_from_sums(_whole(H, y), convention)
        for name in ("nc1_pinv", "nc1_truncated", "within_stable_rank", "within_effective_rank"):
            expected = getattr(whole, name)
            assert getattr(found, name) == pytest.approx(expected, rel=1e-9 / sd**0.5), name
    balanced = FeatureSums()
    H, y = _data(5, sizes=(20, 20, 20))
    balanced.update(H, y)
    found = balanced.collapse("class")
    assert found.nc1_pinv == pytest.approx(collapse_from_sums(_whole(H, y)).nc1_pinv, rel=1e-9)


def test_the_scatter_is_kept_where_it_is_wanted():
    H, y = _data(6, sizes=(5, 5), d=1025)
    auto, asked, none = FeatureSums(), FeatureSums(scatter=True), FeatureSums(scatter=False)
    for sums in (auto, asked, none):
        sums.update(H, y)
    assert auto.collapse().nc1_pinv is none.collapse().nc1_pinv is None
    expected = collapse_from_sums(_whole(H, y), "papyan").nc1_pinv
    assert asked.collapse("papyan").nc1_pinv == pytest.approx(expected, rel=1e-9)
    assert (asked + none).collapse().nc1_pinv is None  # rows without a scatter are among them
    with pytest.raises(ValueError, match="scatter must be"):
        FeatureSums(scatter="some")


def test_sums_tell_what_they_hold():
    H, y = _data()
    sums = _batches(H, y, 0)
    told = sums.to_dict()
    assert told["sizes"].tolist() == list(SIZES)
    np.testing.assert_allclose(told["means"][2], H[y == 2].mean(axis=0), rtol=1e-12)
    assert "n_samples" in sums.summary()
    assert str(len(y)) in sums.summary()
    assert "<th>n_classes</th><td>5</td>" in sums._repr_html_()
    assert FeatureSums().to_dict()["n_samples"] == 0


def test_sums_of_many_classes_merge_in_place_and_apart():
    """Shards with classes of their own, late and shared ones, against one array; the summands stay
    as they are.
    """
    rng = np.random.default_rng(7)
    shards = []
    for k in range(4):
        labels = np.arange(30 * k, 30 * k + 200)
        y = np.concatenate([rng.permutation(labels), rng.integers(labels[0], labels[-1], 300)])
        shards.append(
            (rng.normal(size=(200, 5))[y % 200] + 0.1 * rng.normal(size=(500, 5)) + 40, y)
        )
    parts = []
    for H, y in shards:
        parts.append(FeatureSums())
        parts[-1].update(H[:123], y[:123])
        parts[-1].update(H[123:], y[123:])
    before = [part.to_dict() for part in parts]
    total = sum(parts)
    in_place = FeatureSums()
    for part in parts[::-1]:
        in_place += part
    for one, part in zip(before, parts, strict=True):
        assert np.array_equal(one["means"], part.to_dict()["means"])
        assert np.array_equal(one["sizes"], part.to_dict()["sizes"])
    H, y = (np.concatenate(a) for a in zip(*shards, strict=True))
    expected = nc.collapse(H, y, convention="papyan")
    for sums in (total, in_place):
        found = sums.collapse("papyan")
        assert abs(found.nc1 - expected.nc1) <= found.error_bound + expected.error_bound
        assert found.nc1_pinv == pytest.approx(expected.nc1_pinv, rel=1e-9)
        assert found.labels.tolist() == expected.labels.tolist()
        np.testing.assert_allclose(sums.means(), found.sums.means, rtol=0)
    doubled: Any = sum(parts[:1])  # not the summand itself
    doubled += doubled
    assert doubled.collapse("papyan").nc1 == pytest.approx(
        parts[0].collapse("papyan").nc1, rel=1e-12
    )
    assert (doubled.to_dict()["sizes"] == 2 * before[0]["sizes"]).all()
    doubled.update(H[:1], y[:1])
    assert np.array_equal(parts[0].to_dict()["sizes"], before[0]["sizes"])
    with pytest.raises(TypeError):
        doubled += 3
