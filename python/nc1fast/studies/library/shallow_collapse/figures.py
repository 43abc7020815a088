"""NC1 and test error against the noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nc1fast.studies.figures import measured, palette
from nc1fast.studies.figures.looks import LINES, Look
from nc1fast.studies.figures.panels import Panel, Sheet
from nc1fast.studies.library.shallow_collapse.parts import (
    DATA,
    ERROR,
    NC1,
    NETS,
    THREE,
    TWO,
)
from nc1fast.studies.measures import along, chosen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nc1fast.studies.figures import Drawing
    from nc1fast.studies.figures.curves import Curve
    from nc1fast.studies.tidy import Row

_DATA = Look(DATA, palette.DATA, "*", ":")
_NOISE = "sigma: the SNR is 1/sigma²"
_THINGS = {TWO: (palette.NETWORK, "oD^v"), THREE: (palette.ADAPTIVE, "sPX<")}


def draw(rows: Sequence[Row], series: Sequence[Row] = ()) -> list[Drawing]:
    """Collapse, then test error, a panel for each d."""
    del series
    nets = [row for row in rows if row["part"] == NETS]
    return measured.drawings(
        {
            "collapse": (
                (
                    "Collapse of two and three layers by dimension and noise. NC1 of the data, and of the last hidden layer after "
                    "training with weight decay; the width is that of the first layer."
                ),
                Sheet([_panels(nets, NC1)], _NOISE, "NC1", height=3.4),
            ),
            "error": (
                (
                    "Test error of two and three layers by dimension and noise. Mean squared error of the same networks on other rows "
                    "of the same classes."
                ),
                Sheet([_panels(nets, ERROR)], _NOISE, ERROR, height=3.4),
            ),
        }
    )


def _panels(rows: Sequence[Row], quantity: str) -> list[Panel]:
    return [
        Panel(f"d = {d:g}", _curves(members, quantity))
        for d, members in along(chosen(rows, quantity), "d").items()
    ]


def _curves(rows: Sequence[Row], quantity: str) -> list[Curve]:
    """A curve for the data, if they have the quantity, and one for each thing and width."""
    data = chosen(rows, quantity, DATA)
    curves = [measured.curve(_DATA, data, "sigma")] if data else []
    for thing, (colour, markers) in _THINGS.items():
        by_width = along(chosen(rows, quantity, thing), "width")
        for i, (width, members) in enumerate(by_width.items()):
            line, marker = LINES[i % len(LINES)], markers[i % len(markers)]
            look = Look(f"{thing}, width {width:g}", colour, marker, line, is_open=i > 0)
            curves.append(measured.curve(look, members, "sigma"))
    return curves
