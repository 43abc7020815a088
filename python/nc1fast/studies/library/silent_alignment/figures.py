"""Alignment and NC1 of the tangent kernel, by the share of the loss that is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nc1fast.studies.figures import measured
from nc1fast.studies.figures.curves import Curve, Point
from nc1fast.studies.figures.looks import graded
from nc1fast.studies.figures.panels import Panel, Sheet
from nc1fast.studies.library.silent_alignment.parts import ALIGNMENT, LIMIT, NC1, TANGENT
from nc1fast.studies.measures import along, chosen, setting_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nc1fast.studies.figures import Drawing
    from nc1fast.studies.tidy import Row


def draw(rows: Sequence[Row], series: Sequence[Row] = ()) -> list[Drawing]:
    """Alignment with a teacher, then NC1 of two classes; a panel for each depth and kind of rows, a
    curve for each scale.
    """
    del series
    teachers, classes = (
        [row for row in rows if row["part"] == part] for part in ("teachers", "classes")
    )
    fallen = "share of the loss that is gone"
    return measured.drawings(
        {
            "alignment": (
                (
                    "Alignment of the tangent kernel while the loss falls. Linear networks by gradient flow on a linear teacher, a curve "
                    "for each scale of the first weights; the pale band is the alignment of the balanced network."
                ),
                Sheet(
                    _panels(teachers, ALIGNMENT), fallen, ALIGNMENT, place=float, continuous=True
                ),
            ),
            "collapse": (
                (
                    "NC1 of the tangent kernel while the loss falls. The same for two classes, the halves of the rows above and below the "
                    "median of the teacher; the loss is what is above the least one of a linear map."
                ),
                Sheet(_panels(classes, NC1), fallen, "NC1", place=float, continuous=True),
            ),
        }
    )


def _panels(rows: Sequence[Row], quantity: str) -> list[list[Panel]]:
    """A row of panels for each depth."""
    found = along(chosen(rows, quantity, TANGENT), "depth")
    limits = chosen(rows, quantity, LIMIT)
    panels = []
    for depth, members in found.items():
        kinds: dict[str, list[Row]] = {}
        for row in members:
            kinds.setdefault(str(setting_of(row)["inputs"]), []).append(row)
        panels.append(
            [
                Panel(
                    f"{inputs} rows" + (f", {depth:g} layers" if len(found) > 1 else ""),
                    _curves(some),
                    _band(chosen(limits, quantity, depth=int(depth), inputs=inputs), some),
                )
                for inputs, some in kinds.items()
            ]
        )
    return panels


def _curves(rows: Sequence[Row]) -> list[Curve]:
    scales = along(rows, "scale")
    return [
        measured.curve(graded(f"scale {scale:g}", i, len(scales)), members, "fallen")
        for i, (scale, members) in enumerate(reversed(scales.items()))
    ]


def _band(limits: Sequence[Row], rows: Sequence[Row]) -> list[Curve]:
    """The mean over the draws at every place, as a curve."""
    if not limits:
        return []
    mean = measured.curve(graded("", 0, 1), limits, "depth").points[0].value
    places = along(rows, "fallen")
    return [Curve(graded("", 0, 1), [Point(x, mean, mean, mean) for x in places])]
