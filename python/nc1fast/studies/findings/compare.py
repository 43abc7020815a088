"""Comparisons of two sets of rows, paired repeat by repeat and judged cell by cell; and their
verdicts, counts and ratios in words.

A cell is a data set (name, N, d0, class sizes) with the columns that the two sides share. A ratio
is a geometric mean; in brackets stands its 95 % Student interval over the repeats. Extremes over
unlike cells are a range, "from .. to ..", and never an interval.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from nc1fast.studies.findings import rules
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
    at_least,
    ratio_interval,
)
from nc1fast.studies.summary import CELL, distinct, grouped, grouped_by, key, paired, select

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from nc1fast.studies.findings.rules import Pairs, Rule
    from nc1fast.studies.tidy import Row


@dataclass(frozen=True)
class CellVerdict:
    """One comparison on one cell.

    Attributes
    ----------
    cell : dict
        The columns that the two sides share, and those of the first that are free.
    verdict : str
        One of those of `nc1fast.studies.findings.rules`.
    n_agree : int
        Repeats whose own word is that of the cell.
    ratios : dict of int to float
        NC1(first)/NC1(second) by repeat; NaN where one of the two is not positive.
    """

    cell: Row
    verdict: str
    n_agree: int
    ratios: Mapping[int, float]

    @property
    def n(self) -> int:
        """Number of repeats compared, which are those with two finite values."""
        return len(self.ratios)

    @property
    def ratio(self) -> float:
        """Geometric mean of the ratios; NaN if any of them is undefined."""
        return self.interval.middle

    @property
    def ratio_min(self) -> float:
        """Smallest ratio of all repeats."""
        return min(self.ratios.values()) if self._defined else math.nan

    @property
    def ratio_max(self) -> float:
        """Largest ratio of all repeats."""
        return max(self.ratios.values()) if self._defined else math.nan

    @property
    def interval(self) -> Interval:
        """Geometric mean of the ratios, with Student's interval of the mean logarithm over the
        repeats.
        """
        return ratio_interval(self.ratios.values() if self._defined else ())

    @property
    def _defined(self) -> bool:
        return bool(self.ratios) and not any(map(math.isnan, self.ratios.values()))


Arms: TypeAlias = Literal["once", "each", "within"]


def compare(
    first: Sequence[Row],
    second: Sequence[Row],
    free: Sequence[str],
    rule: Rule = at_least,
    *,
    arms: Arms = "once",
) -> list[CellVerdict]:
    """Compare the NC1 of two sets of rows, cell by cell.

    Parameters
    ----------
    first, second : sequence of Row
    free : sequence of str
        Columns of `CELL` in which the two sides are meant to differ. Rows of `first` that differ in
        them, as networks of two widths, are cells of their own; of several such rows of `second`
        the first counts.
    rule : callable, default at_least
        Judges the pairs of a cell; the default judges the claim NC1(first) >= NC1(second).
    arms : {"once", "each", "within"}, default "once"
        "once": data that two arms share make one cell. "each": every arm of `first` has cells of
        its own (as solutions for different noise need), with partners from any arm. "within": both
        sides are of one arm (as the start and the end of one training are).
    """
    return [_judge(cell, pairs, rule) for cell, pairs in _cells(first, second, free, arms)]


def changes(
    after: Sequence[Row], before: Sequence[Row], free: Sequence[str], *, arms: Arms
) -> list[Row]:
    """Rows whose nc1 is the ratio NC1(after)/NC1(before), for a comparison of changes.

    They have the other columns of `after`, with an empty state and an error bound of zero. Pairs
    without two positive, finite values are left out.
    """
    return [
        {**a, "nc1": a["nc1"] / b["nc1"], "error_bound": 0.0, "state": ""}
        for _, pairs in _cells(after, before, free, arms)
        for a, b in _finite(pairs)
        if min(a["nc1"], b["nc1"]) > 0
    ]


def same_data(
    cells: Sequence[CellVerdict], others: Sequence[CellVerdict], *columns: str
) -> list[CellVerdict]:
    """Cells whose data, and whose values in further columns, occur among those of others."""
    names = ("dataset", "N", "d0", "sizes", *columns)
    known = {key(other.cell, names) for other in others}
    return [cell for cell in cells if key(cell.cell, names) in known]


def pooled(cells: Sequence[CellVerdict]) -> Interval:
    """Geometric mean of the ratios over cells and repeats, with its interval over the repeats that
    the cells have in common.

    Each repeat gives one mean logarithm over the cells; these means are independent, and the
    interval is Student's. Cells with too few repeats for a word are left out if others have enough,
    and those with a single one if others have more. Without two repeats in common there is no
    interval.
    """
    defined = with_ratio(cells)
    known = next(
        (c for fewest in (FEWEST, 2, 1) if (c := [k for k in defined if k.n >= fewest])), []
    )
    if not known:
        return Interval(math.nan, math.nan, math.nan, 0)
    common = sorted(set.intersection(*(set(cell.ratios) for cell in known)))
    if len(common) < 2:
        return Interval(_geometric_mean(c.ratio for c in known), math.nan, math.nan, len(common))
    return ratio_interval(_geometric_mean(c.ratios[repeat] for c in known) for repeat in common)


def together(cells: Sequence[CellVerdict]) -> str:
    """Verdict of the claim that two random numbers are the same on all cells, by the rule of that
    name.
    """
    decided = [cell for cell in cells if cell.verdict not in (TOO_FEW, UNDEFINED)]
    if not decided:
        return TOO_FEW if any(cell.verdict == TOO_FEW for cell in cells) else UNDEFINED
    level = 1 - (1 - rules.TOGETHER) / len(decided)
    words = [rules.nearness(ratio_interval(cell.ratios.values(), level)) for cell in decided]
    mean = pooled(decided)
    return rules.together(rules.nearness(mean) if mean.n >= FEWEST else TOO_FEW, words)


def _geometric_mean(values: Iterable[float]) -> float:
    return math.exp(statistics.fmean(map(math.log, values)))


def _cells(
    first: Sequence[Row], second: Sequence[Row], free: Sequence[str], arms: Arms
) -> Iterator[tuple[Row, Pairs]]:
    """Each cell with its pairs of rows, one pair for each repeat."""
    if arms != "once":
        for arm in distinct(first, "arm"):
            partners = second if arms == "each" else select(second, arm=arm)
            yield from _cells(select(first, arm=arm), partners, free, "once")
        return
    columns = [name for name in CELL if name not in (*free, "arm")]
    for own, members in grouped(first, free):
        for cell, pairs in paired(members, second, columns):
            yield {"arm": pairs[0][0]["arm"], **cell, **own}, pairs


def _finite(pairs: Pairs) -> Pairs:
    return [(a, b) for a, b in pairs if math.isfinite(a["nc1"]) and math.isfinite(b["nc1"])]


def _judge(cell: Row, pairs: Pairs, rule: Rule) -> CellVerdict:
    finite = _finite(pairs)
    if not finite:
        return CellVerdict(cell, UNDEFINED, 0, {})
    ratios = {
        a["repeat"]: a["nc1"] / b["nc1"] if min(a["nc1"], b["nc1"]) > 0 else math.nan
        for a, b in finite
    }
    return CellVerdict(cell, *rule(finite), ratios)


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


def with_ratio(cells: Iterable[CellVerdict]) -> list[CellVerdict]:
    """Cells whose ratio is defined."""
    return [cell for cell in cells if not math.isnan(cell.ratio)]


def counts(cells: Sequence[CellVerdict]) -> dict[str, int]:
    """Number of cells with each word, in the order of the rules; words that no cell has are left
    out.
    """
    number = {word: sum(cell.verdict == word for cell in cells) for word in WORDS}
    return {word: k for word, k in number.items() if k}


def count(cells: Sequence[CellVerdict]) -> str:
    """Counts of the verdicts: "holds in 18 of 20 cells and fails in 2"."""
    parts = {_COUNTED[word]: k for word, k in counts(cells).items()}
    return counted(parts, "cells", {1: "the one cell", 2: "both cells"})


def counted(parts: Mapping[str, int], nouns: str, few: Mapping[int, str]) -> str:
    """Counts of parts of a whole, "rises in 5 of 9 curves, falls in 3 and turns in 1"; `few` says
    how a small whole is named that has a single part.
    """
    n = sum(parts.values())
    if len(parts) == 1:
        return f"{next(iter(parts))} {few.get(n, f'all {n} {nouns}')}"
    first, *others = (f"{part} {k}" for part, k in parts.items())
    *most, last = [f"{first} of {n} {nouns}", *others]
    return f"{', '.join(most)} and {last}"


def plural(n: int, noun: str) -> str:
    """A number of things: "1 cell", "2 cells"."""
    return f"{n} {noun}{'s' if n != 1 else ''}"


def span(numbers: Iterable[float], digits: int = 3, start: str = "from ") -> str:
    """The range of some numbers: "from 0.4 to 0.6"; one number if they look alike."""
    known = [x for x in numbers if not math.isnan(x)]
    if not known:
        return "not measured"
    low, high = (f"{end(known):.{digits}g}" for end in (min, max))
    return f"{start}{low} to {high}" if low != high else low


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
    known = with_ratio(cells)
    if not known:
        return "undefined"
    if len(known) == 1:
        return show(known[0].interval)
    ratios = span(cell.ratio for cell in known)
    return f"{ratios} over the cells" if " " in ratios else f"{ratios} in all cells"


def ranges(cells: Sequence[CellVerdict], prefix: str = "") -> str:
    """The range of each data set: "D1: from 1 to 3.95 over the cells; D2: from 1 to 3.26 over the
    cells".
    """
    return "; ".join(f"{prefix}{name}: {extremes(own)}" for name, own in by(cells, "dataset"))


def average(cells: Sequence[CellVerdict]) -> str:
    """The mean over like cells with its interval, then their range: "0.995 (0.988 to 1.001) in the
    mean, from 0.9 to 1.1 ...".
    """
    known = with_ratio(cells)
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
    known = with_ratio(cells)
    if not known:
        return "ratio undefined"
    text = f"ratio {along_d0(known)}"
    return f"{text}, {extremes(known)}" if len(known) > len(by_d0(known)) else text


def subject(cells: Sequence[CellVerdict]) -> str:
    """Subject of the sentence of a count: "it" (an order, which holds) or "NC1" (which is the same,
    or is not).
    """
    return "it" if {cell.verdict for cell in cells} & {HOLDS, EQUAL, FAILS} else "NC1"


def by(cells: Iterable[CellVerdict], *columns: str) -> list[tuple[str, list[CellVerdict]]]:
    """Groups (name, cells) of cells that agree in the columns; the name is their values, numbers
    behind the name of their column.
    """
    return grouped_by(cells, lambda cell: ", ".join(_named(cell, name) for name in columns))


def _named(cell: CellVerdict, column: str) -> str:
    value = cell.cell[column]
    if column == "weight_variance":
        return f"weight variances {value.replace(':', ' and ')}"
    return {"depth": "depth {}", "noise": "noise {:g}"}.get(column, "{}").format(value)


def by_d0(cells: Iterable[CellVerdict]) -> list[tuple[int, list[CellVerdict]]]:
    """Groups (d0, cells), in ascending order of d0."""
    return sorted(grouped_by(cells, lambda cell: cell.cell["d0"]), key=lambda group: group[0])


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
