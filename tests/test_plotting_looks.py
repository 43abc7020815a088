"""Figures as a reader sees them: nothing overlaps, captions explain, axes can be read, files do not
change.
"""

from __future__ import annotations

import itertools
import math
import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("matplotlib")

from matplotlib.backends.backend_agg import FigureCanvasAgg
from tests import study_rows as made

from nc1fast.studies import figures
from nc1fast.studies.figures import axes as readable
from nc1fast.studies.figures import labels, palette
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
        assert [t.get_text() for t in ax.texts if "undefined" in t.get_text()] == notes
    assert_nothing_overlaps(drawing.figure)


def test_captions_explain_marks_and_leave_bars_to_one_sentence_of_the_page(drawings):
    for name, drawing in drawings.items():
        caption = drawing.caption
        assert caption.endswith("."), name
        assert "  " not in caption, name
        assert "bar" not in caption, name
        assert "note above a panel" not in caption, name
        axes = drawing.figure.axes
        labels = {c.get_label() for ax in axes for c in ax.containers}
        assert any("released code" in label for label in labels) <= ("released code" in caption), (
            name
        )
        bands = any(line.get_linewidth() == 5 for ax in axes for line in ax.lines)
        assert bands == ("Broad pale lines" in caption), name
        assert ("adaptive kernel" in labels and "data" in labels) <= ("noise 1e-06" in caption)
    assert "95% interval" in figures.UNCERTAINTY


def test_figures_are_told_to_those_who_do_not_see_them(drawings):
    assert all(len(drawing.seen) > 40 for drawing in drawings.values())
    seen = drawings["overview"].seen
    assert seen.startswith(
        "D1, N = 256, NC1 (lower: more collapsed) against features d₀: network, end rises from 0.00"
    )
    assert seen.endswith("1 more panel: D2, N = 128.")


def test_a_thing_has_one_colour_in_all_figures(drawings):
    colours: dict[str, set[str]] = {}
    for drawing in drawings.values():
        for ax in drawing.figure.axes:
            for container in ax.containers:
                label = container.get_label()
                thing = next((t for t in THINGS if label.startswith(t)), None)
                thing = "released code" if "released code" in label else thing
                if thing:
                    colours.setdefault(thing, set()).add(container[0].get_color())
    assert set(colours) == {*THINGS, "released code"}
    assert all(len(found) == 1 for found in colours.values()), colours
    assert len(set.union(*colours.values())) == len(colours)


THINGS = ("data", "NNGP", "NTK of the network", "NTK", "adaptive kernel", "mean field", "network")


def luminance(colour):
    """Relative luminance of WCAG 2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_colours_of_words_and_lines_have_contrast_in_both_variants():
    behind = {palette.PAPER, palette.GRID, palette.THEORY, *palette.SHADES}
    assert behind < set(palette.DARK)
    for light, dark in palette.DARK.items():
        if light not in behind:
            assert contrast(light, palette.PAPER) >= 4.5, light
            assert contrast(dark, palette.DARK[palette.PAPER]) >= 4.5, dark
    for light in palette.SHADES:
        assert contrast(light, palette.PAPER) >= 3
        assert contrast(palette.DARK[light], palette.DARK[palette.PAPER]) >= 3
        word = palette.of_words(light)
        assert contrast(word, palette.PAPER) >= 4.5
        assert contrast(palette.DARK[word], palette.DARK[palette.PAPER]) >= 4.5


def test_svg_files_have_both_variants_and_a_transparent_page():
    rows = made.over_features(sizes=("64:64",), activations=("erf",))
    svg = figures.to_bytes(figures.draw(rows)[0], "svg").decode()
    ET.fromstring(svg)
    sheet = svg[svg.index("<style") : svg.index("</style>")]
    light, _, dark = sheet.partition("@media screen and (prefers-color-scheme:dark)")
    for colour in (palette.INK, palette.NNGP, palette.ADAPTIVE, palette.THEORY):
        assert colour in light
        assert palette.DARK[colour] in dark
    used = set(re.findall(r'class="(c\d+)"', svg))
    assert used == set(re.findall(r"\.(c\d+)\{", light))
    [page] = re.findall(r'<path d="M 0 [^"]*" class="(c\d+)"', svg)[:1]
    assert re.search(rf"\.{page}\{{[^}}]*(opacity:0|fill:none)", light)


def test_svg_files_say_what_the_figures_say(drawings):
    for name in ("balanced-ntk-over-nngp", "depth-nc1", "digits-digits-papyan"):
        drawing = drawings[name]
        FigureCanvasAgg(drawing.figure).draw()
        told = {t.get_text().strip() for t, _ in words(drawing.figure) if t.get_visible()} - {""}
        root = ET.fromstring(figures.to_bytes(drawing, "svg"))
        written = {"".join(e.itertext()).strip() for e in root.iter() if e.tag.endswith("}text")}
        assert told == written
        assert any(re.fullmatch(r"\d+\.\d+", word) for word in told)


def test_names_are_written_as_they_are():
    odd = '<i>$x_1$ & "y"'
    rows = [{**r, "dataset": odd} for r in made.over_features(sizes=("64:64",), repeats=1)]
    drawing = figures.draw(rows)[0]
    title = drawing.figure.axes[0].get_title(loc="left")
    assert title == f"{odd}, N = 128, erf"
    assert not drawing.figure.axes[0]._left_title.get_parse_math()
    ET.fromstring(figures.to_bytes(drawing, "svg"))


@given(st.lists(st.floats(-0.5, 1.5), min_size=1, max_size=12), st.floats(0.01, 0.08))
def test_names_are_apart_inside_and_in_order(wanted, gap):
    placed = labels.spaced(wanted, gap)
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    steps = np.diff([placed[i] for i in order])
    assert (steps >= gap * (1 - 1e-9)).all()
    assert min(placed) >= -1e-9
    assert max(placed) <= 1 + 1e-9
    free = all(0 <= w <= 1 for w in wanted) and (np.diff(sorted(wanted)) >= gap).all()
    assert not free or np.allclose(placed, wanted)


def test_the_overview_comes_first(drawings):
    assert next(iter(drawings)) == "overview"


def test_nothing_is_drawn_from_nothing():
    assert figures.draw([], []) == []


def test_rows_of_one_kind_give_its_figures_alone():
    assert [d.name for d in figures.draw(made.over_depth())] == ["depth-nc1"]
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
        *((1e-7, "10⁻⁷"), (3e-9, "3 × 10⁻⁹"), (1e6, "10⁶")),  # noqa: RUF001
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
