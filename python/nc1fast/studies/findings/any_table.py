"""Findings that any table supports: samples against theory, kernels along their depth, unusual
values.
"""

from __future__ import annotations

import itertools
import math
import re
import statistics
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nc1fast.studies.findings.compare import CellVerdict, compare, counted, plural
from nc1fast.studies.findings.finding import EACH, Comparison, Finding, Sentence
from nc1fast.studies.findings.rules import (
    DEPENDS,
    EQUAL,
    FAILS,
    HOLDS,
    agree,
    at_least,
    of_draws,
    overall,
)
from nc1fast.studies.summary import CELL, distinct, grouped, grouped_by, key, select
from nc1fast.studies.table import LIMITING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nc1fast.studies.tidy import Row


def _against_theory(rows: Sequence[Row]) -> list[CellVerdict]:
    """NC1 of drawn data against its expectation by quadrature.

    The mean logarithm over the draws lies below the logarithm of their mean by about half the
    variance of the logarithm, on the grid of the paper .3 % in the mean over the cells: less than
    the tolerance, and within it the claim is judged.
    """
    drawn = select(rows, lambda row: row["model"] in LIMITING, state="")
    curve = [  # an expectation has no repeats and is compared with each of them
        {**row, "state": "", "repeat": repeat}
        for row in select(rows, state="theory")
        for repeat in distinct(drawn, "repeat")
    ]
    return compare(drawn, curve, (), agree)


THEORY = Comparison(
    "theory",
    "The theory curve",
    "NC1 is the expected NC1 of the mixture, computed without a sample, within 5 % in the mean "
    "over all cells.",
    "NC1/expected NC1",
    _against_theory,
    (
        Sentence("Over all cells the ratio is {average}; NC1 {count}."),
        Sentence(EACH, columns=("arm", "model", "activation")),
    ),
    random=True,
)


def unusual(rows: Sequence[Row]) -> Finding:
    """D-5: values that are not positive and finite, solutions that did not converge, trainings that
    diverged.
    """
    odd = select(rows, lambda row: row["status"] != "ok")
    number = re.compile(r"(?<!\w)[-+]?\d[\d.e+-]*")
    kinds = grouped_by(odd, lambda row: number.sub("…", row["status"]))
    sentences = [f"{plural(len(m), 'row')} ({_whose(m)}): {kind}." for kind, m in kinds]
    negative = select(rows, lambda row: row["nc1"] < 0, convention="released")
    if negative:
        sentences.append(
            f"Negative values under 'released' ({plural(len(negative), 'row')}) are right: its Tr "
            "Sigma_W mixes two weights and is not a variance. The released code leaves such values "
            "out of its means."
        )
    return Finding(
        "unusual",
        f"{len(odd)} of {len(rows):,} rows are unusual" if odd else "No row is unusual",
        "Every NC1 is positive and finite, every solution converged, no training diverged. Rows "
        "of which this is not true stay in the table and are listed below.",
        HOLDS if not odd else DEPENDS if len(odd) < len(rows) else FAILS,
        "",
        tuple(sentences) or (f"All {len(rows):,} rows are as they should be.",),
    )


def _whose(rows: Sequence[Row]) -> str:
    """Names of the models and data of some rows, each once."""
    names = [
        f"{row['model']} {row['activation']}".strip() + f" on {row['dataset']}" for row in rows
    ]
    return ", ".join(dict.fromkeys(names))


RISES, FALLS, LEVEL, TURNS = "rises", "falls", "stays level", "is not monotone"
# A curve holds if it rises, is equal if it stays level, and else fails.
_WORDS = {RISES: HOLDS, FALLS: FAILS, TURNS: FAILS, LEVEL: EQUAL}


@dataclass(frozen=True)
class _Curve:
    """One kernel on one drawn data set, from its least depth to its greatest."""

    cell: Row
    repeat: int
    course: str
    first: float
    last: float

    @property
    def ratio(self) -> float:
        return self.last / self.first if min(self.first, self.last) > 0 else math.nan


def over_depth(rows: Sequence[Row]) -> Finding | None:
    """How NC1 of fixed kernels changes with their depth; None unless kernels of several depths are
    there.
    """
    curves = list(_curves(rows))
    if not curves:
        return None
    whole = f"NC1 of fixed kernels {_counted(curves)}"
    cells = [_judged(of_cell) for of_cell in _by(curves, CELL)]
    return Finding(
        "depth",
        f"With depth, {whole}",
        "NC1 grows, or stays equal within the error bounds, with every step in depth.",
        overall(cell.verdict for cell in cells),
        "NC1(deepest)/NC1(shallowest)",
        (
            f"{whole}: a kernel on one drawn data set, its steps against the error bounds.",
            *map(
                _of_kernel,
                _by(curves, ("dataset", "model", "activation", "weight_variance", "depth")),
            ),
        ),
        tuple(cells),
    )


def _curves(rows: Sequence[Row]) -> Iterable[_Curve]:
    """The curves of several depths; draws without a finite NC1 at every depth are left out."""
    kernels = select(rows, lambda row: row["model"] in LIMITING, state="")
    for cell, members in grouped(kernels, [name for name in CELL if name != "depth"]):
        depths = sorted(distinct(members, "depth"))
        name = {**cell, "depth": f"{depths[0]}-{depths[-1]}"}
        for _, draw in grouped(members, ("repeat",)):
            finite = all(math.isfinite(row["nc1"]) for row in draw)
            if finite and len(draw) == len(depths) > 1:
                levels = sorted(draw, key=lambda row: row["depth"])
                ends = levels[0]["nc1"], levels[-1]["nc1"]
                yield _Curve(name, levels[0]["repeat"], _course(levels), *ends)


def _course(levels: Sequence[Row]) -> str:
    """The course of one curve, from its steps against the error bounds."""
    steps = {at_least([(deeper, row)])[0] for row, deeper in itertools.pairwise(levels)}
    if {HOLDS, FAILS} <= steps:
        return TURNS
    return RISES if HOLDS in steps else FALLS if FAILS in steps else LEVEL


def _by(curves: Iterable[_Curve], columns: Sequence[str]) -> list[list[_Curve]]:
    """Groups of curves whose cells agree in the columns."""
    return [members for _, members in grouped_by(curves, lambda one: key(one.cell, columns))]


def _judged(curves: Sequence[_Curve]) -> CellVerdict:
    """The curves of one cell: one kernel on the draws of one kind of data."""
    word, n_agree = of_draws([_WORDS[curve.course] for curve in curves])
    ratios = {curve.repeat: curve.ratio for curve in curves}
    return CellVerdict(curves[0].cell, word, n_agree, ratios)


def _of_kernel(curves: Sequence[_Curve]) -> str:
    """A sentence on one kernel on one kind of data: its trends, and NC1 at both ends by d0."""
    cell = curves[0].cell
    ends = []
    for own in sorted(_by(curves, ("d0",)), key=lambda own: own[0].cell["d0"]):
        first, last = (
            statistics.fmean(v) for v in zip(*((c.first, c.last) for c in own), strict=True)
        )
        ends.append(f"{first:.3g} to {last:.3g} at d₀ = {own[0].cell['d0']}")
    return (
        f"{cell['dataset']}, {cell['model']}, {cell['activation']} (weight variance "
        f"{cell['weight_variance']}): NC1 {_counted(curves)}; from depth "
        f"{cell['depth'].replace('-', ' to ')} its mean goes from {', '.join(ends)}."
    )


def _counted(curves: Sequence[_Curve]) -> str:
    """Trends in words: "rises in 524 of 594 curves, falls in 40 and is not monotone in 30"."""
    n = Counter(curve.course for curve in curves)
    parts = {f"{course} in": n[course] for course in _WORDS if n[course]}
    return counted(parts, "curves", {1: "the one curve"})
