"""Distances from the infinite network against width; test errors along ridge and time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from nc1fast.studies.figures import measured, palette
from nc1fast.studies.figures.looks import Look
from nc1fast.studies.figures.panels import Panel, Sheet
from nc1fast.studies.library.finite_infinite.parts import (
    CENTRED,
    CENTRED_4,
    DECAY,
    DEVIATION,
    ERROR,
    LARGE,
    PLAIN,
    PLAIN_4,
    RIDGE,
    SMALL,
    STOPPED,
)
from nc1fast.studies.measures import along, chosen, setting_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nc1fast.studies.figures import Drawing
    from nc1fast.studies.figures.curves import Curve
    from nc1fast.studies.tidy import Row

_LOOKS = {
    PLAIN: Look(PLAIN, palette.NETWORK, "D", "--", is_open=True),
    PLAIN_4: Look(PLAIN_4, palette.OWN_NTK, "s", "--", is_open=True),
    CENTRED: Look(CENTRED, palette.NETWORK, "D"),
    CENTRED_4: Look(CENTRED_4, palette.OWN_NTK, "s"),
}
_WAYS = {
    SMALL: Look(SMALL, palette.NETWORK, "D"),
    DECAY: Look(DECAY, palette.ADAPTIVE, "^", "--"),
    LARGE: Look(LARGE, palette.MEAN_FIELD, "v", ":"),
}
_METHODS = {
    (RIDGE, "NTK"): Look("ridge, NTK", palette.NTK, "s"),
    (STOPPED, "NTK"): Look("early stopping, NTK", palette.NTK, "s", "--", is_open=True),
    (RIDGE, "NNGP"): Look("ridge, NNGP", palette.NNGP, "o"),
    (STOPPED, "NNGP"): Look("early stopping, NNGP", palette.NNGP, "o", "--", is_open=True),
}


def draw(rows: Sequence[Row], series: Sequence[Row] = ()) -> list[Drawing]:
    """Distance against width, and by the way of training, then ridge beside early stopping."""
    del series
    return measured.drawings(
        {
            "widths": (
                (
                    "Distance of trained networks from the infinite one. |f - f_inf|/|f_inf| on other rows, f_inf the prediction of "
                    "the NTK at the same time: the mean of single networks, and that of ensembles."
                ),
                Sheet([_by_width(rows)], "width", "relative distance", height=3.4),
            ),
            "ways": (
                (
                    "Distance of centred networks trained in other ways. Relative to f_inf, as above; with weight decay, and with a "
                    "learning rate above 2/lambda_max."
                ),
                Sheet([_by_way(rows)], "width", "relative distance", height=3.0),
            ),
            "stopping": (
                (
                    "Ridge regression beside early stopping at t = n/ridge. Mean squared error on other rows; ridges in units of the "
                    "mean diagonal of the kernel."
                ),
                Sheet(
                    _by_ridge(rows), "ridge", ERROR, place=math.log10, continuous=True, height=3.2
                ),
            ),
        }
    )


def _by_width(rows: Sequence[Row]) -> list[Panel]:
    found = [row for row in chosen(rows, DEVIATION) if row["thing"] in _LOOKS]
    panels = []
    for d0, members in along(found, "d0").items():
        curves = [
            measured.curve(look, chosen(members, DEVIATION, thing), "width")
            for thing, look in _LOOKS.items()
        ]
        panels.append(Panel(f"d₀ = {d0:g}", curves))
    return panels


def _by_way(rows: Sequence[Row]) -> list[Panel]:
    curves = [
        measured.curve(look, found, "width")
        for thing, look in _WAYS.items()
        if (found := chosen(rows, DEVIATION, thing))
    ]
    return [Panel("training", curves)] if curves else []


def _by_ridge(rows: Sequence[Row]) -> list[list[Panel]]:
    """A row of panels for each d0, a panel for each task."""
    found = along(chosen(rows, ERROR), "d0")
    panels = []
    for d0, members in found.items():
        tasks: dict[str, list[Row]] = {}
        for row in members:
            tasks.setdefault(str(setting_of(row)["task"]), []).append(row)
        where = f", d₀ = {d0:g}" if len(found) > 1 else ""
        panels.append([Panel(f"{task}{where}", _methods(some)) for task, some in tasks.items()])
    return panels


def _methods(rows: Sequence[Row]) -> list[Curve]:
    return [
        measured.curve(look, chosen(rows, ERROR, thing, kernel=kernel), "ridge")
        for (thing, kernel), look in _METHODS.items()
    ]
