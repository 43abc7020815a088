"""Findings: what the rows of a study say of the claims, counted over cells, in words.

rules: numbers -> verdicts, in one place; compare: rows -> judged cells; pairings: which rows stand
against which; words: cells -> sentences. Above them one module per subject: claims (A1, A2, A4),
adaptive (A3), differences (the released code), imbalance, beyond (other data), checks (theory, depth,
unusual values). What stands comes first, then what differs from the released code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nc1fast.studies.findings import adaptive, beyond, checks, differences
from nc1fast.studies.findings import claims as _claims
from nc1fast.studies.findings.compare import CellVerdict, compare, pooled
from nc1fast.studies.findings.finding import Claim, Finding
from nc1fast.studies.findings.rules import AGREE, DEPENDS, DIFFER, EQUAL, FAILS, HOLDS, UNDEFINED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nc1fast.studies.tidy import Row

__all__ = [
    "AGREE",
    "DEPENDS",
    "DIFFER",
    "EQUAL",
    "FAILS",
    "HOLDS",
    "UNDEFINED",
    "CellVerdict",
    "Claim",
    "Finding",
    "claims",
    "compare",
    "findings",
    "pooled",
    "sections",
]


def claims(rows: Sequence[Row]) -> list[Claim]:
    """Lines of the report's first table; a claim without rows is not comparable."""
    return [
        _claims.kernel_decides(rows),
        _claims.ntk_against_nngp(rows),
        adaptive.below_nngp(rows),
        adaptive.need_not_follow(rows),
        _claims.erf_against_relu(rows),
    ]


def sections(rows: Sequence[Row]) -> list[tuple[str, list[Finding]]]:
    """All findings that the rows can support, under headings, in the order in which they should be read."""
    told: dict[str, list[Finding | None]] = {
        "The four claims": [claim.finding for claim in claims(rows) if claim.finding.cells],
        "What differs from the released code": [
            differences.released_erf_ntk(rows),
            differences.shuffled_labels(rows),
            differences.own_ntk(rows),
            differences.conventions(rows),
            checks.unusual(rows),
        ],
        "Outside the published data": [*beyond.counter_examples(rows), *beyond.other_data(rows)],
        "Beside the claims": [checks.theory(rows), checks.depth(rows)],
    }
    kept = {heading: [f for f in found if f is not None] for heading, found in told.items()}
    return [(heading, found) for heading, found in kept.items() if found]


def findings(rows: Sequence[Row]) -> list[Finding]:
    """All findings in one list."""
    return [finding for _, found in sections(rows) for finding in found]
