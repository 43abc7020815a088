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
_VARIANCES = ("weight_variance", "bias_variance")
# Columns free in comparisons of two kernels of the same infinitely wide network.
_KIND = ("model", "parametrization")
# Columns free in comparisons of any two models of one activation and depth.
_ANY = (*_KIND, *_VARIANCES, "width", "noise", "state")


def published(rows: Sequence[Row]) -> list[Row]:
    """Rows of the published data, each arm under its first convention, without depth curves."""
    return select(_shallow(rows), lambda r: r["dataset"] in PUBLISHED and r["arm"] != COUNTER)


def elsewhere(rows: Sequence[Row]) -> list[Row]:
    """Likewise of all other data but the counter-examples: real data, and mixtures of the user."""
    return select(_shallow(rows), lambda r: r["dataset"] not in PUBLISHED and r["arm"] != COUNTER)


def counter_examples(rows: Sequence[Row]) -> list[Row]:
    """Likewise of the mixtures chosen as counter-examples."""
    return select(_shallow(rows), arm=COUNTER)


def _shallow(rows: Sequence[Row]) -> list[Row]:
    kept = []
    for _, members in grouped(rows, ("arm",)):
        limiting = select(members, lambda row: row["model"] in LIMITING)
        if len(distinct(limiting, "depth")) <= 1:
            kept += select(members, convention=members[0]["convention"])
    return kept


def langevin_arms(rows: Sequence[Row]) -> set[str]:
    """Arms whose networks were trained with Langevin noise, which is also that of their adaptive kernels."""
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
    """NC1 of networks at their start against that of the NNGP, which agree up to the scatter of finite width."""
    start = select(rows, model="network", state="start")
    return compare(start, _kernel(rows, "NNGP"), _ANY, agree)


def adaptive_against_nngp(rows: Sequence[Row], model: str = "AdaptiveKernel") -> list[CellVerdict]:
    """The claim NC1(adaptive kernel) <= NC1(NNGP), arm by arm."""
    return compare(_kernel(rows, model), _kernel(rows, "NNGP"), _ANY, at_most, arms="each")


def shuffled_against_true(rows: Sequence[Row], model: str = "AdaptiveKernel") -> list[CellVerdict]:
    """The claim that shuffled labels give the adaptive kernel a higher NC1, measured under the true labels."""
    shuffled = select(rows, model=model, state="shuffled")
    return compare(shuffled, _kernel(rows, model), ("state",), at_least, arms="within")


def network_end_against_start(rows: Sequence[Row]) -> list[CellVerdict]:
    """NC1 of networks at the end against the start; they agree where training does not move the features."""
    return compare(*_end_and_start(rows, "network"), ("state",), agree, arms="within")


def network_against_adaptive(
    rows: Sequence[Row], model: str = "AdaptiveKernel"
) -> list[CellVerdict]:
    """NC1(T)/NC1(0) of each network against NC1(adaptive)/NC1(NNGP) on the same data."""
    moved = changes(*_end_and_start(rows, "network"), ("state",), arms="within")
    kernels = changes(_kernel(rows, model), _kernel(rows, "NNGP"), _ANY, arms="each")
    cells = []
    for group, networks in grouped(moved, ("arm",)):
        partners = adaptive_arms(rows, group["arm"], model)
        beside = [row for row in kernels if row["arm"] in partners]
        cells += compare(networks, beside, _ANY, agree)
    return cells


def adaptive_arms(rows: Sequence[Row], arm: str, model: str = "AdaptiveKernel") -> set[str]:
    """Arms whose adaptive kernels are compared with the networks of an arm.

    That is the arm itself or, if it has no adaptive kernels, all others; Langevin arms, which have a noise of their own, are
    compared with themselves alone.
    """
    arms, noisy = {row["arm"] for row in rows if row["model"] == model}, langevin_arms(rows)
    return {arm} & arms if arm in arms | noisy else arms - noisy


def ntk_against_own(rows: Sequence[Row]) -> list[CellVerdict]:
    """NC1 of the NTK in NTK parametrization against that of the NTK of the very network."""
    return compare(_ntk(rows), _ntk(rows, of_network=True), _ANY, alike)


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
