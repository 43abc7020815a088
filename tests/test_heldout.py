"""Held-out rows about training means, and results as text, against loops over rows."""

from __future__ import annotations

import numpy as np
import pytest

import nc1fast as nc
from nc1fast.metrics import METRICS, heldout

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
    H, y, G, z = split
    result = nc.collapse(H, y)
    again = result.evaluate(H, y)
    assert again.nc1 == pytest.approx(result.nc1, rel=1e-12)
    assert again.ncc_accuracy == result.ncc_accuracy
    assert again.accuracy is None
    of_two = result.evaluate(G[z != 5], z[z != 5])  # a class without test rows
    assert np.isnan(of_two.within_by_class).tolist() == [False, True, False]


def test_malformed_test_rows_are_refused(split):
    H, y, G, z = split
    features, kernel = nc.collapse(H, y), nc.collapse(H, y, nc.NNGP("relu"))
    stored, K = nc.collapse(H @ H.T, y, "precomputed"), G @ H.T
    other = np.full(len(G), 4)
    for result, rows, labels, given, message in (
        (features, G[:, 1:], z, {}, "H_test must have 6 features"),
        (features, G * np.nan, z, {}, "H_test must be finite"),
        (features, G, z[1:], {}, "y_test must have shape"),
        (features, G, other, {}, "y_test must hold training labels"),
        (features, G, z, {"X": H}, "result of features"),
        (features, G, z, {"decisions": z + 1}, "decisions must hold training labels"),
        (kernel, G, z, {}, "needs X="),
        (kernel, G, z, {"X": H, "diagonal": z}, "takes X= alone"),
        (kernel, G, z, {"X": H[::-1]}, "training rows of this result"),
        (kernel, G, z, {"X": H[1:]}, "training rows of this result"),
        (kernel, G[:, 1:], z, {"X": H}, "features"),
        (kernel, G, other, {"X": H}, "y_test must hold"),
        (stored, K, z, {}, "needs diagonal="),
        (stored, K, z, {"diagonal": z[1:]}, "diagonal must have shape"),
    ):
        with pytest.raises(ValueError, match=message):
            result.evaluate(rows, labels, **given)


@pytest.mark.parametrize("convention", ["papyan", "class", "released"])
@pytest.mark.parametrize("classes_at_a_time", [2, 256])
@pytest.mark.parametrize(
    "kernel",
    [
        nc.NTK("relu", depth=3),
        nc.NNGP("erf", bias_variance=0.3),
        0.5 * nc.NTK("relu") + nc.NNGP("gelu"),
    ],
    ids=["ntk", "nngp", "sum"],
)
def test_test_rows_of_a_kernel_equal_its_dense_gram_matrix(
    split, kernel, classes_at_a_time, convention, monkeypatch
):
    monkeypatch.setattr(heldout, "_COLUMNS", classes_at_a_time)
    H, y, G, z = split
    K, cross = kernel(H), kernel(G, H)
    result = nc.collapse(H, y, kernel, convention=convention)
    labels = [3, 5, 9]
    members = [np.flatnonzero(y == c) for c in labels]
    squares = np.array(
        [
            [kernel.diag(G)[i] - 2 * cross[i, m].mean() + K[np.ix_(m, m)].mean() for m in members]
            for i in range(len(G))
        ]
    )
    truth = np.array([labels.index(c) for c in z])
    own = squares[np.arange(len(G)), truth]
    V = [own[truth == c].mean() for c in range(3)]
    within = np.mean(V) if convention == "class" else own.mean()
    by_callable = nc.collapse(H, y, kernel.__call__, convention=convention)
    by_matrix = nc.collapse(K, y, "precomputed", convention=convention)
    for found in (
        result.evaluate(G, z, X=H),
        by_callable.evaluate(G, z, X=H),
        by_matrix.evaluate(cross, z, diagonal=kernel.diag(G)),
    ):
        assert found.trace_within == pytest.approx(within, rel=1e-10)
        assert found.nc1 == pytest.approx(within / result.trace_between, rel=1e-10)
        np.testing.assert_allclose(found.within_by_class, V, rtol=1e-10)
        assert found.nearest_center.tolist() == squares.argmin(axis=1).tolist()
        assert found.ncc_accuracy == (squares.argmin(axis=1) == truth).mean()
        assert found.accuracy is found.nc4_agreement is None


def test_decisions_of_any_predictor_are_compared(split):
    H, y, G, z = split
    kernel = nc.NTK("relu")
    onehot = 1.0 * (y[:, None] == [3, 5, 9])
    mean = nc.prediction.ridge(kernel, H, onehot, G, ridge=1e-2).mean
    decided = np.array([3, 5, 9])[mean.argmax(axis=1)]
    found = nc.collapse(H, y, kernel).evaluate(G, z, X=H, decisions=decided)
    assert found.accuracy == (decided == z).mean()
    assert found.nc4_agreement == (decided == np.array([3, 5, 9])[found.nearest_center]).mean()
    features = nc.collapse(H, y).evaluate(G, z, decisions=decided)
    assert features.accuracy == found.accuracy
    linear = nc.collapse(H, y, nc.kernels.Linear(6.0)).evaluate(G, z, X=H)
    assert linear.trace_within == pytest.approx(features.trace_within, rel=1e-12)
    np.testing.assert_array_equal(linear.nearest_center, features.nearest_center)


def test_test_sequences_are_measured_too():
    rng = np.random.default_rng(1)
    X, T = rng.normal(size=(40, 4, 2)), rng.normal(size=(15, 4, 2))
    y, z = np.arange(40) % 3, np.arange(15) % 3
    kernel = nc.RecurrentNTK(weight_variance=1.5)
    found = nc.collapse(X, y, kernel).evaluate(T, z, X=X)
    expected = nc.collapse(kernel(X), y, "precomputed").evaluate(
        kernel(T, X), z, diagonal=kernel.diag(T)
    )
    assert found.nc1 == pytest.approx(expected.nc1, rel=1e-10)
    np.testing.assert_array_equal(found.nearest_center, expected.nearest_center)


def test_results_are_a_dict_text_and_a_table(split):
    H, y, _, _ = split
    result = nc.collapse(H, y)
    values = result.to_dict()
    assert values["nc1"] == result.nc1
    assert set(METRICS) <= set(values)
    assert values["nc3_etf"] is None
    text = result.summary()
    assert f"{result.cdnv:.6g}" in text
    assert "nc3_etf" not in text
    page = result._repr_html_()
    assert page.count("<tr>") == len(text.splitlines()) - 1
    assert f"<th>cdnv</th><td>{result.cdnv:.6g}</td>" in page
