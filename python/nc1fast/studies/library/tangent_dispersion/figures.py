"""Dispersion, drift, and the spread of NC1, along the depth of networks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from nc1fast.studies.figures import measured, palette
from nc1fast.studies.figures.curves import Curve, Point
from nc1fast.studies.figures.looks import Look, graded
from nc1fast.studies.figures.panels import Panel, Sheet
from nc1fast.studies.library.tangent_dispersion.parts import (
    DEVIATION,
    DRIFT,
    EXACT,
    LIMIT,
    NC1,
    NETWORK,
    RATIO,
    SPREAD,
)
from nc1fast.studies.measures import along, chosen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nc1fast.studies.figures import Drawing
    from nc1fast.studies.tidy import Row

_LIMIT = Look("NTK, the limit", palette.NTK, "s")
_MEAN = Look("empirical NTKs, mean", palette.OWN_NTK, "<")
_MEASURED = Look("networks", palette.OWN_NTK, "<", rank=0)
_RECURSION = Look("recursion (ours)", palette.NTK, "s", "--", is_open=True, rank=1)
_LAW = Look("5 beta", palette.INK, "x", ":", rank=2)


def draw(rows: Sequence[Row], series: Sequence[Row] = ()) -> list[Drawing]:
    """Phases along the depth, NC1 along the depth, and the law without biases."""
    del series
    along_depth = [
        *_panels(chosen(rows, DEVIATION), "std/mean"),
        *_panels(chosen(rows, DRIFT), "drift"),
        *_panels(chosen(rows, SPREAD), "std/mean of NC1"),
    ]
    return measured.drawings(
        {
            "phases": (
                (
                    "Dispersion of the tangent kernel against depth, in three phases. Networks with trained biases: std/mean of an "
                    "entry over initialisations; relative change of the kernel in training; std/mean of NC1 on D1."
                ),
                Sheet([along_depth], "L", "relative to the mean or the start", height=3.2),
            ),
            "nc1": (
                (
                    "NC1 of empirical tangent kernels and of their limit. Two classes of D1, d₀ = 8, networks of width 64 with "
                    "trained biases."
                ),
                Sheet([_nc1(rows)], "L", "NC1", height=3.2),
            ),
            "law": (
                (
                    "The second moment without biases, beside the published law. log E[Θ²]/E[Θ]² of one entry, and 5 beta, "
                    "beta the sum of 1/n over hidden layers."
                ),
                Sheet([_law(rows)], "L", RATIO, place=math.log2, continuous=True, height=3.2),
            ),
        }
    )


def _panels(rows: Sequence[Row], title: str) -> list[Panel]:
    """A panel for each width, a curve for each sw2."""
    found = along(rows, "n")
    panels = []
    for n, members in found.items():
        phases = along(members, "sw2")
        curves = [
            measured.curve(graded(f"sw² = {sw2:g}", i, len(phases)), some, "L")
            for i, (sw2, some) in enumerate(phases.items())
        ]
        where = f", n = {n:g}" if len(found) > 1 else ""
        panels.append(Panel(f"{title}{where}", curves))
    return panels


def _nc1(rows: Sequence[Row]) -> list[Panel]:
    found = [row for row in chosen(rows, NC1) if row["part"] == "spreads"]
    return [
        Panel(
            f"sw² = {sw2:g}",
            [
                measured.curve(look, chosen(members, NC1, thing), "L")
                for thing, look in ((LIMIT, _LIMIT), (NETWORK, _MEAN))
            ],
        )
        for sw2, members in along(found, "sw2").items()
    ]


def _law(rows: Sequence[Row]) -> list[Panel]:
    panels = []
    for n, members in along(chosen(rows, RATIO), "n").items():
        law = []
        for depth in along(members, "L"):
            value = 5 * (depth - 1) / n
            law.append(Point(depth, value, value, value))
        curves = [
            measured.curve(_MEASURED, chosen(members, RATIO, NETWORK), "L"),
            measured.curve(_RECURSION, chosen(members, RATIO, EXACT), "L"),
            Curve(_LAW, law),
        ]
        panels.append(Panel(f"n = {n:g}", curves))
    return panels
