"""Comparisons: two sets of rows, paired repeat by repeat, judged cell by cell.

A cell is a data set (name, N, d0, class sizes) with the columns that the two sides share.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from nc1fast.studies.findings.rules import (
    UNDEFINED,
    Interval,
    at_least,
    ratio_interval,
)
from nc1fast.studies.summary import CELL, distinct, median, paired, select

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from nc1fast.studies.findings.rules import Pairs, Rule
    from nc1fast.studies.tidy import Row


@dataclass(frozen=True)
class CellVerdict:
    """One comparison on one cell.

    Attributes
    ----------
    cell : dict
        The columns that the two sides share, and the arm of the first.
    verdict : str
        One of those of `nc1fast.studies.findings.rules`.
    n_agree : int
        Repeats whose own verdict is that of the cell.
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
        """Median of the ratios; NaN if any of them is undefined."""
        return median(self.ratios.values()) if self._defined else math.nan

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
        """Geometric mean of the ratios, with its interval over the repeats."""
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
        Columns of `CELL` in which the two sides are meant to differ.
    rule : callable, default at_least
        Judges the pairs of a cell; the default judges the claim NC1(first) >= NC1(second).
    arms : {"once", "each", "within"}, default "once"
        "once": data that two arms share make one cell. "each": every arm of `first` has cells of its own (as solutions
        for different noise need), with partners from any arm. "within": both sides are of one arm (as the start and the
        end of one training are).
    """
    return [_judge(cell, pairs, rule) for cell, pairs in _cells(first, second, free, arms)]


def changes(
    after: Sequence[Row], before: Sequence[Row], free: Sequence[str], *, arms: Arms
) -> list[Row]:
    """Rows whose nc1 is the ratio NC1(after)/NC1(before), for a comparison of changes.

    They have the other columns of `after`, with an empty state and an error bound of zero. Pairs without two positive,
    finite values are left out.
    """
    return [
        {**a, "nc1": a["nc1"] / b["nc1"], "error_bound": 0.0, "state": ""}
        for _, pairs in _cells(after, before, free, arms)
        for a, b in _finite(pairs)
        if min(a["nc1"], b["nc1"]) > 0
    ]


def pooled(cells: Sequence[CellVerdict]) -> Interval:
    """Median ratio over the cells, with its interval over the repeats that they have in common.

    Each repeat gives one median over the cells, and these medians are independent. Cells with a single repeat are left out
    if others have more; if none has, there is no interval.
    """
    known = [cell for cell in cells if not math.isnan(cell.ratio)]
    known = [cell for cell in known if cell.n > 1] or known
    if not known:
        return Interval(math.nan, math.nan, math.nan, 0)
    common = sorted(set.intersection(*(set(cell.ratios) for cell in known)))
    if len(common) < 2:
        return Interval(median(cell.ratio for cell in known), math.nan, math.nan, len(common))
    return ratio_interval(median(cell.ratios[repeat] for cell in known) for repeat in common)


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
    for cell, pairs in paired(first, second, columns):
        yield {"arm": pairs[0][0]["arm"], **cell}, pairs


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
