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


def notes(ax):
    """Words above a panel, which are not names of curves."""
    labels = {c.get_label() for c in ax.containers}
    return [text.get_text() for text in ax.texts if text.get_text() not in labels]


def values(rows, *columns, **fixed):
    """NC1 of the rows that have the given values, by some of their columns."""
    found: dict[tuple[object, ...], list[float]] = {}
    for row in rows:
        if all(row[name] == value for name, value in fixed.items()):
            found.setdefault(tuple(row[name] for name in columns), []).append(row["nc1"])
    return found


BALANCED = {"arm": "balanced", "dataset": "D1", "N": 256}
T = 4.302652729749464  # 97.5 % quantile of Student's t with two degrees of freedom


def assert_means(ax, label, samples):
    """Points are geometric means of samples (x, repeats); bars are 95 % Student intervals of the mean logarithm."""
    logs = np.log(samples)
    _, low, high, y = curve(ax, label)
    middle, reach = logs.mean(axis=1), T * logs.std(axis=1, ddof=1) / math.sqrt(3)
    for drawn, told in ((y, middle), (low, middle - reach), (high, middle + reach)):
        np.testing.assert_allclose(drawn, np.exp(told), rtol=1e-9)


@pytest.mark.slow
def test_the_answer_shows_geometric_means_and_student_intervals(drawings):
    ax = panel(drawings["overview"], "D1, N = 256")
    for label, arm, model, state in (
        ("NNGP", "balanced", "NNGP", ""),
        ("network, end", "balanced", "network", "end"),
        ("adaptive kernel, published prior", "balanced", "AdaptiveKernel", ""),
        ("adaptive kernel, matched prior", "matched", "AdaptiveKernel", ""),
        ("mean field, matched prior", "matched", "mean field", ""),
    ):
        where = {**BALANCED, "arm": arm, "activation": "erf"}
        found = values(ROWS, "d0", **where, model=model, state=state)
        assert_means(ax, label, [found[(d0,)] for d0 in made.D0])


def test_the_answer_has_one_panel_for_each_data_set_at_the_largest_shared_size(drawings):
    figure = drawings["overview"].figure
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert titles == ["D1, N = 256", "D2, N = 128"]
    for ax in figure.axes:
        assert len(ax.containers) == 7
        assert not any("released" in c.get_label() for c in ax.containers)
    assert not figure.legends


def test_names_stand_at_their_curves_in_their_colours(drawings):
    *_, last = drawings["overview"].figure.axes
    names = {text.get_text(): text for text in last.texts}
    assert set(names) == {c.get_label() for c in last.containers}
    for container in last.containers:
        name = names[container.get_label()]
        line = container[0]
        assert name.get_color() == line.get_color()
        assert name.xy == (line.get_xdata(orig=False)[-1], line.get_ydata(orig=False)[-1])


def test_without_a_trained_network_the_figures_begin_with_any_tables_overview():
    rows = made.over_features(sizes=("64:64",), network=False)
    first = figures.draw(rows)[0]
    assert first.name == "overview"
    titles = [ax.get_title(loc="left") for ax in first.figure.axes]
    assert titles == ["D1, N = 128, erf", "D1, N = 128, ReLU"]


def test_what_the_released_code_gives_is_dashed_and_open_and_has_a_colour_of_its_own(drawings):
    ax = panel(drawings["balanced-D1-nc1"], "erf, N = 1024")
    colours: dict[bool, set[str]] = {}
    for container in ax.containers:
        line, is_released = container[0], container.get_label().endswith("released code")
        assert (line.get_linestyle() == "--") == is_released
        colours.setdefault(is_released, set()).add(line.get_color())
    assert len(colours[True]) == 1
    assert not colours[True] & colours[False]


def test_theory_lies_under_the_points_of_its_kernel(drawings):
    ax = panel(drawings["balanced-D1-nc1"], "erf, N = 256")
    bands = [line for line in ax.lines if line.get_alpha() is not None]
    assert len(bands) == 2
    for band, model in zip(bands, ("NNGP", "NTK"), strict=True):
        found = values(ROWS, "d0", **BALANCED, model=model, state="theory", activation="erf")
        line = curve(ax, model)[0]
        expected = [found[(d0,)][0] for d0 in made.D0]
        np.testing.assert_allclose(band.get_ydata(), expected, rtol=1e-12)
        assert band.get_xdata().tolist() == line.get_xdata(orig=False).tolist()
        assert band.get_zorder() < line.get_zorder()


def test_a_panel_for_each_size_and_no_permuted_labels_among_them(drawings):
    figure = drawings["balanced-D1-nc1"].figure
    sizes = (128, 256, 512, 1024)
    titles = [f"{name}, N = {n}" for name in ("erf", "ReLU") for n in sizes]
    assert [ax.get_title(loc="left") for ax in figure.axes] == titles
    labels = {c.get_label() for ax in figure.axes for c in ax.containers}
    assert {look.label for look in LOOKS.values()} - labels == {
        *("linear kernel", "conjugate kernel", "mean field", "adaptive kernel, shuffled labels"),
        "adaptive kernel, released code, shuffled labels",
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
    """Ratios of each d0, by repeat."""
    return [
        [upper[d0, k][0] / lower[d0, k][0] for k in range(3)]
        for d0 in sorted({d for d, _ in upper})
    ]


def of_kind(arm, n, model, state=""):
    where = {"arm": arm, "dataset": "D1", "N": n, "activation": "erf"}
    return values(ROWS, "d0", "repeat", **where, model=model, state=state)


@pytest.mark.parametrize(("arm", "n"), [("balanced", 256), ("langevin", 64), ("long", 256)])
def test_changes_are_paired_ratios_of_networks_beside_kernels(drawings, arm, n):
    ax = panel(drawings[f"{arm}-D1-change"], f"erf, N = {n}")
    moved = ratios(of_kind(arm, n, "network", "end"), of_kind(arm, n, "network", "start"))
    assert_means(ax, "network", moved)
    adapted = ratios(of_kind(arm, n, "AdaptiveKernel"), of_kind(arm, n, "NNGP"))
    assert_means(ax, "adaptive kernel", adapted)


def test_arms_without_networks_are_drawn_beside_those_that_have_their_data(drawings):
    assert "matched-D1-change" not in drawings
    ax = panel(drawings["balanced-D1-change"], "erf, N = 128")
    nngp = of_kind("balanced", 128, "NNGP")
    for label, model in (("adaptive kernel", "AdaptiveKernel"), ("mean field", "mean field")):
        assert_means(ax, f"{label}, matched", ratios(of_kind("matched", 128, model), nngp))
    released = of_kind("balanced", 128, "compat.released.adaptive")
    assert_means(ax, "adaptive, released code", ratios(released, nngp))


def test_unequal_classes_have_a_figure_of_ratios_by_size(drawings):
    titles = [ax.get_title(loc="left") for ax in drawings["imbalanced-D1-change"].figure.axes]
    assert titles[0] == "erf, sizes 1024:1024"
    assert not any(" N = " in title for title in titles)


def test_ntk_over_nngp_has_a_line_at_one(drawings):
    ax = panel(drawings["balanced-ntk-over-nngp"], "D1, erf")
    assert [list(line.get_ydata()) for line in ax.lines if len(line.get_ydata()) == 2] == [
        [1.0, 1.0]
    ]
    where = {**BALANCED, "activation": "erf", "state": "", "parametrization": ""}
    ntk, nngp = (values(ROWS, "d0", "repeat", **where, model=model) for model in ("NTK", "NNGP"))
    assert_means(ax, "N = 256", ratios(ntk, nngp))


def test_shuffled_labels_are_compared_on_the_same_data(drawings):
    figure = drawings["shuffled-balanced-D1-erf"].figure
    assert [ax.get_title(loc="left") for ax in figure.axes] == [
        "N = 128, sizes 64:64",
        "N = 256, sizes 128:128",
    ]
    for n, ax in zip((128, 256), figure.axes, strict=True):
        found = values(ROWS, "d0", arm="balanced", N=n, state="shuffled")
        expected = [10 ** np.mean(np.log10(found[(d0,)])) for d0 in made.D0]
        y = curve(ax, "adaptive kernel, shuffled labels")[-1]
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


def test_depth_has_a_panel_for_each_data_set_and_number_of_features(drawings):
    figure = drawings["depth-nc1"].figure
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert titles == [f"{name}, d₀ = {d0}" for name in ("D1", "D2") for d0 in (2, 8, 32)]
    line, _, _, y = curve(figure.axes[3], "NTK, ReLU")
    assert np.ptp(np.diff(line.get_xdata(orig=False))) < 1e-12  # linear
    found = values(ROWS, "depth", arm="depth", model="NTK", activation="relu", dataset="D2", d0=2)
    np.testing.assert_allclose(y, [found[(depth,)][0] for depth in range(2, 11)], rtol=1e-12)


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
    assert notes(ax) == [
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
