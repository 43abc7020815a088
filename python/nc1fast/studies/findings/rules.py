"""The rules by which numbers become verdicts, all of them.

Exact numbers, first >= second: a repeat holds if the difference exceeds the sum of the two error bounds, fails if it is
below minus that sum, and is equal otherwise; a cell has the verdict of its median difference against its median bound
(`at_least`, `at_most`). Exact numbers, first = second: they agree if their median ratio is 1 within a tolerance (`alike`).

Numbers with chance in them, as of finite networks: they agree if the 95 % Student interval of their mean log ratio over the
repeats meets 1 within a tolerance (`agree`). A mean agrees with an expectation if its 99.9 % Student interval meets 1 within
1 % (`expected`).

A claim holds if every cell that can be compared holds, is equal or agrees, fails if none does, and otherwise depends on the
data (`overall`). Since intervals miss some cells by chance, up to one in ten of those that agree or differ may differ. A
claim that two things may differ holds if more of them do (`may_differ`).
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from nc1fast.studies.summary import median
from nc1fast.support.extras import require

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from nc1fast.studies.tidy import Row

    Pairs: TypeAlias = Sequence[tuple[Row, Row]]  # (first, second) of each repeat
    Rule: TypeAlias = Callable[[Pairs], tuple[str, int]]  # verdict, repeats that share it

HOLDS, EQUAL, FAILS = "holds", "equal within the error bound", "fails"
AGREE, DIFFER = "agree", "differ"
DEPENDS = "depends on the data"  # of claims, never of cells
UNDEFINED = "not comparable"  # no values, or too few repeats for an interval
IN_FAVOUR = (HOLDS, EQUAL, AGREE)
CONFIDENCE = 0.95
TOLERANCE = 0.05  # of a ratio: about the scatter at width 500, 1.2 to 1.8 over sqrt(width)
CHANCE = 0.1  # of the cells may differ by chance: twice what 95 % intervals miss
EXPECTED_CONFIDENCE, EXPECTED_TOLERANCE = 0.999, 0.01  # a mean of ratios is not a ratio of means


@dataclass(frozen=True)
class Interval:
    """A mean and the ends of its confidence interval, which are NaN for fewer than two values."""

    middle: float
    low: float
    high: float
    n: int


def mean_interval(values: Iterable[float], confidence: float = CONFIDENCE) -> Interval:
    """Mean of independent values with Student's interval; NaN without values."""
    values = list(values)
    n = len(values)
    if n < 2:
        return Interval(values[0] if values else math.nan, math.nan, math.nan, n)
    mean = statistics.fmean(values)
    quantile = float(require("scipy.special", "study").stdtrit(n - 1, (1 + confidence) / 2))
    reach = quantile * statistics.stdev(values, mean) / math.sqrt(n)
    return Interval(mean, mean - reach, mean + reach, n)


def ratio_interval(ratios: Iterable[float], confidence: float = CONFIDENCE) -> Interval:
    """Geometric mean of positive ratios, with the interval of the mean logarithm."""
    logs = mean_interval(map(math.log, ratios), confidence)
    return Interval(math.exp(logs.middle), math.exp(logs.low), math.exp(logs.high), logs.n)


def at_least(pairs: Pairs) -> tuple[str, int]:
    """Judge the claim NC1(first) >= NC1(second) against the error bounds."""
    differences = [a["nc1"] - b["nc1"] for a, b in pairs]
    bounds = [a["error_bound"] + b["error_bound"] for a, b in pairs]
    verdict = _by_bound(median(differences), median(bounds))
    return verdict, sum(
        _by_bound(d, b) == verdict for d, b in zip(differences, bounds, strict=True)
    )


def at_most(pairs: Pairs) -> tuple[str, int]:
    """Judge the claim NC1(first) <= NC1(second)."""
    return at_least([(b, a) for a, b in pairs])


def alike(pairs: Pairs) -> tuple[str, int]:
    """Judge the claim that two exact numbers are the same within `TOLERANCE`."""
    ratios = _ratios(pairs)
    if any(map(math.isnan, ratios)):
        return UNDEFINED, 0
    verdicts = [_alike(ratio) for ratio in ratios]
    verdict = _alike(median(ratios))
    return verdict, verdicts.count(verdict)


def agree(pairs: Pairs) -> tuple[str, int]:
    """Judge the claim that two random numbers have the same mean within `TOLERANCE`."""
    ratios = _ratios(pairs)
    if len(ratios) < 2 or any(map(math.isnan, ratios)):
        return UNDEFINED, 0
    verdict = AGREE if near(ratio_interval(ratios)) else DIFFER
    return verdict, [_alike(ratio) for ratio in ratios].count(verdict)


def expected(pairs: Pairs) -> tuple[str, int]:
    """Judge the claim that the second is the expectation of the first within `EXPECTED_TOLERANCE`."""
    ratios = [a["nc1"] / b["nc1"] for a, b in pairs]
    if len(ratios) < 2:
        return UNDEFINED, 0
    interval = mean_interval(ratios, EXPECTED_CONFIDENCE)
    return AGREE if near(interval, EXPECTED_TOLERANCE) else DIFFER, len(ratios)


def near(interval: Interval, tolerance: float = TOLERANCE) -> bool:
    """Whether the interval of a ratio meets 1 within the tolerance."""
    return interval.low <= 1 + tolerance and interval.high >= 1 / (1 + tolerance)


def overall(verdicts: Iterable[str]) -> str:
    """Verdict of a claim from the verdicts of its cells."""
    known = [verdict for verdict in verdicts if verdict != UNDEFINED]
    against = sum(verdict not in IN_FAVOUR for verdict in known)
    if not known:
        return UNDEFINED
    if against == 0 or (FAILS not in known and _by_chance(known)):
        return HOLDS
    return FAILS if against == len(known) else DEPENDS


def may_differ(verdicts: Iterable[str]) -> str:
    """Verdict of the claim that two things may differ, from cells that agree or differ."""
    known = [verdict for verdict in verdicts if verdict != UNDEFINED]
    if not known:
        return UNDEFINED
    return FAILS if _by_chance(known) else HOLDS


def _by_chance(verdicts: Sequence[str]) -> bool:
    """Whether at most one in ten cells differs; of fewer than ten cells, none may."""
    return verdicts.count(DIFFER) <= math.floor(CHANCE * len(verdicts))


def _ratios(pairs: Pairs) -> list[float]:
    return [a["nc1"] / b["nc1"] if min(a["nc1"], b["nc1"]) > 0 else math.nan for a, b in pairs]


def _alike(ratio: float) -> str:
    return AGREE if near(Interval(ratio, ratio, ratio, 1)) else DIFFER


def _by_bound(difference: float, bound: float) -> str:
    if abs(difference) <= bound:
        return EQUAL
    return HOLDS if difference > 0 else FAILS
