"""`Finding`, a judged statement on the rows of a table, and `Claim`, its line on the report's first
screen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nc1fast.studies.findings.compare import together
from nc1fast.studies.findings.rules import overall
from nc1fast.studies.findings.words import ABSENT, counts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nc1fast.studies.findings.compare import CellVerdict


@dataclass(frozen=True)
class Finding:
    """A statement, its verdict, and the sentences and cells behind it.

    Attributes
    ----------
    key : str
        Short name, which is an anchor in the report.
    title, claim : str
        The statement, in a few words and in full.
    verdict : str
        One of those of `nc1fast.studies.findings.rules`.
    ratio_name : str
        Name of the ratios of `cells`; empty without cells.
    sentences : tuple of str
        The evidence; every number in them is computed from the rows.
    cells : tuple of CellVerdict, default ()
    """

    key: str
    title: str
    claim: str
    verdict: str
    ratio_name: str
    sentences: tuple[str, ...]
    cells: tuple[CellVerdict, ...] = ()


@dataclass(frozen=True)
class Claim:
    """One line of the report's first screen: a published claim, its verdict and one number; the
    rest is folded.

    Attributes
    ----------
    letter : str
        Its number: A1, A2, ...
    finding : Finding
        Statement, verdict and cells.
    counts : dict of str to int
        Number of cells with each word, for the words that occur.
    number : str
        What the cells say in one line: the mean of their ratios with its interval if they are to be
        one number, and else the range of each data set.
    details : tuple of str
        Sentences: the same comparison with the released code, with shuffled labels, and why they
        differ.
    """

    letter: str
    finding: Finding
    counts: Mapping[str, int]
    number: str
    details: tuple[str, ...]


def judged(
    key: str,
    title: str,
    claim: str,
    ratio_name: str,
    sentences: Sequence[str],
    cells: Sequence[CellVerdict],
) -> Finding:
    """A finding on exact numbers, whose verdict follows from the words of its cells."""
    verdict = overall(cell.verdict for cell in cells)
    return Finding(key, title, claim, verdict, ratio_name, tuple(sentences), tuple(cells))


def estimated(
    key: str,
    title: str,
    claim: str,
    ratio_name: str,
    sentences: Sequence[str],
    cells: Sequence[CellVerdict],
) -> Finding:
    """A finding that random numbers are the same, judged on their mean over all cells and on the
    cells together.
    """
    return Finding(key, title, claim, together(cells), ratio_name, tuple(sentences), tuple(cells))


def line(letter: str, finding: Finding, number: str, details: Sequence[str]) -> Claim:
    """A claim whose counts come from the cells of its finding."""
    cells = finding.cells
    return Claim(letter, finding, counts(cells), number if cells else ABSENT, tuple(details))
