"""Figures of measured numbers, declared as data: curves along one name of the settings, in panels.

A `Figure` says which name runs along the horizontal axis, which names make rows and columns of
panels, and which `Lines` stand in each of them; `drawings` makes it from the table of an
experiment.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from nc1fast.studies.figures import finished
from nc1fast.studies.figures.curves import Curve, Point, written
from nc1fast.studies.figures.drawing import STYLE, Drawing
from nc1fast.studies.figures.looks import graded, variant
from nc1fast.studies.figures.panels import Panel, Sheet, drawn
from nc1fast.studies.findings.rules import CONFIDENCE, mean_interval
from nc1fast.studies.measures import MeasuredCell, cells_of
from nc1fast.support.extras import require

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nc1fast.studies.figures.looks import Look
    from nc1fast.studies.quantities import Quantity
    from nc1fast.studies.tidy import Row

UNCERTAINTY = (
    f"In every figure a point is the mean over the repeats, and its bar the {CONFIDENCE:.0%} "
    "interval of that mean (Student's). A point without a bar has a single repeat, or a bar "
    "shorter than its marker."
)
AXES: dict[str, tuple[Callable[[float], float] | None, bool]] = {
    "values": (math.log2, False),  # a few numbers, evenly spaced in their logarithm
    "log2": (math.log2, True),
    "log10": (math.log10, True),
    "linear": (float, True),
    "counts": (lambda x: math.log2(1 + x), False),  # a few numbers, 0 among them
    "names": (None, False),
}


@dataclass(frozen=True)
class Lines:
    """Curves of one quantity in a panel.

    Attributes
    ----------
    of : Quantity
        Cells that lack the name of the horizontal axis are drawn level, over the whole panel.
    by : str or tuple of str, default ""
        A curve for each value of these names.
    label : str, default "{by} {value}"
        Beside each curve, with the value of `by` in braces; of several names those that differ.
    look : Look, optional
        Of every curve; default: shades of ink, ordered by `by`.
    theory : bool, default False
        Expectations, as pale bands below the points.
    descending : bool, default False
        Shade and list the values of `by` from the largest to the smallest.
    shade : (int, int), optional
        Which of how many shades of ink, for a curve without `by`.
    """

    of: Quantity
    by: str | tuple[str, ...] = ""
    label: str = ""
    look: Look | None = None
    theory: bool = False
    descending: bool = False
    shade: tuple[int, int] | None = None


@dataclass(frozen=True)
class Figure:
    """A figure of a study, as data.

    Attributes
    ----------
    name, caption : str
        The first sentence of the caption is its title.
    x : str
        Name of the settings along the horizontal axis.
    y_name, x_name : str
        Of the axes; that of x is its name by default.
    lines : sequence of Lines, or mapping from titles to them
        In every panel; or a panel for each title.
    columns, rows : str or tuple of str, default ""
        Names of the settings whose values make panels.
    title, row_title : str
        Of a panel, with the value of `columns` and of `rows` in braces; that of rows follows where
        there are several.
    axis : str, default "values"
        One of `AXES`.
    height : float
        Of a row of panels, in inches.
    reference : float, optional
        Height of a horizontal line.
    stacked : bool, default False
        The titled panels of `lines` below each other, each with a vertical scale of its own.
    title_of : mapping, optional
        In the place of values of `columns` in titles.
    own_scales : bool, default False
        Give each row of panels a vertical scale of its own.
    """

    name: str
    caption: str
    x: str
    y_name: str
    lines: Sequence[Lines] | Mapping[str, Sequence[Lines]]
    columns: str | tuple[str, ...] = ""
    rows: str | tuple[str, ...] = ""
    title: str = "{}"
    row_title: str = ", {}"
    x_name: str = ""
    axis: str = "values"
    height: float = 3.2
    reference: float | None = None
    stacked: bool = False
    own_scales: bool = False
    title_of: Mapping[str, str] = field(default_factory=dict)

    def sheet(self, cells: Sequence[MeasuredCell]) -> Sheet:
        """Its panels on the cells of a table."""
        named = self.lines if isinstance(self.lines, Mapping) else {"": self.lines}
        found = [(title, line, line.of(cells)) for title, some in named.items() for line in some]
        every = [cell for _, _, some in found for cell in some]
        looks = _Shades(found)
        panels = []
        across, down = (_kinds(every, _names(one)) for one in (self.columns, self.rows))
        for row_name, row in (down or {"": {}}).items():
            line_of_panels = []
            for title in named:
                for name, column in (across or {"": {}}).items():
                    here = [
                        (line, [c for c in some if _in(c, row | column)])
                        for owner, line, some in found
                        if owner == title
                    ]
                    label = self.title.format(self.title_of.get(name, name))
                    if title:
                        label = f"{title}, {label}" if len(across) > 1 else title
                    label += self.row_title.format(row_name) if len(down) > 1 else ""
                    line_of_panels.append(self._panel(label, here, looks))
            if any(line_of_panels):
                panels.append(line_of_panels)
        if not self.rows:
            panels = [[panel for panel in row if panel is not None] for row in panels]
        if self.stacked:
            panels = [[panel] for row in panels for panel in row]
        place, continuous = AXES[self.axis]
        return Sheet(
            panels,
            self.x_name or self.x,
            self.y_name,
            place=place,
            continuous=continuous,
            by_row=self.stacked or self.own_scales,
            reference=self.reference,
            height=self.height,
        )

    def _panel(
        self, title: str, lines: Sequence[tuple[Lines, list[MeasuredCell]]], looks: _Shades
    ) -> Panel | None:
        places = sorted(
            {c.setting[self.x] for _, some in lines for c in some if self.x in c.setting}
        )
        curves: dict[bool, list[Curve]] = {False: [], True: []}
        for line, cells in lines:
            for label, members in _curves(line, cells):
                points = _points(members, self.x, places)
                if points:
                    look = looks.of(line, label)
                    curves[line.theory].append(Curve(look, points))
        return Panel(title, curves[False], curves[True]) if any(curves.values()) else None


class _Shades:
    """The same shade for the same value of `by`, in all panels of a figure."""

    def __init__(self, found: Sequence[tuple[str, Lines, list[MeasuredCell]]]) -> None:
        self._labels: dict[object, list[str]] = {}
        for _, line, cells in found:
            labels = self._labels.setdefault((line.by, line.label, line.descending), [])
            labels += [label for label, _ in _curves(line, cells) if label not in labels]

    def of(self, line: Lines, label: str) -> Look:
        if line.shade is not None:
            return graded(label, *line.shade)
        labels = self._labels[line.by, line.label, line.descending]
        if line.look is not None and line.by:
            return replace(variant(line.look, "", labels.index(label)), label=label)
        if line.look is not None:
            return line.look
        return graded(label, labels.index(label), len(labels))


def drawings(figures: Sequence[Figure], rows: Sequence[Row]) -> list[Drawing]:
    """The figures of a table; those without a panel are left out."""
    matplotlib = require("matplotlib", "study")
    cells = cells_of(rows)
    sheets = [(figure, figure.sheet(cells)) for figure in figures]
    with matplotlib.rc_context(STYLE):
        return finished(
            [Drawing(one.name, one.caption, drawn(sheet)) for one, sheet in sheets if sheet.panels]
        )


def _curves(line: Lines, cells: Sequence[MeasuredCell]) -> list[tuple[str, list[MeasuredCell]]]:
    """Groups (label, cells), a curve each."""
    names = _names(line.by)
    kinds = _kinds(cells, names)
    groups = [
        (label, [c for c in cells if _in(c, setting)]) for label, setting in kinds.items()
    ] or [("", list(cells))]
    if len(names) == 1:
        form = line.label or f"{names[0]} {{}}"
        groups = [(form.format(label), members) for label, members in groups]
    elif not names:
        groups = [(line.label, members) for _, members in groups]
    return groups[::-1] if line.descending else groups


def _kinds(cells: Iterable[MeasuredCell], names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The settings of some names that occur, by their label: the value of a single name, and of
    several those that differ. Numbers ascend.
    """
    if not names:
        return {}
    found = {
        tuple(cell.setting[name] for name in names): None
        for cell in cells
        if all(name in cell.setting for name in names)
    }
    keys = list(found)
    if all(not isinstance(value, str) for key in keys for value in key):
        keys.sort()
    differing = [i for i in range(len(names)) if len({key[i] for key in keys}) > 1]
    kinds = {}
    for key in keys:
        if len(names) == 1:
            label = _plain(names[0], key[0])
        else:
            parts = [
                _plain(names[i], key[i]) if isinstance(key[i], str) else f"{names[i]} {key[i]:g}"
                for i in differing
            ]
            label = ", ".join(parts)
        kinds[label] = dict(zip(names, key, strict=True))
    return kinds


def _points(cells: Sequence[MeasuredCell], x: str, places: Sequence[Any]) -> list[Point]:
    """Means over the repeats, with their intervals, along a name; level where cells lack it."""
    groups: dict[Any, list[float]] = {}
    for cell in cells:
        for place in [cell.setting[x]] if x in cell.setting else places:
            groups.setdefault(place, []).extend(cell.draws.values())
    ordered = sorted(groups.items(), key=lambda one: places.index(one[0]))
    return [Point.of_mean(place, mean_interval(values)) for place, values in ordered]


def _in(cell: MeasuredCell, setting: Mapping[str, Any]) -> bool:
    """Whether a cell is in a setting, or its setting lacks these names."""
    return all(cell.setting.get(name, value) == value for name, value in setting.items())


def _names(names: str | tuple[str, ...]) -> tuple[str, ...]:
    return names if isinstance(names, tuple) else (names,) if names else ()


def _plain(name: str, value: Any) -> str:
    if name == "activation":
        return written(value)
    return value if isinstance(value, str) else f"{value:g}"
