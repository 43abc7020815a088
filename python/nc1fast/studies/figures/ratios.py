"""Paired ratios of NC1 on the same data: the NTK over the NNGP, and what training and labels change."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from nc1fast.studies.figures.collapse import (
    FEATURES,
    RELEASED,
    SIDE,
    over_features,
    setting,
    titled,
)
from nc1fast.studies.figures.curves import (
    RANGES,
    Curve,
    activations,
    is_depth_curve,
    ratios,
    written,
)
from nc1fast.studies.figures.drawing import Drawing
from nc1fast.studies.figures.looks import GREEN, PURPLE, Look, graded, model_of, released
from nc1fast.studies.figures.panels import Panel, Sheet, drawn
from nc1fast.studies.summary import CELL, DATA, distinct, equal_classes, grouped, select
from nc1fast.studies.table import RELEASED_ADAPTIVE, RELEASED_ERF_NTK

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nc1fast.studies.tidy import Row

# The columns on which the data of a repeat depend: two arms that agree in them have the same data.
_SAME_DATA = (*(name for name in DATA if name != "arm"), "activation", "convention")
_SAME_NETWORK = tuple(name for name in CELL if name not in ("state", "noise"))
_LINES = ("-", "-.", ":")  # line styles of the arms, in turn


def of_model(rows: Sequence[Row], model: str, state: str = "") -> list[Row]:
    """Rows of one representation, a model in a state."""
    return select(rows, lambda row: model_of(row) == model, state=state)


def ntk_over_nngp(rows: Sequence[Row]) -> Iterator[Drawing]:
    """NC1(NTK)/NC1(NNGP) against d0 in the first arm with equal classes, as defined and as the released code gives it."""
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
        sheet = Sheet(
            panels,
            FEATURES,
            "NC1(NTK) / NC1(NNGP)",
            reference=1.0,
            legend="right",
            size=(3.4, 2.8),
        )
        if not any(point.value > 0 for point in sheet.points()):
            continue
        caption = (
            f"Arm '{arm['arm']}': the NTK against the NNGP on the same data, classes of equal size. {RANGES}{SIDE} On and "
            "above the line at 1 the NTK is not more collapsed than the NNGP."
            f"{RELEASED if of_model(some, RELEASED_ERF_NTK) else ''}"
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
    """NC1(end)/NC1(start) of networks and NC1(adaptive)/NC1(NNGP), one panel for each N or list of class sizes."""
    for by in ("N", "sizes"):
        some = [
            row
            for arm, members in grouped(rows, ("arm",))
            if not is_depth_curve(members)
            if all(map(equal_classes, members)) == (by == "N")
            for row in select(members, convention=members[0]["convention"])
        ]
        for group, members in grouped(some, ("dataset",)):
            sheet = _changes_by_size(members, by)
            if len({point.x for point in sheet.points() if point.value > 0}) < 2:
                continue
            caption = (
                f"{group['dataset']}{'' if by == 'N' else ', classes of unequal size'}: what training does to the NC1 of "
                "a network, NC1(end)/NC1(start) of the same network, beside what adapting to the data does to that of a "
                "kernel, NC1(adaptive kernel)/NC1(NNGP), on the same data. Below the line at 1 NC1 is lowered. "
                f"{RANGES}{SIDE}{RELEASED if of_model(members, RELEASED_ADAPTIVE) else ''}{_solved(members)}"
            )
            name = f"adaptive-{group['dataset']}{'' if by == 'N' else '-sizes'}"
            yield Drawing(name, caption, drawn(sheet))


def _changes_by_size(rows: Sequence[Row], by: str) -> Sheet:
    order = distinct(rows, by) if by == "sizes" else sorted(distinct(rows, by))
    arms = distinct(rows, "arm")
    panels: list[list[Panel | None]] = []
    for name in activations(rows):
        line: list[Panel | None] = []
        for size in order:
            curves = _changes(select(rows, activation=name, **{by: size}), arms)
            line.append(Panel(titled(name, by, size), curves) if curves else None)
        if any(line):
            panels.append(line)
    if len(order) == 1:
        panels = [[panel for row in panels for panel in row]]
    legend = "below" if len(order) > 1 else "right"
    return Sheet(
        panels,
        FEATURES,
        "paired ratio of NC1",
        reference=1.0,
        legend=legend,
        size=(2.7, 2.6),
    )


def _solved(rows: Sequence[Row]) -> str:
    """Width, variances and noise of the networks and adaptive kernels, arm by arm where there are several."""
    arms = grouped(
        select(rows, lambda row: row["model"] in ("network", "AdaptiveKernel")), ("arm",)
    )
    several = len(arms) > 1
    return "".join(
        f" Arm '{arm['arm']}':{setting(members)}" if several else setting(members)
        for arm, members in arms
    )


def _changes(rows: Sequence[Row], arms: Sequence[str]) -> list[Curve]:
    """Curves of the networks of each arm, then of its adaptive kernels, as defined and of the released code."""
    curves = []
    suffixes = {arm: f", {arm}" if len(arms) > 1 else "" for arm in arms}
    for index, (arm, marker) in enumerate(zip(arms, itertools.cycle("D*Xdh"))):
        some, suffix = select(rows, arm=arm), suffixes[arm]
        look = Look(f"network{suffix}", PURPLE, marker, _LINES[index % len(_LINES)], rank=index)
        end, start = of_model(some, "network", "end"), of_model(some, "network", "start")
        curves.append(Curve(look, ratios(end, start, _SAME_NETWORK, "d0")))
    nngp = of_model(rows, "NNGP")
    for index, (arm, marker) in enumerate(zip(arms, itertools.cycle("^v<>8"))):
        some, suffix = select(rows, arm=arm), suffixes[arm]
        label, line = f"adaptive kernel{suffix}", _LINES[index % len(_LINES)]
        look = Look(label, GREEN, marker, line, rank=len(arms) + index)
        for model, this in (("AdaptiveKernel", look), (RELEASED_ADAPTIVE, released(look))):
            curves.append(Curve(this, ratios(of_model(some, model), nngp, _SAME_DATA, "d0")))
    return [curve for curve in curves if curve.points]
