"""The effect of class weights alone on NC1 when classes are unequal, in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nc1fast.studies.findings.words import by, extremes
from nc1fast.studies.summary import CELL, distinct, equal_classes, grouped, median, select

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nc1fast.studies.findings.compare import CellVerdict
    from nc1fast.studies.tidy import Row


def convention_sentences(rows: Sequence[Row], cells: Sequence[CellVerdict]) -> list[str]:
    """Sentences: 'released' against 'probe' at each list of class sizes, then each convention
    against the sizes.

    Parameters
    ----------
    rows : sequence of Row
        Kernels, under all conventions.
    cells : sequence of CellVerdict
        The comparison of 'released' (upper) with 'probe' (lower).
    """
    sentences = []
    for sizes, members in by(cells, "sizes"):
        sentences.append(
            f"Sizes {sizes}: NC1 by the released kernel formula over that by the probe's definition is "
            f"{extremes(members)}{_closed_form(sizes)}."
        )
    return sentences + _movement(select(rows, arm=cells[0].cell["arm"]))


def _closed_form(sizes: str) -> str:
    """The ratio (n1^2 + n2^2)/(2 n1 n2) in words, exact for two classes of equal spread and
    opposite means.
    """
    numbers = [int(n) for n in sizes.split(":")]
    if len(numbers) != 2:
        return ""
    n1, n2 = numbers
    return f"; (n1² + n2²)/(2 n1 n2) is {(n1 * n1 + n2 * n2) / (2 * n1 * n2):.3g}"


def _movement(rows: Sequence[Row]) -> list[str]:
    """A sentence on the change of NC1 from equal to the most unequal classes under each convention,
    as ranges over cells.
    """
    sizes = distinct(rows, "sizes")
    equal = [s for s in sizes if equal_classes({"sizes": s})]
    if not equal or len(sizes) < 2:
        return []
    unequal = max(sizes, key=lambda s: max(map(int, s.split(":"))) / min(map(int, s.split(":"))))
    columns = [name for name in CELL if name not in ("sizes", "convention")]
    told = []
    for convention in distinct(rows, "convention"):
        ratios = []
        for _, members in grouped(select(rows, convention=convention), columns):
            before = median(r["nc1"] for r in select(members, sizes=equal[0]))
            after = median(r["nc1"] for r in select(members, sizes=unequal))
            ratios.append(after / before)
        told.append(f"{min(ratios):.3g} to {max(ratios):.3g} under '{convention}'")
    return [
        (
            f"From sizes {equal[0]} to {unequal} NC1 changes (medians over the draws) by a factor from {', '.join(told)}, over the "
            "cells."
        )
    ]
