"""What a finding and a claim are."""

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
    """Something that the table can confirm or not, and what it says of it.

    Attributes
    ----------
    key : str
        Short name, an HTML anchor.
    title, claim : str
    verdict : str
        Of `nc1fast.studies.findings.rules`.
    ratio_name : str
        What the ratios of `cells` are.
    sentences : tuple of str
        Every number in them is computed from the rows.
    cells : tuple of CellVerdict
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
    """One line of the report's first table: a claim of the abstract of arXiv 2406.02105.

    Attributes
    ----------
    letter : str
        A1 to A4.
    finding : Finding
        Verdict, ratios, cells.
    ratio : str
        Median paired ratio with its interval; of each kind of data where the claim depends on it.
    held : str
        Cells where it holds, of all that can be compared; likewise.
    released : str
        What the same comparison gives with the released code's numbers.
    control : str
        What it gives with shuffled labels.
    why : str
        Why the two differ, or that they do not.
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
    """Return a finding whose verdict is that of its cells."""
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
    """Return a claim whose ratio and cells are those of its finding.

    `differing`: the claim is that two numbers differ, and its cells are those in which they do. Then, and
    where the claim depends on the data, kinds of data are told apart.
    """
    groups = by(finding.cells, "dataset")
    if len(groups) < 2 or not (differing or finding.verdict == DEPENDS):
        groups = [("", list(finding.cells))]
    counted = (DIFFER,) if differing else IN_FAVOUR
    ratio = "; ".join(f"{name} {show(pooled(cells))}".strip() for name, cells in groups)
    held = "; ".join(f"{name} {share(cells, counted)}".strip() for name, cells in groups)
    held = f"differ in {held}" if differing else held
    return Claim(letter, finding, ratio, held, released, control, why)
