"""Figures as a reader sees them: nothing overlaps, captions explain, axes can be read, files do not change."""

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

from nc1fast.studies import figures
from nc1fast.studies.figures import axes as readable
from nc1fast.studies.figures.looks import LOOKS, graded
from nc1fast.studies.library import paper


@pytest.fixture(scope="module")
def drawings():
    return made.drawings()


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


@pytest.mark.slow
def test_no_words_overlap_each_other_or_a_panel(drawings):
    for drawing in drawings.values():
        assert_nothing_overlaps(drawing.figure)


def test_notes_of_undefined_values_do_not_overlap():
    rows = made.over_features(sizes=("20:200", "30:300"), repeats=1, theory=False)
    for row in rows:
        if row["model"] in ("NNGP", "NTK") and row["d0"] <= 2:
            row["nc1"] = -0.83
    [drawing] = [d for d in figures.draw(rows) if d.name == "balanced-D1-nc1"]
    models = ("NTK of the network", "NTK", "NNGP")
    for ax in drawing.figure.axes:
        notes = [f"1 undefined: {model} at 1, 2" for model in models]
        assert [text.get_text() for text in ax.texts] == notes
    assert_nothing_overlaps(drawing.figure)


def test_captions_explain_bars_and_marks(drawings):
    for name, drawing in drawings.items():
        caption = drawing.caption
        assert caption.endswith(".")
        assert "note above a panel" not in caption
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


def test_the_overview_comes_first(drawings):
    assert next(iter(drawings)) == "overview"


def test_nothing_is_drawn_from_nothing():
    assert figures.draw([], []) == []


def test_rows_of_one_kind_give_its_figures_alone():
    assert [d.name for d in figures.draw(made.over_depth())] == ["depth-D1-nc1"]
    assert [d.name for d in paper.draw(made.counter())] == ["counter-examples"]
    assert [d.name for d in figures.draw([], made.annealing())] == ["annealing"]
    assert [d.name for d in figures.draw(made.digits())] == ["digits-digits-papyan"]
    spectra = [row for row in made.matrices() if row["quantity"] == "sigma spectrum"]
    assert [d.name for d in figures.draw([], spectra)] == ["sigma-balanced-D1-erf"]


def test_data_alone_is_drawn_without_an_activation():
    rows = [
        made.row(model, d0=d0, convention=convention, sizes=sizes, N=220, nc1=1 / d0)
        for model in ("data", "Linear")
        for d0 in (1, 8)
        for convention in ("papyan", "probe")
        for sizes in ("110:110", "20:200")
    ]
    names = {d.name: d for d in figures.draw(rows)}
    assert list(names) == ["balanced-D1-papyan-nc1", "balanced-D1-papyan-relative-nc1"]
    titles = [ax.get_title(loc="left") for ax in names["balanced-D1-papyan-nc1"].figure.axes]
    assert titles == ["sizes 110:110", "sizes 20:200"]


@pytest.mark.slow
def test_the_same_rows_give_the_same_files(tmp_path):
    rows, series = made.over_features(sizes=("64:64",)), made.annealing()
    first = figures.save(figures.draw(rows, series), tmp_path / "first")
    figures.save(figures.draw(rows, series), tmp_path / "second")
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
