"""Findings: statements on the rows of a table, counted over cells, in words; the kit that every
study uses.

summary -> rules: numbers to verdicts, in one place -> compare: rows to judged cells, and these in
words -> pairings: which rows stand against which -> finding: comparisons as data, judged
statements, lines of the report's first screen. `any_table` holds the findings that any table
supports; what a study itself claims stands in its folder of `nc1fast.studies.library`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nc1fast.studies.findings import any_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nc1fast.studies.findings.finding import Finding
    from nc1fast.studies.tidy import Row


def common(rows: Sequence[Row]) -> list[tuple[str, list[Finding]]]:
    """The sections of a report on any table: theory and depth where there are such rows, and
    unusual values.
    """
    found = [any_table.THEORY.finding(rows), any_table.over_depth(rows), any_table.unusual(rows)]
    return present({"Findings": found})


def present(sections: Mapping[str, Sequence[Finding | None]]) -> list[tuple[str, list[Finding]]]:
    """Sections with the findings that are there, by heading; empty sections are left out."""
    kept = {heading: [f for f in found if f is not None] for heading, found in sections.items()}
    return [(heading, found) for heading, found in kept.items() if found]
