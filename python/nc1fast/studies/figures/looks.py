"""Looks: colour, marker and line of each representation, the same in every figure.

The colours are those of Okabe and Ito, which differ for every kind of colour vision; each look has its own marker or
line besides, so that nothing depends on colour. What the released code gives has the look of its correct counterpart,
dashed and with open markers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from nc1fast.studies.table import RELEASED_ADAPTIVE, RELEASED_ERF_NTK
from nc1fast.support.extras import require

if TYPE_CHECKING:
    from nc1fast.studies.tidy import Row

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILLION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"
GREY = "#777777"
MARKERS = "osD^vPX*"
# The name that `model_of` gives to rows of the NTK in standard parametrization.
NETWORK_NTK = "NTK of the network"


@dataclass(frozen=True)
class Look:
    """Name in the legend, colour, marker and line; `is_open`: white markers; `band`: a broad pale line, no marker."""

    label: str
    colour: Any
    marker: str
    line: str = "-"
    is_open: bool = False
    band: bool = False
    rank: float = 0.0  # position in legends

    def line_style(self) -> dict[str, Any]:
        """Keyword arguments of matplotlib's line."""
        if self.band:
            return {"color": self.colour, "linewidth": 5, "alpha": 0.3, "solid_capstyle": "round"}
        return {
            "color": self.colour,
            "linestyle": self.line,
            "linewidth": 1.4,
            "marker": self.marker,
            "markersize": 5.5,
            "markerfacecolor": "white" if self.is_open else self.colour,
        }


def model_of(row: Row) -> str:
    """Name of the representation of a row; the NTK that belongs to a network has a name of its own."""
    if row["model"] == "NTK" and row["parametrization"] == "standard":
        return NETWORK_NTK
    return str(row["model"])


def released(look: Look) -> Look:
    """The look of the released code's counterpart: dashed, with open markers."""
    return replace(
        look, label=f"{look.label}, released code", line="--", is_open=True, rank=look.rank + 0.5
    )


_NTK = Look("NTK", VERMILLION, "s")
_ADAPTIVE = Look("adaptive kernel", GREEN, "^")
THEORY = Look("theory: expected NC1", GREY, "", band=True, rank=math.inf)
# (model, state) -> look, in the order of every legend
_LOOKS = {
    ("data", ""): Look("data", BLACK, "X"),
    ("Linear", ""): Look("Linear", GREY, "+"),
    ("NNGP", ""): Look("NNGP", BLUE, "o"),
    ("ConjugateKernel", ""): Look("conjugate kernel", BLUE, "h", ":"),
    ("NTK", ""): _NTK,
    (RELEASED_ERF_NTK, ""): released(_NTK),
    ("AdaptiveKernel", ""): _ADAPTIVE,
    ("AdaptiveKernel", "shuffled"): Look("adaptive kernel, labels shuffled", ORANGE, "v", ":"),
    (RELEASED_ADAPTIVE, ""): released(_ADAPTIVE),
    (RELEASED_ADAPTIVE, "shuffled"): Look(
        "adaptive kernel, released code, labels shuffled", ORANGE, ">", "-.", is_open=True
    ),
    ("network", "start"): Look("network, start", PURPLE, "P", ":"),
    ("network", "end"): Look("network, end", PURPLE, "D"),
    (NETWORK_NTK, ""): Look("NTK of the network", ORANGE, "p"),
    ("empirical NTK", "start"): Look("empirical NTK, start", SKY, "<", ":"),
    ("empirical NTK", "end"): Look("empirical NTK, end", SKY, ">"),
}
LOOKS = {key: replace(look, rank=rank) for rank, (key, look) in enumerate(_LOOKS.items())}


def look_of(model: str, state: str) -> Look:
    """The look of a representation; grey stars for one that is not listed here."""
    label = f"{model}, {state}" if state else model
    return LOOKS.get((model, state), Look(label, GREY, "*", rank=len(LOOKS)))


def graded(label: str, index: int, n: int) -> Look:
    """The look of curve `index` of n that are no representations: viridis without its yellow end."""
    colour = require("matplotlib", "study").colormaps["viridis"](0.85 * index / max(n - 1, 1))
    return Look(label, colour, MARKERS[index % len(MARKERS)], rank=index)


def of_activation(label: str, index: int) -> Look:
    """The look of an activation, in panels whose curves do not differ in representation."""
    colours, markers = (PURPLE, GREEN, SKY, ORANGE), "D^v<"
    return Look(label, colours[index % len(colours)], markers[index % len(markers)], rank=index)
