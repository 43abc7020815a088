"""Panels of curves over a few values of x, such as numbers of features, with names at the
curves.
"""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nc1fast.studies.figures import axes as _axes
from nc1fast.studies.figures import palette
from nc1fast.studies.figures.labels import name_curve
from nc1fast.studies.figures.looks import THEORY
from nc1fast.support.extras import require

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nc1fast.studies.figures.curves import Curve, Point
    from nc1fast.studies.figures.looks import Look

_SPREAD = 0.4  # over which the points of one x are spread, in units of the distance from x to 2 x
_MARGIN = 0.04  # beside a scale, of its length
_NOTE = 9  # points from one line of notes to the next
_NOTE_LETTERS = 16  # letters of notes that fit into an inch
_FIGURE, _RAISED = 0.08, "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"  # width of a digit of a tick, in inches; smaller ones
_LETTER = 0.078  # mean width of a letter of the legend, in inches
_PAGE, _NAMES, _NARROWEST = (
    10.5,
    2.2,
    1.6,
)  # inches: the page, names beside panels, the least of a panel
_BEYOND = 3.0  # bars may leave the range of the values by this factor; what is longer is cut off
NOTE = "note"  # marks the notes above panels


@dataclass(frozen=True)
class Panel:
    """Curves under a title; those of `theory` are expectations, drawn as pale bands below the
    points of their look.
    """

    title: str
    curves: Sequence[Curve]
    theory: Sequence[Curve] = ()


@dataclass(frozen=True)
class Sheet:
    """Panels with the same axes, and the names and the reference line around them.

    Attributes
    ----------
    panels : sequence of sequence of Panel or None
        Row by row; None leaves a place empty.
    x_name, y_name : str
    place : callable or None, default log2
        Position on the axis of a number x; None for names, which are evenly spaced.
    continuous : bool, default False
        Whether x runs along a scale: curves are then not set side by side, and round numbers are
        marked.
    by_row : bool, default False
        Give each row of panels a vertical scale of its own.
    reference : float, optional
        Height of a horizontal line.
    height : float
        Of a row of panels, in inches; the sheet is as wide as the page.
    """

    panels: Sequence[Sequence[Panel | None]]
    x_name: str
    y_name: str
    place: Callable[[float], float] | None = math.log2
    continuous: bool = False
    by_row: bool = False
    reference: float | None = None
    height: float = 2.6

    def points(self, row: int | None = None) -> list[Point]:
        """Every point of one row of panels, or of all; expectations included."""
        return [
            point
            for panels in (self.panels if row is None else self.panels[row : row + 1])
            for panel in panels
            if panel is not None
            for curve in (*panel.curves, *panel.theory)
            for point in curve.points
        ]

    def places(self) -> dict[Any, float]:
        """Position of each x on the axis."""
        xs = dict.fromkeys(point.x for point in self.points())
        if self.place is None:
            return {x: float(i) for i, x in enumerate(xs)}
        return {x: self.place(x) for x in sorted(xs)}

    @property
    def spread(self) -> float:
        """Over which the points of one x are spread."""
        return 0.0 if self.continuous else _SPREAD

    def ticks(self) -> dict[float, str]:
        """Marks of the horizontal axis, by their position."""
        places = self.places()
        if not self.continuous or self.place is None:
            return {place: _written(x) for x, place in places.items()}
        low, high = min(places), max(places)
        marks = _axes.even_numbers if self.place is float else _axes.round_numbers
        return {self.place(x): _axes.plain(x) for x in marks(low, high)}

    def limits(self, row: int) -> tuple[float, float]:
        """Limits of the vertical axis of a row: they hold all values, the reference, and bars up to
        three times beyond.
        """
        points = self.points(row if self.by_row else None)
        values = [p.value for p in points if p.value > 0]
        values += [] if self.reference is None else [self.reference]
        low, high = min(values, default=0.5) / _BEYOND, max(values, default=2.0) * _BEYOND
        ends = [min(max(end, low), high) for p in points for end in (p.low, p.high) if end > 0]
        return _axes.limits([*values, *ends])


def new_figure() -> Any:
    """An empty figure that lays out its panels itself."""
    figure = require("matplotlib.figure", "study").Figure(layout="constrained")
    figure.get_layout_engine().set(w_pad=0.06, h_pad=0.06)
    return figure


def drawn(sheet: Sheet) -> Any:
    """The sheet as a matplotlib figure; each curve is named once in its row, right of the last
    panel that has it.
    """
    figure = new_figure()
    n_rows, n_columns = len(sheet.panels), max(map(len, sheet.panels))
    grid = figure.add_gridspec(n_rows, n_columns)
    places, ticks = sheet.places(), sheet.ticks()
    margin = 0.5
    if sheet.continuous:
        margin = _MARGIN * (max(places.values()) - min(places.values()))
    lowest = {c: i for i, row in enumerate(sheet.panels) for c, panel in enumerate(row) if panel}
    width = panel_width(n_columns)
    names = list(ticks.values())
    if sheet.place is not None:
        length = max(places.values()) - min(places.values()) + 2 * margin
        inch = width / (length or 1.0)
        names = legible({place * inch: name for place, name in ticks.items()})
    for i, row in enumerate(sheet.panels):
        leftmost = next((column for column, panel in enumerate(row) if panel), None)
        for column, panel in enumerate(row):
            if panel is None:
                continue
            ax = figure.add_subplot(grid[i, column])
            if sheet.reference is not None:
                ax.axhline(sheet.reference, color=palette.INK, linewidth=0.8, zorder=1.5)
            _panel(ax, panel, places, sheet.spread)
            headline(ax, panel.title, undefined(panel.curves), width)
            _axes.log_axis(ax.yaxis, *sheet.limits(i))
            ax.set_xticks(list(ticks), names)
            ax.set_xlim(min(places.values()) - margin, max(places.values()) + margin)
            ax.tick_params("y", labelleft=column == leftmost)
            ax.tick_params("x", labelbottom=i == lowest[column], labelrotation=_tilt(sheet))
            ax.set_ylabel(sheet.y_name if column == leftmost else "")
            ax.set_xlabel(sheet.x_name if i == lowest[column] else "")
        _name_curves(ax, [panel for panel in row if panel], places, sheet.spread)
    figure.set_size_inches(page_width(n_columns), sheet.height * n_rows + 0.4)
    return figure


def legible(names: dict[float, str]) -> list[str]:
    """The names of ticks by their place in inches, ascending; those without room beside a later one
    are empty.
    """
    found, left = [], math.inf
    for place, name in reversed(names.items()):
        n_small = len(name) - len(name.strip(_RAISED))
        reach = _FIGURE * (len(name) - 0.3 * n_small + 0.5) / 2
        found.append(name if place + reach <= left else "")
        left = place - reach if found[-1] else left
    return found[::-1]


def page_width(n_columns: int) -> float:
    """Width of a figure in inches: that of the page, more where the panels would be too narrow."""
    return max(_PAGE, _NAMES + _NARROWEST * n_columns)


def panel_width(n_columns: int) -> float:
    """Width of one of some panels beside each other, in inches."""
    return (page_width(n_columns) - _NAMES) / n_columns


def _written(x: Any) -> str:
    """A place on the axis: 512.0, as settings of measured numbers have it, is 512."""
    return _axes.plain(x) if isinstance(x, float) else str(x)


def _tilt(sheet: Sheet) -> int:
    """Degrees by which names of x are turned so that they fit; numbers are not."""
    return 0 if sheet.place else 30


def _name_curves(ax: Any, panels: Sequence[Panel], places: dict[Any, float], spread: float) -> None:
    """Name each curve of a row right of its last panel: at its end, if that is there, or at the
    height of its end.
    """
    edge, last = ax.get_xlim()[1], max(places.values())
    ends: dict[Look, tuple[float, float]] = {}
    for panel in panels:
        for index, curve in enumerate(panel.curves):
            points = [p for p in curve.points if not math.isnan(p.value)]
            if points:
                there = panel is panels[-1] and places[points[-1].x] == last
                x = last + _shift(index, panel, spread) if there else edge
                ends[curve.look] = (x, points[-1].value)
    for look, end in ends.items():
        name_curve(ax, look, *end)


def _shift(index: int, panel: Panel, spread: float) -> float:
    """Distance of the points of curve `index` from their place, so that curves are side by side."""
    return spread * ((index + 0.5) / len(panel.curves) - 0.5)


def _panel(ax: Any, panel: Panel, places: dict[Any, float], spread: float) -> None:
    """Draw the curves of one panel."""
    shifts: dict[str, float] = {}
    for index, curve in enumerate(panel.curves):
        look = curve.look
        shift = shifts[look.label] = _shift(index, panel, spread)
        points = [p for p in curve.points if not math.isnan(p.value)]
        ax.errorbar(
            [places[p.x] + shift for p in points],
            [p.value for p in points],
            yerr=[[p.value - p.low for p in points], [p.high - p.value for p in points]],
            label=look.label,
            elinewidth=1,
            **look.line_style(),
        )
    for curve in panel.theory:
        shift = shifts.get(curve.look.label, 0.0)
        x = [places[p.x] + shift for p in curve.points]
        ax.plot(x, [p.value for p in curve.points], zorder=1.8, **THEORY.line_style())


def undefined(curves: Sequence[Curve]) -> list[str]:
    """Notes that count, curve by curve, the repeats without a place on a logarithmic axis."""
    notes = []
    for curve in curves:
        places: dict[int, list[str]] = {}
        for point in curve.points:
            if point.undefined:
                places.setdefault(point.undefined, []).append(str(point.x))
        notes += [
            f"{n} undefined: {curve.look.label} at {', '.join(xs)}" for n, xs in places.items()
        ]
    return notes


def headline(ax: Any, title: str, notes: Sequence[str], width: float) -> None:
    """Write a title, and the notes between it and the panel, in lines of `width` inches."""
    lines = [line for note in notes for line in textwrap.wrap(note, int(_NOTE_LETTERS * width))]
    ax.set_title(title, pad=6 + _NOTE * len(lines))
    for number, line in enumerate(reversed(lines)):
        above = {"xycoords": "axes fraction", "textcoords": "offset points"}
        place = (0, 4 + _NOTE * number)
        ax.annotate(line, (0, 1), place, fontsize=7, color=palette.MUTED, gid=NOTE, **above)


def keys(looks: Sequence[Look]) -> dict[Look, Any]:
    """Legend entries of looks whose markers stand alone."""
    line = require("matplotlib.lines", "study").Line2D
    return {look: line([], [], **{**look.line_style(), "linestyle": "none"}) for look in looks}


def add_legend(
    figure: Any, entries: dict[Look, Any], where: str, size: tuple[float, float]
) -> None:
    """Write the legend outside the panels, and give the figure the size that panels and legend
    need.

    Parameters
    ----------
    figure : matplotlib Figure
    entries : dict of Look to artist
    where : {"right", "above"}
    size : (width, height)
        Of the panels, in inches.
    """
    looks = sorted(entries, key=lambda look: look.rank)
    handles, labels = [entries[look] for look in looks], [look.label for look in looks]
    widest = max(map(len, labels), default=0)
    width, height = size
    if where == "right":
        figure.set_size_inches(width + 0.9 + _LETTER * widest, height)
        figure.legend(handles, labels, loc="outside right upper", labelspacing=0.8)
        return
    columns = max(1, min(len(entries), int(width / (0.75 + _LETTER * widest))))
    lines = math.ceil(len(entries) / columns)
    figure.set_size_inches(width, height + 0.25 * lines)
    figure.legend(handles, labels, loc="outside upper left", ncols=columns)
