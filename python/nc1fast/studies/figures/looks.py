"""Looks: colour, marker and line of each representation, the same in every figure.

A thing has one colour (`palette`); each look has a marker or line of its own besides, so that
nothing depends on colour. Activations differ by line and marker alone. What the released
code gives is dashed, with open markers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from nc1fast.studies.figures import palette
from nc1fast.studies.table import RELEASED_ADAPTIVE, RELEASED_ERF_NTK

if TYPE_CHECKING:
    from nc1fast.studies.tidy import Row

MARKERS = "osD^vPX*"
LINES = ("-", "--", ":", "-.")
# The name that `model_of` gives to rows of the NTK in standard parametrization.
NETWORK_NTK = "NTK of the network"
# Line and marker of an activation; others get those of `_FURTHER` in turn.
_ACTIVATIONS = {"erf": ("-", "o"), "ReLU": ("--", "s"), "GELU": (":", "D")}
_FURTHER = (("-.", "^"), ((0, (5, 1, 1, 1, 1, 1)), "v"), ((0, (1, 3)), "P"))


@dataclass(frozen=True)
class Look:
    """Name beside the curve, colour, marker and line; `is_open`: hollow markers; `band`: a broad
    pale line, no marker.
    """

    label: str
    colour: str
    marker: str
    line: Any = "-"
    is_open: bool = False
    band: bool = False
    rank: float = 0.0  # position among the names

    def line_style(self) -> dict[str, Any]:
        """Keyword arguments of matplotlib's line."""
        if self.band:
            return {"color": self.colour, "linewidth": 5, "alpha": 0.45, "solid_capstyle": "round"}
        return {
            "color": self.colour,
            "linestyle": self.line,
            "linewidth": 1.4,
            "marker": self.marker,
            "markersize": 4.5,
            "markerfacecolor": palette.PAPER if self.is_open else self.colour,
        }


def model_of(row: Row) -> str:
    """Name of the representation of a row; the NTK that belongs to a network has a name of its
    own.
    """
    if row["model"] == "NTK" and row["parametrization"] == "standard":
        return NETWORK_NTK
    return str(row["model"])


def released(look: Look) -> Look:
    """The look of the released code's counterpart: its own colour, dashed, with open markers."""
    return replace(
        look,
        label=f"{look.label}, released code",
        colour=palette.RELEASED,
        line="--",
        is_open=True,
        rank=look.rank + 0.5,
    )


_NTK = Look("NTK", palette.NTK, "s")
_ADAPTIVE = Look("adaptive kernel", palette.ADAPTIVE, "^")
THEORY = Look("theory", palette.THEORY, "", band=True, rank=math.inf)
# (model, state) -> look, in the order of all lists
_LOOKS = {
    ("data", ""): Look("data", palette.DATA, "*"),
    ("Linear", ""): Look("linear kernel", palette.DATA, "+", ":"),
    ("NNGP", ""): Look("NNGP", palette.NNGP, "o"),
    ("ConjugateKernel", ""): Look("conjugate kernel", palette.NNGP, "h", ":"),
    ("NTK", ""): _NTK,
    (RELEASED_ERF_NTK, ""): released(_NTK),
    ("AdaptiveKernel", ""): _ADAPTIVE,
    ("AdaptiveKernel", "shuffled"): Look(
        "adaptive kernel, shuffled labels", palette.ADAPTIVE, "v", ":", is_open=True
    ),
    (RELEASED_ADAPTIVE, ""): released(_ADAPTIVE),
    (RELEASED_ADAPTIVE, "shuffled"): Look(
        "adaptive kernel, released code, shuffled labels", palette.RELEASED, ">", "-.", is_open=True
    ),
    ("mean field", ""): Look("mean field", palette.MEAN_FIELD, "p"),
    ("network", "start"): Look("network, start", palette.NETWORK, "P", ":", is_open=True),
    ("network", "end"): Look("network, end", palette.NETWORK, "D"),
    (NETWORK_NTK, ""): Look("NTK of the network", palette.OWN_NTK, "h"),
    ("empirical NTK", "start"): Look(
        "empirical NTK, start", palette.OWN_NTK, "<", ":", is_open=True
    ),
    ("empirical NTK", "end"): Look("empirical NTK, end", palette.OWN_NTK, ">"),
}
LOOKS = {key: replace(look, rank=rank) for rank, (key, look) in enumerate(_LOOKS.items())}


def look_of(model: str, state: str) -> Look:
    """The look of a representation; octagons in the colour of ink for one that is not listed
    here.
    """
    label = f"{model}, {state}" if state else model
    return LOOKS.get((model, state), Look(label, palette.INK, "8", rank=len(LOOKS)))


def graded(label: str, index: int, n: int) -> Look:
    """The look of curve `index` of n that are no representations: a shade of ink."""
    return Look(label, palette.shade(index, n), MARKERS[index % len(MARKERS)], rank=index)


def variant(look: Look, suffix: str, index: int) -> Look:
    """The look of variant `index` of a representation: a longer name, and from the second on
    another line.
    """
    line = look.line if index == 0 else LINES[(LINES.index(look.line) + index) % len(LINES)]
    return replace(look, label=look.label + suffix, line=line, is_open=look.is_open or index > 0)


def of_activation(name: str, index: int) -> Look:
    """The look of an activation, which has a line and a marker but no colour."""
    line, marker = _ACTIVATIONS.get(name, _FURTHER[index % len(_FURTHER)])
    return Look(name, palette.INK, marker, line, rank=index)


def with_activation(look: Look, name: str, index: int) -> Look:
    """The look of a representation with the line and the marker of an activation."""
    worn = of_activation(name, index)
    label = f"{look.label}, {name}" if name else look.label
    return replace(look, label=label, marker=worn.marker, line=worn.line)
