"""`nc1fast predict`, `spectrum` and `align`: the numbers of the functions behind them, and one line
for a mistake.
"""

from __future__ import annotations

import json

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


def test_predict_learns_one_part_and_predicts_the_other(call, file, tmp_path):
    path, X, y = file
    out = tmp_path / "outputs.npz"
    code, printed, _ = call("predict", path, "--held-out", 0.25, "--out", out, "--json")
    row = json.loads(printed)
    with np.load(out) as stored:
        saved = dict(stored)
    assert code == 0
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
def test_ways_to_predict(call, file, options, expected):
    code, printed, _ = call("predict", file[0], *options, "--json")
    row = json.loads(printed)
    assert code == 0
    assert expected.items() <= row.items()
    if row["method"] == "posterior":
        low, high = row["log_marginal_likelihood_interval"]
        assert low <= row["log_marginal_likelihood"] <= high
        assert (low < high) == (row["solver"] == "cg")


def test_spectrum(call, file):
    path, X, _ = file
    code, printed, _ = call("spectrum", path, "-k", 3, "--ridge", 0.5, "--json")
    row, values = json.loads(printed), np.linalg.eigvalsh(nc.NNGP("relu")(X))[::-1]
    assert code == 0
    np.testing.assert_allclose(row["eigenvalues"], values[:3], rtol=1e-12)
    assert row["share_of_trace"] == pytest.approx(values[:3].sum() / values.sum(), rel=1e-12)
    assert row["effective_dimension"] == pytest.approx((values / (values + 0.5)).sum(), rel=1e-10)


def test_align(call, file):
    path, X, y = file
    code, printed, _ = call("align", path, "--kernels", "ntk,features", "--depth", 3, "--json")
    row, found = json.loads(printed), nc.alignment(X, y, [nc.NTK("relu", depth=3), X])
    assert code == 0
    assert row["target"] == found.target.tolist()
    assert row["centred"] == found.centred.tolist()
    assert row["within_mean"] == [one.within_mean for one in found.blocks]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("predict", "--held-out", 1), "--held-out must be"),
        (("predict", "--kernel", "precomputed"), "--kernel must be a kernel of rows"),
        (("predict", "--time", 3), "--time must be given for --method flow"),
        (("predict", "--method", "flow"), "--time must be given for --method flow"),
        (("predict", "--ridge", -1), "ridge must be"),
        (("spectrum", "-k", 121), "k must be >= 1 and <= 120"),
        (("spectrum", "--kernel", "precomputed"), "--kernel must be a kernel of rows"),
        (("align", "--kernels", "ntk,rbf"), "--kernels must be some of"),
    ],
)
def test_mistakes_are_one_line(call, file, arguments, message):
    command, *rest = arguments
    code, printed, told = call(command, file[0], *rest)
    assert (code, printed) == (2, "")
    assert message in told
    assert told.count("\n") == 1


def test_a_spectrum_needs_no_labels(call, tmp_path):
    X = np.random.default_rng(0).normal(size=(12, 3))
    np.save(tmp_path / "X.npy", X)
    np.savez(tmp_path / "X.npz", features=X)
    table = "\n".join(["a,b,c,kind", *(",".join(map(repr, map(float, x))) + ",u" for x in X)])
    (tmp_path / "X.csv").write_text(table)
    expected = nc.spectrum(X, nc.NNGP("relu"), 2).eigenvalues.tolist()
    for name in ("X.npy", "X.npz", "X.csv"):
        code, out, err = call("spectrum", tmp_path / name, "-k", "2", "--json")
        assert (code, json.loads(out)["eigenvalues"]) == (0, expected), err
    scaled = nc.datasets.apply_scale(X, "standardize")
    out = call("spectrum", tmp_path / "X.npy", "-k", "1", "--scale", "standardize", "--json")[1]
    assert json.loads(out)["eigenvalues"] == nc.spectrum(scaled, nc.NNGP("relu"), 1).eigenvalues


def test_weights_of_he_have_their_name(call, tmp_path):
    np.savez(tmp_path / "d.npz", X=np.random.default_rng(0).normal(size=(8, 3)), y=np.arange(8) % 2)
    line = ("collapse", tmp_path / "d.npz", "--kernel", "ntk", "--depth", "3", "--json")
    by_name, by_number = (call(*line, "--weight-variance", given)[1] for given in ("he", "2"))
    assert json.loads(by_name) == json.loads(by_number)
    code, _, err = call(*line, "--weight-variance", "he", "--activation", "erf")
    assert (code, err.count("\n")) == (2, 1)
    assert "belongs to the ReLU family" in err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("collapse", "X.npy", "--kernel", "NTK"), "Did you mean 'ntk'?"),
        (("collapse", "X.npy", "--scale", "standardise"), "Did you mean 'standardize'?"),
        (("collapse", "X.npy"), "X.npy: an .npy file holds no labels: give --labels, an array"),
        (("collapse", "odd.npz"), "name two by --keys, or one as FILE::NAME"),
    ],
)
def test_mistakes_are_told_in_the_words_of_the_command_line(
    call, tmp_path, monkeypatch, arguments, told
):
    monkeypatch.chdir(tmp_path)
    np.save("X.npy", np.eye(3))
    np.savez("odd.npz", A=np.eye(3), B=np.arange(3))
    code, out, err = call(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert told in err
    assert "Value error" not in err
