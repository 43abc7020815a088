"""The objective beside its bound, and NC1, along the steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nc1fast.studies.figures import measured
from nc1fast.studies.figures.looks import THEORY, graded
from nc1fast.studies.figures.panels import Panel, Sheet
from nc1fast.studies.library.optimization_kernel.findings import NAMES
from nc1fast.studies.library.optimization_kernel.parts import BOUND, CODES, GAP, WIDE
from nc1fast.studies.measures import along, chosen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nc1fast.studies.figures import Drawing
    from nc1fast.studies.figures.curves import Curve
    from nc1fast.studies.tidy import Row

_STEPS = "T: steps"


def draw(rows: Sequence[Row], series: Sequence[Row] = ()) -> list[Drawing]:
    """Both figures, from the table alone."""
    del series
    return measured.drawings({"descent": _descent(rows), "nc1": _collapse(rows)})


def _by_width(rows: Sequence[Row]) -> list[Curve]:
    """A curve for each number of units, the darker the wider."""
    widths = along(rows, "m")
    return [
        measured.curve(graded(f"{m:,.0f} units", i, len(widths)), some, "T")
        for i, (m, some) in enumerate(widths.items())
    ]


def _descent(rows: Sequence[Row]) -> tuple[str, Sheet]:
    """A panel for each convex objective; pale bands are the bounds."""
    panels = [
        Panel(name, _by_width(found), theory=_by_width(chosen(rows, BOUND, prox=prox)))
        for prox, name in NAMES.items()
        if (found := chosen(rows, GAP, prox=prox))
    ]
    sheet = Sheet([panels], _STEPS, "(o_T - o*)/o(0)", continuous=True, height=3.2)
    caption = (
        "How far the objective is above its least value after T steps. Means over rows and draws; pale bands are the bounds "
        "|y*|²/(2 T), and what is within rounding of o* is left out."
    )
    return caption, sheet


def _collapse(rows: Sequence[Row]) -> tuple[str, Sheet]:
    """A row of panels for each number of features, a panel for each proximal map."""
    found = chosen(rows, "nc1", CODES)
    panels = [
        [
            Panel(f"{name}, d₀ = {d0:g}", _by_width(some), [_limit(rows, prox, d0)])
            if (some := chosen(members, "nc1", prox=prox))
            else None
            for prox, name in NAMES.items()
        ]
        for d0, members in along(found, "d0").items()
    ]
    sheet = Sheet(panels, _STEPS, "NC1", continuous=True, by_row=True, height=2.8)
    caption = (
        "NC1 of unrolled proximal features after T steps. Two classes N(-1, I) and N(+1, I); pale bands are infinite "
        "width. A construction of ours; each row of panels has a scale of its own."
    )
    return caption, sheet


def _limit(rows: Sequence[Row], prox: str, d0: float) -> Curve:
    """NC1 of infinite width, over the rows of all widths."""
    return measured.curve(THEORY, chosen(rows, "nc1", WIDE, prox=prox, d0=d0), "T")
