"""The findings on the published comparison, as data: what differs from the released code, other
data, and what stands beside the claims, which are in `abstract`.

Each `Comparison` says which rows it looks at, which stand against which, and what is said of the
cells; where a template does not do there is a function.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from nc1fast.studies.findings import any_table, pairings, present
from nc1fast.studies.findings.compare import (
    along_d0,
    by,
    by_d0,
    count,
    extremes,
    pooled,
    ratio_words,
    same_data,
)
from nc1fast.studies.findings.finding import EACH, RATIOS, Comparison, Sentence
from nc1fast.studies.findings.pairings import on
from nc1fast.studies.library.paper.abstract import AT_START, claims
from nc1fast.studies.summary import CELL, distinct, equal_classes, grouped, median, select
from nc1fast.studies.table import LIMITING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nc1fast.studies.findings import CellVerdict, Finding
    from nc1fast.studies.tidy import Row

_DOT_PRODUCT = (
    "The released code forms a dot product where the outer product of the vector 1 + 2 k_ii with "
    "itself is needed. Its ReLU NTK does not use that line."
)
_LABEL_BLIND = (
    "In the released equations the term with the labels carries the noise as a factor where its "
    "inverse square belongs, so that the labels hardly enter."
)


def sections(rows: Sequence[Row]) -> list[tuple[str, list[Finding]]]:
    """All findings that the rows support, under headings, in the order in which they should be
    read.
    """
    released = (RELEASED_NTK, SHUFFLED, OWN_NTK, DEFINITIONS)
    found: dict[str, list[Finding | None]] = {
        "The four claims": [claim.finding for claim in claims(rows) if claim.finding.cells],
        "What differs from the released code": [
            *(one.finding(rows) for one in released),
            any_table.unusual(rows),
        ],
        "Outside the published data": [one.finding(rows) for one in OTHERS],
        "Beside the claims": [
            *(one.finding(rows) for one in (MEAN_FIELD, DEEPER, WIDTHS, any_table.THEORY)),
            any_table.over_depth(rows),
        ],
    }
    return present(found)


def findings(rows: Sequence[Row]) -> list[Finding]:
    """The findings of all sections in one list."""
    return [finding for _, found in sections(rows) for finding in found]


# --- what differs from the released code


def _by_definition(rows: Sequence[Row]) -> list[CellVerdict]:
    """Limiting kernels under 'released' against 'probe'; no cells unless some ratio is known."""
    kernels = select(rows, lambda row: row["model"] in LIMITING, state="")
    cells = pairings.released_against_probe(kernels)
    return [] if all(math.isnan(cell.ratio) for cell in cells) else cells


def _of_sizes(rows: Sequence[Row], cells: Sequence[CellVerdict]) -> list[str]:
    """'released' against 'probe' at each list of class sizes, then NC1 under each convention from
    equal to the most unequal classes.
    """
    del rows
    sentences = []
    for sizes, members in by(cells, "sizes"):
        numbers = [int(n) for n in sizes.split(":")]
        closed = ""
        if len(numbers) == 2:  # exact for two classes of equal spread and opposite means
            n1, n2 = numbers
            closed = f"; (n1² + n2²)/(2 n1 n2) is {(n1 * n1 + n2 * n2) / (2 * n1 * n2):.3g}"
        sentences.append(
            f"Sizes {sizes}: NC1 by the released kernel formula over that by the probe's "
            f"definition is {extremes(members)}{closed}."
        )
    return sentences


def _to_unequal(rows: Sequence[Row], cells: Sequence[CellVerdict]) -> list[str]:
    """The change of NC1 from equal to the most unequal classes under each convention."""
    arm = cells[0].cell["arm"]
    kernels = select(rows, lambda row: row["model"] in LIMITING, state="", arm=arm)
    sizes = distinct(kernels, "sizes")
    equal = [one for one in sizes if equal_classes({"sizes": one})]
    if not equal or len(sizes) < 2:
        return []
    unequal = max(sizes, key=lambda s: max(map(int, s.split(":"))) / min(map(int, s.split(":"))))
    columns = [name for name in CELL if name not in ("sizes", "convention")]
    parts = []
    for convention in distinct(kernels, "convention"):
        ratios = []
        for _, members in grouped(select(kernels, convention=convention), columns):
            before, after = (
                median(row["nc1"] for row in select(members, sizes=one))
                for one in (equal[0], unequal)
            )
            ratios.append(after / before)
        parts.append(f"{min(ratios):.3g} to {max(ratios):.3g} under '{convention}'")
    return [
        (
            f"From sizes {equal[0]} to {unequal} NC1 changes (medians over the draws) by a factor from "
            f"{', '.join(parts)}, over the cells."
        )
    ]


RELEASED_NTK = Comparison(
    "released-ntk",
    Sentence(
        "The released code's erf NTK has an NC1 lower than that of the NTK by a factor {extremes}",
        pairings.ntk_against_released,
        absent="The erf NTK of the released code",
    ),
    "NC1(NTK) ≥ NC1(NNGP), with the erf NTK that the released code gives.",
    "NC1(released erf NTK)/NC1(NNGP)",
    pairings.released_ntk_against_nngp,
    (
        Sentence(
            "With the erf NTK as defined, NC1(NTK) ≥ NC1(NNGP) {count}.",
            pairings.ntk_against_nngp,
            keep=lambda cell: cell.cell["activation"] == "erf",
        ),
        Sentence("With the erf NTK that the released code gives, the same comparison {count}."),
        Sentence(EACH, columns=("dataset",)),
        Sentence(
            RATIOS % "NC1(NTK)/NC1(released erf NTK)", pairings.ntk_against_released, ("dataset",)
        ),
        Sentence(_DOT_PRODUCT),
    ),
    rows=pairings.published,
)
SHUFFLED = Comparison(
    "labels",
    "Shuffled labels raise NC1 of the adaptive kernel in {n_hold} of {n} cells",
    "Solved for shuffled labels, the adaptive kernel has a higher NC1 under the true ones.",
    "NC1(adaptive, shuffled labels)/NC1(adaptive, true labels)",
    pairings.shuffled_against_true,
    (
        Sentence("With the labels in the equations it {count}."),
        Sentence(EACH, columns=("dataset",)),
        Sentence(
            "With the released equations the ratio of shuffled to true labels is {extremes}.",
            pairings.released_shuffled_against_true,
        ),
        Sentence(
            "With the released equations and true labels NC1(adaptive)/NC1(NNGP) is {extremes}. How "
            "far it is from 1 is due to the term without labels.",
            pairings.released_adaptive_against_nngp,
        ),
        Sentence(_LABEL_BLIND),
    ),
    rows=pairings.published,
)
OWN_NTK = Comparison(
    "own-ntk",
    "NC1 of the NTK over that of the trained network's own NTK goes {extremes}",
    "The NTK in NTK parametrization, without biases, has the NC1 of the NTK of the trained network "
    "(standard parametrization, its width and readout variance, trained biases), within 5 %.",
    "NC1(NTK)/NC1(NTK of that network)",
    pairings.ntk_against_own,
    (
        Sentence(EACH, columns=("dataset", "activation")),
        Sentence(
            "NC1 of the empirical NTK at the start over that of the NTK of that network {count}; "
            "the ratio is {average}.",
            pairings.empirical_against_own,
        ),
        Sentence(
            "NC1 of the empirical NTK at the end over that at the start, {group}: {ratios}.",
            pairings.empirical_end_against_start,
            ("dataset", "activation"),
        ),
    ),
    rows=pairings.published,
)
DEFINITIONS = Comparison(
    "conventions",
    "The definition alone changes NC1 by up to {largest} times",
    "NC1 of one kernel is the same under the released code's kernel formula ('released') and under "
    "the definition of its network curves ('probe'), within 5 %.",
    "NC1('released')/NC1('probe')",
    _by_definition,
    (_of_sizes, _to_unequal),
)

# --- other data


_SCOPES = (  # key, title, scope, rows
    (
        "counter",
        "Chosen mixtures",
        (
            "on Gaussian mixtures chosen to show where the comparison turns; they say nothing of the "
            "published data"
        ),
        pairings.counter_examples,
    ),
    (
        "other",
        "Other data",
        "on data that the claims are not about, for orientation",
        pairings.elsewhere,
    ),
)
_ELSEWHERE = (  # key, title, claim, ratio, pairing
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
OTHERS = [
    Comparison(
        f"{key}-{short}",
        f"{name}: {title}",
        f"{claim}, {scope}.",
        ratio,
        pairing,
        (Sentence(EACH, columns=("dataset", "model" if short == "a4" else "activation")),),
        rows=rows,
        random=short == "a3-trend",
    )
    for key, name, scope, rows in _SCOPES
    for short, title, claim, ratio, pairing in _ELSEWHERE
]

# --- beside the claims


def _beside(rows: Sequence[Row], cells: Sequence[CellVerdict]) -> list[list[CellVerdict]]:
    """The changes on the data of some cells: of the networks, of mean field, and of its Gaussian
    closure, the adaptive kernel.
    """
    return [
        same_data(pairing(rows), cells, "arm", "activation")
        for pairing in (
            pairings.network_end_against_start,
            pairings.mean_field_against_nngp,
            pairings.adaptive_against_nngp,
        )
    ]


def _at_equilibrium(rows: Sequence[Row], cells: Sequence[CellVerdict]) -> list[str]:
    """For each kind of data, the change of the networks and of each model beside them, along d0."""
    sentences = []
    for group, members in by(cells, "arm", "dataset", "activation"):
        networks, *models = _beside(rows, members)
        parts = [
            f"NC1({name})/NC1(NNGP) {along_d0(own)}"
            for name, own in zip(("mean field", "the adaptive kernel"), models, strict=True)
            if own
        ]
        sentences.append(
            f"{group}: NC1(T)/NC1(0) of the networks is {along_d0(networks)}; {'; '.join(parts)}."
        )
    return sentences


def _shares(rows: Sequence[Row], cells: Sequence[CellVerdict]) -> list[str]:
    """The title: the mean change of log NC1 of each model over that of the networks."""
    if not cells:
        return [""]
    gaussian = pairings.network_against_adaptive(rows)
    shares = [f"mean field gives {_share(*_beside(rows, cells)[:2])}"]
    if gaussian:
        shares.append(f"the adaptive kernel {_share(*_beside(rows, gaussian)[::2])}")
    return [f"Beside networks at equilibrium, {', '.join(shares)} of their change of log NC1"]


def _share(networks: Sequence[CellVerdict], kernels: Sequence[CellVerdict]) -> str:
    """One mean change of log NC1 over another, as a range over d0: "52 % to 97 %"."""
    goals = {d0: math.log(pooled(own).middle) for d0, own in by_d0(networks)}
    shares = [math.log(pooled(own).middle) / goals[d0] for d0, own in by_d0(kernels) if goals[d0]]
    shares = [share for share in shares if math.isfinite(share)]
    if not shares:
        return "an undefined share"
    low, high = f"{100 * min(shares):.0f} %", f"{100 * max(shares):.0f} %"
    return low if low == high else f"{low} to {high}"


def _of_shallow(rows: Sequence[Row]) -> list[CellVerdict]:
    """The change by training of networks of one hidden layer, Langevin ones left out, on the data
    of deeper ones.
    """
    moved = pairings.network_end_against_start(pairings.deeper(rows))
    return same_data(pairings.network_end_against_start(pairings.quiet(rows)), moved, "activation")


def _by_width(cells: Sequence[CellVerdict]) -> list[tuple[str, list[CellVerdict]]]:
    return sorted(by(cells, "width"), key=lambda item: int(item[0]))


def _of_each_width(rows: Sequence[Row], cells: Sequence[CellVerdict]) -> list[str]:
    """The start and the change by training of the networks of each width."""
    moved = dict(_by_width(pairings.network_end_against_start(rows)))
    return [
        f"Width {width}: {AT_START} {count(own)}, {ratio_words(own)}; NC1(T)/NC1(0), "
        f"{ratio_words(moved.get(width, []))}."
        for width, own in _by_width(cells)
    ]


def _of_widths(rows: Sequence[Row], cells: Sequence[CellVerdict]) -> list[str]:
    """The title: the change by training at the least and the greatest width."""
    del cells
    moved = _by_width(pairings.network_end_against_start(rows))
    if not moved:
        return ["Networks of several widths at their start"]
    ends = [f"{extremes(own)} at width {width}" for width, own in (moved[0], moved[-1])]
    return [f"NC1(T)/NC1(0) is {', '.join(ends)}"]


MEAN_FIELD = Comparison(
    "mean-field",
    _shares,
    "NC1(T)/NC1(0) of networks trained by Langevin noise is NC1(mean field)/NC1(NNGP) under the "
    "same prior and noise, within 5 % in the mean over all cells.",
    "NC1(T)/NC1(0) over NC1(mean field)/NC1(NNGP)",
    lambda rows: pairings.network_against_adaptive(rows, pairings.mean_field_against_nngp),
    (
        Sentence("The change of mean field {count}."),
        Sentence("The change of the adaptive kernel {count}.", pairings.network_against_adaptive),
        _at_equilibrium,
    ),
    rows=pairings.noisy,
    random=True,
)
_OF_DEEPER = (
    ("NC1(T)/NC1(0)", on(pairings.deeper, pairings.network_end_against_start)),
    ("NC1(T)/NC1(0) on the same data", _of_shallow),
    ("NC1(NTK)/NC1(NNGP)", on(pairings.deeper, pairings.ntk_against_nngp)),
    ("NC1(NTK of the network)/NC1(NNGP)", on(pairings.deeper, pairings.own_ntk_against_nngp)),
)
DEEPER = Comparison(
    "deeper",
    Sentence(
        "Training networks of depth {depths} changes their NC1 by a factor {extremes}",
        on(pairings.deeper, pairings.network_end_against_start),
        absent="Networks of more than one hidden layer at their start",
    ),
    "The features of networks of more than one hidden layer have, at their start, the NC1 of the "
    "NNGP of their depth, within 5 % in the mean over all cells.",
    AT_START,
    on(pairings.deeper, pairings.start_against_nngp),
    (
        Sentence(f"Over all cells {AT_START} is {{average}}; NC1 {{count}}."),
        Sentence(RATIOS % AT_START, columns=("dataset", "activation", "depth")),
        *(
            Sentence(RATIOS % name, pairing, ("dataset", "activation", "depth"))
            for name, pairing in _OF_DEEPER
        ),
    ),
    random=True,
)
WIDTHS = Comparison(
    "widths",
    _of_widths,
    "The features of networks at their start have the NC1 of the NNGP, whatever the width, within "
    "5 % in the mean over all cells.",
    AT_START,
    pairings.start_against_nngp,
    (_of_each_width,),
    rows=pairings.widths,
    random=True,
)
