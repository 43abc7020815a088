"""Verdicts, counts and ratios in words, for the sentences of findings."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from nc1fast.studies.findings.compare import pooled
from nc1fast.studies.findings.rules import AGREE, DIFFER, EQUAL, FAILS, HOLDS, UNDEFINED, Interval

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nc1fast.studies.findings.compare import CellVerdict

ABSENT = "not in this table"
_COUNTED = {
    HOLDS: "holds in",
    EQUAL: "is equal within the error bound in",
    AGREE: "agree in",
    FAILS: "fails in",
    DIFFER: "differ in",
    UNDEFINED: "cannot be compared in",
}


def count(cells: Sequence[CellVerdict]) -> str:
    """Counts of the verdicts: "holds in 18 of 20 cells and is equal within the error bound in 2"."""
    n = len(cells)
    number = {verdict: sum(c.verdict == verdict for c in cells) for verdict in _COUNTED}
    parts = [f"{_COUNTED[verdict]} {k}" for verdict, k in number.items() if k]
    if len(parts) == 1:
        whole = {1: "the one cell", 2: "both cells"}.get(n, f"all {n} cells")
        return f"{parts[0].rpartition(' ')[0]} {whole}"
    parts[0] += f" of {n} cells"
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def show(interval: Interval) -> str:
    """An interval to three digits: "0.613 (0.601 to 0.625)", or its middle alone."""
    if math.isnan(interval.low):
        return f"{interval.middle:.3g}"
    return f"{interval.middle:.3g} ({interval.low:.3g} to {interval.high:.3g})"


def tally(cells: Sequence[CellVerdict], prefix: str = "") -> str:
    """Count and ratio for the first table: "erf: holds in 21 of 61 cells; ratio 0.99 (0.98 to 1)"."""
    if not cells:
        return ABSENT
    return f"{prefix}{count(cells)}; ratio {show(pooled(cells))}"


def share(cells: Sequence[CellVerdict], verdicts: Sequence[str]) -> str:
    """Number of cells with one of the verdicts, of all that can be compared: "18 of 20"."""
    known = [cell for cell in cells if cell.verdict != UNDEFINED]
    return f"{sum(c.verdict in verdicts for c in known)} of {len(known)}"


def ratio_words(cells: Sequence[CellVerdict]) -> str:
    """The median ratio with its interval over the repeats, and its range over the cells."""
    known = [c.ratio for c in cells if not math.isnan(c.ratio)]
    if not known:
        return "the ratio is not defined"
    middle = f"median ratio {show(pooled(cells))}"
    if len(known) == 1:
        return middle
    return f"{middle}, from {min(known):.3g} to {max(known):.3g} over the cells"


def each(cells: Sequence[CellVerdict], *columns: str) -> list[str]:
    """One sentence for each group of cells that agree in `columns`."""
    return [
        f"{group}: {subject(members)} {count(members)}; {ratio_words(members)}.{where(members)}"
        for group, members in by(cells, *columns)
    ]


def subject(cells: Sequence[CellVerdict]) -> str:
    """Subject of the sentence of a count: "it" (a claim, which holds) or "the two" (numbers, which agree)."""
    return "the two" if {c.verdict for c in cells} & {AGREE, DIFFER} else "it"


def by(cells: Iterable[CellVerdict], *columns: str) -> list[tuple[str, list[CellVerdict]]]:
    """Groups (name, cells) of cells that agree in the columns; the name is their values."""
    groups: dict[str, list[CellVerdict]] = {}
    for cell in cells:
        name = ", ".join(str(cell.cell[column]) for column in columns)
        groups.setdefault(name, []).append(cell)
    return list(groups.items())


def by_d0(cells: Iterable[CellVerdict]) -> list[tuple[int, list[CellVerdict]]]:
    """Groups (d0, cells), in ascending order of d0."""
    groups: dict[int, list[CellVerdict]] = {}
    for cell in cells:
        groups.setdefault(cell.cell["d0"], []).append(cell)
    return sorted(groups.items())


def along_d0(cells: Iterable[CellVerdict]) -> str:
    """Pooled ratios at each d0: "0.998 (0.997 to 0.999) at d₀ = 1, ..."."""
    return ", ".join(f"{show(pooled(group))} at d₀ = {d0}" for d0, group in by_d0(cells))


def where(cells: Sequence[CellVerdict]) -> str:
    """A sentence with the d0 where a claim fails or numbers differ; empty if that is all cells or none."""
    for verdict, words in ((FAILS, "It fails"), (DIFFER, "They differ")):
        found = [d0 for d0, group in by_d0(cells) if any(c.verdict == verdict for c in group)]
        if found and not all(c.verdict == verdict for c in cells):
            return f" {words} at d₀ = {', '.join(map(str, found))}."
    return ""


def repeats(cells: Sequence[CellVerdict]) -> str:
    """A sentence on whether the repeats of each cell agree."""
    split = sum(c.n_agree < c.n for c in cells)
    if not split:
        return "Within each cell all repeats agree."
    return f"The repeats of {split} of the {len(cells)} cells do not all agree with their cell."
