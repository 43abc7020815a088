"""`nc1fast train` and `adapt`: the numbers of `nc1fast.networks` and `nc1fast.adaptive`, written
and shown.
"""

from __future__ import annotations

import csv
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


def test_train_gives_the_trace_of_the_package(answer, data, tmp_path):
    path, X, y = data
    out = tmp_path / "trace.npz"
    result = answer(
        *("train", path, *QUICK, "--depth", "3", "--width", "7,5", "--weight-variance", "1,2,3"),
        *("--activation", "erf", "--bias-variance", "0.5", "--targets", "one-hot", "--seed", "4"),
        *("--repeats", "2", "--probe", "3,5", "--momentum", "0.5", "--until", "loss=1e-9"),
        *("--batch-size", "10", "--convention", "class", "--out", out),
    )
    variances = {"weight_variance": (1.0, 2.0, 3.0), "bias_variance": 0.5}
    network = nc.networks.ShallowNetwork(
        "erf", 3, depth=3, width=(7, 5), n_outputs=3, seed=4, **variances
    )
    settings = {"targets": "one-hot", "lr": 0.01, "momentum": 0.5, "epochs": 12, "repeats": 2}
    settings |= {"until": ("loss", 1e-9), "batch_size": 10, "probe": [3, 5], "seed": 4}
    trace = nc.networks.train(network, X, y, convention="class", **settings)
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
    layers = ["pre1", "post1", "output"]
    assert [(r["epoch"], r["layer"]) for r in rows[:3]] == [("0", layer) for layer in layers]
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


def test_train_goes_on_from_its_checkpoint(call, refused, data, tmp_path):
    state = tmp_path / "state.pt"
    command = ("train", data[0], *QUICK, "--checkpoint", state, "--json")
    first = call(*command)
    assert first[0] == 0
    written = state.read_bytes()
    assert call(*command) == first
    assert state.read_bytes() == written
    assert "another run" in refused(*command, "--lr", "0.02")


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
    answer, data, tmp_path, n_classes, asked, code
):
    _, X, y = data
    path, given = tmp_path / "some.npz", (X[y < n_classes], y[y < n_classes])
    np.savez(path, X=given[0], y=given[1])
    trained = answer("train", path, *QUICK, *asked)
    settings = {"n_outputs": n_classes if code == "one-hot" else 1, "weight_variance": 1.0}
    network = nc.networks.ShallowNetwork("relu", 3, width=7, seed=0, **settings)
    trace = nc.networks.train(network, *given, targets=code, lr=0.01, epochs=12)
    assert trained["targets"] == code
    assert trained["table"]["loss"] == trace.table["loss"].tolist()
    adapted = answer("adapt", path, "--noise", "0.1", *asked)
    control = nc.adaptive.shuffled_control(*given, noise=0.1, targets=code)
    assert adapted["targets"] == code
    assert adapted["nc1"] == control.collapse.nc1


def test_langevin_without_data_is_reached_from_the_command_line(call, data):
    options = ("--optimizer", "langevin", "--loss", "none", "--temperature", "0.1")
    code, told, _ = call("train", data[0], *QUICK, *options, "--no-train-bias")
    assert code == 0
    assert "loss             -" in told


def test_adapt_gives_the_solution_of_the_package(answer, data, tmp_path):
    path, X, y = data
    out = tmp_path / "solution.npz"
    options = [*("--readout-variance", "0.5", "--width", "50", "--activation", "relu")]
    options += ["--targets", "one-hot", "--widths", "500,100", "--out", out]
    result = answer("adapt", path, "--noise", "0.1", *options)
    settings = {"activation": "relu", "readout_variance": 0.5, "width": 50, "widths": (500, 100)}
    solution = nc.adaptive.solve(X, np.eye(3)[y], noise=0.1, **settings)
    assert result["nc1"] == nc.collapse(X, y, solution.kernel).nc1
    assert result["nc1_nngp"] == nc.collapse(X, y, nc.NNGP("relu")).nc1
    assert result["training_error"] == np.square(solution.predictions - np.eye(3)[y]).mean()
    with np.load(out) as file:
        stored = dict(file)
    np.testing.assert_array_equal(stored["sigma"], solution.sigma)
    np.testing.assert_array_equal(stored["predictions"], solution.predictions)
    np.testing.assert_array_equal(stored["history_width"], solution.history["width"])
    assert set(stored["history_stage"]) == {0, 1, 2}


def test_adapt_with_a_control(answer, data):
    path, X, y = data
    result = answer("adapt", path, "--noise", "0.1", "--shuffled", "--seed", "3")
    control = nc.adaptive.shuffled_control(X, y, noise=0.1, seed=3, targets="one-hot")
    assert result["nc1"] == control.collapse.nc1
    assert result["nc1_nngp"] == control.nngp.nc1
    assert result["nc1_shuffled"] == control.shuffled_collapse.nc1


def test_a_solver_that_stops_early_says_so(call, data):
    code, told, err = call("adapt", data[0], "--noise", "1e-6", "--max-iter", "2")
    assert code == 1
    assert "converged           False" in told
    assert err == "nc1fast: not converged: max_iter = 2 evaluations\n"
