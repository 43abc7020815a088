"""Residuals along the step, and the error of the kernel of a step along its points."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from nc1fast.studies.figures import measured
from nc1fast.studies.figures.looks import graded
from nc1fast.studies.figures.panels import Panel, Sheet
from nc1fast.studies.library.exact_step.network import ORDERS
from nc1fast.studies.library.exact_step.parts import ERROR, EXACT, NTK, RESIDUAL, order
from nc1fast.studies.measures import along, chosen, setting_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nc1fast.studies.figures import Drawing
    from nc1fast.studies.tidy import Row


def draw(rows: Sequence[Row], series: Sequence[Row] = ()) -> list[Drawing]:
    """Powers of the step, then exact steps; a panel for each activation."""
    del series
    orders = [
        Panel(
            title,
            [
                measured.curve(
                    graded(order(q), q - 1, ORDERS), chosen(some, RESIDUAL, order(q)), "eta"
                )
                for q in range(1, ORDERS + 1)
            ],
        )
        for title, some in _panels(chosen(rows, RESIDUAL))
    ]
    exact = []
    for title, some in _panels([*chosen(rows, ERROR, NTK), *chosen(rows, ERROR, EXACT)]):
        widths = along(some, "width")
        curves = [
            measured.curve(graded(f"width {width:g}", i, len(widths)), _from_ntk(members), "points")
            for i, (width, members) in enumerate(widths.items())
        ]
        exact.append(Panel(title, curves))
    return measured.drawings(
        {
            "orders": (
                (
                    "What is left of a step after the terms up to order q. Length of the residual of the change of f, relative to "
                    "|f - y| at the start; a line of slope q + 1 for order q."
                ),
                Sheet([orders], "learning rate", "residual", height=3.2),
            ),
            "exact": (
                (
                    "Error of the change of f by the kernel of a step. At 0 points stands the NTK of the network; then the kernel of "
                    "the step by Gauss-Legendre points between start and end of the step."
                ),
                Sheet([exact], "points", "relative error", place=_place, height=3.2),
            ),
        }
    )


def _place(points: float) -> float:
    """Where numbers of points stand, none among them."""
    return math.log2(1 + points)


def _panels(rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(str(setting_of(row)["activation"]), []).append(row)
    return list(found.items())


def _from_ntk(rows: Sequence[Row]) -> list[Row]:
    """Errors by the number of points, that of the NTK at none."""
    return [
        {**row, "setting": f"{row['setting']}, points=0"} if row["thing"] == NTK else row
        for row in rows
    ]
