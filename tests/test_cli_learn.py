"""`nc1fast train` and `adapt`: the numbers of `nc1fast.networks` and `nc1fast.adaptive`, written
and shown.
"""

from __future__ import annotations

import csv
import json
import typing

import numpy as np
import pytest

import nc1fast as nc
from nc1fast.cli import learn
from nc1fast.networks import settings

QUICK = ("--width", "7", "--epochs", "12", "--lr", "0.01")


@pytest.fixture
def data(tmp_path):
    X, y = nc.datasets.gaussian_mixture(
        means=(-1, 0, 1), stds=0.5, sizes=(9, 9, 9), n_features=3, seed=0
    )
    path = tmp_path / "data.npz"
    np.savez(path, X=X, y=y)
    return path, X, y


def test_choices_are_those_of_the_package():
    assert typing.get_args(learn.Optimizer) == settings.OPTIMIZERS
    assert typing.get_args(learn.Loss) == settings.LOSSES


def test_train_gives_the_trace_of_the_package(call, data, tmp_path):
    path, X, y = data
    out = tmp_path / "trace.npz"
    layers = (*("--depth", "3", "--width", "7,5", "--weight-variance", "1,2,3"),)
    rest = ("--activation", "erf", "--bias-variance", "0.5", "--targets", "one-hot", "--seed", "4")
    code, told, err = call(
        *("train", path, *QUICK, *layers, *rest, "--repeats", "2", "--probe", "3,5"),
        *("--momentum", "0.5", "--until", "loss=1e-9", "--batch-size", "10"),
        *("--convention", "class", "--json", "--out", out),
    )
    assert (code, err) == (0, "")
    network = nc.networks.ShallowNetwork(
        *("erf", 3),
        depth=3,
        width=(7, 5),
        n_outputs=3,
        seed=4,
        weight_variance=(1.0, 2.0, 3.0),
        bias_variance=0.5,
    )
    trace = nc.networks.train(
        *(network, X, y),
        targets="one-hot",
        lr=0.01,
        momentum=0.5,
        epochs=12,
        repeats=2,
        until=("loss", 1e-9),
        batch_size=10,
        probe=[3, 5],
        convention="class",
        seed=4,
    )
    result = json.loads(told)
    assert result["endings"] == trace.endings
    assert result["table"]["nc1"] == trace.table["nc1"].tolist()
    assert result["table"]["epoch"] == trace.table["epoch"].tolist()
    with np.load(out) as file:
        stored = dict(file)
    np.testing.assert_array_equal(stored["trace_within"], trace.table["trace_within"])
    for repeat, covariances in enumerate(trace.weight_covariances):
        for when in ("start", "end"):
            found = stored[f"covariance_pre1_{when}"][repeat]
            np.testing.assert_array_equal(found, covariances["pre1"][when])


def test_train_writes_every_probe_as_csv(call, data, tmp_path):
    out = tmp_path / "trace.csv"
    code, told, _ = call("train", data[0], *QUICK, "--out", out, "--probe", "1")
    assert code == 0
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["epoch"], r["layer"]) for r in rows[:3]] == [
        ("0", "pre1"),
        ("0", "post1"),
        ("0", "output"),
    ]
    assert len(rows) == 9
    shown = {line[:17].strip(): line[17:] for line in told.splitlines()}
    start, end = shown["nc1 of post1"].split()
    assert float(start) == pytest.approx(float(rows[1]["nc1"]), rel=1e-5)
    assert float(end) == pytest.approx(float(rows[7]["nc1"]), rel=1e-5)
    assert shown["ended"] == "epochs (12 epochs)"
    assert shown["targets"] == "one-hot (3 outputs)"


def test_train_shows_repeats_and_what_is_not_defined(call, data):
    code, told, _ = call("train", data[0], *QUICK, "--repeats", "3", "--lr", "1e9")
    assert code == 0
    shown = {line[:17].strip(): line[17:] for line in told.splitlines()}
    assert "+-" in shown["nc1 of post1"]
    assert shown["ended"].startswith("diverged")


def test_train_goes_on_from_its_checkpoint(call, data, tmp_path):
    state = tmp_path / "state.pt"
    command = ("train", data[0], *QUICK, "--checkpoint", state, "--json")
    first = call(*command)
    assert first[0] == 0
    written = state.read_bytes()
    assert call(*command) == first
    assert state.read_bytes() == written
    code, out, err = call(*command, "--lr", "0.02")
    assert (code, out) == (2, "")
    assert "another run" in err


@pytest.mark.parametrize(
    ("n_classes", "asked", "code"),
    [
        (2, (), "scalar"),
        (3, (), "one-hot"),
        (2, ("--targets", "one-hot"), "one-hot"),
        (3, ("--targets", "scalar"), "scalar"),
    ],
)
def test_more_than_two_classes_are_one_hot_unless_asked_otherwise(
    call, data, tmp_path, n_classes, asked, code
):
    _, X, y = data
    path = tmp_path / "some.npz"
    np.savez(path, X=X[y < n_classes], y=y[y < n_classes])
    given = X[y < n_classes], y[y < n_classes]
    trained = json.loads(call("train", path, *QUICK, *asked, "--json")[1])
    n_outputs = n_classes if code == "one-hot" else 1
    network = nc.networks.ShallowNetwork(
        "relu", 3, width=7, n_outputs=n_outputs, weight_variance=1.0, seed=0
    )
    trace = nc.networks.train(network, *given, targets=code, lr=0.01, epochs=12)
    assert trained["targets"] == code
    assert trained["table"]["loss"] == trace.table["loss"].tolist()
    adapted = json.loads(call("adapt", path, "--noise", "0.1", *asked, "--json")[1])
    control = nc.adaptive.shuffled_control(*given, noise=0.1, targets=code)
    assert adapted["targets"] == code
    assert adapted["nc1"] == control.collapse.nc1


def test_langevin_without_data_is_reached_from_the_command_line(call, data):
    options = ("--optimizer", "langevin", "--loss", "none", "--temperature", "0.1")
    code, told, _ = call("train", data[0], *QUICK, *options, "--no-train-bias")
    assert code == 0
    assert "loss             -" in told


def test_adapt_gives_the_solution_of_the_package(call, data, tmp_path):
    path, X, y = data
    out = tmp_path / "solution.npz"
    options = ("--readout-variance", "0.5", "--width", "50", "--activation", "relu")
    code, told, err = call(
        *("adapt", path, "--noise", "0.1", *options, "--targets", "one-hot", "--widths", "500,100"),
        *("--out", out, "--json"),
    )
    assert (code, err) == (0, "")
    settings = {"activation": "relu", "readout_variance": 0.5, "width": 50, "widths": (500, 100)}
    solution = nc.adaptive.solve(X, np.eye(3)[y], noise=0.1, **settings)
    result = json.loads(told)
    assert result["nc1"] == nc.collapse(X, y, solution.kernel).nc1
    assert result["nc1_nngp"] == nc.collapse(X, y, nc.NNGP("relu")).nc1
    assert result["training_error"] == np.square(solution.predictions - np.eye(3)[y]).mean()
    with np.load(out) as file:
        stored = dict(file)
    np.testing.assert_array_equal(stored["sigma"], solution.sigma)
    np.testing.assert_array_equal(stored["predictions"], solution.predictions)
    np.testing.assert_array_equal(stored["history_width"], solution.history["width"])
    assert set(stored["history_stage"]) == {0, 1, 2}


def test_adapt_with_a_control(call, data):
    path, X, y = data
    code, told, _ = call("adapt", path, "--noise", "0.1", "--shuffled", "--seed", "3", "--json")
    assert code == 0
    control = nc.adaptive.shuffled_control(X, y, noise=0.1, seed=3, targets="one-hot")
    result = json.loads(told)
    assert result["nc1"] == control.collapse.nc1
    assert result["nc1_nngp"] == control.nngp.nc1
    assert result["nc1_shuffled"] == control.shuffled_collapse.nc1


def test_a_solver_that_stops_early_says_so(call, data):
    code, told, err = call("adapt", data[0], "--noise", "1e-6", "--max-iter", "2")
    assert code == 1
    assert "converged           False" in told
    assert err == "nc1fast: not converged: max_iter = 2 evaluations\n"


MISTAKES = {
    "no such file": (["train", "none.npz"], "none.npz"),
    "unknown optimizer": (["train", "{data}", "--optimizer", "lbfgs"], "--optimizer"),
    "width zero": (["train", "{data}", "--width", "0"], "width"),
    "width of text": (["train", "{data}", "--width", "wide"], "--width"),
    "widths of another depth": (["train", "{data}", "--width", "7,5"], "width"),
    "unknown rule": (["train", "{data}", "--until", "boredom"], "until"),
    "a rule without a number": (["train", "{data}", "--until", "loss=small"], "--until"),
    "probe of text": (["train", "{data}", "--probe", "often"], "--probe"),
    "probe after the end": (["train", "{data}", "--probe", "5000"], "probe"),
    "temperature of sgd": (["train", "{data}", "--temperature", "1"], "temperature"),
    "langevin without a prior": (
        ["train", "{data}", "--optimizer", "langevin", "--temperature", "1"],
        "train_bias=False",
    ),
    "cross-entropy of one output": (
        ["train", "{data}", "--loss", "cross-entropy", "--targets", "scalar"],
        "one-hot",
    ),
    "out of an unknown kind": (["train", "{data}", "--out", "{out}.txt"], "--out"),
    "out nowhere": (["train", "{data}", "--out", "{out}/trace.csv"], "--out"),
    "no noise": (["adapt", "{data}"], "--noise"),
    "noise zero": (["adapt", "{data}", "--noise", "0"], "noise"),
    "adaptive width zero": (["adapt", "{data}", "--noise", "1", "--width", "0"], "width"),
    "adaptive gelu": (["adapt", "{data}", "--noise", "1", "--activation", "gelu"], "--activation"),
    "a solution as csv": (["adapt", "{data}", "--noise", "1", "--out", "{out}.csv"], "--out"),
    "no repeats": (["train", "{data}", "--repeats", "0"], "repeats"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake_is_one_line_and_exit_code_two(call, data, tmp_path, monkeypatch, name):
    arguments, message = MISTAKES[name]
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    filled = [a.format(data=data[0], out=tmp_path / "out") for a in arguments]
    code, out, err = call(*filled)
    assert (code, out) == (2, "")
    assert err.startswith("nc1fast: ")
    assert err.count("\n") == 1
    assert message in err
    assert sorted(tmp_path.iterdir()) == before
