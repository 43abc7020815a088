"""Differences from the code released with arXiv 2406.02105, as far as the table shows them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from nc1fast.studies.findings.checks import LIMITING
from nc1fast.studies.findings.finding import Finding, judged
from nc1fast.studies.findings.rules import HOLDS
from nc1fast.studies.findings.words import average, by, count, counts, each, extremes, ratio_words
from nc1fast.studies.library.paper.findings import pairings
from nc1fast.studies.library.paper.findings.imbalance import convention_sentences
from nc1fast.studies.summary import select
from nc1fast.studies.table import RELEASED_ADAPTIVE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nc1fast.studies.tidy import Row

DOT_PRODUCT = (
    "The released code forms a dot product where the outer product of the vector 1 + 2 k_ii with itself "
    "is needed. Its ReLU NTK does not use that line."
)
LABEL_BLIND = (
    "In the released equations the term with the labels carries the noise as a factor where its inverse "
    "square belongs, so that the labels hardly enter."
)


def released_erf_ntk(rows: Sequence[Row]) -> Finding | None:
    """D-1: the erf NTK of the released code against the NNGP."""
    some = pairings.published(rows)
    cells = pairings.released_ntk_against_nngp(some)
    if not cells:
        return None
    right = pairings.ntk_against_nngp(select(some, activation="erf"))
    lower = pairings.ntk_against_released(some)
    return judged(
        "released-ntk",
        f"The released code's erf NTK has an NC1 lower than that of the NTK by a factor {extremes(lower)}"
        if lower
        else "The erf NTK of the released code",
        "NC1(NTK) ≥ NC1(NNGP), with the erf NTK that the released code gives.",
        "NC1(released erf NTK)/NC1(NNGP)",
        (
            f"With the erf NTK as defined, NC1(NTK) ≥ NC1(NNGP) {count(right)}.",
            f"With the erf NTK that the released code gives, the same comparison {count(cells)}.",
            *each(cells, "dataset"),
            *(
                f"{group}: NC1(NTK)/NC1(released erf NTK), {ratio_words(members)}."
                for group, members in by(lower, "dataset")
            ),
            DOT_PRODUCT,
        ),
        cells,
    )


def conventions(rows: Sequence[Row]) -> Finding | None:
    """D-4: one kernel under the two definitions of NC1 that the released code uses."""
    kernels = select(rows, lambda row: row["model"] in LIMITING, state="")
    cells = pairings.released_against_probe(kernels)
    known = [cell.ratio for cell in cells if not math.isnan(cell.ratio)]
    if not known:
        return None
    return judged(
        "conventions",
        f"The definition alone changes NC1 by up to {max(max(r, 1 / r) for r in known):.2g} times",
        "NC1 of one kernel is the same under the released code's kernel formula ('released') and under the "
        "definition of its network curves ('probe'), within 5 %.",
        "NC1('released')/NC1('probe')",
        convention_sentences(kernels, cells),
        cells,
    )


def shuffled_labels(rows: Sequence[Row]) -> Finding | None:
    """D-6: the adaptive kernel of shuffled labels against that of the true ones."""
    some = pairings.published(rows)
    cells = pairings.shuffled_against_true(some)
    if not cells:
        return None
    sentences = [f"With the labels in the equations it {count(cells)}.", *each(cells, "dataset")]
    blind = pairings.shuffled_against_true(some, RELEASED_ADAPTIVE)
    lowered = pairings.adaptive_against_nngp(some, RELEASED_ADAPTIVE)
    if blind:
        sentences.append(
            f"With the released equations the ratio of shuffled to true labels is {extremes(blind)}."
        )
    if lowered:
        sentences.append(
            f"With the released equations and true labels NC1(adaptive)/NC1(NNGP) is {extremes(lowered)}. How far it is "
            "from 1 is due to the term without labels."
        )
    return judged(
        "labels",
        f"Shuffled labels raise NC1 of the adaptive kernel in {counts(cells).get(HOLDS, 0)} of {len(cells)} cells",
        "Solved for shuffled labels, the adaptive kernel has a higher NC1 under the true ones.",
        "NC1(adaptive, shuffled labels)/NC1(adaptive, true labels)",
        (*sentences, LABEL_BLIND),
        cells,
    )


def own_ntk(rows: Sequence[Row]) -> Finding | None:
    """D-9: the NTK usually shown beside a network against the NTK of that very network."""
    some = pairings.published(rows)
    cells = pairings.ntk_against_own(some)
    if not cells:
        return None
    sentences = each(cells, "dataset", "activation")
    start, end = pairings.empirical_against_own(some), pairings.empirical_end_against_start(some)
    if start:
        sentences.append(
            "NC1 of the empirical NTK at the start over that of the NTK of that network "
            f"{count(start)}; the ratio is {average(start)}."
        )
    sentences += [
        f"NC1 of the empirical NTK at the end over that at the start, {group}: {ratio_words(members)}."
        for group, members in by(end, "dataset", "activation")
    ]
    return judged(
        "own-ntk",
        f"NC1 of the NTK over that of the trained network's own NTK goes {extremes(cells)}",
        "The NTK in NTK parametrization, without biases, has the NC1 of the NTK of the trained network (standard "
        "parametrization, its width and readout variance, trained biases), within 5 %.",
        "NC1(NTK)/NC1(NTK of that network)",
        sentences,
        cells,
    )
