"""Figures of measured numbers: curves along one part of their setting, from the table of an
experiment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nc1fast.studies.figures import finished
from nc1fast.studies.figures.curves import Curve, Point, written
from nc1fast.studies.figures.drawing import STYLE, Drawing
from nc1fast.studies.figures.panels import drawn
from nc1fast.studies.findings.rules import CONFIDENCE, mean_interval
from nc1fast.studies.measures import along, setting_of, values
from nc1fast.support.extras import require

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nc1fast.studies.figures.looks import Look
    from nc1fast.studies.figures.panels import Sheet
    from nc1fast.studies.tidy import Row

UNCERTAINTY = (
    f"In every figure a point is the mean over the repeats, and its bar the {CONFIDENCE:.0%} interval of that mean "
    "(Student's). A point without a bar has a single repeat, or a bar shorter than its marker."
)


def curve(look: Look, rows: Sequence[Row], x: str) -> Curve:
    """Means over the repeats, with their intervals, along `x`, a name of the settings."""
    points = []
    for place, members in along(rows, x).items():
        mean = mean_interval(values(members))
        ends = (mean.low, mean.high) if mean.n > 1 else (mean.middle, mean.middle)
        points.append(Point(place, mean.middle, *ends))
    return Curve(look, points)


def kinds(rows: Sequence[Row], names: Sequence[str]) -> list[tuple[str, list[Row]]]:
    """Groups (label, rows) of rows whose settings agree in these names; the label names those that
    differ at all.
    """
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        setting = setting_of(row)
        groups.setdefault(tuple(setting[name] for name in names), []).append(row)
    differing = [i for i in range(len(names)) if len({key[i] for key in groups}) > 1]
    return [
        (", ".join(_label(names[i], key[i]) for i in differing), members)
        for key, members in groups.items()
    ]


def _label(name: str, value: Any) -> str:
    return written(value) if name == "activation" else f"{name} {value}"


def drawings(sheets: Mapping[str, tuple[str, Sheet]]) -> list[Drawing]:
    """Figures by name, from their captions and sheets; those without a panel are left out."""
    matplotlib = require("matplotlib", "study")
    with matplotlib.rc_context(STYLE):
        drawn_ = [
            Drawing(name, caption, drawn(sheet))
            for name, (caption, sheet) in sheets.items()
            if any(panel for row in sheet.panels for panel in row)
        ]
    return finished(drawn_)
