"""Figures over depth and width, of branches, and of single data sets; what is undefined in any of
them.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from tests import study_rows as made
from tests.drawn import curve, notes, values
from tests.study_rows import panel

from nc1fast.studies import figures

ROWS = made.study()


@pytest.fixture(scope="module")
def drawings():
    return made.drawings()


def test_depth_has_a_panel_for_each_data_set_and_number_of_features(drawings):
    figure = drawings["depth-nc1"].figure
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert titles == [f"{name}, d₀ = {d0}" for name in ("D1", "D2") for d0 in (2, 8, 32)]
    line, _, _, y = curve(figure.axes[3], "NTK, ReLU")
    assert np.ptp(np.diff(line.get_xdata(orig=False))) < 1e-12  # linear
    found = values(ROWS, "depth", arm="depth", model="NTK", activation="relu", dataset="D2", d0=2)
    np.testing.assert_allclose(y, [found[(depth,)][0] for depth in range(2, 11)], rtol=1e-12)


def test_kernels_of_several_depths_are_named_by_their_depth_alone():
    rows = made.over_features(sizes=("64:64",), d0=(8,), activations=("erf",), network=False)
    rows += [{**r, "depth": 3, "noise": float("nan")} for r in rows if r["model"] == "NNGP"]
    [drawing] = [d for d in figures.draw(rows) if d.name == "balanced-D1-papyan"]
    names = [text.get_text() for text in drawing.figure.axes[0].get_yticklabels()]
    assert names[:4] == ["data", "NNGP, depth 2", "NNGP, depth 3", "NTK"]


def test_adaptive_kernels_of_true_and_shuffled_labels_are_never_one_curve():
    """On data of one size, with kernels of two depths, as in a study of the user's own."""
    rows = made.over_features(sizes=("64:64",), d0=(8,), activations=("erf",), theory=False)
    rows += [{**r, "depth": 3} for r in rows if r["model"] in ("NNGP", "NTK")]
    rows += made.shuffled(rows)
    drawings = {d.name: d for d in figures.draw(rows)}
    assert set(drawings) == {"balanced-nc1", "balanced-D1-papyan"}
    labels = [c.get_label() for ax in drawings["balanced-nc1"].figure.axes for c in ax.containers]
    assert labels == ["NNGP, erf", "NTK, erf"]
    ax = panel(drawings["balanced-D1-papyan"], "NC1")
    names = [text.get_text() for text in ax.get_yticklabels()]
    assert {"adaptive kernel", "adaptive kernel, shuffled labels"} <= set(names)
    assert all(len(c[0].get_xdata()) == 1 for c in ax.containers)


def test_widths_run_beside_the_kernel_of_infinite_width(drawings):
    assert "widths-D1-nc1" not in drawings
    ax = panel(drawings["widths-erf-widths"], "D1, N = 128, d₀ = 32")
    for width, y in zip((64, 256, 1024), curve(ax, "network, end")[-1], strict=True):
        [found] = values(ROWS, "d0", arm="widths", width=width, state="end", d0=32).values()
        assert y == pytest.approx(np.exp(np.mean(np.log(found))), rel=1e-12)
    nngp = curve(ax, "NNGP")[-1]
    assert len(nngp) == 3
    assert np.ptp(nngp) == 0


def test_branches_are_drawn_where_they_differ(drawings):
    assert "balanced-D1-branches" not in drawings
    ax = panel(drawings["balanced-D2-branches"], "N = 128")
    where = {"arm": "balanced", "dataset": "D2", "N": 128, "d0": 8, "activation": "erf"}
    solved, nngp = (
        values(ROWS, "repeat", **where, model=model, state="")
        for model in ("AdaptiveKernel", "NNGP")
    )
    lowest = [solved[(k,)][0] / nngp[(k,)][0] for k in range(3)]
    np.testing.assert_allclose(sorted(curve(ax, "lowest F")[-1]), sorted(lowest), rtol=1e-5)
    others = sorted(curve(ax, "other minima")[-1])
    np.testing.assert_allclose(others, sorted(20 * r for r in lowest), rtol=1e-5)


def test_single_data_sets_name_every_representation_once(drawings):
    ax = panel(drawings["digits-digits-papyan"], "NC1")
    names = [text.get_text() for text in ax.get_yticklabels()]
    assert names[0] == "data"
    assert len(set(names)) == len(names) == 11
    drawn = {c.get_label(): c[0].get_data(orig=False) for c in ax.containers}
    for label, model, state in (("NNGP", "NNGP", ""), ("network, end", "network", "end")):
        [[nc1]] = values(
            ROWS, "N", arm="digits", model=model, state=state, activation="relu"
        ).values()
        [x], [y] = drawn[f"{label}, ReLU"]
        assert x == pytest.approx(nc1, rel=1e-12)
        assert names[round(y)] == label


def test_counter_examples_stand_alone_and_last(drawings):
    assert list(drawings)[-1] == "counter-examples"
    assert not any(name.startswith("counter-means") for name in drawings)
    left, right = drawings["counter-examples"].figure.axes
    names = [text.get_text() for text in left.get_yticklabels()]
    assert names == [f"{name}, d₀ = {d0}" for name, d0 in made.MIXTURES.items()]
    for ax, label, upper, lower in (
        (
            left,
            "erf",
            {"model": "NTK", "activation": "erf"},
            {"model": "NNGP", "activation": "erf"},
        ),
        (
            right,
            "NTK",
            {"model": "NTK", "activation": "erf"},
            {"model": "NTK", "activation": "relu"},
        ),
    ):
        sides = [
            values(ROWS, "dataset", "repeat", arm="counter", state="", **side)
            for side in (upper, lower)
        ]
        means = [
            np.exp(np.mean([np.log(sides[0][name, k][0] / sides[1][name, k][0]) for k in range(3)]))
            for name in made.MIXTURES
        ]
        [container] = [c for c in ax.containers if c.get_label() == label]
        np.testing.assert_allclose(container[0].get_xdata(orig=False), means, rtol=1e-12)
        theory = [
            values(ROWS, "dataset", arm="counter", state="theory", **side)
            for side in (upper, lower)
        ]
        expected = [theory[0][(name,)][0] / theory[1][(name,)][0] for name in made.MIXTURES]
        strokes = [
            line.get_xdata(orig=False).tolist() for line in ax.lines if line.get_marker() == "|"
        ]
        assert any(np.allclose(stroke, expected, rtol=1e-12) for stroke in strokes)


def test_undefined_values_are_counted_above_the_panel_and_never_averaged():
    rows = made.over_features(
        "unequal", sizes=("20:200",), activations=("relu",), network=False, theory=False
    )
    for row in rows:
        if row["model"] == "NNGP" and (row["d0"], row["repeat"]) in ((8, 0), (8, 2), (32, 1)):
            row["nc1"] = -0.83
    [drawing] = [d for d in figures.draw(rows) if d.name == "unequal-D1-nc1"]
    [ax] = drawing.figure.axes
    assert notes(ax) == ["1 undefined: NNGP at 32", "2 undefined: NNGP at 8"]
    found = values(rows, "d0", model="NNGP", repeat=1)
    y = curve(ax, "NNGP")[-1]
    assert y[2] == pytest.approx(found[(8,)][0])
    assert "note above a panel" in drawing.caption


def test_a_point_without_any_value_is_left_out():
    rows = made.over_features(sizes=("20:200",), activations=("relu",), network=False, theory=False)
    for row in rows:
        if row["model"] == "NNGP" and row["d0"] == 8:
            row["nc1"] = math.nan
    [drawing] = [d for d in figures.draw(rows) if d.name == "balanced-D1-nc1"]
    [ax] = drawing.figure.axes
    assert len(curve(ax, "NNGP")[-1]) == len(made.D0) - 1
    assert notes(ax) == ["3 undefined: NNGP at 8"]


def test_variants_of_one_model_have_curves_of_their_own():
    rows = made.over_features(sizes=("64:64",), activations=("relu",), network=False, theory=False)
    rows += [
        {**r, "weight_variance": "2", "nc1": 2 * r["nc1"]} for r in rows if r["model"] == "NNGP"
    ]
    [drawing] = [d for d in figures.draw(rows) if d.name == "balanced-D1-nc1"]
    [ax] = drawing.figure.axes
    one, two = (curve(ax, f"NNGP, weight variance {v}")[-1] for v in "12")
    np.testing.assert_allclose(two, 2 * one, rtol=1e-12)
