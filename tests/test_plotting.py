"""Figures of the table: values, bars, marks and words are those of the rows."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from tests import study_rows as made
from tests.drawn import assert_means, curve, values
from tests.study_rows import panel

from nc1fast.studies import figures
from nc1fast.studies.figures.looks import LOOKS

ROWS = made.study()


@pytest.fixture(scope="module")
def drawings():
    return made.drawings()


BALANCED = {"arm": "balanced", "dataset": "D1", "N": 256}


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
