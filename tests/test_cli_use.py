"""`nc1fast predict`, `spectrum` and `align`: the numbers of the functions behind them, and one line
for a mistake.
"""

from __future__ import annotations

import numpy as np
import pytest

import nc1fast as nc

RNG = np.random.default_rng(0)


@pytest.fixture
def file(tmp_path):
    y = np.arange(120) % 3
    X = RNG.normal(size=(120, 5)) + 3.0 * np.eye(5)[y]
    np.savez(tmp_path / "data.npz", X=X, y=y)
    return tmp_path / "data.npz", X, y


def test_predict_learns_one_part_and_predicts_the_other(answer, file, tmp_path):
    path, X, y = file
    out = tmp_path / "outputs.npz"
    row = answer("predict", path, "--held-out", 0.25, "--out", out)
    with np.load(out) as stored:
        saved = dict(stored)
    assert (row["n_train"], row["n_test"]) == (90, 30)
    known = np.setdiff1d(np.arange(120), saved["rows"])
    targets = np.eye(3)[y[known]]
    found = nc.prediction.ridge(nc.NTK("relu"), X[known], targets, X[saved["rows"]], ridge=1e-3)
    np.testing.assert_array_equal(saved["mean"], found.mean)
    right = y[saved["rows"]] == saved["predicted"]
    assert row["accuracy"] == right.mean() > 0.8


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--method", "posterior"), {"method": "posterior", "solver": "cholesky"}),
        (("--method", "posterior", "--solver", "cg"), {"solver": "cg", "converged": True}),
        (("--method", "flow", "--time", 100), {"time": 100.0}),
        (("--kernel", "features", "--ridge", 0.1), {"ridge": 0.1}),
    ],
)
def test_ways_to_predict(answer, file, options, expected):
    row = answer("predict", file[0], *options)
    assert expected.items() <= row.items()
    if row["method"] == "posterior":
        low, high = row["log_marginal_likelihood_interval"]
        assert low <= row["log_marginal_likelihood"] <= high
        assert (low < high) == (row["solver"] == "cg")


def test_spectrum(answer, file):
    path, X, _ = file
    row = answer("spectrum", path, "-k", 3, "--ridge", 0.5)
    values = np.linalg.eigvalsh(nc.NNGP("relu")(X))[::-1]
    np.testing.assert_allclose(row["eigenvalues"], values[:3], rtol=1e-12)
    assert row["share_of_trace"] == pytest.approx(values[:3].sum() / values.sum(), rel=1e-12)
    assert row["effective_dimension"] == pytest.approx((values / (values + 0.5)).sum(), rel=1e-10)


def test_align(answer, file):
    path, X, y = file
    row = answer("align", path, "--kernels", "ntk,features", "--depth", 3)
    found = nc.alignment(X, y, [nc.NTK("relu", depth=3), X])
    assert row["target"] == found.target.tolist()
    assert row["centred"] == found.centred.tolist()
    assert row["within_mean"] == [one.within_mean for one in found.blocks]


def test_a_spectrum_needs_no_labels(answer, tmp_path):
    X = np.random.default_rng(0).normal(size=(12, 3))
    np.save(tmp_path / "X.npy", X)
    np.savez(tmp_path / "X.npz", features=X)
    table = "\n".join(["a,b,c,kind", *(",".join(map(repr, map(float, x))) + ",u" for x in X)])
    (tmp_path / "X.csv").write_text(table)
    expected = nc.spectrum(X, nc.NNGP("relu"), 2).eigenvalues.tolist()
    for name in ("X.npy", "X.npz", "X.csv"):
        assert answer("spectrum", tmp_path / name, "-k", "2")["eigenvalues"] == expected, name
    scaled = nc.datasets.apply_scale(X, "standardize")
    row = answer("spectrum", tmp_path / "X.npy", "-k", "1", "--scale", "standardize")
    assert row["eigenvalues"] == nc.spectrum(scaled, nc.NNGP("relu"), 1).eigenvalues
