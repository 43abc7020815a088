"""NC1 of recurrent kernels along the length of sequences, and finite networks beside their limits."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from nc1fast.studies.figures import measured, palette
from nc1fast.studies.figures.looks import Look
from nc1fast.studies.figures.panels import Panel, Sheet
from nc1fast.studies.library.recurrent_kernel.parts import NNGP, NTK
from nc1fast.studies.measures import along, chosen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nc1fast.studies.figures import Drawing
    from nc1fast.studies.tidy import Row

_LOOKS = {NNGP: Look(NNGP, palette.NNGP, "o"), NTK: Look(NTK, palette.NTK, "s")}


def draw(rows: Sequence[Row], series: Sequence[Row] = ()) -> list[Drawing]:
    """NC1 against T, a panel for each weight variance."""
    del series
    found = [row for row in chosen(rows, "nc1") if row["part"] == "lengths"]
    panels = [
        Panel(
            f"weight variance {variance:g}",
            [
                measured.curve(look, some, "T")
                for name, look in _LOOKS.items()
                if (some := [row for row in members if row["thing"] == name])
            ],
        )
        for variance, members in along(found, "weight_variance").items()
    ]
    sheet = Sheet([panels], "T: longest sequence", "NC1", place=math.log2, height=3.2)
    caption = (
        "NC1 of recurrent kernels against the length of sequences. Two classes of sequences of T/2 to T steps, whose steps "
        "differ in their mean by half a standard deviation for each feature."
    )
    return measured.drawings({"along-length": (caption, sheet)})
