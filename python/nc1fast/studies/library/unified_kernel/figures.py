"""NC1 along the family between NTK and NNGP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nc1fast.studies.figures import measured
from nc1fast.studies.figures.looks import graded
from nc1fast.studies.figures.panels import Panel, Sheet
from nc1fast.studies.library.unified_kernel.parts import CURVE
from nc1fast.studies.measures import along, chosen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nc1fast.studies.figures import Drawing
    from nc1fast.studies.tidy import Row


def draw(rows: Sequence[Row], series: Sequence[Row] = ()) -> list[Drawing]:
    """NC1 against s, a panel for each number of features, a curve for each activation and depth."""
    del series
    curves = chosen(rows, "nc1", CURVE)
    panels = []
    for d0, members in along(curves, "d0").items():
        kinds = measured.kinds(members, ("activation", "depth"))
        panels.append(
            Panel(
                f"d₀ = {d0:g}",
                [
                    measured.curve(graded(label, i, len(kinds)), some, "s")
                    for i, (label, some) in enumerate(kinds)
                ],
            )
        )
    sheet = Sheet([panels], "s: share of the NNGP", "NC1", place=float, continuous=True, height=3.2)
    caption = (
        "NC1 between the NTK and the NNGP. K(s) = (1 - s) NTK + s NNGP on D1; each curve from the class sums of its two "
        "ends alone."
    )
    return measured.drawings({"along-s": (caption, sheet)})
