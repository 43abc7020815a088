"""Frequencies of the NTK on the circle, and NC1 against the number of factors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nc1fast.studies.figures import measured, palette
from nc1fast.studies.figures.looks import LOOKS, Look, graded
from nc1fast.studies.figures.panels import Panel, Sheet
from nc1fast.studies.library.polynomial_nets.parts import EVEN, FREQUENCY, NETWORK, NNGP, NTK, ODD
from nc1fast.studies.measures import along, chosen, setting_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nc1fast.studies.figures import Drawing
    from nc1fast.studies.tidy import Row

_SEEN = 1e-9  # smaller coefficients are zero but for rounding


def draw(rows: Sequence[Row], series: Sequence[Row] = ()) -> list[Drawing]:
    """Both figures, from the table alone."""
    del series
    return measured.drawings({"frequencies": _frequencies(rows), "nc1": _collapse(rows)})


def _frequencies(rows: Sequence[Row]) -> tuple[str, Sheet]:
    """A panel for odd and one for even frequencies, a curve for each P, and networks on them."""
    panels = []
    for title, shown in (("odd k", ODD), ("even k", EVEN)):
        curves = []
        for name in (NTK, NETWORK):
            found = [
                row
                for row in chosen(rows, FREQUENCY, name)
                if setting_of(row)["k"] in shown and row["value"] > _SEEN
            ]
            degrees = along(found, "degree")
            for i, (degree, some) in enumerate(degrees.items()):
                look = graded(f"P = {degree:g}", i, len(degrees))
                if name == NETWORK:
                    look = Look("networks", palette.NETWORK, "x", "", rank=len(degrees))
                curves.append(measured.curve(look, some, "k"))
        panels.append(Panel(title, curves))
    sheet = Sheet([panels], "frequency k", "c_k/c_0", place=float, continuous=True, height=3.2)
    caption = (
        "Frequencies of the NTK on the circle. Fourier coefficients along the angle, relative to the constant; one factor, "
        "P = 1, has no odd frequency above 1. Crosses: networks of finite width."
    )
    return caption, sheet


def _collapse(rows: Sequence[Row]) -> tuple[str, Sheet]:
    """A panel for each number of features, a curve for each kernel."""
    found = [row for row in chosen(rows, "nc1") if row["part"] == "degrees"]
    panels = [
        Panel(
            f"d₀ = {d0:g}",
            [
                measured.curve(LOOKS[name, ""], some, "degree")
                for name in (NNGP, NTK)
                if (some := [row for row in members if row["thing"] == name])
            ],
        )
        for d0, members in along(found, "d0").items()
    ]
    sheet = Sheet([panels], "P: factors of a unit", "NC1", place=float, continuous=True, height=3.2)
    caption = "NC1 against the number of factors. NNGP k1^P and NTK of networks of products on D1."
    return caption, sheet
