"""The findings on the published comparison, and the functions that findings.yaml, which describes
them, calls where a template does not do.

The answer to the question of the title is in `question`.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from importlib import resources
from typing import TYPE_CHECKING

from nc1fast.studies.findings import any_table, pairings, present
from nc1fast.studies.findings.compare import (
    ABSENT,
    along_d0,
    by,
    by_d0,
    count,
    extremes,
    pooled,
    ranges,
    ratio_words,
    repeats,
    same_data,
    span,
)
from nc1fast.studies.findings.finding import EACH, declared, tell
from nc1fast.studies.summary import CELL, distinct, equal_classes, grouped, key, median, select
from nc1fast.studies.table import LIMITING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nc1fast.studies.findings.compare import CellVerdict
    from nc1fast.studies.findings.finding import Claim, Comparison, Finding
    from nc1fast.studies.tidy import Row

NEEDS_BOTH = "needs both priors"


def claims(rows: Sequence[Row]) -> list[Claim]:
    """The four claims of the abstract, one line each; a claim without rows is not comparable.

    There is no verdict on A3 without the adaptive kernels of both priors, the published one and
    that of the networks.
    """
    found = {key: _comparisons()[key].claim(rows) for key in ("a1", "a2", "a3", "a4")}
    a3 = found["a3"]
    if cells := a3.finding.cells:
        priors = _by_prior(cells)
        number = "; ".join(ranges(own, f"{name}, ") for name, own in priors.items() if own)
        verdict = a3.finding.verdict if all(priors.values()) else NEEDS_BOTH
        finding = dataclasses.replace(a3.finding, verdict=verdict)
        found["a3"] = dataclasses.replace(a3, finding=finding, number=number)
    return list(found.values())


def sections(rows: Sequence[Row]) -> list[tuple[str, list[Finding]]]:
    """All findings that the rows support, under headings, in the order in which they should be
    read.
    """
    made = {key: one.finding(rows) for key, one in _comparisons().items() if not one.letter}
    elsewhere = [key for key in made if key.startswith(("counter-", "other-"))]
    found: dict[str, list[Finding | None]] = {
        "The four claims": [claim.finding for claim in claims(rows) if claim.finding.cells],
        "What differs from the released code": [
            *(made[key] for key in ("released-ntk", "labels", "own-ntk", "conventions")),
            any_table.unusual(rows),
        ],
        "Outside the published data": [made[key] for key in elsewhere],
        "Beside the claims": [
            *(made[key] for key in ("mean-field", "deeper", "widths")),
            any_table.THEORY.finding(rows),
            any_table.over_depth(rows),
        ],
    }
    return present(found)


def findings(rows: Sequence[Row]) -> list[Finding]:
    """The findings of all sections in one list."""
    return [finding for _, found in sections(rows) for finding in found]


# --- A3: the adaptive kernel under two priors


def _by_prior(cells: Sequence[CellVerdict]) -> dict[str, list[CellVerdict]]:
    """The cells of the published prior, and of that of the networks."""
    return {
        "published prior": [c for c in cells if c.cell["arm"] != pairings.MATCHED],
        "matched prior": [c for c in cells if c.cell["arm"] == pairings.MATCHED],
    }


def priors(rows: Sequence[Row], cells: Sequence[CellVerdict]) -> list[str]:
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


def solutions(rows: Sequence[Row], _: Sequence[CellVerdict]) -> list[str]:
    """How many solutions did not converge, and in how many cells there are several."""
    solutions = select(pairings.quiet(rows), model="AdaptiveKernel", state="")
    late = sum(row["status"].startswith("not converged") for row in solutions)
    sentences = [
        (
            f"{late} of {len(solutions)} rows are of solutions above the solver's tolerance; they "
            "count."
        )
    ] * bool(late)
    solved = select(solutions, lambda row: row["starts"] > 0)
    if not solved:
        return sentences
    cells = [members for _, members in grouped(solved, CELL)]
    several = [members for members in cells if any(row["branches"] > 1 for row in members)]
    found = (
        f"From {span((row['starts'] for row in solved), start='')} starts each, {len(several)} of "
        f"{len(cells)} cells of the adaptive kernel have more than one solution in some repeat; "
        "the one of lowest free energy counts."
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
            f" These are {where}. In the {len(branches)} rows of which this is true the largest "
            f"NC1 of a solution is {span((max(nc1) / min(nc1) for nc1 in branches), start='')} "
            "times the smallest."
        )
    return [*sentences, found]


def trend(rows: Sequence[Row], _: Sequence[CellVerdict]) -> list[str]:
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


# --- what differs from the released code


def by_definition(rows: Sequence[Row]) -> list[CellVerdict]:
    """Limiting kernels under 'released' against 'probe'; no cells unless some ratio is known."""
    kernels = select(rows, lambda row: row["model"] in LIMITING, state="")
    cells = pairings.released_against_probe(kernels)
    return [] if all(math.isnan(cell.ratio) for cell in cells) else cells


def of_sizes(rows: Sequence[Row], cells: Sequence[CellVerdict]) -> list[str]:
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


def to_unequal(rows: Sequence[Row], cells: Sequence[CellVerdict]) -> list[str]:
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
            f"From sizes {equal[0]} to {unequal} NC1 changes (medians over the draws) by a factor "
            f"from {', '.join(parts)}, over the cells."
        )
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


def at_equilibrium(rows: Sequence[Row], cells: Sequence[CellVerdict]) -> list[str]:
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


def shares(rows: Sequence[Row], cells: Sequence[CellVerdict]) -> list[str]:
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


def of_shallow(rows: Sequence[Row]) -> list[CellVerdict]:
    """The change by training of networks of one hidden layer, Langevin ones left out, on the data
    of deeper ones.
    """
    moved = pairings.network_end_against_start(pairings.deeper(rows))
    return same_data(pairings.network_end_against_start(pairings.quiet(rows)), moved, "activation")


def _by_width(cells: Sequence[CellVerdict]) -> list[tuple[str, list[CellVerdict]]]:
    return sorted(by(cells, "width"), key=lambda item: int(item[0]))


def of_each_width(rows: Sequence[Row], cells: Sequence[CellVerdict]) -> list[str]:
    """The start and the change by training of the networks of each width."""
    moved = dict(_by_width(pairings.network_end_against_start(rows)))
    return [
        f"Width {width}: NC1(network at start)/NC1(NNGP) {count(own)}, {ratio_words(own)}; "
        f"NC1(T)/NC1(0), {ratio_words(moved.get(width, []))}."
        for width, own in _by_width(cells)
    ]


def of_widths(rows: Sequence[Row], cells: Sequence[CellVerdict]) -> list[str]:
    """The title: the change by training at the least and the greatest width."""
    del cells
    moved = _by_width(pairings.network_end_against_start(rows))
    if not moved:
        return ["Networks of several widths at their start"]
    ends = [f"{extremes(own)} at width {width}" for width, own in (moved[0], moved[-1])]
    return [f"NC1(T)/NC1(0) is {', '.join(ends)}"]


@functools.cache
def _comparisons() -> dict[str, Comparison]:
    return declared(resources.files(__package__), vars(pairings) | globals())
