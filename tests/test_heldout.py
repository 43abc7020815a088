"""Held-out rows about training means, and results as text, against loops over rows."""

from __future__ import annotations

import numpy as np
import pytest

import nc1fast as nc
from nc1fast.metrics import METRICS

pytestmark = pytest.mark.filterwarnings("ignore:class sizes range")


@pytest.fixture
def split():
    rng = np.random.default_rng(7)
    y = rng.permutation(np.repeat([3, 5, 9], [40, 25, 12]))
    H = rng.normal(size=(77, 6)) + 2 * np.array([[0.0] * 6, [1] * 6, [0, 1] * 3])[y % 4 % 3]
    return H[:50], y[:50], H[50:], y[50:]


@pytest.mark.parametrize("convention", ["papyan", "class"])
def test_test_rows_are_measured_about_training_means(split, convention):
    H, y, G, z = split
    rng = np.random.default_rng(0)
    W, b = rng.normal(size=(3, 6)), rng.normal(size=3)
    result = nc.collapse(H, y, convention=convention).with_classifier(W, b)
    found = result.evaluate(G, z)
    labels = [3, 5, 9]
    mu = np.array([H[y == c].mean(axis=0) for c in labels])
    own = [((g - mu[labels.index(c)]) ** 2).sum() for g, c in zip(G, z, strict=True)]
    V = [np.mean([s for s, c in zip(own, z, strict=True) if c == label]) for label in labels]
    nearest = [int(((g - mu) ** 2).sum(axis=1).argmin()) for g in G]
    decided = [int((W @ g + b).argmax()) for g in G]
    truth = [labels.index(c) for c in z]
    within = np.mean(own) if convention == "papyan" else np.mean(V)
    assert found.trace_within == pytest.approx(within, rel=1e-12)
    assert found.nc1 == pytest.approx(within / result.trace_between, rel=1e-12)
    np.testing.assert_allclose(found.within_by_class, V, rtol=1e-12)
    assert found.nearest_center.tolist() == nearest
    assert found.ncc_accuracy == pytest.approx(np.mean(np.equal(nearest, truth)))
    assert found.accuracy == pytest.approx(np.mean(np.equal(decided, truth)))
    assert found.nc4_agreement == pytest.approx(np.mean(np.equal(decided, nearest)))
    assert found.sizes.tolist() == [truth.count(c) for c in range(3)]


def test_training_rows_give_the_training_numbers(split):
    H, y, _, _ = split
    result = nc.collapse(H, y)
    again = result.evaluate(H, y)
    assert again.nc1 == pytest.approx(result.nc1, rel=1e-12)
    assert again.ncc_accuracy == result.ncc_accuracy
    assert again.accuracy is None


def test_a_class_without_test_rows_has_no_variance(split):
    H, y, G, z = split
    found = nc.collapse(H, y).evaluate(G[z != 5], z[z != 5])
    assert np.isnan(found.within_by_class).tolist() == [False, True, False]


def test_malformed_test_rows_are_told_why(split):
    H, y, G, z = split
    result = nc.collapse(H, y)
    for rows, labels, message in (
        (G[:, 1:], z, "H_test must have 6 features"),
        (G * np.nan, z, "H_test must be finite"),
        (G, z[1:], "y must have shape"),
        (G, np.full(len(G), 4), "y_test must hold training labels"),
    ):
        with pytest.raises(ValueError, match=message):
            result.evaluate(rows, labels)
    with pytest.raises(ValueError, match="explicit features"):
        nc.collapse(H, y, nc.NNGP("relu")).evaluate(G, z)


def test_results_are_a_dict_text_and_a_table(split):
    H, y, _, _ = split
    result = nc.collapse(H, y)
    told = result.to_dict()
    assert told["nc1"] == result.nc1
    assert set(METRICS) <= set(told)
    assert told["nc3_etf"] is None
    text = result.summary()
    assert f"{result.cdnv:.6g}" in text
    assert "nc3_etf" not in text
    page = result._repr_html_()
    assert page.count("<tr>") == len(text.splitlines()) - 1
    assert f"<th>cdnv</th><td>{result.cdnv:.6g}</td>" in page
