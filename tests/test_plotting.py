"""Figures show what the rows say: values, bars, marks and words; and nothing on them overlaps."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("matplotlib")

from matplotlib.backends.backend_agg import FigureCanvasAgg
from tests import study_rows as made

from nc1fast import plotting
from nc1fast.plotting import axes as readable
from nc1fast.plotting.looks import LOOKS, graded

ROWS = made.study()
SERIES = made.all_series()


@pytest.fixture(scope="module")
def drawn():
    return plotting.draw(ROWS, SERIES)


@pytest.fixture(scope="module")
def drawings(drawn):
    return {drawing.name: drawing for drawing in drawn}


def panel(drawing, title):
    [ax] = [ax for ax in drawing.figure.axes if ax.get_title(loc="left") == title]
    return ax


def curve(ax, label):
    """The line of a curve and the lengths of its bars, below and above."""
    [container] = [c for c in ax.containers if c.get_label() == label]
    line, _, bars = container
    y = line.get_ydata(orig=False)
    ends = np.array([segment[:, 1] for segment in bars[0].get_segments()])
    return line, ends.min(axis=1), ends.max(axis=1), np.asarray(y)


def values(rows, *columns, **fixed):
    """NC1 of the rows that have the given values, by some of their columns."""
    found = {}
    for row in rows:
        if all(row[name] == value for name, value in fixed.items()):
            found.setdefault(tuple(row[name] for name in columns), []).append(row["nc1"])
    return found


BALANCED = {"arm": "balanced", "dataset": "D1", "N": 1024}


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
    [drawing] = [d for d in plotting.draw([*rows, *control]) if d.name.startswith("shuffled")]
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


def test_training_shows_each_layer_and_repeat_from_epoch_zero(drawings):
    figure = drawings["training-balanced-D1-relu"].figure
    above = panel(drawings["training-balanced-D1-relu"], "N = 256, d₀ = 8")
    lines = [line for line in above.lines if len(line.get_xdata())]
    assert len(lines) == 3 * 2
    for line, (layer, repeat) in zip(
        lines, itertools.product(("pre1", "post1", "output"), (0, 1)), strict=True
    ):
        told = sorted(
            (row["x"], row["value"])
            for row in SERIES
            if (row["quantity"], row["activation"], row["d0"], row["layer"], row["repeat"])
            == ("nc1", "relu", 8, layer, repeat)
        )
        assert list(zip(*line.get_data(), strict=True)) == told
    places = above.transData.transform([(0, 0.1), (1, 0.1), (10, 0.1), (100, 0.1)])[:, 0]
    assert np.diff(places)[1] == pytest.approx(np.diff(places)[2])  # decades
    assert 0.2 * np.diff(places)[1] < np.diff(places)[0] < np.diff(places)[1]
    below = figure.axes[2]
    assert [text.get_text() for text in below.get_xticklabels()] == ["0", "1", "10", "100", "1000"]
    assert below.get_yscale() == above.get_yscale() == "log"


def test_annealing_goes_from_wide_to_narrow_with_the_released_equations_dashed(drawings):
    axes = drawings["annealing"].figure.axes
    quantities = ("nc1", "nc1 of predictions", "trace sigma", "training error")
    for ax, quantity in zip(axes, quantities, strict=True):
        left, right = ax.get_xlim()
        assert left > right
        assert ax.get_xscale() == "log"
        assert [text.get_text() for text in ax.get_xticklabels()] == [
            "500",
            "1000",
            "10000",
            "100000",
        ]
        expected = itertools.product((2, 8, 32), ("", "released"))
        for line, (d0, state) in zip(ax.lines, expected, strict=True):
            told = sorted(
                (row["x"], row["value"])
                for row in SERIES
                if (row["quantity"], row["d0"], row["state"]) == (quantity, d0, state)
                and row["model"] == "AdaptiveKernel"
            )
            assert list(zip(*line.get_data(), strict=True)) == told
            assert line.get_linestyle() == ("--" if state else "-")


def entries(quantity, d0, model, state=""):
    told = {
        (int(row["x"]), int(row["y"])): row["value"]
        for row in SERIES
        if (row["quantity"], row["d0"], row["model"], row["state"]) == (quantity, d0, model, state)
    }
    n = 1 + max(i for i, _ in told)
    return np.array([[told[i, j] for j in range(n)] for i in range(n)])


def test_sigma_is_shown_beside_the_weights_on_one_scale_around_zero(drawings):
    figure = drawings["sigma-balanced-D1-erf"].figure
    images = {ax.get_title(loc="left"): ax.images[0] for ax in figure.axes if ax.images}
    assert list(images) == ["adaptive kernel", "network, start", "network, end"]
    for title, model, state in (
        ("adaptive kernel", "AdaptiveKernel", ""),
        ("network, start", "network", "start"),
        ("network, end", "network", "end"),
    ):
        np.testing.assert_array_equal(images[title].get_array(), entries("sigma", 8, model, state))
    scales = {image.get_clim() for image in images.values()}
    assert len(scales) == 1
    assert sum(scales.pop()) == 0
    wide = panel(
        drawings["sigma-balanced-D1-erf"], "N = 256, d₀ = 128"
    )  # its matrices are too large
    told = [
        r["value"]
        for r in SERIES
        if (r["quantity"], r["d0"], r["state"]) == ("sigma spectrum", 128, "end")
    ]
    [line] = [line for line in wide.lines if line.get_marker() == "D"]
    assert line.get_ydata().tolist() == told
    assert line.get_xdata().tolist() == list(range(1, 129))


def test_gram_matrices_are_in_class_order_with_lines_between_the_classes(drawings):
    figure = drawings["gram-balanced-D1-erf"].figure
    images = [ax for ax in figure.axes if ax.images]
    kinds = list(itertools.product((8, 128), ("NNGP", "NTK", "AdaptiveKernel")))
    for ax, (d0, model) in zip(images, kinds, strict=True):
        np.testing.assert_array_equal(ax.images[0].get_array(), entries("gram", d0, model))
        assert {
            tuple(np.unique(line.get_data()[axis])) for line in ax.lines for axis in (0, 1)
        } == {(0, 1), (23.5,)}
        assert [text.get_text() for text in ax.get_xticklabels()] == ["0", "1"]


def test_undefined_values_are_counted_above_the_panel_and_never_averaged():
    rows = made.over_features(
        "unequal", sizes=("20:200",), activations=("relu",), network=False, theory=False
    )
    for row in rows:
        if row["model"] == "NNGP" and (row["d0"], row["repeat"]) in ((8, 0), (8, 2), (32, 1)):
            row["nc1"] = -0.83
    [drawing] = [d for d in plotting.draw(rows) if d.name == "unequal-D1-nc1"]
    [ax] = drawing.figure.axes
    assert [text.get_text() for text in ax.texts] == [
        "1 undefined: NNGP, 32",
        "2 undefined: NNGP, 8",
    ]
    found = values(rows, "d0", model="NNGP", repeat=1)
    y = curve(ax, "NNGP")[-1]
    assert y[2] == pytest.approx(found[(8,)][0])
    assert "2 undefined" in drawing.caption
    assert_nothing_overlaps(drawing.figure)


def test_a_point_without_any_value_is_left_out():
    rows = made.over_features(sizes=("20:200",), activations=("relu",), network=False, theory=False)
    for row in rows:
        if row["model"] == "NNGP" and row["d0"] == 8:
            row["nc1"] = math.nan
    [drawing] = [d for d in plotting.draw(rows) if d.name == "balanced-D1-nc1"]
    [ax] = drawing.figure.axes
    assert len(curve(ax, "NNGP")[-1]) == len(made.D0) - 1
    assert [text.get_text() for text in ax.texts] == ["3 undefined: NNGP, 8"]


def test_variants_of_one_model_have_curves_of_their_own():
    rows = made.over_features(sizes=("64:64",), activations=("relu",), network=False, theory=False)
    rows += [
        {**r, "weight_variance": "2", "nc1": 2 * r["nc1"]} for r in rows if r["model"] == "NNGP"
    ]
    [drawing] = [d for d in plotting.draw(rows) if d.name == "balanced-D1-nc1"]
    [ax] = drawing.figure.axes
    one, two = (curve(ax, f"NNGP, weight variance {v}")[-1] for v in "12")
    np.testing.assert_allclose(two, 2 * one, rtol=1e-12)


def words(figure):
    """Every visible text of a figure with the axes it belongs to, if any."""
    for ax in figure.axes:
        texts = [*ax.texts, ax.xaxis.label, ax.yaxis.label, ax.title, ax._left_title]
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            texts += [t.label1 for t in axis.get_major_ticks() if low <= t.get_loc() <= high]
        yield from ((text, ax) for text in texts)
    for text in (*figure.texts, *(t for legend in figure.legends for t in legend.get_texts())):
        yield text, None


def assert_nothing_overlaps(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    shown = [(t, ax) for t, ax in words(figure) if t.get_visible() and t.get_text().strip()]
    boxes = [text.get_window_extent(renderer) for text, _ in shown]
    for (text, _), box in zip(shown, boxes, strict=True):
        assert box.x0 >= 0, text
        assert box.y0 >= 0, text
        assert box.x1 <= figure.bbox.x1 + 0.5, text
        assert box.y1 <= figure.bbox.y1 + 0.5, text
    for (i, a), (j, b) in itertools.combinations(enumerate(boxes), 2):
        if shown[i][0].get_rotation() == shown[j][0].get_rotation() == 30:
            apart = abs(a.x1 - b.x1) * math.sin(math.radians(30))  # of two parallel lines
            assert apart > 10 * figure.dpi / 72 or not a.overlaps(b)
        else:
            assert not a.overlaps(b), (shown[i][0], shown[j][0])
    for (text, own), box in zip(shown, boxes, strict=True):
        for ax in figure.axes:
            assert ax is own or not box.overlaps(ax.get_window_extent(renderer)), (text, ax)


def test_no_words_overlap_each_other_or_a_panel(drawings):
    for drawing in drawings.values():
        assert_nothing_overlaps(drawing.figure)


def test_captions_explain_bars_and_marks(drawings):
    for name, drawing in drawings.items():
        caption = drawing.caption
        assert caption.endswith(".")
        bars = any(
            np.ptp(segment, axis=0).max() > 1e-9  # a mean of one is itself but for rounding
            for ax in drawing.figure.axes
            for container in ax.containers
            for segment in container[2][0].get_segments()
        )
        assert not bars or "bars" in caption, name
        labels = {t.get_text() for legend in drawing.figure.legends for t in legend.get_texts()}
        assert any("released code" in label for label in labels) == (
            "the released code gives" in caption
        ), name
        assert ("theory: expected NC1" in labels) == ("Broad pale lines" in caption), name
        assert ("adaptive kernel" in labels and "data" in labels) <= ("noise 1e-06" in caption), (
            name
        )


def test_names_are_unique_and_the_overview_comes_first(drawn):
    names = [drawing.name for drawing in drawn]
    assert len(set(names)) == len(names)
    assert names[0] == "overview"


def test_nothing_is_drawn_from_nothing():
    assert plotting.draw([], []) == []


def test_rows_of_one_kind_give_its_figures_alone():
    assert [d.name for d in plotting.draw(made.over_depth())] == ["depth-D1-nc1"]
    assert [d.name for d in plotting.draw(made.counter())] == ["counter-examples"]
    assert [d.name for d in plotting.draw([], made.annealing())] == ["annealing"]
    assert [d.name for d in plotting.draw(made.digits())] == ["digits-digits-papyan"]
    spectra = [row for row in made.matrices() if row["quantity"] == "sigma spectrum"]
    assert [d.name for d in plotting.draw([], spectra)] == ["sigma-balanced-D1-erf"]


def test_the_same_rows_give_the_same_files(tmp_path):
    rows, series = made.over_features(sizes=("64:64",)), made.annealing()
    first = plotting.save(plotting.draw(rows, series), tmp_path / "first")
    plotting.save(plotting.draw(rows, series), tmp_path / "second")
    for path in (tmp_path / "first").iterdir():
        assert path.read_bytes() == (tmp_path / "second" / path.name).read_bytes()
        if path.suffix == ".svg":
            assert path.read_bytes() == first[path.stem]


def test_no_look_depends_on_colour_alone():
    looks = [*LOOKS.values()]
    assert len({(look.marker, look.line, look.is_open) for look in looks}) == len(looks)
    assert len({graded("", i, 8).marker for i in range(8)}) == 8


@given(st.floats(1e-12, 1e6), st.floats(1.05, 1e9))
def test_ticks_are_few_and_inside(low, factor):
    ticks = readable.round_numbers(low, low * factor)
    assert 2 <= len(ticks) <= 9
    assert ticks == sorted(set(ticks))
    assert low <= ticks[0] <= ticks[-1] <= low * factor


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((0.002, "0.002"), (1.5, "1.5"), (1000.0, "1000"), (100000.0, "100000")),
        *((1e-7, "$10^{-7}$"), (3e-9, "$3 × 10^{-9}$"), (1e6, "$10^{6}$")),  # noqa: RUF001
    ],
)
def test_ticks_are_written_plainly(value, text):
    assert readable.plain(value) == text


def test_limits_hold_all_positive_values_and_exist_without_any():
    low, high = readable.limits([0.1, 2.0, -1.0, math.nan])
    assert low < 0.1
    assert high > 2.0
    assert readable.limits([]) == (0.5, 2.0)
    low, high = readable.limits([3.0])
    assert low < 3.0 < high
