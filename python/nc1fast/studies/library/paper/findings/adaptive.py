"""The claim A3: the adaptive kernel against the NNGP and against trained networks, under two
priors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nc1fast.studies.findings.finding import Finding, line
from nc1fast.studies.findings.rules import overall
from nc1fast.studies.findings.words import (
    ABSENT,
    along_d0,
    by,
    by_d0,
    count,
    each,
    extremes,
    ranges,
    repeats,
    tally,
)
from nc1fast.studies.library.paper.findings import pairings
from nc1fast.studies.library.paper.findings.branches import branches
from nc1fast.studies.summary import key, select
from nc1fast.studies.table import RELEASED_ADAPTIVE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nc1fast.studies.findings.compare import CellVerdict
    from nc1fast.studies.findings.finding import Claim
    from nc1fast.studies.tidy import Row

NEEDS_BOTH = "needs both priors"
_TITLE = (
    "The adaptive kernel is more collapsed than the NNGP, but need not follow the trained network"
)


def adaptive_kernel(rows: Sequence[Row]) -> Claim:
    """A3: the adaptive kernel is more collapsed than the NNGP (judged), and need not follow the
    network (told).

    There is no verdict without the adaptive kernels of both priors, the published one and that of
    the networks.
    """
    noisy = pairings.langevin_arms(rows)
    published = pairings.published(rows)
    quiet = select(published, lambda row: row["arm"] not in noisy)
    cells = pairings.adaptive_against_nngp(quiet)
    priors = _by_prior(cells)
    both = all(priors.values())
    verdict = overall(cell.verdict for cell in cells)
    finding = Finding(
        "a3",
        _TITLE,
        "NC1(adaptive kernel) ≤ NC1(NNGP), the adaptive kernel from equations in which the labels enter (erf), under the "
        "published prior and noise, and under those of the trained networks.",
        verdict if both or not cells else NEEDS_BOTH,
        "NC1(adaptive)/NC1(NNGP)",
        tuple(_sentences(quiet, priors) + _trend(published)) if cells else (),
        tuple(cells),
    )
    told = [ranges(members, f"{name}, ") for name, members in priors.items() if members]
    return line("A3", finding, "; ".join(told), _details(quiet))


def _by_prior(cells: Sequence[CellVerdict]) -> dict[str, list[CellVerdict]]:
    """The cells of the published prior, and of that of the networks."""
    return {
        "published prior": [c for c in cells if c.cell["arm"] != pairings.MATCHED],
        "matched prior": [c for c in cells if c.cell["arm"] == pairings.MATCHED],
    }


def _sentences(rows: Sequence[Row], priors: dict[str, list[CellVerdict]]) -> list[str]:
    """The level under each prior, and where the prior decides it."""
    sentences = []
    for name, cells in priors.items():
        for _, members in by(cells, "noise", "weight_variance"):
            prior = "noise {noise:g}, variances {weight_variance}".format_map(members[0].cell)
            sentences.append(f"{name.capitalize()} ({prior}): it {count(members)}.")
            sentences += each(members, "arm", "dataset")
        if not cells:
            sentences.append(f"{name.capitalize()}: {ABSENT}.")
    published, matched = priors.values()
    if published and matched:
        sentences.append(_turned(published, matched))
    cells = [*published, *matched]
    return [*sentences, repeats(cells), *_unconverged(rows), *branches(rows)]


def _turned(published: Sequence[CellVerdict], matched: Sequence[CellVerdict]) -> str:
    """Where the verdict depends on the prior: the d0 at which the words of cells on the same data
    differ.
    """
    beside = {_data(cell): cell.verdict for cell in reversed(published)}  # the first arm counts
    shared = [cell for cell in matched if _data(cell) in beside]
    turned = [cell for cell in shared if beside[_data(cell)] != cell.verdict]
    if not shared:
        return "The two priors have no data in common."
    where = "; ".join(
        f"{dataset} at d₀ = {', '.join(str(d0) for d0, _ in by_d0(cells))}"
        for dataset, cells in by(turned, "dataset")
    )
    told = (
        f"The prior decides the verdict in {len(turned)} of the {len(shared)} cells that have both"
    )
    return f"{told} ({where})." if turned else f"{told}."


def _trend(rows: Sequence[Row]) -> list[str]:
    """How far networks move beside the adaptive kernel of each prior, for each arm of networks."""
    moved = pairings.network_end_against_start(rows)
    beside = {
        "the published prior": pairings.network_against_adaptive(rows),
        "the matched prior": pairings.network_against_adaptive(rows, matched=True),
    }
    noisy = pairings.langevin_arms(rows)
    sentences = []
    columns = ("arm", "dataset", "activation")
    for group, networks in by(moved, *columns):
        compared = {
            ("its own prior" if networks[0].cell["arm"] in noisy else prior): members
            for prior, cells in beside.items()
            if (members := dict(by(cells, *columns)).get(group))
        }
        told = [f"{prior}, this change {count(members)}" for prior, members in compared.items()]
        if told:
            sentences.append(
                f"{group}: NC1(T)/NC1(0) of the network is {along_d0(networks)}. Beside NC1(adaptive)/NC1(NNGP) of "
                f"{'; beside that of '.join(told)}."
            )
    return sentences


def _details(rows: Sequence[Row]) -> list[str]:
    """The same comparison with the released code and with shuffled labels, and why they differ."""
    released = pairings.adaptive_against_nngp(rows, RELEASED_ADAPTIVE)
    shuffled = pairings.shuffled_against_true(rows)
    control = f"NC1(shuffled)/NC1(true) {extremes(shuffled)}" if shuffled else ABSENT
    return [
        f"Released code: {tally(released)}.",
        f"Shuffled labels: {control}.",
        (
            "In the released equations the term with the labels carries the noise where 1/noise² belongs, so that the labels "
            "hardly enter."
        ),
    ]


def _unconverged(rows: Sequence[Row]) -> list[str]:
    solutions = select(rows, model="AdaptiveKernel", state="")
    late = sum(row["status"].startswith("not converged") for row in solutions)
    if not late:
        return []
    return [
        f"{late} of {len(solutions)} rows are of solutions above the solver's tolerance; they count."
    ]


def _data(cell: CellVerdict) -> tuple[object, ...]:
    return key(cell.cell, ("dataset", "N", "d0", "sizes", "activation"))
