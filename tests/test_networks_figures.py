"""Figures of probes: the lines are the numbers, axes fit them, and what has no place is named."""

from __future__ import annotations

import math

import numpy as np
import pytest

import nc1fast as nc

torch = pytest.importorskip("torch")
plt = pytest.importorskip("matplotlib.pyplot")
plot_layers, plot_training = nc.networks.plot_layers, nc.networks.plot_training
N, C = 60, 3
Y = np.arange(N) % C
X = torch.tensor(np.random.default_rng(0).normal(size=(N, 6)) + 2.0 * np.eye(6)[Y])


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def _module(seed=0):
    torch.manual_seed(seed)
    nn = torch.nn
    return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4), nn.Linear(4, C)).double()


def _probe(seed=0, **options):
    return nc.networks.probe(_module(seed), X, Y, **options)


def _points(ax):
    return {line.get_label(): line.get_xydata() for line in ax.lines}


def test_lines_are_the_metrics_of_the_layers():
    found = _probe()
    figure = plot_layers(found)
    assert [ax.get_title() for ax in figure.axes] == [
        "nc1",
        "nc2_etf (0: collapse)",
        "ncc_accuracy (1: collapse)",
    ]
    for ax, name in zip(figure.axes, ("nc1", "nc2_etf", "ncc_accuracy"), strict=True):
        points = ax.lines[0].get_xydata()
        np.testing.assert_array_equal(points[:, 0], range(4))
        np.testing.assert_array_equal(points[:, 1], [getattr(r, name) for r in found.values()])
        assert [tick.get_text() for tick in ax.get_xticklabels()] == list(found)
        assert ax.get_yscale() == ("log" if name == "nc1" else "linear")
        assert ax.get_legend() is None


def test_several_probes_are_a_line_each_from_pale_to_dark():
    probes = {f"seed {seed}": _probe(seed) for seed in range(3)}
    figure = plot_layers(probes, "cdnv")
    (ax,) = figure.axes
    assert [text.get_text() for text in ax.get_legend().get_texts()] == list(probes)
    for name, found in probes.items():
        np.testing.assert_array_equal(_points(ax)[name][:, 1], [r.cdnv for r in found.values()])
    light = [sum(plt.matplotlib.colors.to_rgb(line.get_color())) for line in ax.lines]
    assert light == sorted(light, reverse=True)


def test_layers_of_one_probe_may_lack_in_another():
    both = {"a": _probe(layers=["0", "2"]), "b": _probe(layers=["2", "3"])}
    (ax,) = plot_layers(both, "nc1").axes
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["0", "2", "3"]
    assert _points(ax)["b"][:, 0].tolist() == [1, 2]


def test_what_has_no_place_is_named():
    dead = _module()
    dead[0].bias.data.fill_(-1e6)
    found = nc.networks.probe(dead, X, Y)
    assert "1" in found.reasons
    notes = " ".join(t.get_text() for ax in plot_layers(found).axes for t in ax.texts)
    assert f"no result: {', '.join(sorted(found.reasons))}" in notes
    H = np.eye(C)[Y]
    exact = {"a": nc.collapse(H + 0.1 * np.random.default_rng(0).normal(size=H.shape), Y)}
    exact["b"] = nc.collapse(H, Y)
    (ax,) = plot_layers(exact, "nc1").axes
    assert [t.get_text() for t in ax.texts] == ["b is 0"]
    assert math.isnan(ax.lines[0].get_ydata()[1])


def test_many_layers_are_stacked_and_few_of_them_named():
    result = nc.collapse(X.numpy(), Y)
    figure = plot_layers({f"layers.{k}.mlp": result for k in range(60)})
    figure.canvas.draw()
    tops = [ax.get_position().y1 for ax in figure.axes]
    assert tops == sorted(tops, reverse=True)
    assert len(set(tops)) == 3
    labels = [t for t in figure.axes[-1].get_xticklabels() if t.get_text()]
    assert len(labels) <= 24
    boxes = [t.get_window_extent() for t in labels]
    steps = np.diff([box.x1 for box in boxes])
    assert steps.min() > 10  # lines of text at 45 degrees: they do not overlap


def test_a_monitor_is_drawn_against_its_steps():
    module = _module()
    monitor = nc.networks.Monitor(module, X, Y, layers=["0", "2"], classifier="3")
    for step in range(4):
        monitor(step)
        with torch.no_grad():
            module[0].weight.mul_(1.1)
    figure = plot_training(monitor)
    titles = [ax.get_title().partition(" ")[0] for ax in figure.axes]
    assert titles == ["nc1", "nc2_etf", "nc3_self_duality", "ncc_accuracy"]
    table = monitor.table()
    for layer in ("0", "2", "3.input"):
        points = _points(figure.axes[0])[layer]
        rows = table["layer"] == layer
        np.testing.assert_array_equal(points[:, 0], table["step"][rows])
        np.testing.assert_array_equal(points[:, 1], table["nc1"][rows])
    assert figure.axes[0].get_xscale() == "linear"
    texts = [text.get_text() for text in figure.axes[-1].get_legend().get_texts()]
    assert texts == ["0", "2", "3.input"]
    assert len(plot_training(monitor, "nc1", ["2"]).axes[0].lines) == 1


def test_a_trace_has_its_repeats_and_the_loss_once():
    network = nc.networks.ShallowNetwork("relu", 6, width=8, n_outputs=C, seed=0)
    trace = nc.networks.train(
        network, X, Y, targets="one-hot", lr=1e-3, epochs=300, repeats=2, convention="papyan"
    )
    figure = plot_training(trace, ["nc1", "loss"])
    layers = dict.fromkeys(trace.table["layer"].tolist())
    assert [len(ax.lines) for ax in figure.axes] == [2 * len(layers), 2]
    assert figure.axes[0].get_xscale() == "symlog"
    (low, high) = figure.axes[0].get_xlim()
    assert low == 0
    assert high >= 300


def test_axes_of_ones_own():
    figure, axes = plt.subplots(2)
    axes[0].plot([0, 1], [1, 1], label="mine")
    assert plot_layers({"a": _probe(0), "b": _probe(1)}, ["nc1", "cdnv"], axes=axes) is figure
    assert {"mine", "a", "b"} <= set(_points(axes[0]))
    texts = [text.get_text() for text in axes[1].get_legend().get_texts()]
    assert texts == ["a", "b"]
