"""Claims about the family between NTK and NNGP, judged on the measures."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from nc1fast.studies.findings import rules
from nc1fast.studies.findings.measured import Range, claim, step
from nc1fast.studies.library.unified_kernel.parts import CURVE, STORED
from nc1fast.studies.measures import along, chosen, setting_of, values
from nc1fast.studies.summary import grouped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nc1fast.studies.findings import Claim
    from nc1fast.studies.tidy import Row

_EXACT = Range(high=1e-12)  # of relative differences


def claims(rows: Sequence[Row]) -> list[Claim]:
    """Its ends, its interior, its shape."""
    return [_ends(rows), _interior(rows), _monotone(rows)]


def _curves(rows: Sequence[Row]) -> list[tuple[Row, dict[float, Row]]]:
    """The curve of each draw: (part of its setting and its repeat, row by share)."""
    told = [
        {**row, "draw": ", ".join(f"{k}={v}" for k, v in setting_of(row).items() if k != "s")}
        for row in chosen(rows, "nc1", CURVE)
    ]
    groups = grouped(told, ("draw", "repeat"))
    return [
        (draw, {s: found[0] for s, found in along(members, "s").items()})
        for draw, members in groups
    ]


def _ends(rows: Sequence[Row]) -> Claim:
    ends = {0.0: "NTK", 1.0: "NNGP"}
    alone = {
        (name, row["setting"], row["repeat"]): row["value"]
        for name in ends.values()
        for row in chosen(rows, "nc1", name)
    }
    differences = []
    for draw, curve in _curves(rows):
        for s, name in ends.items():
            place = (name, draw["draw"], draw["repeat"])
            if place in alone and s in curve:
                differences.append(abs(curve[s]["value"] / alone[place] - 1))
    words = [_EXACT.word(d, d) for d in differences]
    statement = "K(0) has the NC1 of the NTK and K(1) that of the NNGP, to 1e-12."
    number = f"largest relative difference {max(differences, default=float('nan')):.1g}"
    return claim("U1", "The family ends at NTK and NNGP", statement, words, number)


def _interior(rows: Sequence[Row]) -> Claim:
    stored = {(row["setting"], row["repeat"]): row["value"] for row in chosen(rows, "nc1", STORED)}
    pairs = [(row, stored[row["setting"], row["repeat"]]) for row in chosen(rows, "nc1", CURVE)]
    differences = [abs(row["value"] / other - 1) for row, other in pairs]
    words = [_EXACT.word(d, d) for d in differences]
    statement = (
        "At every s, NC1 from the sums of the two ends is that of the mixed Gram matrix, to 1e-12."
    )
    number = f"largest relative difference {max(differences, default=float('nan')):.1g}"
    return claim("U2", "One pass gives the whole curve", statement, words, number)


def _monotone(rows: Sequence[Row]) -> Claim:
    words, spans = [], []
    for _, curve in _curves(rows):
        steps = list(itertools.pairwise(curve.values()))
        if not steps:
            continue
        ways = {step(a, b) for a, b in steps} - {rules.EQUAL}
        words.append(rules.EQUAL if not ways else rules.FAILS if len(ways) > 1 else rules.HOLDS)
        ends = values([steps[0][0], steps[-1][1]])
        spans.append(ends[1] / ends[0])
    statement = "NC1(s) is monotone from the NTK to the NNGP."
    number = (
        f"NC1(NNGP)/NC1(NTK) from {min(spans):.3g} to {max(spans):.3g}" if spans else "no curve"
    )
    return claim("U3", "The curve is monotone", statement, words, number)
