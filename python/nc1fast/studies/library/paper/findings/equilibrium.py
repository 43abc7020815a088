"""Networks at equilibrium under Langevin noise, beside mean field and its Gaussian closure, the
adaptive kernel.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from nc1fast.studies.findings.compare import pooled, same_data
from nc1fast.studies.findings.finding import Finding, estimated
from nc1fast.studies.findings.words import along_d0, by, by_d0, count
from nc1fast.studies.library.paper.findings import pairings
from nc1fast.studies.summary import select

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nc1fast.studies.findings.compare import CellVerdict
    from nc1fast.studies.tidy import Row

_NAMES = {pairings.MEAN_FIELD: "mean field", "AdaptiveKernel": "the adaptive kernel"}
_NETWORK = ("arm", "activation")  # beside the data, what cells must share


def mean_field(rows: Sequence[Row]) -> Finding | None:
    """NC1(T)/NC1(0) of Langevin networks against that of mean field over the NNGP; None without
    both.

    Both have the prior and the noise of the networks. The adaptive kernel, which closes the
    mean-field equations by a Gaussian, is told beside it.
    """
    noisy = pairings.langevin_arms(rows)
    some = select(pairings.published(rows), lambda row: row["arm"] in noisy)
    cells = pairings.network_against_adaptive(some, pairings.MEAN_FIELD)
    if not cells:
        return None
    sentences = [f"The change of mean field {count(cells)}."]
    gaussian = pairings.network_against_adaptive(some)
    if gaussian:
        sentences.append(f"The change of the adaptive kernel {count(gaussian)}.")
    sentences += _changes(some, cells)
    title = f"Beside networks at equilibrium, mean field gives {_share(some, cells, pairings.MEAN_FIELD)}"
    if gaussian:
        title += f", the adaptive kernel {_share(some, gaussian, 'AdaptiveKernel')}"
    return estimated(
        "mean-field",
        f"{title} of their change of log NC1",
        "NC1(T)/NC1(0) of networks trained by Langevin noise is NC1(mean field)/NC1(NNGP) under the same prior and noise, "
        "within 5 % in the mean over all cells.",
        "NC1(T)/NC1(0) over NC1(mean field)/NC1(NNGP)",
        sentences,
        cells,
    )


def _changes(rows: Sequence[Row], cells: Sequence[CellVerdict]) -> list[str]:
    """For each kind of data, the change of the networks and of each model beside them, along d0."""
    sentences = []
    for group, members in by(cells, "arm", "dataset", "activation"):
        networks = same_data(pairings.network_end_against_start(rows), members, *_NETWORK)
        beside = {
            name: same_data(pairings.adaptive_against_nngp(rows, model), members, *_NETWORK)
            for model, name in _NAMES.items()
        }
        told = [f"NC1({name})/NC1(NNGP) {along_d0(own)}" for name, own in beside.items() if own]
        sentences.append(
            f"{group}: NC1(T)/NC1(0) of the networks is {along_d0(networks)}; {'; '.join(told)}."
        )
    return sentences


def _share(rows: Sequence[Row], cells: Sequence[CellVerdict], model: str) -> str:
    """The model's mean change of log NC1 over that of the networks, as a range over d0: "52 % to 97
    %".
    """
    kernels = same_data(pairings.adaptive_against_nngp(rows, model), cells, *_NETWORK)
    networks = same_data(pairings.network_end_against_start(rows), cells, *_NETWORK)
    goals = {d0: math.log(pooled(own).middle) for d0, own in by_d0(networks)}
    shares = [math.log(pooled(own).middle) / goals[d0] for d0, own in by_d0(kernels) if goals[d0]]
    shares = [share for share in shares if math.isfinite(share)]
    if not shares:
        return "an undefined share"
    low, high = f"{100 * min(shares):.0f} %", f"{100 * max(shares):.0f} %"
    return low if low == high else f"{low} to {high}"
