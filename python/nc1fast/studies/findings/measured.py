"""Claims about measured numbers, declared as data: a statement, and the tests that decide it.

A `Test` compares a `Quantity` with a range, cell by cell; `claims_of` makes the verdict, the number
and the details of each `Statement` from the table. The rules are those of
`nc1fast.studies.findings.rules`. A number without chance has its word from its error bound: it
holds inside the range, fails outside of it, and is undecided where the bound reaches over an end.
The word of a number with chance is that of the interval of its mean over the repeats; with fewer
than six repeats it is "too few".
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from nc1fast.studies.findings import rules
from nc1fast.studies.findings.compare import ABSENT, span
from nc1fast.studies.findings.finding import Claim, Finding
from nc1fast.studies.findings.rules import Interval
from nc1fast.studies.measures import MeasuredCell, cells_of, written

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nc1fast.studies.quantities import Quantity
    from nc1fast.studies.tidy import Row

_MOST = 24  # settings in a sentence


@dataclass(frozen=True)
class Range:
    """The numbers from low to high, both included."""

    low: float = -math.inf
    high: float = math.inf

    def word(self, low: float, high: float) -> str:
        """HOLDS if [low, high] lies inside, FAILS if it is disjoint from the range, else UNDECIDED;
        UNDEFINED for NaN.
        """
        if math.isnan(low + high):
            return rules.UNDEFINED
        if self.low <= low and high <= self.high:
            return rules.HOLDS
        return rules.FAILS if high < self.low or low > self.high else rules.UNDECIDED

    def word_of_mean(self, mean: Interval) -> str:
        """The word of a mean over repeats, from its interval."""
        return rules.TOO_FEW if mean.n < rules.FEWEST else self.word(mean.low, mean.high)


@dataclass(frozen=True)
class JudgedCell:
    """One cell, or one draw of it, with its word and the number that has it."""

    where: str
    word: str
    mean: Interval


Judge: TypeAlias = Callable[[Sequence[MeasuredCell]], "list[JudgedCell]"]


@dataclass(frozen=True)
class Test:
    """Part of a claim: what is judged, how, and its name before the number that was found.

    Attributes
    ----------
    label : str
    of : Quantity
    judge : callable(cells) -> list of JudgedCell
    digits : int, default 3
        Significant digits of the number.
    at_most : bool, default False
        Whether the largest number says all.
    """

    label: str
    of: Quantity
    judge: Judge
    digits: int = 3
    at_most: bool = False

    def summary(self, found: Sequence[JudgedCell]) -> str:
        """Its label and the range of the numbers."""
        numbers = [one.mean.middle for one in found]
        if self.at_most:
            return f"{self.label} at most {max(numbers):.{self.digits}g}"
        return f"{self.label} {span(numbers, self.digits)}"

    def listed(self, found: Sequence[JudgedCell]) -> list[str]:
        """The cells, or of numbers without chance those that do not hold, as a sentence: where, the
        number with its interval or the range over the draws, and the words that do not hold.
        """
        cells: dict[str, list[JudgedCell]] = {}
        for one in found:
            if not (self.at_most and one.word in rules.IN_FAVOUR):
                cells.setdefault(one.where, []).append(one)
        some = [f"{at}: {_number(draws, self.digits)}" for at, draws in cells.items()]
        more = [f"and {len(some) - _MOST} more"] if len(some) > _MOST else []
        return [f"{self.label}: {'; '.join(some[:_MOST] + more)}."] if some else []


def exact(
    label: str, of: Quantity, low: float = -math.inf, high: float = math.inf, digits: int = 2
) -> Test:
    """Every draw is in a range: numbers without chance, judged by their error bounds."""
    allowed = Range(low, high)
    return Test(label, of, lambda cells: of_draws(cells, allowed), digits, low == -math.inf)


def mean(
    label: str, of: Quantity, low: float = -math.inf, high: float = math.inf, digits: int = 3
) -> Test:
    """The mean of each cell is in a range, judged by its interval."""
    return Test(label, of, lambda cells: of_means(cells, Range(low, high)), digits)


def geometric(
    label: str, of: Quantity, low: float = 0.0, high: float = math.inf, digits: int = 3
) -> Test:
    """The geometric mean of each cell is in a range: numbers over several orders of magnitude."""

    def judge(cells: Sequence[MeasuredCell]) -> list[JudgedCell]:
        means = [(where(cell), cell.geometric_mean()) for cell in cells]
        return [JudgedCell(at, Range(low, high).word_of_mean(m), m) for at, m in means]

    return Test(label, of, judge, digits)


def rises(label: str, of: Quantity, along: str, digits: int = 3) -> Test:
    """Every draw rises from each value of a name of the settings to the next, or is equal within
    the error bounds of both.
    """
    return Test(label, of.steps(along, difference=True), signs, digits)


def falls(label: str, of: Quantity, along: str, digits: int = 3) -> Test:
    """Every draw falls, or is equal, likewise."""

    def judge(cells: Sequence[MeasuredCell]) -> list[JudgedCell]:
        return signs([cell.paired(cell, lambda v, _: -v, errors=True) for cell in cells])

    return Test(label, of.steps(along, difference=True), judge, digits)


def of_draws(cells: Iterable[MeasuredCell], allowed: Range) -> list[JudgedCell]:
    """The word of each draw, from its error bound; one whose error is not known is exact."""
    found = []
    for cell in cells:
        for k, value in cell.draws.items():
            error = cell.errors.get(k, 0.0)
            word = allowed.word(value - error, value + error)
            found.append(
                JudgedCell(where(cell), word, Interval(value, value - error, value + error, 1))
            )
    return found


def of_means(cells: Iterable[MeasuredCell], allowed: Range) -> list[JudgedCell]:
    """The word of each cell, from the interval of its mean over the repeats."""
    means = [(where(cell), cell.mean()) for cell in cells]
    return [JudgedCell(at, allowed.word_of_mean(one), one) for at, one in means]


def signs(cells: Iterable[MeasuredCell]) -> list[JudgedCell]:
    """The word of each draw of a difference: HOLDS above its error bound, FAILS below minus that,
    and EQUAL between.
    """
    found = []
    for cell in cells:
        for k, value in cell.draws.items():
            error = cell.errors.get(k, 0.0)
            word = rules.HOLDS if value > error else rules.FAILS if value < -error else rules.EQUAL
            found.append(
                JudgedCell(where(cell), word, Interval(value, value - error, value + error, 1))
            )
    return found


@dataclass(frozen=True)
class Statement:
    """A claim of a study, as data; `claim` writes one.

    Attributes
    ----------
    letter, title, statement : str
        Its number, a few words, and what is claimed, in the terms of the paper.
    tests : tuple of Test
        It holds if all of them do.
    """

    letter: str
    title: str
    statement: str
    tests: tuple[Test, ...]

    def judged(self, cells: Sequence[MeasuredCell]) -> Claim:
        """The claim on the cells of a table."""
        results = [(test, test.judge(test.of(cells))) for test in self.tests]
        words = [one.word for _, found in results for one in found]
        known = [(test, found) for test, found in results if found]
        number = "; ".join(test.summary(found) for test, found in known) if known else ABSENT
        sentences = [line for test, found in known for line in test.listed(found)]
        counted = Counter(words)
        counts = {word: counted[word] for word in rules.WORDS if counted[word]}
        finding = Finding(
            self.letter, self.title, self.statement, verdict(words), "", tuple(sentences)
        )
        return Claim(self.letter, finding, counts, number, tuple(sentences))


def claim(heading: str, statement: str, *tests: Test) -> Statement:
    """A claim under a heading "LETTER. TITLE", with the tests that decide it."""
    letter, _, title = heading.partition(". ")
    return Statement(letter, title, statement, tests)


def claims_of(statements: Sequence[Statement], rows: Sequence[Row]) -> list[Claim]:
    """Every claim of a study on the rows of its table."""
    cells = cells_of(rows)
    return [one.judged(cells) for one in statements]


def verdict(words: Sequence[str]) -> str:
    """The verdict of a claim: that of `rules.overall`, but undecided where nothing speaks against
    it and cells are open.
    """
    known = set(words) - {rules.UNDEFINED}
    if known.intersection(rules.IN_FAVOUR) and not known.intersection(rules.AGAINST):
        known -= set(rules.IN_FAVOUR)
        return rules.overall(known or {rules.HOLDS})
    return rules.overall(words)


def sections(rows: Sequence[Row]) -> list[tuple[str, list[Finding]]]:
    """The findings of an experiment beside its claims: rows without a value, if there are any."""
    failed = sum(row["status"] != "ok" for row in rows)
    if not failed:
        return []
    text = f"{failed} of {len(rows)} rows have no value; their status says why."
    return [("Findings", [Finding("unusual", "Rows without a value", text, "", "", ())])]


def where(cell: MeasuredCell) -> str:
    """Of what a number is, for details: the thing and its setting."""
    return ", ".join(filter(None, (cell.thing, written(cell.setting))))


def _number(draws: Sequence[JudgedCell], digits: int) -> str:
    """The mean of a cell with its interval, or the range of its draws; and words against it."""
    numbers = [one.mean.middle for one in draws]
    text = span(numbers, digits)
    m = draws[0].mean
    if len(draws) == 1 and m.low < m.high:
        text += f" [{m.low:.{digits}g}, {m.high:.{digits}g}]"
    words = {one.word for one in draws} - {*rules.IN_FAVOUR, rules.TOO_FEW}
    return ", ".join([text, *sorted(words)])
