"""The comparisons of the claims on other data: mixtures chosen as counter-examples, real data, the
user's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nc1fast.studies.findings.finding import Finding, estimated, judged
from nc1fast.studies.findings.words import each
from nc1fast.studies.library.paper.findings import pairings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nc1fast.studies.findings.compare import CellVerdict
    from nc1fast.studies.tidy import Row

# key, title, claim, ratio, cells
_COMPARISONS: tuple[
    tuple[str, str, str, str, Callable[[Sequence[Row]], list[CellVerdict]]], ...
] = (
    (
        "a2",
        "the NTK against the NNGP",
        "NC1(NTK) ≥ NC1(NNGP)",
        "NC1(NTK)/NC1(NNGP)",
        pairings.ntk_against_nngp,
    ),
    (
        "a4",
        "erf against ReLU",
        "NC1(erf) ≤ NC1(relu)",
        "NC1(erf)/NC1(relu)",
        pairings.erf_against_relu,
    ),
    (
        "a3",
        "the adaptive kernel against the NNGP",
        "NC1(adaptive) ≤ NC1(NNGP)",
        "NC1(adaptive)/NC1(NNGP)",
        pairings.adaptive_against_nngp,
    ),
    (
        "a3-trend",
        "trained networks against the adaptive kernel",
        "NC1(T)/NC1(0) of a network is NC1(adaptive)/NC1(NNGP) within 5 %",
        "NC1(T)/NC1(0) over NC1(adaptive)/NC1(NNGP)",
        pairings.network_against_adaptive,
    ),
)


def counter_examples(rows: Sequence[Row]) -> list[Finding]:
    """D-2 and D-3: mixtures outside the published data on which a comparison comes out the other
    way.
    """
    return _findings(
        pairings.counter_examples(rows),
        "counter",
        "Chosen mixtures",
        "on Gaussian mixtures chosen to show where the comparison turns; they say nothing of the published data",
    )


def other_data(rows: Sequence[Row]) -> list[Finding]:
    """The comparisons on all other data: digits, files, and mixtures of the user."""
    return _findings(
        pairings.elsewhere(rows),
        "other",
        "Other data",
        "on data that the claims are not about, for orientation",
    )


def _findings(rows: Sequence[Row], key: str, title: str, scope: str) -> list[Finding]:
    return [
        (estimated if short == "a3-trend" else judged)(
            f"{key}-{short}",
            f"{title}: {words}",
            f"{claim}, {scope}.",
            ratio,
            each(cells, "dataset", "model" if short == "a4" else "activation"),
            cells,
        )
        for short, words, claim, ratio, compare in _COMPARISONS
        if (cells := compare(rows))
    ]
