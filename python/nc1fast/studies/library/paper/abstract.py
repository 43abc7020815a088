"""The four claims of the abstract of arXiv 2406.02105, as data: A1, the kernel decides; A2, the NTK
against the NNGP; A3, the adaptive kernel; A4, erf against ReLU.

Each `Comparison` says which rows it looks at, which stand against which, and what is said of the
cells. A3, which is judged under two priors, has functions of its own.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, TypeAlias

from nc1fast.studies.findings import pairings
from nc1fast.studies.findings.compare import (
    ABSENT,
    along_d0,
    by,
    by_d0,
    count,
    ranges,
    repeats,
)
from nc1fast.studies.findings.finding import EACH, Comparison, Sentence, tell
from nc1fast.studies.findings.pairings import on
from nc1fast.studies.summary import CELL, distinct, equal_classes, grouped, key, select

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nc1fast.studies.findings import CellVerdict, Claim
    from nc1fast.studies.tidy import Row

    Select: TypeAlias = Callable[[Sequence[Row]], list[Row]]
    Pairing: TypeAlias = Callable[[Sequence[Row]], list[CellVerdict]]

NEEDS_BOTH = "needs both priors"
AT_START = "NC1(network at start)/NC1(NNGP)"
_IDENTITY = (
    "That NC1 of explicit features is NC1 of their Gram matrix, in every convention, is an identity "
    "and a test of this library; the table adds that a network of finite width starts with the NC1 "
    "of its limiting kernel."
)


def _equal(cell: CellVerdict) -> bool:
    return equal_classes(cell.cell)


def _unequal(cell: CellVerdict) -> bool:
    return not equal_classes(cell.cell)


def _always(text: str) -> Sentence:
    """A sentence whatever the cells."""
    return Sentence(text, absent=text)


_NO_LABELS = _always("No labels enter, so that there is no control with shuffled ones.")


def claims(rows: Sequence[Row]) -> list[Claim]:
    """The four claims of the abstract, one line each; a claim without rows is not comparable.

    There is no verdict on A3 without the adaptive kernels of both priors, the published one and
    that of the networks.
    """
    a3 = ADAPTIVE.claim(rows)
    if cells := a3.finding.cells:
        priors = _by_prior(cells)
        number = "; ".join(ranges(own, f"{name}, ") for name, own in priors.items() if own)
        verdict = a3.finding.verdict if all(priors.values()) else NEEDS_BOTH
        finding = dataclasses.replace(a3.finding, verdict=verdict)
        a3 = dataclasses.replace(a3, finding=finding, number=number)
    return [START.claim(rows), NTK.claim(rows), a3, ERF.claim(rows)]


# --- A3: the adaptive kernel under two priors


def _by_prior(cells: Sequence[CellVerdict]) -> dict[str, list[CellVerdict]]:
    """The cells of the published prior, and of that of the networks."""
    return {
        "published prior": [c for c in cells if c.cell["arm"] != pairings.MATCHED],
        "matched prior": [c for c in cells if c.cell["arm"] == pairings.MATCHED],
    }


def _priors(rows: Sequence[Row], cells: Sequence[CellVerdict]) -> list[str]:
    """The level under each prior, and where the prior decides it."""
    sentences = []
    priors = _by_prior(cells)
    for name, some in priors.items():
        for _, members in by(some, "noise", "weight_variance"):
            prior = "noise {noise:g}, variances {weight_variance}".format_map(members[0].cell)
            sentences.append(f"{name.capitalize()} ({prior}): it {count(members)}.")
            sentences += tell(EACH, members, "arm", "dataset")
        if not some:
            sentences.append(f"{name.capitalize()}: {ABSENT}.")
    if all(priors.values()):
        sentences.append(_turned(*priors.values()))
    return [*sentences, repeats([c for some in priors.values() for c in some])]


def _turned(published: Sequence[CellVerdict], matched: Sequence[CellVerdict]) -> str:
    """Where the verdict depends on the prior: the d0 at which the words of cells on the same data
    differ.
    """
    columns = ("dataset", "N", "d0", "sizes", "activation")
    beside = {key(c.cell, columns): c.verdict for c in reversed(published)}  # the first arm counts
    shared = [cell for cell in matched if key(cell.cell, columns) in beside]
    turned = [cell for cell in shared if beside[key(cell.cell, columns)] != cell.verdict]
    if not shared:
        return "The two priors have no data in common."
    where = "; ".join(
        f"{dataset} at d₀ = {', '.join(str(d0) for d0, _ in by_d0(cells))}"
        for dataset, cells in by(turned, "dataset")
    )
    return (
        f"The prior decides the verdict in {len(turned)} of the {len(shared)} cells that have both"
        f"{f' ({where})' * bool(turned)}."
    )


def _solutions(rows: Sequence[Row], _: Sequence[CellVerdict]) -> list[str]:
    """How many solutions did not converge, and in how many cells there are several."""
    solutions = select(pairings.quiet(rows), model="AdaptiveKernel", state="")
    late = sum(row["status"].startswith("not converged") for row in solutions)
    sentences = [
        f"{late} of {len(solutions)} rows are of solutions above the solver's tolerance; they count."
    ] * bool(late)
    solved = select(solutions, lambda row: row["starts"] > 0)
    if not solved:
        return sentences
    cells = [members for _, members in grouped(solved, CELL)]
    several = [members for members in cells if any(row["branches"] > 1 for row in members)]
    found = (
        f"From {_span([row['starts'] for row in solved])} starts each, {len(several)} of "
        f"{len(cells)} cells of the adaptive kernel have more than one solution in some repeat; the "
        "one of lowest free energy counts."
    )
    branches = [
        [float(nc1) for nc1 in row["branch_nc1"].split()] for row in solved if row["branches"] > 1
    ]
    if branches:
        where = "; ".join(
            f"{group['arm']}, {group['dataset']} at d₀ = "
            f"{', '.join(map(str, sorted(set(distinct(members, 'd0')))))}"
            for group, members in grouped((m[0] for m in several), ("arm", "dataset"))
        )
        found += (
            f" These are {where}. In the {len(branches)} rows of which this is true the largest NC1 "
            f"of a solution is {_span([max(nc1) / min(nc1) for nc1 in branches])} times the "
            "smallest."
        )
    return [*sentences, found]


def _span(values: Sequence[float]) -> str:
    low, high = f"{min(values):.3g}", f"{max(values):.3g}"
    return low if low == high else f"{low} to {high}"


def _trend(rows: Sequence[Row], _: Sequence[CellVerdict]) -> list[str]:
    """How far networks move beside the adaptive kernel of each prior, for each arm of networks."""
    beside = {
        "the published prior": pairings.network_against_adaptive(rows),
        "the matched prior": pairings.network_against_adaptive(rows, matched=True),
    }
    noisy = pairings.langevin_arms(rows)
    sentences = []
    columns = ("arm", "dataset", "activation")
    for group, networks in by(pairings.network_end_against_start(rows), *columns):
        own = networks[0].cell["arm"] in noisy
        found = {
            ("its own prior" if own else prior): members
            for prior, cells in beside.items()
            if (members := dict(by(cells, *columns)).get(group))
        }
        parts = [f"{prior}, this change {count(members)}" for prior, members in found.items()]
        if parts:
            sentences.append(
                f"{group}: NC1(T)/NC1(0) of the network is {along_d0(networks)}. Beside "
                f"NC1(adaptive)/NC1(NNGP) of {'; beside that of '.join(parts)}."
            )
    return sentences


# --- the claims

START = Comparison(
    "a1",
    "NC1 is a function of the kernel",
    "The features of networks at their start have the NC1 of the NNGP on the same data, within 5 % "
    "in the mean over all cells.",
    AT_START,
    pairings.start_against_nngp,
    (
        Sentence("Over all cells the ratio is {average}; NC1 {count}."),
        Sentence(EACH, columns=("dataset", "activation")),
        Sentence(
            "Single networks of width {widths} scatter about the mean of their cell by {scatter} "
            "(standard deviation of the logarithm)."
        ),
        Sentence(_IDENTITY),
    ),
    rows=pairings.published,
    random=True,
    letter="A1",
    number="{average}",
    details=(
        Sentence(
            "Released code: its kernel formula and its network curves weigh unequal classes "
            "differently; NC1 of one kernel under the first over that under the second {tally}.",
            pairings.released_against_probe,
            keep=_unequal,
            absent="Released code: with equal classes all its definitions agree.",
        ),
        _NO_LABELS,
    ),
)
NTK = Comparison(
    "a2",
    "The NTK is not more collapsed than the NNGP",
    "NC1(NTK) ≥ NC1(NNGP) for one hidden layer and the published Gaussian classes.",
    "NC1(NTK)/NC1(NNGP)",
    pairings.ntk_against_nngp,
    (
        Sentence("With both kernels as defined and classes of equal size it {count}.", keep=_equal),
        Sentence(EACH, columns=("dataset", "activation"), keep=_equal),
        Sentence(
            "With classes of unequal size, under the convention '{convention}', it {count}.",
            keep=_unequal,
        ),
        Sentence(EACH, columns=("dataset", "activation", "sizes"), keep=_unequal),
        Sentence("{repeats}"),
    ),
    rows=pairings.published,
    letter="A2",
    details=(
        Sentence(
            "Released code, erf: {tally}.",
            on(pairings.published, pairings.released_ntk_against_nngp),
            absent=f"Released code, erf: {ABSENT}.",
        ),
        _NO_LABELS,
        _always(
            "The erf NTK of the released code has a dot product where an outer product belongs."
        ),
    ),
)
ADAPTIVE = Comparison(
    "a3",
    "The adaptive kernel is more collapsed than the NNGP, but need not follow the trained network",
    "NC1(adaptive kernel) ≤ NC1(NNGP), the adaptive kernel from equations in which the labels enter "
    "(erf), under the published prior and noise, and under those of the trained networks.",
    "NC1(adaptive)/NC1(NNGP)",
    on(pairings.quiet, pairings.adaptive_against_nngp),
    (_priors, _solutions, _trend),
    rows=pairings.published,
    letter="A3",
    details=(
        Sentence(
            "Released code: {tally}.",
            on(pairings.quiet, pairings.released_adaptive_against_nngp),
            absent=f"Released code: {ABSENT}.",
        ),
        Sentence(
            "Shuffled labels: NC1(shuffled)/NC1(true) {extremes}.",
            on(pairings.quiet, pairings.shuffled_against_true),
            absent=f"Shuffled labels: {ABSENT}.",
        ),
        _always(
            "In the released equations the term with the labels carries the noise where 1/noise² "
            "belongs, so that the labels hardly enter."
        ),
    ),
)
ERF = Comparison(
    "a4",
    "Erf gives lower NC1 than ReLU",
    "NC1(erf) ≤ NC1(relu), same data, same kernel.",
    "NC1(erf)/NC1(relu)",
    pairings.erf_against_relu,
    (
        Sentence("Over all published data it {count}."),
        Sentence(EACH, columns=("dataset", "model")),
        Sentence("{repeats}"),
    ),
    rows=pairings.published,
    letter="A4",
    details=(
        Sentence(
            "Released code: {tally}.",
            on(pairings.published, pairings.released_erf_against_relu),
            absent=f"Released code: {ABSENT}.",
        ),
        _NO_LABELS,
        _always("The NNGPs are the same; the released erf NTK is below the NTK as defined."),
    ),
)
