"""Judging measured numbers against a range: the words of single settings, and claims made of them.

The rules are those of `nc1fast.studies.findings.rules`. A number without chance has its word from
its error bound: it holds inside the range, fails outside of it, and is undecided where the bound
reaches over an end. The word of a number with chance is that of the interval of its mean over the
repeats; with fewer than six repeats it is "too few".
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from nc1fast.studies.findings import rules
from nc1fast.studies.findings.compare import ABSENT
from nc1fast.studies.findings.finding import Claim, Finding
from nc1fast.studies.measures import by_cell, values

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nc1fast.studies.findings.rules import Interval
    from nc1fast.studies.tidy import Row

    Judged: TypeAlias = tuple[str, str, Interval]  # where, its word, the mean that has it

_MOST = 6  # settings in a sentence


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


def exactly(rows: Iterable[Row], allowed: Range) -> list[str]:
    """The word of each number, which has no chance in it; one whose error is not known counts as
    exact.
    """
    found = []
    for row in rows:
        error = 0.0 if math.isnan(row["error"]) else row["error"]
        found.append(allowed.word(row["value"] - error, row["value"] + error))
    return found


def in_mean(rows: Iterable[Row], allowed: Range) -> list[str]:
    """The word of each cell, from the interval of its mean over the repeats."""
    return [
        of_interval(rules.mean_interval(values(members)), allowed) for _, members in by_cell(rows)
    ]


def of_interval(mean: Interval, allowed: Range) -> str:
    """The word of a mean over repeats."""
    return rules.TOO_FEW if mean.n < rules.FEWEST else allowed.word(mean.low, mean.high)


def judged(rows: Iterable[Row], allowed: Range) -> list[Judged]:
    """Each cell with its word and the mean that `in_mean` judges, for `apart`."""
    found = []
    for cell, members in by_cell(rows):
        mean = rules.mean_interval(values(members))
        found.append((cell["setting"], of_interval(mean, allowed), mean))
    return found


def words_of(cells: Iterable[Judged]) -> list[str]:
    """The words of some cells, for `claim`."""
    return [word for _, word, _ in cells]


def apart(cells: Iterable[Judged], digits: int = 2) -> list[str]:
    """Where a claim does not hold: for each word against it, or undecided, a sentence with the
    intervals of the means.
    """
    found: dict[str, list[str]] = {}
    for where, word, mean in cells:
        if word in (*rules.AGAINST, rules.UNDECIDED):
            ends = f"{mean.low:.{digits}g}, {mean.high:.{digits}g}"
            found.setdefault(word, []).append(f"{where}: {mean.middle:.{digits}g} [{ends}]")
    return [
        f"{word.capitalize()}, mean and interval: {'; '.join(some[:_MOST])}"
        + (f"; and {len(some) - _MOST} more." if len(some) > _MOST else ".")
        for word, some in sorted(found.items())
    ]


def step(a: Row, b: Row, sign: int = 1) -> str:
    """Whether a number moves up (1) or down (-1) from a row to another; equal within both error
    bounds, where these are known.
    """
    moved = sign * (b["value"] - a["value"])
    if abs(moved) <= sum(row["error"] for row in (a, b) if not math.isnan(row["error"])):
        return rules.EQUAL
    return rules.HOLDS if moved > 0 else rules.FAILS


def span(numbers: Sequence[float], digits: int = 3) -> str:
    """The ends of some numbers, "from .4 to .6", for a sentence; the number itself where they are
    the same.
    """
    if not numbers:
        return "not measured"
    low, high = (f"{end:.{digits}g}" for end in (min(numbers), max(numbers)))
    return f"from {low} to {high}" if low != high else low


def sections(rows: Sequence[Row]) -> list[tuple[str, list[Finding]]]:
    """The findings of an experiment beside its claims: rows without a value, if there are any."""
    failed = sum(row["status"] != "ok" for row in rows)
    if not failed:
        return []
    told = f"{failed} of {len(rows)} rows have no value; their status says why."
    return [("Findings", [Finding("unusual", "Rows without a value", told, "", "", ())])]


def verdict(words: Sequence[str]) -> str:
    """The verdict of a claim: that of `rules.overall`, but undecided where nothing speaks against
    it and cells are open.
    """
    known = set(words) - {rules.UNDEFINED}
    if known.intersection(rules.IN_FAVOUR) and not known.intersection(rules.AGAINST):
        known -= set(rules.IN_FAVOUR)
        return rules.overall(known or {rules.HOLDS})
    return rules.overall(words)


def claim(
    letter: str,
    title: str,
    statement: str,
    words: Sequence[str],
    number: str,
    sentences: Sequence[str] = (),
) -> Claim:
    """A line of the first screen, whose verdict follows from the words of its settings.

    Parameters
    ----------
    letter, title, statement : str
        Its number, a few words, and what is claimed, in the terms of the paper.
    words : sequence of str
        Of all settings; without any, the claim cannot be judged.
    number : str
        What was found, in one line.
    sentences : sequence of str
        Details.
    """
    counted = Counter(words)
    counts = {word: counted[word] for word in rules.WORDS if counted[word]}
    finding = Finding(letter, title, statement, verdict(words), "", tuple(sentences))
    return Claim(letter, finding, counts, number if words else ABSENT, tuple(sentences))
