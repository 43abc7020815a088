"""From rows of the table to curves: means over repeats, paired ratios, one curve per
representation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nc1fast.studies.figures.looks import look_of, model_of, variant
from nc1fast.studies.findings.rules import CONFIDENCE, Interval, mean_interval
from nc1fast.studies.summary import CELL, distinct, grouped, grouped_by, log10, paired, select
from nc1fast.studies.table import LIMITING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nc1fast.studies.figures.looks import Look
    from nc1fast.studies.tidy import Row

UNCERTAINTY = (
    "In every figure a point is the geometric mean over the repeats, of NC1 or of a ratio of two "
    f"NC1 on the same data, and its bar the {CONFIDENCE:.0%} interval of that mean (Student's, of "
    "the mean logarithm). A point without a bar has a single repeat, or a bar shorter than its "
    "marker; points of one place on the horizontal axis are set side by side."
)
# The columns in which variants of one model on one data set may differ.
_VARIANT = ("depth", "weight_variance", "bias_variance", "width", "noise")


@dataclass(frozen=True)
class Point:
    """A positive value at one x and the ends of its bar; `undefined` counts the repeats without a
    logarithm.
    """

    x: Any
    value: float
    low: float
    high: float
    undefined: int = 0

    @classmethod
    def of_mean(cls, x: Any, mean: Interval, undefined: int = 0) -> Point:
        """The point of a mean with its interval; without one it has no bar."""
        ends = (mean.low, mean.high) if mean.n > 1 else (mean.middle, mean.middle)
        return cls(x, mean.middle, *ends, undefined)


@dataclass(frozen=True)
class Curve:
    """Points that one line joins, with their look."""

    look: Look
    points: Sequence[Point]


def levels(rows: Iterable[Row], x: str, column: str = "log10_nc1") -> list[Point]:
    """One point for each cell: 10 to the mean of a decimal logarithm over its repeats."""
    return [
        _point(cell[x], [row[column] for row in members]) for cell, members in grouped(rows, CELL)
    ]


def ratios(
    upper: Iterable[Row], lower: Iterable[Row], columns: Sequence[str], x: str
) -> list[Point]:
    """One point for each cell that two sets of rows share: the geometric mean of the ratios of
    their NC1.
    """
    return [
        _point(cell[x], [log10(a["nc1"]) - log10(b["nc1"]) for a, b in pairs])
        for cell, pairs in paired(upper, lower, columns)
    ]


def _point(x: Any, logs: Sequence[float]) -> Point:
    """10 to the mean of decimal logarithms, with the interval of that mean; those that are NaN are
    counted.
    """
    known = [log for log in logs if math.isfinite(log)]
    mean = mean_interval(known)
    powers = Interval(10**mean.middle, 10**mean.low, 10**mean.high, mean.n)
    return Point.of_mean(x, powers, len(logs) - len(known))


def representations(
    rows: Sequence[Row], x: str, column: str = "log10_nc1"
) -> tuple[list[Curve], list[Curve]]:
    """Curves over x of the representations of one data set, then those of their expectations, in
    the order of looks.
    """
    curves: list[Curve] = []
    theory: list[Curve] = []
    for (model, state), members in by_look(rows):
        expected = state == "theory"
        look = look_of(model, "" if expected else state)
        for index, (suffix, some) in enumerate(_variants(members, x)):
            points = sorted(levels(some, x, column), key=lambda p: p.x)
            curve = Curve(variant(look, suffix, index), points)
            (theory if expected else curves).append(curve)
    return curves, theory


def by_look(rows: Iterable[Row]) -> list[tuple[tuple[str, str], list[Row]]]:
    """Groups ((model, state), rows), in the order of looks."""
    groups = grouped_by(rows, lambda row: (model_of(row), row["state"]))
    return sorted(groups, key=lambda group: look_of(*group[0]).rank)


def _variants(rows: Sequence[Row], x: str) -> list[tuple[str, list[Row]]]:
    """Rows of one model as (suffix of the label, rows): several where a data set has several
    variants of it.
    """
    crowded = any(len(grouped(members, _VARIANT)) > 1 for _, members in grouped(rows, (x,)))
    if not crowded:
        return [("", list(rows))]
    differing = [name for name in _VARIANT if len(grouped(rows, (name,))) > 1]
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
    """Whether limiting kernels among the rows differ in depth."""
    kernels = select(rows, lambda row: row["model"] in LIMITING)
    return len(distinct(kernels, "depth")) > 1


def beside(rows: Sequence[Row]) -> list[Row]:
    """The rows without limiting kernels of depths at which no other model stands, if they differ in
    depth.
    """
    if not is_depth_curve(rows):
        return list(rows)
    depths = {row["depth"] for row in rows if row["model"] not in LIMITING}
    return select(rows, lambda row: row["depth"] in depths)


def is_width_sweep(rows: Sequence[Row]) -> bool:
    """Whether networks among the rows differ in width."""
    return len(distinct(select(rows, model="network"), "width")) > 1
