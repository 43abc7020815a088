"""Pairings: which rows stand against which in each comparison, and which rows a study looks at.

A `Pairing` is called with rows and gives judged cells.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nc1fast.studies.fields import listed
from nc1fast.studies.findings.compare import changes, compare
from nc1fast.studies.findings.rules import agree, alike, at_least, at_most
from nc1fast.studies.summary import distinct, equal_classes, grouped, select
from nc1fast.studies.table import LIMITING, RELEASED_ADAPTIVE, RELEASED_ERF_NTK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nc1fast.studies.findings.compare import Arms, CellVerdict
    from nc1fast.studies.findings.rules import Rule
    from nc1fast.studies.tidy import Row

PUBLISHED = ("D1", "D2")  # data sets that the claims of arXiv 2406.02105 are about
COUNTER = "counter"  # the arm of counter-examples
MATCHED = "matched"  # the arm whose adaptive kernels have the prior and the noise of the networks
# The columns of a side, each with its value or with several
_NNGP: Row = {"model": "NNGP", "state": ""}
_NTK: Row = {"model": "NTK", "state": "", "parametrization": ("ntk", "")}
_OWN: Row = {"model": "NTK", "state": "", "parametrization": "standard"}  # of the very network
_RELEASED_NTK: Row = {"model": RELEASED_ERF_NTK, "state": ""}
_ADAPTIVE: Row = {"model": "AdaptiveKernel", "state": ""}
_MEAN_FIELD: Row = {"model": "mean field", "state": ""}
_RELEASED_ADAPTIVE: Row = {"model": RELEASED_ADAPTIVE, "state": ""}
_START: Row = {"model": "network", "state": "start"}
_TANGENT_START: Row = {"model": "empirical NTK", "state": "start"}
# The columns in which the sides may differ: two kernels of one infinitely wide network, any two
# models of one activation and depth
_VARIANCES = ("weight_variance", "bias_variance")
_KIND = ("model", "parametrization")
_ANY = (*_KIND, *_VARIANCES, "width", "noise", "state")


@dataclass(frozen=True)
class Pairing:
    """Rows with the columns of `first` against those of `second`; the rest as `compare` has it."""

    first: Row
    second: Row
    free: tuple[str, ...]
    rule: Rule = at_least
    arms: Arms = "once"

    def sides(self, rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
        """The rows of either side."""
        return _with(rows, self.first), _with(rows, self.second)

    def __call__(self, rows: Sequence[Row]) -> list[CellVerdict]:
        """The cells of both sides, judged by the rule."""
        return compare(*self.sides(rows), self.free, self.rule, arms=self.arms)

    def changes(self, rows: Sequence[Row]) -> list[Row]:
        """Rows whose nc1 is that of the first side over that of the second."""
        return changes(*self.sides(rows), self.free, arms=self.arms)


def _with(rows: Sequence[Row], side: Row) -> list[Row]:
    """The rows that have the values of a side."""
    return [row for row in rows if all(row[name] in listed(v) for name, v in side.items())]


# NC1(first) >= NC1(second)
ntk_against_nngp = Pairing(_NTK, _NNGP, _KIND)
erf_ntk_against_nngp = Pairing(_NTK | {"activation": "erf"}, _NNGP, _KIND)
released_ntk_against_nngp = Pairing(_RELEASED_NTK, _NNGP, _KIND)
ntk_against_released = Pairing(_NTK, _RELEASED_NTK, _KIND)
own_ntk_against_nngp = Pairing(_OWN, _NNGP, _ANY)
# NC1(first) <= NC1(second), arm by arm
adaptive_against_nngp = Pairing(_ADAPTIVE, _NNGP, _ANY, at_most, "each")
released_adaptive_against_nngp = Pairing(_RELEASED_ADAPTIVE, _NNGP, _ANY, at_most, "each")
mean_field_against_nngp = Pairing(_MEAN_FIELD, _NNGP, _ANY, at_most, "each")
# Shuffled labels give the adaptive kernel a higher NC1, measured under the true labels
shuffled_against_true = Pairing(
    _ADAPTIVE | {"state": "shuffled"}, _ADAPTIVE, ("state",), at_least, "within"
)
released_shuffled_against_true = Pairing(
    _RELEASED_ADAPTIVE | {"state": "shuffled"}, _RELEASED_ADAPTIVE, ("state",), at_least, "within"
)
# The same, up to the scatter of finite width
start_against_nngp = Pairing(_START, _NNGP, _ANY, agree)
empirical_against_own = Pairing(_TANGENT_START, _OWN, _ANY, agree, "within")
# The same where training does not move the features
network_end_against_start = Pairing(_START | {"state": "end"}, _START, ("state",), agree, "within")
empirical_end_against_start = Pairing(
    _TANGENT_START | {"state": "end"}, _TANGENT_START, ("state",), agree, "within"
)
ntk_against_own = Pairing(_NTK, _OWN, _ANY, alike)
_BY_ACTIVATION = Pairing(
    {"activation": "erf"},
    {"activation": "relu"},
    ("activation", "parametrization", *_VARIANCES),
    at_most,
)
_BY_DEFINITION = Pairing(
    {"convention": "released"}, {"convention": "probe"}, ("convention",), alike
)


def erf_against_relu(rows: Sequence[Row]) -> list[CellVerdict]:
    """The claim NC1(erf) <= NC1(relu), NNGP against NNGP and NTK against NTK."""
    return _BY_ACTIVATION([*_with(rows, _NNGP), *_with(rows, _NTK)])


def released_erf_against_relu(rows: Sequence[Row]) -> list[CellVerdict]:
    """The same claim with the released code's erf NTK in place of the NTK."""
    relu = select(_with(rows, _NTK), activation="relu")
    ntk = [{**row, "model": "NTK"} for row in _with(rows, _RELEASED_NTK)]
    return _BY_ACTIVATION([*ntk, *_with(rows, _NNGP), *relu])


def released_against_probe(rows: Sequence[Row]) -> list[CellVerdict]:
    """NC1 of a kernel under the convention 'released' against that under 'probe'."""
    return _BY_DEFINITION([*_with(rows, _NNGP), *_with(rows, _NTK)])


def network_against_adaptive(
    rows: Sequence[Row], kernels: Pairing = adaptive_against_nngp, *, matched: bool = False
) -> list[CellVerdict]:
    """NC1(T)/NC1(0) of each network against NC1(adaptive)/NC1(NNGP) on the same data.

    The kernels, of `adaptive_against_nngp` or `mean_field_against_nngp`, are those of the arm of
    the networks' own prior with `matched`. Otherwise they are those of the networks' arm or, if it
    has none, of all others. Langevin arms, which have a noise of their own, are compared with
    themselves alone.
    """
    noisy = langevin_arms(rows)
    arms = {row["arm"] for row in rows if row["model"] == kernels.first["model"]}
    changed = kernels.changes(rows)
    cells = []
    for group, networks in grouped(network_end_against_start.changes(rows), ("arm",)):
        arm = group["arm"]
        if matched:
            partners = arms & {MATCHED} - noisy if arm not in noisy else set()
        else:
            partners = {arm} & arms if arm in arms | noisy else arms - noisy - {MATCHED}
        beside = [row for row in changed if row["arm"] in partners]
        cells += compare(networks, beside, _ANY, agree)
    return cells


def network_against_mean_field(rows: Sequence[Row]) -> list[CellVerdict]:
    """NC1(T)/NC1(0) of each network against NC1(mean field)/NC1(NNGP) on the same data."""
    return network_against_adaptive(rows, mean_field_against_nngp)


# Which cells a sentence is about, and which rows a comparison, each arm under its first convention


def equal(cell: CellVerdict) -> bool:
    """Whether the classes of a cell have the same size."""
    return equal_classes(cell.cell)


def unequal(cell: CellVerdict) -> bool:
    """Whether the classes of a cell differ in size."""
    return not equal_classes(cell.cell)


def first_convention(rows: Sequence[Row]) -> list[Row]:
    """The rows of each arm under its first convention."""
    return [row for members in _by_arm(rows) for row in members]


def published(rows: Sequence[Row]) -> list[Row]:
    """Rows of the published data and networks of one hidden layer and one width."""
    some = select(rows, lambda r: r["dataset"] in PUBLISHED and r["arm"] != COUNTER)
    return [row for members in _by_arm(some) if _shallow(members) for row in members]


def quiet(rows: Sequence[Row]) -> list[Row]:
    """Those of them in arms without Langevin networks."""
    noisy = langevin_arms(rows)
    return select(published(rows), lambda row: row["arm"] not in noisy)


def noisy(rows: Sequence[Row]) -> list[Row]:
    """Those of them in arms with Langevin networks."""
    arms = langevin_arms(rows)
    return select(published(rows), lambda row: row["arm"] in arms)


def elsewhere(rows: Sequence[Row]) -> list[Row]:
    """Rows of all other data but the counter-examples: real data, and mixtures of the user."""
    return first_convention(
        select(rows, lambda r: r["dataset"] not in PUBLISHED and r["arm"] != COUNTER)
    )


def counter_examples(rows: Sequence[Row]) -> list[Row]:
    """Rows of the mixtures chosen as counter-examples."""
    return first_convention(select(rows, arm=COUNTER))


def deeper(rows: Sequence[Row]) -> list[Row]:
    """Rows of arms in which networks of more than one hidden layer were trained."""
    deep = {r["arm"] for r in rows if r["model"] == "network" and r["depth"] > 2}
    return [row for members in _by_arm(rows) if members[0]["arm"] in deep for row in members]


def widths(rows: Sequence[Row]) -> list[Row]:
    """Rows of arms in which networks of several widths were trained."""
    return [row for members in _by_arm(rows) if _several_widths(members) for row in members]


def langevin_arms(rows: Sequence[Row]) -> set[str]:
    """Arms whose networks were trained with Langevin noise, which is also that of their adaptive
    kernels.
    """
    return {r["arm"] for r in select(rows, model="network") if not math.isnan(r["noise"])}


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
