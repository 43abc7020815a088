"""Paired ratios of NC1 on the same data: the NTK over the NNGP, what training and labels change,
and the minima of the adaptive kernel's F.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nc1fast.studies.figures.curves import (
    Curve,
    Point,
    activations,
    beside,
    is_width_sweep,
    ratios,
    written,
)
from nc1fast.studies.figures.drawing import Drawing
from nc1fast.studies.figures.levels import (
    FEATURES,
    RELEASED,
    in_panels,
    over_features,
    setting,
    size_of,
    titled,
)
from nc1fast.studies.figures.looks import graded, look_of, model_of, released, variant
from nc1fast.studies.figures.panels import Panel, Sheet, drawn
from nc1fast.studies.summary import CELL, DATA, distinct, equal_classes, grouped, paired, select
from nc1fast.studies.table import RELEASED_ADAPTIVE, RELEASED_ERF_NTK

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nc1fast.studies.tidy import Row


# The columns on which the data of a repeat depend: two arms that agree in them have the same data.
_SAME_DATA = (*(name for name in DATA if name != "arm"), "activation", "convention")
_SAME_NETWORK = tuple(name for name in CELL if name not in ("state", "noise"))
# What moves with the data or the labels, as a change is named.
_CHANGES = {
    "network": "network",
    "AdaptiveKernel": "adaptive kernel",
    "mean field": "mean field",
    RELEASED_ADAPTIVE: "adaptive, released code",
}
_MOVING = tuple(_CHANGES)


def of_model(rows: Sequence[Row], model: str, state: str = "") -> list[Row]:
    """Rows of one representation, a model in a state."""
    return select(rows, lambda row: model_of(row) == model, state=state)


def ntk_over_nngp(rows: Sequence[Row]) -> Iterator[Drawing]:
    """NC1(NTK)/NC1(NNGP) against d0 in the first arm with equal classes, as defined and as the
    released code gives it.
    """
    for arm, members in over_features(rows):
        some = select(members, convention=members[0]["convention"])
        if not all(map(equal_classes, some)):
            continue
        sizes = sorted(distinct(some, "N"))
        panels = [
            [
                Panel(f"{dataset}, {written(name)}", _ntk_curves(of_both, sizes))
                if (of_both := select(some, dataset=dataset, activation=name))
                else None
                for name in activations(some)
            ]
            for dataset in distinct(some, "dataset")
        ]
        sheet = Sheet(panels, FEATURES, "NC1(NTK) / NC1(NNGP)", reference=1.0)
        if not any(point.value > 0 for point in sheet.points()):
            continue
        caption = (
            f"The NTK over the NNGP on the same data, classes of equal size (arm '{arm['arm']}'). "
            "On and above the line at 1 the NTK is not more collapsed than the "
            f"NNGP.{RELEASED if of_model(some, RELEASED_ERF_NTK) else ''}"
        )
        yield Drawing(f"{arm['arm']}-ntk-over-nngp", caption, drawn(sheet))
        return


def _ntk_curves(rows: Sequence[Row], sizes: Sequence[int]) -> list[Curve]:
    """One curve for each N: those of the NTK as defined, then those of the released code."""
    nngp = of_model(rows, "NNGP")
    curves = []
    for model in ("NTK", RELEASED_ERF_NTK):
        for index, n in enumerate(sizes):
            look = graded(f"N = {n}", index, len(sizes))
            points = ratios(select(of_model(rows, model), N=n), nngp, _SAME_DATA, "d0")
            if points:
                curves.append(Curve(released(look) if model == RELEASED_ERF_NTK else look, points))
    return curves


def training(rows: Sequence[Row]) -> Iterator[Drawing]:
    """NC1(end)/NC1(start) of networks beside NC1(kernel)/NC1(NNGP) of what adapts to the data, for
    each arm and data set.
    """
    some = [
        row
        for _, members in grouped(rows, ("arm",))
        if not is_width_sweep(members)
        for row in select(beside(members), convention=members[0]["convention"])
    ]
    for arms in _families(some):
        there = {_data_set(row) for row in select(some, arm=arms[0])}
        family = [row for row in some if row["arm"] in arms and _data_set(row) in there]
        for group, members in grouped(family, ("dataset",)):
            sheet = _changes_by_size(members, arms)
            if len({point.x for point in sheet.points() if point.value > 0}) < 2:
                continue
            caption = (
                f"{group['dataset']}, arm '{arms[0]}': what training does to a network, and "
                "adapting to a kernel. The network: NC1(end)/NC1(start) of the same network; "
                "kernels: NC1(adaptive kernel)/NC1(NNGP) and NC1(mean field)/NC1(NNGP), on the "
                "same data. Below the line at 1 NC1 is "
                f"lowered.{RELEASED if of_model(members, RELEASED_ADAPTIVE) else ''}"
                f"{_solved(members)}"
            )
            yield Drawing(f"{arms[0]}-{group['dataset']}-change", caption, drawn(sheet))


def _families(rows: Sequence[Row]) -> list[list[str]]:
    """Arms drawn together: each that moves, and behind it those without networks that have data of
    it.
    """
    moving = distinct(select(rows, lambda row: row["model"] in _MOVING), "arm")
    trained = set(distinct(select(rows, model="network"), "arm"))
    data = {arm: {_data_set(row) for row in select(rows, arm=arm)} for arm in moving}
    families: list[list[str]] = []
    for arm in sorted(moving, key=lambda arm: arm not in trained):
        host = next((f for f in families if arm not in trained and data[f[0]] & data[arm]), None)
        if host is None:
            families.append([arm])
        else:
            host.append(arm)
    return families


def _data_set(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in DATA if name != "arm")


def _changes_by_size(rows: Sequence[Row], arms: Sequence[str]) -> Sheet:
    def made(some: list[Row], name: str, title: str) -> Panel | None:
        curves = _changes(select(some, activation=name), arms)
        return Panel(title, curves) if curves else None

    panels = in_panels(rows, size_of(rows), made)
    return Sheet(panels or [[None]], FEATURES, "paired ratio of NC1", by_row=True, reference=1.0)


def _solved(rows: Sequence[Row]) -> str:
    """Width, variances and noise of the networks and of what adapts, arm by arm where there are
    several.
    """
    arms = grouped(select(rows, lambda row: row["model"] in _MOVING), ("arm",))
    several = len(arms) > 1
    return "".join(
        f" Arm '{arm['arm']}':{setting(members)}" if several else setting(members)
        for arm, members in arms
    )


def _changes(rows: Sequence[Row], arms: Sequence[str]) -> list[Curve]:
    """Curves of the networks, then of the adaptive kernels and mean fields of each arm, and of the
    released code.
    """
    nngp = of_model(rows, "NNGP")
    curves = []
    for index, arm in enumerate(arms):
        some = select(rows, arm=arm)
        ends = of_model(some, "network", "end"), of_model(some, "network", "start")
        curves.append((("network", "end"), "", ratios(*ends, _SAME_NETWORK, "d0")))
        for model in ("AdaptiveKernel", "mean field", RELEASED_ADAPTIVE):
            points = ratios(of_model(some, model), nngp, _SAME_DATA, "d0")
            curves.append(((model, ""), f", {arm}" if index else "", points))
    return [
        Curve(
            variant(replace(look_of(*kind), label=_CHANGES[kind[0]]), suffix, bool(suffix)), points
        )
        for kind, suffix, points in curves
        if points
    ]


_APART = 1.01  # ratio of two NC1 from which branches are distinct in a figure
_ADAPTIVE = look_of("AdaptiveKernel", "")
_LOWEST = replace(_ADAPTIVE, label="lowest F", line="none")
_OTHERS = replace(_ADAPTIVE, label="other minima", marker="v", line="none", is_open=True, rank=99)


def of_solutions(rows: Sequence[Row]) -> Iterator[Drawing]:
    """NC1(minimum)/NC1(NNGP) of every minimum of F against d0, where there are several with
    different NC1.
    """
    nngp = select(rows, model="NNGP", state="")
    solved = select(rows, _has_branches, model="AdaptiveKernel", state="")
    for group, members in grouped(solved, ("arm", "dataset")):
        some = select(members, convention=members[0]["convention"])
        by = size_of(some)
        panels = [
            Panel(titled("", by, cell[by]), curves)
            for cell, of_size in sorted(grouped(some, (by,)), key=lambda item: item[1][0]["N"])
            if (curves := _minima(of_size, nngp))
        ]
        if not panels:
            continue
        caption = (
            f"{group['dataset']}, arm '{group['arm']}': the equations of the adaptive kernel have "
            "several solutions on some data. Each point is the NC1 of one minimum of F over that "
            "of the NNGP, on one repeat; filled: the lowest F, which counts in all other figures "
            f"and findings. Data with a single minimum are left out.{setting(some)}"
        )
        sheet = Sheet([panels], FEATURES, "NC1(minimum) / NC1(NNGP)", reference=1.0, height=3.0)
        yield Drawing(f"{group['arm']}-{group['dataset']}-branches", caption, drawn(sheet))


def _has_branches(row: Row) -> bool:
    found = branches(row)
    return len(found) > 1 and min(found) > 0 and max(found) > _APART * min(found)


def branches(row: Row) -> list[float]:
    """NC1 of each minimum of a row, lowest F first; none if there is only one."""
    return [float(text) for text in row["branch_nc1"].split()]


def _minima(rows: Sequence[Row], nngp: Sequence[Row]) -> list[Curve]:
    lowest, others = [], []
    for cell, pairs in paired(rows, nngp, _SAME_DATA):
        for row, other in pairs:
            found = [nc1 / other["nc1"] for nc1 in branches(row)]
            first, *rest = (Point(cell["d0"], ratio, ratio, ratio) for ratio in found)
            lowest.append(first)
            others += rest
    both = ((_LOWEST, lowest), (_OTHERS, others))
    return [Curve(look, sorted(found, key=lambda p: p.x)) for look, found in both if found]
