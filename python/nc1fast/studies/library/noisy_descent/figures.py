"""Training losses beside their prediction by kernels, and what is left of kernels along alpha."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from nc1fast.studies.figures import measured
from nc1fast.studies.figures.looks import graded
from nc1fast.studies.figures.panels import Panel, Sheet
from nc1fast.studies.library.noisy_descent.parts import (
    APART,
    DRIFT,
    KERNELS,
    LOSS,
    MOVED,
    NETWORK,
    OFF,
)
from nc1fast.studies.measures import along, chosen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nc1fast.studies.figures import Drawing
    from nc1fast.studies.tidy import Row

_SEEN = 1e-7  # smaller losses, of descents without noise, leave no room for the others
_ALONG_ALPHA = {
    "change of the NTK": DRIFT,
    "displacement": MOVED,
    "distance from prediction": APART,
    "distance from no noise": OFF,
}


def draw(rows: Sequence[Row], series: Sequence[Row] = ()) -> list[Drawing]:
    """Losses along the steps, a panel for each lambda; then four numbers along alpha."""
    del series
    return measured.drawings(
        {
            "losses": (
                (
                    "Training loss of noisy gradient descent. |f - y|^2/n of mean-field networks along steps of size "
                    "eta = c/alpha^2, of the first draw, as far as it is above 1e-7; bands: the prediction by kernels, to first order in "
                    "1/alpha."
                ),
                Sheet(
                    [_losses(rows)],
                    "step",
                    "training loss",
                    place=math.log10,
                    continuous=True,
                    height=3.4,
                ),
            ),
            "scales": (
                (
                    "What alpha and lambda leave of the kernels. Largest relative change of the NTK, mean square displacement of "
                    "weights, largest distance of the outputs from the kernels' prediction, and mean square distance at the end from the "
                    "outputs without noise."
                ),
                Sheet([_scales(rows)], "alpha", "value", height=3.4),
            ),
        }
    )


def _losses(rows: Sequence[Row]) -> list[Panel]:
    panels = []
    first = [row for row in chosen(rows, LOSS) if row["repeat"] == 0 and row["value"] > _SEEN]
    for decay, members in along(first, "lambda").items():
        scales, curves, theory = along(members, "alpha"), [], []
        for i, (alpha, some) in enumerate(scales.items()):
            look = graded(f"alpha {alpha:g}", i, len(scales))
            curves.append(measured.curve(look, chosen(some, LOSS, NETWORK), "step"))
            theory.append(measured.curve(look, chosen(some, LOSS, KERNELS), "step"))
        panels.append(Panel(f"lambda = {decay:g}", curves, theory))
    return panels


def _scales(rows: Sequence[Row]) -> list[Panel]:
    panels = []
    known = along(chosen(rows, DRIFT, NETWORK), "lambda")
    looks = {decay: graded(f"lambda {decay:g}", i, len(known)) for i, decay in enumerate(known)}
    for title, quantity in _ALONG_ALPHA.items():
        found = along(chosen(rows, quantity, NETWORK), "lambda")
        curves = [measured.curve(looks[decay], some, "alpha") for decay, some in found.items()]
        if curves:
            panels.append(Panel(title, curves))
    return panels
