"""The claim A3: the adaptive kernel against the NNGP, against trained networks, and against shuffled labels."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from nc1fast.studies.findings.compare import pooled
from nc1fast.studies.findings.finding import Finding, judged, line
from nc1fast.studies.findings.rules import may_differ
from nc1fast.studies.findings.words import (
    ABSENT,
    along_d0,
    by,
    count,
    each,
    repeats,
    show,
    tally,
)
from nc1fast.studies.library.paper.findings import pairings
from nc1fast.studies.summary import distinct, key, select
from nc1fast.studies.table import RELEASED_ADAPTIVE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nc1fast.studies.findings.compare import CellVerdict
    from nc1fast.studies.findings.finding import Claim
    from nc1fast.studies.findings.rules import Interval
    from nc1fast.studies.tidy import Row


def below_nngp(rows: Sequence[Row]) -> Claim:
    """A3, level: the adaptive kernel is more collapsed than the NNGP."""
    name = "NC1(adaptive)/NC1(NNGP)"
    noisy = pairings.langevin_arms(rows)
    published = select(pairings.published(rows), lambda row: row["arm"] not in noisy)
    cells = pairings.adaptive_against_nngp(published)
    sentences = []
    if cells:
        noise = distinct(select(published, model="AdaptiveKernel"), "noise")
        sentences = [f"Over all published data it {count(cells)}."]
        sentences += each(cells, "arm", "dataset")
        sentences += [
            f"The noise, which decides the answer, is {', '.join(f'{value:g}' for value in noise)}.",
            repeats(cells),
            *_unconverged(published),
        ]
    finding = judged(
        "a3",
        "The adaptive kernel is more collapsed than the NNGP",
        "NC1(adaptive kernel) ≤ NC1(NNGP), the adaptive kernel from equations in which the labels enter (erf).",
        name,
        sentences,
        cells,
    )
    released = pairings.adaptive_against_nngp(published, RELEASED_ADAPTIVE)
    shuffled = pairings.shuffled_against_true(published)
    why = "Its term with the labels carries the noise where 1/noise² belongs: the labels hardly enter."
    control = f"shuffled/true ratio {show(pooled(shuffled))}" if shuffled else ABSENT
    return line("A3", finding, released=tally(released), control=control, why=why)


def _unconverged(rows: Sequence[Row]) -> list[str]:
    solutions = select(rows, model="AdaptiveKernel", state="")
    late = sum(row["status"].startswith("not converged") for row in solutions)
    if not late:
        return []
    return [
        f"{late} of {len(solutions)} rows are of solutions above the solver's tolerance; they count."
    ]


def need_not_follow(rows: Sequence[Row]) -> Claim:
    """A3, trend: the adaptive kernel may not follow the trained network."""
    published = pairings.published(rows)
    cells = pairings.network_against_adaptive(published)
    finding = Finding(
        "a3-trend",
        "The adaptive kernel need not follow the trained network",
        "NC1(T)/NC1(0) of a network and NC1(adaptive)/NC1(NNGP) on the same data differ by more than 5 % in "
        "more cells than chance explains.",
        may_differ(cell.verdict for cell in cells),
        "NC1(T)/NC1(0) over NC1(adaptive)/NC1(NNGP)",
        tuple(_trend_sentences(published, cells)),
        tuple(cells),
    )
    released = pairings.network_against_adaptive(published, RELEASED_ADAPTIVE)
    why = "Training and equations have different priors and noise."
    if pairings.langevin_arms(published):
        why += " The Langevin arm gives them the same."
    return line(
        "A3", finding, released=tally(released), control="as above", why=why, differing=True
    )


def _trend_sentences(rows: Sequence[Row], cells: Sequence[CellVerdict]) -> list[str]:
    """Sentences for each arm: how far networks move, how far kernels do, and whether the two agree."""
    sentences = []
    moved, lowered = pairings.network_end_against_start(rows), pairings.adaptive_against_nngp(rows)
    for name, members in by(cells, "arm", "dataset", "activation"):
        arm = members[0].cell["arm"]
        networks = _same_data(moved, members, "arm", "activation")
        partners = pairings.adaptive_arms(rows, arm)
        kernels = _same_data(lowered, members, "activation")
        kernels = [cell for cell in kernels if cell.cell["arm"] in partners]
        sentences.append(
            f"{name}: the two {count(members)}. NC1(T)/NC1(0) of the network is {along_d0(networks)}; "
            f"NC1(adaptive)/NC1(NNGP) is {along_d0(kernels)}."
        )
        if arm in pairings.langevin_arms(rows):
            sentences.append(
                f"{name}: trained by Langevin noise under the prior and the noise of the adaptive kernel, log NC1 of "
                f"the networks changes {_times(pooled(networks), pooled(kernels))} times as much as that from the "
                "NNGP to the adaptive kernel (medians over the cells)."
            )
    return sentences


def _same_data(
    cells: Sequence[CellVerdict], others: Sequence[CellVerdict], *columns: str
) -> list[CellVerdict]:
    """Cells whose data and further columns occur among those of others."""
    names = ("dataset", "N", "d0", "sizes", *columns)
    known = {key(other.cell, names) for other in others}
    return [cell for cell in cells if key(cell.cell, names) in known]


def _times(moved: Interval, goal: Interval) -> str:
    """Quotient of the logarithms of two ratios, with the interval of the first."""
    whole = math.log(goal.middle)
    if not whole:
        return "infinitely many"
    low, high = sorted(math.log(end) / whole for end in (moved.low, moved.high))
    return show(
        dataclasses.replace(moved, middle=math.log(moved.middle) / whole, low=low, high=high)
    )
