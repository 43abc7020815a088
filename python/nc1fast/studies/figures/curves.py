"""From rows of the table to curves: means over repeats, paired ratios, one curve per representation."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from nc1fast.studies.figures.looks import look_of, model_of
from nc1fast.studies.summary import distinct, grouped, median, paired, select, summarise

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nc1fast.studies.figures.looks import Look
    from nc1fast.studies.tidy import Row

BARS = (
    "Points: geometric mean over the repeats; bars, where there are several repeats: one standard deviation of "
    "log₁₀ on either side (divisor n)"
)
RANGES = "Points: median of the paired ratios of the repeats; bars: their range"
# The columns in which variants of one model on one data set may differ.
_VARIANT = ("depth", "weight_variance", "bias_variance", "width", "noise")


@dataclass(frozen=True)
class Point:
    """A positive value at one x and the ends of its bar; `undefined` counts the repeats without a logarithm."""

    x: Any
    value: float
    low: float
    high: float
    undefined: int = 0


@dataclass(frozen=True)
class Curve:
    """Points that one line joins, with their look."""

    look: Look
    points: Sequence[Point]


def levels(rows: Iterable[Row], x: str, column: str = "log10_nc1") -> list[Point]:
    """One point for each cell: 10 to the mean of a decimal logarithm over its repeats."""
    return [
        Point(
            s.cell[x],
            10**s.mean,
            10 ** (s.mean - s.deviation),
            10 ** (s.mean + s.deviation),
            s.n_undefined,
        )
        for s in summarise(rows, column)
    ]


def ratios(
    upper: Iterable[Row], lower: Iterable[Row], columns: Sequence[str], x: str
) -> list[Point]:
    """One point for each cell that two sets of rows share: median and range of the ratios of their NC1."""
    points = []
    for cell, pairs in paired(upper, lower, columns):
        known = [
            a["nc1"] / b["nc1"]
            for a, b in pairs
            if 0 < a["nc1"] < math.inf and 0 < b["nc1"] < math.inf
        ]
        low, high = (min(known), max(known)) if known else (math.nan, math.nan)
        points.append(Point(cell[x], median(known), low, high, len(pairs) - len(known)))
    return points


def representations(
    rows: Sequence[Row], x: str, column: str = "log10_nc1"
) -> tuple[list[Curve], list[Curve]]:
    """Curves over x of the representations of one data set, then those of their expectations, in the order of looks."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((model_of(row), row["state"]), []).append(row)
    curves: list[Curve] = []
    theory: list[Curve] = []
    for (model, state), members in sorted(groups.items(), key=lambda item: look_of(*item[0]).rank):
        expected = state == "theory"
        look = look_of(model, "" if expected else state)
        for suffix, variant in _variants(members, x):
            points = sorted(levels(variant, x, column), key=lambda p: p.x)
            curve = Curve(replace(look, label=look.label + suffix), points)
            (theory if expected else curves).append(curve)
    return curves, theory


def _variants(rows: Sequence[Row], x: str) -> list[tuple[str, list[Row]]]:
    """Rows of one model as (suffix of the label, rows): several where a data set has several variants of it."""
    crowded = any(len(grouped(members, _VARIANT)) > 1 for _, members in grouped(rows, (x,)))
    if not crowded:
        return [("", list(rows))]
    differing = [name for name in _VARIANT if len(distinct(rows, name)) > 1]
    return [
        (", " + ", ".join(f"{name.replace('_', ' ')} {cell[name]}" for name in differing), members)
        for cell, members in grouped(rows, _VARIANT)
    ]


def of_activation(rows: Sequence[Row], activation: str) -> list[Row]:
    """Rows of one activation and of the data, which have none."""
    return select(rows, lambda row: row["activation"] in (activation, ""))


def activations(rows: Iterable[Row]) -> list[str]:
    """Names of the activations among the rows."""
    return [name for name in distinct(rows, "activation") if name]


def written(activation: str) -> str:
    """An activation's name in a figure."""
    return {"relu": "ReLU", "gelu": "GELU"}.get(activation, activation)


def is_depth_curve(rows: Sequence[Row]) -> bool:
    """Whether the kernels of the rows differ in depth."""
    return len(distinct(select(rows, lambda row: row["depth"] >= 2), "depth")) > 1
