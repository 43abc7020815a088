"""Figures of the table: values, bars, marks and words are those of the rows."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from tests import study_rows as made
from tests.study_rows import panel

from nc1fast.studies import figures
from nc1fast.studies.figures.looks import LOOKS

ROWS = made.study()


@pytest.fixture(scope="module")
def drawings():
    return made.drawings()


def curve(ax, label):
    """The line of a curve and the lengths of its bars, below and above."""
    [container] = [c for c in ax.containers if c.get_label() == label]
    line, _, bars = container
    y = line.get_ydata(orig=False)
    ends = np.array([segment[:, 1] for segment in bars[0].get_segments()])
    return line, ends.min(axis=1), ends.max(axis=1), np.asarray(y)


def values(rows, *columns, **fixed):
    """NC1 of the rows that have the given values, by some of their columns."""
    found: dict[tuple[object, ...], list[float]] = {}
    for row in rows:
        if all(row[name] == value for name, value in fixed.items()):
            found.setdefault(tuple(row[name] for name in columns), []).append(row["nc1"])
    return found


BALANCED = {"arm": "balanced", "dataset": "D1", "N": 1024}


@pytest.mark.slow
def test_overview_shows_geometric_means_and_one_deviation_of_the_logarithm(drawings):
    ax = panel(drawings["overview"], "erf: D1, N = 1024")
    for label, model, state in (
        ("data", "data", ""),
        ("NNGP", "NNGP", ""),
        ("adaptive kernel", "AdaptiveKernel", ""),
        ("network, end", "network", "end"),
    ):
        activation = "" if model == "data" else "erf"
        found = values(ROWS, "d0", **BALANCED, model=model, state=state, activation=activation)
        logs = np.log10([found[(d0,)] for d0 in made.D0])
        _, low, high, y = curve(ax, label)
        np.testing.assert_allclose(y, 10 ** logs.mean(axis=1), rtol=1e-12)
        np.testing.assert_allclose(low, 10 ** (logs.mean(axis=1) - logs.std(axis=1)), rtol=1e-12)
        np.testing.assert_allclose(high, 10 ** (logs.mean(axis=1) + logs.std(axis=1)), rtol=1e-12)


def test_overview_has_every_representation_of_each_activation_and_no_other(drawings):
    figure = drawings["overview"].figure
    common = {"data", "NNGP", "NTK", "network, end"}
    labels = [{c.get_label() for c in ax.containers} for ax in figure.axes]
    released = {"NTK, released code", "adaptive kernel, released code"}
    assert labels == [common | released | {"adaptive kernel"}, common]
    [legend] = figure.legends
    assert {text.get_text() for text in legend.get_texts()} == labels[0] | {"theory: expected NC1"}
    assert [ax.get_title(loc="left") for ax in figure.axes] == [
        "erf: D1, N = 1024",
        "ReLU: D1, N = 1024",
    ]


def test_what_the_released_code_gives_is_dashed_and_open(drawings):
    ax = panel(drawings["overview"], "erf: D1, N = 1024")
    for container in ax.containers:
        is_released = container.get_label().endswith("released code")
        assert (container[0].get_linestyle() == "--") == is_released
        assert (container[0].get_markerfacecolor() == "white") == is_released


def test_theory_lies_under_the_points_of_its_kernel(drawings):
    ax = panel(drawings["overview"], "erf: D1, N = 1024")
    bands = [line for line in ax.lines if line.get_alpha() is not None]
    assert len(bands) == 2
    for band, model in zip(bands, ("NNGP", "NTK"), strict=True):
        found = values(ROWS, "d0", **BALANCED, model=model, state="theory", activation="erf")
        line = curve(ax, model)[0]
        expected = [found[(d0,)][0] for d0 in made.D0]
        np.testing.assert_allclose(band.get_ydata(), expected, rtol=1e-12)
        assert band.get_xdata().tolist() == line.get_xdata(orig=False).tolist()
        assert band.get_color() == line.get_color()
        assert band.get_zorder() < line.get_zorder()


def test_a_panel_for_each_size_and_no_permuted_labels_among_them(drawings):
    figure = drawings["balanced-D1-nc1"].figure
    sizes = (128, 256, 512, 1024)
    titles = [f"{name}, N = {n}" for name in ("erf", "ReLU") for n in sizes]
    assert [ax.get_title(loc="left") for ax in figure.axes] == titles
    labels = {c.get_label() for ax in figure.axes for c in ax.containers}
    assert {look.label for look in LOOKS.values()} - labels == {
        *("Linear", "conjugate kernel", "adaptive kernel, labels shuffled"),
        "adaptive kernel, released code, labels shuffled",
    }


def test_panels_of_one_activation_share_their_scale(drawings):
    axes = drawings["balanced-D1-nc1"].figure.axes
    assert len({ax.get_ylim() for ax in axes[:4]}) == 1
    assert len({ax.get_ylim() for ax in axes[4:]}) == 1
    assert len({ax.get_xlim() for ax in axes}) == 1


@pytest.mark.parametrize(
    ("convention", "divided_by"), [("papyan", "papyan"), ("released", "probe")]
)
def test_relative_nc1_divides_by_the_data_of_the_same_repeat(drawings, convention, divided_by):
    drawing = drawings[f"imbalanced-D1-{convention}-relative-nc1"]
    ax = panel(drawing, "erf, sizes 256:1792")
    assert "data" not in {c.get_label() for c in ax.containers}
    where = {"arm": "imbalanced", "sizes": "256:1792", "state": ""}
    of = values(
        ROWS, "d0", "repeat", **where, model="NNGP", activation="erf", convention=convention
    )
    data = values(ROWS, "d0", "repeat", **where, model="data", convention=divided_by)
    ratios = [[of[d0, k][0] / data[d0, k][0] for k in range(3)] for d0 in made.D0]
    y = curve(ax, "NNGP")[-1]
    np.testing.assert_allclose(y, 10 ** np.log10(ratios).mean(axis=1), rtol=1e-12)
    assert ("under 'probe'" in drawing.caption) == (convention == "released")


def ratios(upper, lower):
    """Median, smallest and largest ratio of each d0, repeats paired."""
    table = [
        [upper[d0, k][0] / lower[d0, k][0] for k in range(3)]
        for d0 in sorted({d for d, _ in upper})
    ]
    return np.median(table, axis=1), np.min(table, axis=1), np.max(table, axis=1)


def assert_ratios(ax, label, expected):
    _, low, high, y = curve(ax, label)
    for drawn, told in zip((y, low, high), expected, strict=True):
        np.testing.assert_allclose(drawn, told, rtol=1e-12)


def test_adaptive_claim_shows_paired_ratios_of_networks_beside_kernels(drawings):
    drawing = drawings["adaptive-D1"]
    for arm, n in (("balanced", 256), ("langevin", 64), ("long", 256)):
        ax = panel(drawing, f"erf, N = {n}")
        where = {"arm": arm, "dataset": "D1", "N": n, "activation": "erf"}
        of = {
            (model, state): values(ROWS, "d0", "repeat", **where, model=model, state=state)
            for model in ("network", "AdaptiveKernel", "NNGP", "compat.released.adaptive")
            for state in ("start", "end", "")
        }
        nngp = values(
            [r for r in ROWS if r["arm"] in ("balanced", arm)],
            *("d0", "repeat"),
            **{k: v for k, v in where.items() if k != "arm"},
            model="NNGP",
            state="",
        )
        assert_ratios(ax, f"network, {arm}", ratios(of["network", "end"], of["network", "start"]))
        assert_ratios(ax, f"adaptive kernel, {arm}", ratios(of["AdaptiveKernel", ""], nngp))
    assert_ratios(
        panel(drawing, "erf, N = 512"),
        "adaptive kernel, balanced, released code",
        ratios(
            values(
                ROWS,
                "d0",
                "repeat",
                arm="balanced",
                dataset="D1",
                N=512,
                model="compat.released.adaptive",
            ),
            values(
                *(ROWS, "d0", "repeat"),
                **{**BALANCED, "N": 512, "model": "NNGP", "activation": "erf", "state": ""},
            ),
        ),
    )


def test_unequal_classes_have_a_figure_of_ratios_by_size(drawings):
    titles = [ax.get_title(loc="left") for ax in drawings["adaptive-D1-sizes"].figure.axes]
    assert titles[0] == "erf, sizes 1024:1024"
    assert not any(" N = " in title for title in titles)


def test_ntk_over_nngp_has_a_line_at_one(drawings):
    ax = panel(drawings["balanced-ntk-over-nngp"], "D1, erf")
    assert [list(line.get_ydata()) for line in ax.lines if len(line.get_ydata()) == 2] == [
        [1.0, 1.0]
    ]
    where = {**BALANCED, "activation": "erf", "state": "", "parametrization": ""}
    ntk, nngp = (values(ROWS, "d0", "repeat", **where, model=model) for model in ("NTK", "NNGP"))
    assert_ratios(ax, "N = 1024", ratios(ntk, nngp))


def test_shuffled_labels_are_compared_on_the_same_data(drawings):
    figure = drawings["shuffled-balanced-D1-erf"].figure
    assert [ax.get_title(loc="left") for ax in figure.axes] == [
        "N = 128, sizes 64:64",
        "N = 256, sizes 128:128",
    ]
    for n, ax in zip((128, 256), figure.axes, strict=True):
        found = values(ROWS, "d0", arm="balanced", N=n, state="shuffled")
        expected = [10 ** np.mean(np.log10(found[(d0,)])) for d0 in made.D0]
        y = curve(ax, "adaptive kernel, labels shuffled")[-1]
        np.testing.assert_allclose(y, expected, rtol=1e-12)


def test_shuffled_figure_leaves_out_repeats_without_the_control():
    rows = made.over_features(sizes=("64:64",), activations=("erf",))
    control = [row for row in made.shuffled(rows) if row["repeat"] == 1]
    [drawing] = [d for d in figures.draw([*rows, *control]) if d.name.startswith("shuffled")]
    found = values(rows, "d0", model="NNGP", state="", repeat=1)
    y = curve(drawing.figure.axes[0], "NNGP")[-1]
    np.testing.assert_allclose(y, [found[(d0,)][0] for d0 in made.D0], rtol=1e-12)


def test_conventions_share_an_axis_at_the_largest_d0(drawings):
    drawing = drawings["conventions-imbalanced-D1"]
    ax = panel(drawing, "ReLU, network, end")
    sizes = ["1024:1024", "768:1280", "256:1792"]
    assert [text.get_text() for text in ax.get_xticklabels()] == sizes
    assert [c.get_label() for c in ax.containers] == [
        "papyan",
        "probe",
        "class",
        "sample",
        "released",
    ]
    where = {
        "arm": "imbalanced",
        "d0": 128,
        "model": "network",
        "state": "end",
        "activation": "relu",
    }
    found = values(ROWS, "sizes", **where, convention="class")
    y = curve(ax, "class")[-1]
    np.testing.assert_allclose(y, [10 ** np.mean(np.log10(found[(s,)])) for s in sizes], rtol=1e-12)
    assert "d₀ = 128" in drawing.caption


def test_depth_is_on_a_linear_axis(drawings):
    ax = panel(drawings["depth-D1-nc1"], "NTK")
    line, _, _, y = curve(ax, "ReLU, weight variance 2")
    assert np.ptp(np.diff(line.get_xdata(orig=False))) < 1e-12
    found = values(ROWS, "depth", arm="depth", model="NTK", activation="relu")
    np.testing.assert_allclose(y, [found[(depth,)][0] for depth in range(2, 11)], rtol=1e-12)


def test_single_data_sets_name_every_representation_once(drawings):
    ax = panel(drawings["digits-digits-papyan"], "NC1")
    names = [text.get_text() for text in ax.get_yticklabels()]
    assert names[0] == "data"
    assert len(set(names)) == len(names) == 11
    [container] = [c for c in ax.containers if c.get_label() == "ReLU"]
    drawn = {names[round(y)]: x for x, y in zip(*container[0].get_data(orig=False), strict=True)}
    for label, model, state in (("NNGP", "NNGP", ""), ("network, end", "network", "end")):
        [[nc1]] = values(
            ROWS, "N", arm="digits", model=model, state=state, activation="relu"
        ).values()
        assert drawn[label] == pytest.approx(nc1, rel=1e-12)


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
        medians = [
            np.median([sides[0][name, k][0] / sides[1][name, k][0] for k in range(3)])
            for name in made.MIXTURES
        ]
        [container] = [c for c in ax.containers if c.get_label() == label]
        np.testing.assert_allclose(container[0].get_xdata(orig=False), medians, rtol=1e-12)
        theory = [
            values(ROWS, "dataset", arm="counter", state="theory", **side)
            for side in (upper, lower)
        ]
        expected = [theory[0][(name,)][0] / theory[1][(name,)][0] for name in made.MIXTURES]
        strokes = [
            line.get_xdata(orig=False).tolist()
            for line in ax.lines
            if line.get_marker() == "|" and line.get_color() == "black"
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
    assert [text.get_text() for text in ax.texts] == [
        "1 undefined: NNGP at 32",
        "2 undefined: NNGP at 8",
    ]
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
    assert [text.get_text() for text in ax.texts] == ["3 undefined: NNGP at 8"]


def test_variants_of_one_model_have_curves_of_their_own():
    rows = made.over_features(sizes=("64:64",), activations=("relu",), network=False, theory=False)
    rows += [
        {**r, "weight_variance": "2", "nc1": 2 * r["nc1"]} for r in rows if r["model"] == "NNGP"
    ]
    [drawing] = [d for d in figures.draw(rows) if d.name == "balanced-D1-nc1"]
    [ax] = drawing.figure.axes
    one, two = (curve(ax, f"NNGP, weight variance {v}")[-1] for v in "12")
    np.testing.assert_allclose(two, 2 * one, rtol=1e-12)
