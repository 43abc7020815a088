"""The rules by which numbers become words, all of them.

A cell is one kind of data with one model on each side. Its repeats are independent draws, and on
each draw the two sides see the same data; their NC1 give one ratio per repeat.

Exact numbers follow from the data alone, with a bound on their error. Each draw has a word of its
own:

- order (`at_least`, `at_most`): the draw holds if the difference exceeds the sum of the two error
  bounds, fails if it is below minus that sum, and is equal otherwise;
- equality (`alike`): the draw is the same if its ratio lies within the tolerance of 1 (5 %, |log
  ratio| <= log 1.05), else different.

Where no draw contradicts another, their word is that of the cell. It is a statement about these
very data sets, it rests on no test, and one draw is enough: the cell holds if some draws hold and
none fails, fails if some fail and none holds, and is equal if all are. Where draws contradict each
other the word is about all data of this kind and rests on the repeats. An order then has the word
of the majority if the two-sided sign test of the draws that are not equal rejects a fair coin at 5
%, and is undecided otherwise; an equality is judged like numbers with chance in them.

Numbers with chance in them (`agree`), as of finite networks: the 95 % Student interval of the mean
log ratio over the repeats is compared with the tolerance. Inside it the two are the same, disjoint
from it different, and where the interval reaches over an end of the tolerance, however little,
undecided.

A word that rests on repeats needs six: no fewer can pass a two-sided sign test at 5 % (2 * .5^5 =
.0625, 2 * .5^6 = .031). With fewer the word is "too few". Values that are not finite are left out;
a ratio that is not positive has no logarithm, and a cell without values, or with such a ratio in an
equality, is not comparable.

A claim takes its verdict from its cells. On exact numbers (`overall`) it holds if every cell holds,
is equal or is the same, fails if every cell fails or is different, and depends on the data if
cells, or the draws within some cells, disagree. If no cell is decided, neither is the claim.

On numbers with chance in them (`together`) many cells are judged at once, by two witnesses. The
first is the mean log ratio over all cells, one for each repeat, whose interval is judged like that
of a cell; with fewer than six repeats in common it has no word. The second are the cells themselves
at Bonferroni's level, 1 - .01/m for m cells, so that with 99 % confidence none of them has its word
by chance. The claim holds if the mean is the same and no cell different. It fails if the mean or
some cell is different and neither the mean nor any cell is the same, or if every cell is different.
It depends on the data if there is both, and else is undecided. Imprecision therefore never makes a
claim hold, and one 95 % interval of many that misses never makes it fail.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from nc1fast.support.extras import require

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from nc1fast.studies.tidy import Row

    Pairs: TypeAlias = Sequence[tuple[Row, Row]]  # (first, second) of each repeat
    Rule: TypeAlias = Callable[[Pairs], tuple[str, int]]  # word, repeats that share it

HOLDS, EQUAL, FAILS = "holds", "equal within the error bound", "fails"
SAME, DIFFERENT, UNDECIDED = "same", "different", "undecided"
TOO_FEW = "too few"  # repeats, for a word that rests on them
UNDEFINED = "not comparable"
DEPENDS = "depends on the data"  # of claims, never of cells
WORDS = (HOLDS, EQUAL, FAILS, SAME, DIFFERENT, UNDECIDED, TOO_FEW, UNDEFINED)  # of cells
IN_FAVOUR, AGAINST = (HOLDS, EQUAL, SAME), (FAILS, DIFFERENT)
CONFIDENCE = 0.95
TOLERANCE = 0.05  # of a ratio: about the scatter at width 500, 1.2 to 1.8 over sqrt(width)
TOGETHER = (
    0.99  # confidence that of the cells of a claim on random numbers none has its word by chance
)
FEWEST = 6  # repeats that can pass a two-sided sign test at 1 - CONFIDENCE


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
    return of_draws([_by_bound(a, b) for a, b in pairs])


def at_most(pairs: Pairs) -> tuple[str, int]:
    """Judge the claim NC1(first) <= NC1(second)."""
    return at_least([(b, a) for a, b in pairs])


def alike(pairs: Pairs) -> tuple[str, int]:
    """Judge the claim that two exact numbers are the same within `TOLERANCE`."""
    ratios = _ratios(pairs)
    if any(map(math.isnan, ratios)):
        return UNDEFINED, 0
    words = [_near_one(ratio) for ratio in ratios]
    return (words[0], len(words)) if len(set(words)) == 1 else agree(pairs)


def agree(pairs: Pairs) -> tuple[str, int]:
    """Judge the claim that two random numbers have the same mean logarithm within log(1 +
    `TOLERANCE`).
    """
    ratios = _ratios(pairs)
    if any(map(math.isnan, ratios)):
        return UNDEFINED, 0
    if len(ratios) < FEWEST:
        return TOO_FEW, 0
    word = nearness(ratio_interval(ratios))
    return word, [_near_one(ratio) for ratio in ratios].count(word)


def of_draws(words: Sequence[str]) -> tuple[str, int]:
    """Word of a cell from those of its draws, HOLDS, EQUAL or FAILS, and the number of draws that
    share it.
    """
    hold, fail = words.count(HOLDS), words.count(FAILS)
    if hold and fail:
        word = _sign_test(hold, fail)
    elif hold or fail:
        word = HOLDS if hold else FAILS
    else:
        word = EQUAL
    return word, words.count(word)


def nearness(interval: Interval) -> str:
    """SAME if the interval of a ratio is within `TOLERANCE` of 1, DIFFERENT if disjoint from that,
    else UNDECIDED.
    """
    low, high = 1 / (1 + TOLERANCE), 1 + TOLERANCE
    if low <= interval.low and interval.high <= high:
        return SAME
    return DIFFERENT if interval.low > high or interval.high < low else UNDECIDED


def overall(words: Iterable[str]) -> str:
    """Verdict of a claim on exact numbers from the words of its cells."""
    known = set(words) - {UNDEFINED}
    if not known:
        return UNDEFINED
    if known <= set(IN_FAVOUR):
        return HOLDS
    if known <= set(AGAINST):
        return FAILS
    if known <= {UNDECIDED, TOO_FEW}:
        return UNDECIDED if UNDECIDED in known else TOO_FEW
    return DEPENDS


def together(mean: str, cells: Sequence[str]) -> str:
    """Verdict of a claim on random numbers from the word of their mean and those of the cells at
    Bonferroni's level.
    """
    witnesses = {mean, *cells}
    if DIFFERENT in witnesses:
        return FAILS if SAME not in witnesses or set(cells) == {DIFFERENT} else DEPENDS
    return HOLDS if mean == SAME else UNDECIDED


def _sign_test(hold: int, fail: int) -> str:
    """The word of the majority, if a fair coin gives so uneven a count in at most one of twenty
    trials.
    """
    n, fewer = hold + fail, min(hold, fail)
    if n < FEWEST:
        return TOO_FEW
    tail = sum(math.comb(n, k) for k in range(fewer + 1)) / 2**n
    if 2 * tail > 1 - CONFIDENCE:
        return UNDECIDED
    return HOLDS if hold > fail else FAILS


def _ratios(pairs: Pairs) -> list[float]:
    return [a["nc1"] / b["nc1"] if min(a["nc1"], b["nc1"]) > 0 else math.nan for a, b in pairs]


def _near_one(ratio: float) -> str:
    return nearness(Interval(ratio, ratio, ratio, 1))


def _by_bound(first: Row, second: Row) -> str:
    difference = first["nc1"] - second["nc1"]
    if abs(difference) <= first["error_bound"] + second["error_bound"]:
        return EQUAL
    return HOLDS if difference > 0 else FAILS
