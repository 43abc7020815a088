"""`Finding`, a judged statement on the rows of a table, and `Claim`, its line in the report's first table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nc1fast.studies.findings.compare import pooled
from nc1fast.studies.findings.rules import DEPENDS, DIFFER, IN_FAVOUR, overall
from nc1fast.studies.findings.words import by, share, show

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    """One line of the report's first table: a published claim, beside the released code and a control.

    Attributes
    ----------
    letter : str
        Its number: A1, A2, ...
    finding : Finding
        Statement, verdict and cells.
    ratio : str
        Median paired ratio with its interval; one for each data set if the verdict depends on the data.
    held : str
        Cells where it holds, of all that can be compared; likewise.
    released : str
        The same comparison with the numbers of the released code.
    control : str
        The same comparison with shuffled labels.
    why : str
        Why the released code gives something else, or that it does not.
    """

    letter: str
    finding: Finding
    ratio: str
    held: str
    released: str
    control: str
    why: str


def judged(
    key: str,
    title: str,
    claim: str,
    ratio_name: str,
    sentences: Sequence[str],
    cells: Sequence[CellVerdict],
) -> Finding:
    """A finding whose verdict follows from those of its cells."""
    verdict = overall(cell.verdict for cell in cells)
    return Finding(key, title, claim, verdict, ratio_name, tuple(sentences), tuple(cells))


def line(
    letter: str,
    finding: Finding,
    *,
    released: str,
    control: str,
    why: str,
    differing: bool = False,
) -> Claim:
    """A claim whose ratio and counts come from the cells of its finding.

    With `differing` the claim is that two numbers differ, and cells in which they do are counted. Then, and if the verdict
    depends on the data, there is one ratio and one count for each data set.
    """
    groups = by(finding.cells, "dataset")
    if len(groups) < 2 or not (differing or finding.verdict == DEPENDS):
        groups = [("", list(finding.cells))]
    counted = (DIFFER,) if differing else IN_FAVOUR
    ratio = "; ".join(f"{name} {show(pooled(cells))}".strip() for name, cells in groups)
    held = "; ".join(f"{name} {share(cells, counted)}".strip() for name, cells in groups)
    held = f"differ in {held}" if differing else held
    return Claim(letter, finding, ratio, held, released, control, why)
