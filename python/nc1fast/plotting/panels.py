"""Panels of curves over a few values of x, such as the numbers of features, and one legend for all."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nc1fast._extras import require
from nc1fast.plotting import axes as _axes
from nc1fast.plotting.looks import GREY, THEORY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from nc1fast.plotting.curves import Curve, Point
    from nc1fast.plotting.looks import Look

_SPREAD = 0.4  # of the points of one x, in units of the distance from x to 2 x
_NOTE = 9  # points, from one line of notes to the next
_LETTER = 0.078  # inches, of a letter of the legend on average


@dataclass(frozen=True)
class Panel:
    """Curves under a title; `theory` are expectations, drawn as pale bands in the colour of their look."""

    title: str
    curves: Sequence[Curve]
    theory: Sequence[Curve] = ()


@dataclass(frozen=True)
class Sheet:
    """Panels that share their axes, and what is written around them.

    `place`: from a number x to the axis; None: x are names, evenly spaced. `reference`: a horizontal line. `legend`:
    "right" or "below". `size`: of a panel, in inches.
    """

    panels: Sequence[Sequence[Panel | None]]
    x_name: str
    y_name: str
    place: Callable[[float], float] | None = math.log2
    reference: float | None = None
    legend: str = "below"
    size: tuple[float, float] = (2.8, 2.5)

    def points(self) -> Iterator[Point]:
        """Every point, of theory too."""
        return (
            point
            for row in self.panels
            for panel in row
            if panel is not None
            for curve in (*panel.curves, *panel.theory)
            for point in curve.points
        )

    def places(self) -> dict[Any, float]:
        """Where each x is on the axis."""
        xs = dict.fromkeys(point.x for point in self.points())
        if self.place is None:
            return {x: float(i) for i, x in enumerate(xs)}
        return {x: self.place(x) for x in sorted(xs)}


def drawn(sheet: Sheet) -> Any:
    """The figure of a sheet."""
    figure = require("matplotlib.figure", "study").Figure(layout="constrained")
    n_columns = max(map(len, sheet.panels))
    axes = figure.subplots(len(sheet.panels), n_columns, squeeze=False, sharex=True, sharey=True)
    places = sheet.places()
    entries: dict[Look, Any] = {}
    lowest: dict[int, Any] = {}
    for line, row in zip(axes, sheet.panels, strict=True):
        for column, ax in enumerate(line):
            panel = row[column] if column < len(row) else None
            if panel is None:
                ax.remove()
                continue
            lowest[column] = ax
            if ax is next(a for a in line if a.figure is not None):
                ax.set_ylabel(sheet.y_name)
            if sheet.reference is not None:
                ax.axhline(sheet.reference, color="black", linewidth=1, zorder=1.5)
            entries |= _panel(ax, panel, places)
    _scales(figure, sheet, places)
    for ax in lowest.values():  # where nothing is below, though it is not the last row
        ax.tick_params(axis="x", labelbottom=True, labelrotation=0 if sheet.place else 30)
        ax.set_xlabel(sheet.x_name)
    width, height = sheet.size
    size = (width * n_columns + 0.7, height * len(sheet.panels) + 0.4)
    add_legend(figure, entries, sheet.legend, size)
    return figure


def _scales(figure: Any, sheet: Sheet, places: dict[Any, float]) -> None:
    """Ticks at every x, a logarithmic y that holds all bars."""
    ends = [end for p in sheet.points() for end in (p.value, p.low, p.high)]
    if sheet.reference is not None:
        ends.append(sheet.reference)
    ax = figure.axes[0]  # shared
    _axes.log_axis(ax.yaxis, *_axes.limits(ends))
    ax.set_xticks(list(places.values()), [str(x) for x in places])
    ax.set_xlim(min(places.values()) - 0.5, max(places.values()) + 0.5)


def _panel(ax: Any, panel: Panel, places: dict[Any, float]) -> dict[Look, Any]:
    """Draw the curves of one panel; returns what its legend needs."""
    entries: dict[Look, Any] = {}
    notes: list[str] = []
    shifts: dict[str, float] = {}
    for index, curve in enumerate(panel.curves):
        look = curve.look
        shift = shifts[look.label] = _SPREAD * ((index + 0.5) / len(panel.curves) - 0.5)
        points = [p for p in curve.points if not math.isnan(p.value)]
        entries[look] = ax.errorbar(
            [places[p.x] + shift for p in points],
            [p.value for p in points],
            yerr=[[p.value - p.low for p in points], [p.high - p.value for p in points]],
            label=look.label,
            capsize=2,
            elinewidth=1,
            **look.line_style(),
        )
        notes += [
            f"{p.undefined} undefined: {look.label}, {p.x}" for p in curve.points if p.undefined
        ]
    for curve in panel.theory:
        shift = shifts.get(curve.look.label, 0.0)
        x = [places[p.x] + shift for p in curve.points]
        style = {**THEORY.line_style(), "color": curve.look.colour}
        ax.plot(x, [p.value for p in curve.points], zorder=1.8, **style)
        entries[THEORY] = key_of(THEORY)
    ax.set_title(panel.title, pad=6 + _NOTE * len(notes))
    for line, note in enumerate(reversed(notes)):
        above = {"xycoords": "axes fraction", "textcoords": "offset points"}
        ax.annotate(note, (0, 1), (0, 4 + _NOTE * line), fontsize=7, color=GREY, **above)
    return entries


def key_of(look: Look) -> Any:
    """A legend entry without anything drawn."""
    return require("matplotlib.lines", "study").Line2D([], [], **look.line_style())


def add_legend(
    figure: Any, entries: dict[Look, Any], where: str, size: tuple[float, float]
) -> None:
    """Write the legend outside the panels, and give the figure the size that both need.

    Parameters
    ----------
    figure : matplotlib Figure
    entries : dict of Look to artist
    where : {"right", "below"}
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
    figure.legend(handles, labels, loc="outside lower center", ncols=columns)
