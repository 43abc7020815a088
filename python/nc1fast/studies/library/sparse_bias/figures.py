"""Against the bias: the smallest eigenvalue and the active share, and NC1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nc1fast.studies.figures import measured, palette
from nc1fast.studies.figures.looks import LOOKS, Look, graded
from nc1fast.studies.figures.panels import Panel, Sheet
from nc1fast.studies.library.sparse_bias.parts import (
    CONDITION,
    KERNEL,
    SHARE,
    SMALLEST,
    START,
    TRAINED,
)
from nc1fast.studies.measures import along, chosen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nc1fast.studies.figures import Drawing
    from nc1fast.studies.figures.curves import Curve
    from nc1fast.studies.tidy import Row

_NAME = "B: bias at the start"


def draw(rows: Sequence[Row], series: Sequence[Row] = ()) -> list[Drawing]:
    """Both figures, from the table alone."""
    del series
    return measured.drawings({"spectrum": _spectrum(rows), "nc1": _collapse(rows)})


def _spectrum(rows: Sequence[Row]) -> tuple[str, Sheet]:
    """A row of panels for each quantity: shares below one, eigenvalues, condition numbers."""
    shares = [
        measured.curve(look, some, "bias")
        for look, thing in ((LOOKS["network", "start"], START), (_TRAINING, TRAINED))
        if (some := chosen(rows, SHARE, thing))
    ]
    panels = [
        [Panel(SHARE, shares)] if shares else [],
        *(
            [Panel(f"{quantity} of H", _by_dimension(found))] if found else []
            for quantity in (SMALLEST, CONDITION)
            for found in [chosen(rows, quantity, KERNEL)]
        ),
    ]
    shown = [row for row in panels if row]
    sheet = Sheet(shown, _NAME, "", place=float, continuous=True, by_row=True, height=2.2)
    caption = (
        "Sparsity and the spectrum of the NTK against the bias. Share of pairs of a unit and a row at which the unit is active, "
        "at the start and at its largest in training; eigenvalues of H of random unit rows."
    )
    return caption, sheet


_TRAINING = Look("network, largest in training", palette.NETWORK, "D", rank=1)


def _by_dimension(rows: Sequence[Row]) -> list[Curve]:
    """A curve for each number of features, in the colour of the NTK where there is one alone."""
    dimensions = along(rows, "d")
    looks = [graded(f"d = {d:g}", i, len(dimensions)) for i, d in enumerate(dimensions)]
    return [
        measured.curve(LOOKS["NTK", ""] if len(dimensions) == 1 else look, some, "bias")
        for look, some in zip(looks, dimensions.values(), strict=True)
    ]


def _collapse(rows: Sequence[Row]) -> tuple[str, Sheet]:
    """One panel, a curve for each number of features."""
    found = [row for row in chosen(rows, "nc1", KERNEL) if row["part"] == "collapses"]
    panels = [Panel("two classes on the sphere", _by_dimension(found))] if found else []
    sheet = Sheet([panels], _NAME, "NC1", place=float, continuous=True, height=3.2)
    caption = (
        "NC1 of the NTK against the bias. Two Gaussian classes around opposite means, projected onto the sphere of d "
        "dimensions."
    )
    return caption, sheet
