"""NC1 of fixed kernels along their depth: which curves rise, which fall, and which do neither."""

from __future__ import annotations

import itertools
import math
import statistics
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nc1fast.studies.findings.checks import LIMITING
from nc1fast.studies.findings.compare import CellVerdict
from nc1fast.studies.findings.finding import Finding, judged
from nc1fast.studies.findings.rules import EQUAL, FAILS, HOLDS, at_least, of_draws
from nc1fast.studies.summary import CELL, distinct, grouped, key, select

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nc1fast.studies.tidy import Row

RISES, FALLS, LEVEL, TURNS = "rises", "falls", "stays level", "is not monotone"
_COURSES = (RISES, FALLS, TURNS, LEVEL)


@dataclass(frozen=True)
class _Curve:
    """One kernel on one drawn data set, from its least depth to its greatest."""

    repeat: int
    course: str
    first: float
    last: float


@dataclass(frozen=True)
class _Family:
    """The curves of one cell: one kernel on the draws of one kind of data."""

    cell: Row
    curves: tuple[_Curve, ...]


def over_depth(rows: Sequence[Row]) -> Finding | None:
    """How NC1 of fixed kernels changes with their depth; None unless kernels of several depths are
    there.
    """
    families = _families(rows)
    if not families:
        return None
    courses = _courses(families)
    whole = f"NC1 of fixed kernels {_counted(courses)}"
    return judged(
        "depth",
        f"With depth, {whole}",
        "NC1 grows, or stays equal within the error bounds, with every step in depth.",
        "NC1(deepest)/NC1(shallowest)",
        [
            f"{whole}: a kernel on one drawn data set, its steps against the error bounds.",
            *_each_kernel(families),
        ],
        [_judge(family) for family in families],
    )


def _families(rows: Sequence[Row]) -> list[_Family]:
    """The curves of several depths, by cell; draws without a finite NC1 at every depth are left
    out.
    """
    columns = [name for name in CELL if name != "depth"]
    kernels = select(rows, lambda row: row["model"] in LIMITING, state="")
    families = []
    for cell, members in grouped(kernels, columns):
        depths = sorted(distinct(members, "depth"))
        draws = [draw for _, draw in grouped(members, ("repeat",)) if len(draw) == len(depths)]
        draws = [draw for draw in draws if all(math.isfinite(row["nc1"]) for row in draw)]
        if len(depths) > 1 and draws:
            name = {**cell, "depth": f"{depths[0]}-{depths[-1]}"}
            families.append(_Family(name, tuple(map(_curve, draws))))
    return families


def _curve(draw: Sequence[Row]) -> _Curve:
    levels = sorted(draw, key=lambda row: row["depth"])
    steps = {at_least([(deeper, row)])[0] for row, deeper in itertools.pairwise(levels)}
    if {HOLDS, FAILS} <= steps:
        course = TURNS
    else:
        course = RISES if HOLDS in steps else FALLS if FAILS in steps else LEVEL
    return _Curve(levels[0]["repeat"], course, levels[0]["nc1"], levels[-1]["nc1"])


def _judge(family: _Family) -> CellVerdict:
    """A curve holds if it rises, is equal if it stays level, and else fails."""
    words = {RISES: HOLDS, LEVEL: EQUAL, FALLS: FAILS, TURNS: FAILS}
    word, n_agree = of_draws([words[curve.course] for curve in family.curves])
    ratios = {
        curve.repeat: curve.last / curve.first if min(curve.first, curve.last) > 0 else math.nan
        for curve in family.curves
    }
    return CellVerdict(family.cell, word, n_agree, ratios)


def _each_kernel(families: Sequence[_Family]) -> list[str]:
    """A sentence for each kernel on each kind of data: its courses, and NC1 at both ends for each
    d0.
    """
    columns = ("dataset", "model", "activation", "weight_variance", "depth")
    groups: dict[tuple[str, ...], list[_Family]] = {}
    for family in families:
        groups.setdefault(key(family.cell, columns), []).append(family)
    sentences = []
    for (dataset, model, activation, variance, depths), own in groups.items():
        curves: dict[int, list[_Curve]] = {}
        for family in own:
            curves.setdefault(family.cell["d0"], []).extend(family.curves)
        ends = ", ".join(f"{_ends(curves[d0])} at d₀ = {d0}" for d0 in sorted(curves))
        sentences.append(
            f"{dataset}, {model}, {activation} (weight variance {variance}): NC1 {_counted(_courses(own))}; "
            f"from depth {depths.replace('-', ' to ')} its mean goes from {ends}."
        )
    return sentences


def _ends(curves: Sequence[_Curve]) -> str:
    """Mean NC1 over the draws at the least and the greatest depth."""
    first, last = (
        statistics.fmean(ends) for ends in zip(*((c.first, c.last) for c in curves), strict=True)
    )
    return f"{first:.3g} to {last:.3g}"


def _courses(families: Iterable[_Family]) -> Counter[str]:
    return Counter(curve.course for family in families for curve in family.curves)


def _counted(courses: Counter[str]) -> str:
    """Courses in words: "rises in 524 of 594 curves, falls in 40 and is not monotone in 30"."""
    n = sum(courses.values())
    found = [course for course in _COURSES if courses[course]]
    if len(found) == 1:
        return f"{found[0]} in {f'all {n} curves' if n > 1 else 'the one curve'}"
    parts = [f"{course} in {courses[course]}" for course in found]
    parts[0] += f" of {n} curves"
    return f"{', '.join(parts[:-1])} and {parts[-1]}"
