"""Verdicts, counts and ratios in words, for the sentences of findings.

A ratio is a geometric mean; in brackets stands its 95 % Student interval over the repeats. Extremes
over unlike cells are a range, "from .. to ..", and never an interval.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from nc1fast.studies.findings.compare import pooled
from nc1fast.studies.findings.rules import (
    DIFFERENT,
    EQUAL,
    FAILS,
    FEWEST,
    HOLDS,
    SAME,
    TOO_FEW,
    UNDECIDED,
    UNDEFINED,
    WORDS,
    Interval,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nc1fast.studies.findings.compare import CellVerdict

ABSENT = "not in this table"
_MOST_DECIMALS = 5
_COUNTED = {
    HOLDS: "holds in",
    EQUAL: "is equal within the error bound in",
    FAILS: "fails in",
    SAME: "is the same in",
    DIFFERENT: "is different in",
    UNDECIDED: "is undecided in",
    TOO_FEW: "has too few repeats in",
    UNDEFINED: "cannot be compared in",
}


def counts(cells: Sequence[CellVerdict]) -> dict[str, int]:
    """Number of cells with each word, in the order of the rules; words that no cell has are left
    out.
    """
    number = {word: sum(cell.verdict == word for cell in cells) for word in WORDS}
    return {word: k for word, k in number.items() if k}


def count(cells: Sequence[CellVerdict]) -> str:
    """Counts of the verdicts: "holds in 18 of 20 cells and is equal within the error bound in 2"."""
    n = len(cells)
    parts = [f"{_COUNTED[word]} {k}" for word, k in counts(cells).items()]
    if len(parts) == 1:
        whole = {1: "the one cell", 2: "both cells"}.get(n, f"all {n} cells")
        return f"{parts[0].rpartition(' ')[0]} {whole}"
    parts[0] += f" of {n} cells"
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def show(interval: Interval) -> str:
    """An interval to the digits that its width deserves, "0.613 (0.601 to 0.625)"; without a width
    its middle alone.
    """
    if math.isnan(interval.middle):
        return "undefined"
    if math.isnan(interval.low):
        return f"{interval.middle:.3g}"
    n = _decimals(interval)
    middle, low, high = (f"{end:.{n}f}" for end in (interval.middle, interval.low, interval.high))
    return f"{interval.middle:.6g}" if low == high else f"{middle} ({low} to {high})"


def _decimals(interval: Interval) -> int:
    """Decimals that give the half width one digit, or two that begin with 1 or 2, and the lower end
    two; at most five.
    """
    reach, low = (interval.high - interval.low) / 2, abs(interval.low)
    if reach <= 0:
        return _MOST_DECIMALS
    exponent = math.floor(math.log10(reach))
    decimals = (1 if reach < 3 * 10.0**exponent else 0) - exponent
    if low:
        decimals = max(decimals, 1 - math.floor(math.log10(low)))
    return min(max(decimals, 0), _MOST_DECIMALS)


def tally(cells: Sequence[CellVerdict]) -> str:
    """Count and range for the details of a claim: "holds in 21 of 61 cells and fails in 40; ratio
    from 0.9 to 1.4 ...".
    """
    return f"{count(cells)}; ratio {extremes(cells)}" if cells else ABSENT


def extremes(cells: Sequence[CellVerdict]) -> str:
    """The range of the cells' ratios, "from 0.406 to 0.861 over the cells"; that of a single cell
    with its interval.
    """
    known = [cell for cell in cells if not math.isnan(cell.ratio)]
    if not known:
        return "undefined"
    if len(known) == 1:
        return show(known[0].interval)
    low, high = (f"{end(cell.ratio for cell in known):.3g}" for end in (min, max))
    return f"{low} in all cells" if low == high else f"from {low} to {high} over the cells"


def ranges(cells: Sequence[CellVerdict], prefix: str = "") -> str:
    """The range of each data set: "D1: from 1 to 3.95 over the cells; D2: from 1 to 3.26 over the
    cells".
    """
    return "; ".join(f"{prefix}{name}: {extremes(own)}" for name, own in by(cells, "dataset"))


def average(cells: Sequence[CellVerdict]) -> str:
    """The mean over like cells with its interval, then their range: "0.995 (0.988 to 1.001) in the
    mean, from 0.9 to 1.1 ...".
    """
    known = [cell for cell in cells if not math.isnan(cell.ratio)]
    if len(known) < 2:
        return extremes(cells)
    powered = sum(cell.n >= FEWEST for cell in known)
    which = ""
    if 0 < powered < len(known):
        which = f" of the {powered} cell{'s' * (powered > 1)} with {FEWEST} repeats or more"
    return f"{show(pooled(cells))} in the mean{which}, {extremes(cells)}"


def ratio_words(cells: Sequence[CellVerdict]) -> str:
    """The ratio at each d0 with its interval, then the range over the cells if there are more of
    these than of d0.
    """
    known = [cell for cell in cells if not math.isnan(cell.ratio)]
    if not known:
        return "ratio undefined"
    told = f"ratio {along_d0(known)}"
    return f"{told}, {extremes(known)}" if len(known) > len(by_d0(known)) else told


def each(cells: Sequence[CellVerdict], *columns: str) -> list[str]:
    """One sentence for each group of cells that agree in `columns`."""
    return [
        f"{group}: {subject(members)} {count(members)}; {ratio_words(members)}.{where(members)}"
        for group, members in by(cells, *columns)
    ]


def subject(cells: Sequence[CellVerdict]) -> str:
    """Subject of the sentence of a count: "it" (an order, which holds) or "NC1" (which is the same,
    or is not).
    """
    return "it" if {cell.verdict for cell in cells} & {HOLDS, EQUAL, FAILS} else "NC1"


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
    """Mean ratios at each d0: "0.998 (0.997 to 0.999) at d₀ = 1, ..."."""
    return ", ".join(f"{show(pooled(group))} at d₀ = {d0}" for d0, group in by_d0(cells))


def where(cells: Sequence[CellVerdict]) -> str:
    """A sentence with the d0 where a claim fails or NC1 is different; empty if that is all cells or
    none.
    """
    for verdict, words in ((FAILS, "It fails"), (DIFFERENT, "It is different")):
        found = [d0 for d0, group in by_d0(cells) if any(c.verdict == verdict for c in group)]
        if found and not all(c.verdict == verdict for c in cells):
            return f" {words} at d₀ = {', '.join(map(str, found))}."
    return ""


def repeats(cells: Sequence[CellVerdict]) -> str:
    """A sentence on whether the repeats of each cell agree."""
    split = sum(c.n_agree < c.n for c in cells)
    if not split:
        return "Within each cell all repeats agree."
    return f"In {split} of the {len(cells)} cells not all repeats agree."
