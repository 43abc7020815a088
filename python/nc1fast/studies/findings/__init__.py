"""Findings: statements on the rows of a table, counted over cells, in words; the kit that every
study uses.

summary -> rules: numbers to verdicts, in one place -> compare: rows to judged cells -> words: cells
to sentences -> finding: a judged statement, and a line of the report's first screen. `checks` and
`depth` hold the findings that any table supports; what a study itself claims stands in its folder
of `nc1fast.studies.library`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nc1fast.studies.findings import checks, depth
from nc1fast.studies.findings.answer import Answer, AnswerCell, AnswerRow, AnswerTable
from nc1fast.studies.findings.compare import CellVerdict, compare, pooled
from nc1fast.studies.findings.finding import Claim, Finding
from nc1fast.studies.findings.rules import (
    DEPENDS,
    DIFFERENT,
    EQUAL,
    FAILS,
    HOLDS,
    SAME,
    TOO_FEW,
    UNDECIDED,
    UNDEFINED,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nc1fast.studies.tidy import Row

__all__ = [
    "DEPENDS",
    "DIFFERENT",
    "EQUAL",
    "FAILS",
    "HOLDS",
    "SAME",
    "TOO_FEW",
    "UNDECIDED",
    "UNDEFINED",
    "Answer",
    "AnswerCell",
    "AnswerRow",
    "AnswerTable",
    "CellVerdict",
    "Claim",
    "Finding",
    "common",
    "compare",
    "pooled",
    "present",
]


def common(rows: Sequence[Row]) -> list[tuple[str, list[Finding]]]:
    """The sections of a report on any table: theory and depth where there are such rows, and
    unusual values.
    """
    return present(
        {"Findings": [checks.theory(rows), depth.over_depth(rows), checks.unusual(rows)]}
    )


def present(told: Mapping[str, Sequence[Finding | None]]) -> list[tuple[str, list[Finding]]]:
    """Sections with the findings that are there, by heading; empty sections are left out."""
    kept = {heading: [f for f in found if f is not None] for heading, found in told.items()}
    return [(heading, found) for heading, found in kept.items() if found]
