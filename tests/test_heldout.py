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
        nc.Linear(6.0),
        nc.NTK("relu", depth=3),
        nc.NNGP("erf", bias_variance=0.3),
        0.5 * nc.NTK("relu") + nc.NNGP("gelu"),
    ],
    ids=["linear", "ntk", "nngp", "sum"],
)
def test_test_rows_are_measured_about_training_means(
    split, kernel, classes_at_a_time, convention, monkeypatch
):
    monkeypatch.setattr(heldout, "_COLUMNS", classes_at_a_time)
    H, y, G, z = split
    K, cross, own = kernel(H), kernel(G, H), kernel.diag(G)
    members = [np.flatnonzero(y == c) for c in (3, 5, 9)]
    means = np.array([cross[:, m].mean(axis=1) for m in members]).T
    norms = [K[np.ix_(m, m)].mean() for m in members]
    squares = own[:, None] - 2 * means + norms  # of the distance of each test row from each mean
    truth = np.searchsorted([3, 5, 9], z)
    V = [squares[truth == c, c].mean() for c in range(3)]
    within = np.mean(V) if convention == "class" else squares[np.arange(len(G)), truth].mean()
    nearest = squares.argmin(axis=1)

    def collapse(X, kernel=None):
        return nc.collapse(X, y, kernel, convention=convention)

    results = [
        collapse(H, kernel).evaluate(G, z, X=H),
        collapse(H, kernel.__call__).evaluate(G, z, X=H),
        collapse(K, "precomputed").evaluate(cross, z, diagonal=own),
    ]
    assert all(found.accuracy is found.nc4_agreement is None for found in results)
    if kernel.is_linear:  # that of the features themselves, which may have a classifier
        W, b = np.random.default_rng(0).normal(size=(3, 6)), np.arange(3.0)
        results.append(collapse(H).with_classifier(W, b).evaluate(G, z))
        decided = (G @ W.T + b).argmax(axis=1)
        assert results[-1].accuracy == (decided == truth).mean()
        assert results[-1].nc4_agreement == (decided == nearest).mean()
    trace_between = collapse(H, kernel).trace_between
    for found in results:
        assert found.trace_within == pytest.approx(within, rel=1e-10)
        assert found.nc1 == pytest.approx(within / trace_between, rel=1e-10)
        np.testing.assert_allclose(found.within_by_class, V, rtol=1e-10)
        assert found.nearest_center.tolist() == nearest.tolist()
        assert found.ncc_accuracy == (nearest == truth).mean()
        assert found.sizes.tolist() == np.bincount(truth).tolist()


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
