"""Pairings: which rows stand against which in each comparison, as lists of judged cells."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from nc1fast.studies.findings.checks import LIMITING
from nc1fast.studies.findings.compare import changes, compare
from nc1fast.studies.findings.rules import agree, alike, at_least, at_most
from nc1fast.studies.summary import distinct, grouped, select
from nc1fast.studies.table import RELEASED_ERF_NTK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nc1fast.studies.findings.compare import CellVerdict
    from nc1fast.studies.tidy import Row

PUBLISHED = ("D1", "D2")  # data sets that the claims are about
COUNTER = "counter"  # the arm of counter-examples
MATCHED = "matched"  # the arm whose adaptive kernels have the prior and the noise of the networks
MEAN_FIELD = "mean field"
_VARIANCES = ("weight_variance", "bias_variance")
# Columns free in comparisons of two kernels of the same infinitely wide network.
_KIND = ("model", "parametrization")
# Columns free in comparisons of any two models of one activation and depth.
_ANY = (*_KIND, *_VARIANCES, "width", "noise", "state")


def published(rows: Sequence[Row]) -> list[Row]:
    """Rows of the published data and networks of one hidden layer and one width, each arm under its
    first convention.
    """
    some = select(rows, lambda r: r["dataset"] in PUBLISHED and r["arm"] != COUNTER)
    return [row for members in _by_arm(some) if _shallow(members) for row in members]


def elsewhere(rows: Sequence[Row]) -> list[Row]:
    """Rows of all other data but the counter-examples: real data, and mixtures of the user;
    likewise under one convention.
    """
    some = select(rows, lambda r: r["dataset"] not in PUBLISHED and r["arm"] != COUNTER)
    return [row for members in _by_arm(some) for row in members]


def counter_examples(rows: Sequence[Row]) -> list[Row]:
    """Rows of the mixtures chosen as counter-examples, under one convention."""
    return [row for members in _by_arm(select(rows, arm=COUNTER)) for row in members]


def deeper(rows: Sequence[Row]) -> list[Row]:
    """Rows of arms in which networks of more than one hidden layer were trained, each arm under its
    first convention.
    """
    deep = {r["arm"] for r in rows if r["model"] == "network" and r["depth"] > 2}
    return [row for members in _by_arm(rows) if members[0]["arm"] in deep for row in members]


def widths(rows: Sequence[Row]) -> list[Row]:
    """Rows of arms in which networks of several widths were trained, each arm under its first
    convention.
    """
    return [row for members in _by_arm(rows) if _several_widths(members) for row in members]


def _by_arm(rows: Sequence[Row]) -> list[list[Row]]:
    """The rows of each arm under its first convention."""
    return [
        select(members, convention=members[0]["convention"])
        for _, members in grouped(rows, ("arm",))
    ]


def _shallow(rows: Sequence[Row]) -> bool:
    """Whether the kernels of an arm are all of one hidden layer, and its networks of one width."""
    limiting = select(rows, lambda row: row["model"] in LIMITING)
    return all(row["depth"] == 2 for row in limiting) and not _several_widths(rows)


def _several_widths(rows: Sequence[Row]) -> bool:
    return len(distinct(select(rows, model="network"), "width")) > 1


def langevin_arms(rows: Sequence[Row]) -> set[str]:
    """Arms whose networks were trained with Langevin noise, which is also that of their adaptive
    kernels.
    """
    noisy = select(rows, lambda row: not math.isnan(row["noise"]), model="network")
    return {row["arm"] for row in noisy}


def ntk_against_nngp(rows: Sequence[Row]) -> list[CellVerdict]:
    """The claim NC1(NTK) >= NC1(NNGP), for the NTK in NTK parametrization."""
    return compare(_ntk(rows), _kernel(rows, "NNGP"), _KIND)


def released_ntk_against_nngp(rows: Sequence[Row]) -> list[CellVerdict]:
    """The same claim with the erf NTK of the released code."""
    return compare(_kernel(rows, RELEASED_ERF_NTK), _kernel(rows, "NNGP"), _KIND)


def ntk_against_released(rows: Sequence[Row]) -> list[CellVerdict]:
    """NC1 of the NTK over that of the released code's erf NTK."""
    return compare(_ntk(rows), _kernel(rows, RELEASED_ERF_NTK), _KIND)


def erf_against_relu(rows: Sequence[Row]) -> list[CellVerdict]:
    """The claim NC1(erf) <= NC1(relu), NNGP against NNGP and NTK against NTK."""
    return _activations([*_kernel(rows, "NNGP"), *_ntk(rows)])


def released_erf_against_relu(rows: Sequence[Row]) -> list[CellVerdict]:
    """The same claim with the released code's erf NTK in place of the NTK."""
    ntk = [
        {**row, "model": "NTK", "parametrization": "ntk"} for row in _kernel(rows, RELEASED_ERF_NTK)
    ]
    return _activations([*ntk, *_kernel(rows, "NNGP"), *select(_ntk(rows), activation="relu")])


def start_against_nngp(rows: Sequence[Row]) -> list[CellVerdict]:
    """NC1 of networks at their start against that of the NNGP, which are the same up to the scatter
    of finite width.
    """
    start = select(rows, model="network", state="start")
    return compare(start, _kernel(rows, "NNGP"), _ANY, agree)


def adaptive_against_nngp(rows: Sequence[Row], model: str = "AdaptiveKernel") -> list[CellVerdict]:
    """The claim NC1(adaptive kernel) <= NC1(NNGP), arm by arm."""
    return compare(_kernel(rows, model), _kernel(rows, "NNGP"), _ANY, at_most, arms="each")


def shuffled_against_true(rows: Sequence[Row], model: str = "AdaptiveKernel") -> list[CellVerdict]:
    """The claim that shuffled labels give the adaptive kernel a higher NC1, measured under the true
    labels.
    """
    shuffled = select(rows, model=model, state="shuffled")
    return compare(shuffled, _kernel(rows, model), ("state",), at_least, arms="within")


def network_end_against_start(rows: Sequence[Row]) -> list[CellVerdict]:
    """NC1 of networks at the end against the start; they are the same where training does not move
    the features.
    """
    return compare(*_end_and_start(rows, "network"), ("state",), agree, arms="within")


def network_against_adaptive(
    rows: Sequence[Row], model: str = "AdaptiveKernel", *, matched: bool = False
) -> list[CellVerdict]:
    """NC1(T)/NC1(0) of each network against NC1(adaptive)/NC1(NNGP) on the same data.

    The adaptive kernels are those of `adaptive_arms`; "mean field" as `model` puts that in their
    place.
    """
    moved = changes(*_end_and_start(rows, "network"), ("state",), arms="within")
    kernels = changes(_kernel(rows, model), _kernel(rows, "NNGP"), _ANY, arms="each")
    cells = []
    for group, networks in grouped(moved, ("arm",)):
        partners = adaptive_arms(rows, group["arm"], model, matched=matched)
        beside = [row for row in kernels if row["arm"] in partners]
        cells += compare(networks, beside, _ANY, agree)
    return cells


def adaptive_arms(
    rows: Sequence[Row], arm: str, model: str = "AdaptiveKernel", *, matched: bool = False
) -> set[str]:
    """Arms whose adaptive kernels are compared with the networks of an arm.

    With `matched` that is the arm of the networks' own prior. Otherwise it is the arm itself or, if
    it has no adaptive kernels, all others. Langevin arms, which have a noise of their own, are
    compared with themselves alone.
    """
    arms, noisy = {row["arm"] for row in rows if row["model"] == model}, langevin_arms(rows)
    if matched:
        return arms & {MATCHED} - noisy if arm not in noisy else set()
    return {arm} & arms if arm in arms | noisy else arms - noisy - {MATCHED}


def ntk_against_own(rows: Sequence[Row]) -> list[CellVerdict]:
    """NC1 of the NTK in NTK parametrization against that of the NTK of the very network."""
    return compare(_ntk(rows), _ntk(rows, of_network=True), _ANY, alike)


def own_ntk_against_nngp(rows: Sequence[Row]) -> list[CellVerdict]:
    """The claim NC1(NTK) >= NC1(NNGP) for the NTK of the very network."""
    return compare(_ntk(rows, of_network=True), _kernel(rows, "NNGP"), _ANY)


def empirical_against_own(rows: Sequence[Row]) -> list[CellVerdict]:
    """NC1 of the networks' empirical NTKs at the start against that of their limiting NTK."""
    start = select(rows, model="empirical NTK", state="start")
    return compare(start, _ntk(rows, of_network=True), _ANY, agree, arms="within")


def empirical_end_against_start(rows: Sequence[Row]) -> list[CellVerdict]:
    """NC1 of the networks' empirical NTKs at the end against the start."""
    return compare(*_end_and_start(rows, "empirical NTK"), ("state",), agree, arms="within")


def released_against_probe(rows: Sequence[Row]) -> list[CellVerdict]:
    """NC1 of a kernel under the convention 'released' against that under 'probe'."""
    kernels = [*_kernel(rows, "NNGP"), *_ntk(rows)]
    by_name = {name: select(kernels, convention=name) for name in ("released", "probe")}
    return compare(by_name["released"], by_name["probe"], ("convention",), alike)


def _end_and_start(rows: Sequence[Row], model: str) -> tuple[list[Row], list[Row]]:
    return select(rows, model=model, state="end"), select(rows, model=model, state="start")


def _kernel(rows: Sequence[Row], model: str) -> list[Row]:
    return select(rows, model=model, state="")


def _ntk(rows: Sequence[Row], *, of_network: bool = False) -> list[Row]:
    """The NTK in NTK parametrization, or that of the very network."""
    ntk = _kernel(rows, "NTK")
    return [row for row in ntk if (row["parametrization"] == "standard") == of_network]


def _activations(rows: Sequence[Row]) -> list[CellVerdict]:
    erf, relu = select(rows, activation="erf"), select(rows, activation="relu")
    return compare(erf, relu, ("activation", "parametrization", *_VARIANCES), at_most)
