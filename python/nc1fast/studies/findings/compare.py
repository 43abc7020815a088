"""Comparisons: two sets of rows, paired repeat by repeat, judged cell by cell.

A cell is a data set (name, N, d0, class sizes) with the columns that the two sides share.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from nc1fast.studies.findings import rules
from nc1fast.studies.findings.rules import TOO_FEW, UNDEFINED, Interval, at_least, ratio_interval
from nc1fast.studies.summary import CELL, distinct, grouped, key, paired, select

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
    known = [cell for cell in cells if not math.isnan(cell.ratio)]
    known = next(
        (c for fewest in (rules.FEWEST, 2, 1) if (c := [k for k in known if k.n >= fewest])), []
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
    return rules.together(rules.nearness(mean) if mean.n >= rules.FEWEST else TOO_FEW, words)


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
