"""Test errors of networks and of their kernels, along the ridge and along training."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from nc1fast.studies.figures import measured, palette
from nc1fast.studies.figures.looks import Look
from nc1fast.studies.figures.panels import Panel, Sheet
from nc1fast.studies.library.conjugate_kernel.findings import trained
from nc1fast.studies.library.conjugate_kernel.parts import CK, ERROR, NETWORK, NTK, RIDGE
from nc1fast.studies.library.conjugate_kernel.regression import FORMULAS
from nc1fast.studies.measures import along, chosen, setting_of, written

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nc1fast.studies.figures import Drawing
    from nc1fast.studies.tidy import Row

_LOOKS = {
    NETWORK: Look(NETWORK, palette.NETWORK, "D", "--"),
    CK: Look(CK, palette.NNGP, "o"),
    NTK: Look(NTK, palette.OWN_NTK, "s"),
}


def draw(rows: Sequence[Row], series: Sequence[Row] = ()) -> list[Drawing]:
    """Test errors against the ridge, and against the steps of the training."""
    del series
    rows = _shown(rows)
    last = trained(rows)
    ridges = list(along(last, "ridge"))
    level = [
        {**row, "setting": written({**setting_of(row), "ridge": ridge})}
        for row in chosen(last, ERROR, NETWORK)
        for ridge in ridges
    ]
    found = [*chosen(rows, ERROR, NETWORK), *chosen(rows, ERROR, ridge=RIDGE)]
    return measured.drawings(
        {
            "ridges": (
                (
                    "Ridge regression with the kernels of trained networks. |f - f*|/|f*| over [-1, 1]; ridges in units of the mean "
                    "diagonal of the kernel; the network has none."
                ),
                Sheet(
                    _panels([*level, *chosen(last, ERROR, CK), *chosen(last, ERROR, NTK)], "ridge"),
                    "ridge",
                    ERROR,
                    place=math.log10,
                    continuous=True,
                    height=3.0,
                ),
            ),
            "training": (
                (
                    f"Networks and their kernels in training. |f - f*|/|f*| over [-1, 1] after steps of Adam; ridge {RIDGE:g} of the "
                    "mean diagonal."
                ),
                Sheet(_panels(found, "steps"), "steps", ERROR, place=None, height=3.0),
            ),
        }
    )


def _shown(rows: Sequence[Row]) -> list[Row]:
    """Rows of the width and the initial variances that come first."""
    found = chosen(rows, ERROR)
    if not found:
        return []
    first = setting_of(found[0])
    return chosen(found, ERROR, width=first["width"], initial=first["initial"])


def _panels(rows: Sequence[Row], x: str) -> list[list[Panel | None]]:
    """A row of panels for each activation that has several places along x, a panel for each target."""
    panels: list[list[Panel | None]] = []
    for label, members in measured.kinds(rows, ("activation",)):
        if len(along(members, x)) < 2:
            continue
        row: list[Panel | None] = []
        for target, formula in FORMULAS.items():
            here = chosen(members, ERROR, target=target)
            curves = [
                measured.curve(look, chosen(here, ERROR, thing), x)
                for thing, look in _LOOKS.items()
            ]
            title = formula + (f", {label}" if label else "")
            row.append(Panel(title, curves) if here else None)
        panels.append(row)
    return panels
