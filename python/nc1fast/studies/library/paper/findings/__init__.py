"""The findings on the published comparison: the answer, four claims of its abstract, the released
code, other data.

pairings: rows to judged cells, which rows stand against which. Above it one module per subject:
claims (A1, A2, A4), adaptive (A3) with branches (its several solutions), differences (from the
released code) with imbalance (its class weights), beyond (other data), equilibrium (mean field
beside Langevin networks), sizes (deeper networks, and their widths). First comes what stands, then
what differs from the released code. nearness: trained networks beside the kernels on their data;
above it the answer to the question of the title.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nc1fast.studies.findings import checks, depth, present
from nc1fast.studies.library.paper.findings import (
    adaptive,
    beyond,
    differences,
    equilibrium,
    sizes,
)
from nc1fast.studies.library.paper.findings import claims as _claims
from nc1fast.studies.library.paper.findings.answer import answer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nc1fast.studies.findings import Claim, Finding
    from nc1fast.studies.tidy import Row

__all__ = ["answer", "claims", "findings", "sections"]


def claims(rows: Sequence[Row]) -> list[Claim]:
    """The four claims of the abstract, one line each; a claim without rows is not comparable."""
    return [
        _claims.kernel_decides(rows),
        _claims.ntk_against_nngp(rows),
        adaptive.adaptive_kernel(rows),
        _claims.erf_against_relu(rows),
    ]


def sections(rows: Sequence[Row]) -> list[tuple[str, list[Finding]]]:
    """All findings that the rows support, under headings, in the order in which they should be
    read.
    """
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
        "Beside the claims": [
            equilibrium.mean_field(rows),
            sizes.deeper(rows),
            sizes.widths(rows),
            checks.theory(rows),
            depth.over_depth(rows),
        ],
    }
    return present(told)


def findings(rows: Sequence[Row]) -> list[Finding]:
    """The findings of all sections in one list."""
    return [finding for _, found in sections(rows) for finding in found]
