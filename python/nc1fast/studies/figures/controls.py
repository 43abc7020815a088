"""Two controls: the adaptive kernel of permuted labels, and the class weights of every convention."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nc1fast.studies.figures.collapse import FEATURES, RELEASED, setting
from nc1fast.studies.figures.curves import (
    Curve,
    activations,
    levels,
    representations,
    written,
)
from nc1fast.studies.figures.drawing import Drawing
from nc1fast.studies.figures.looks import graded, look_of, model_of
from nc1fast.studies.figures.panels import Panel, Sheet, drawn
from nc1fast.studies.summary import distinct, grouped, key, select
from nc1fast.studies.table import RELEASED_ADAPTIVE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nc1fast.studies.tidy import Row

_MODELS = (("NNGP", ""), ("NTK", ""), ("network", "end"), ("AdaptiveKernel", ""))
_DATA_SET = ("N", "d0", "sizes", "repeat")


def shuffled(rows: Sequence[Row]) -> Iterator[Drawing]:
    """NC1 of the adaptive kernel solved for true and for permuted labels, and of the NNGP, against
    d0.
    """
    kept = ("NNGP", "AdaptiveKernel", RELEASED_ADAPTIVE)
    for group, members in grouped(rows, ("arm", "dataset", "activation")):
        control = select(members, model="AdaptiveKernel", state="shuffled")
        if len(distinct(control, "d0")) < 2:
            continue
        same = {key(row, _DATA_SET) for row in control}
        some = [
            row
            for row in select(members, convention=control[0]["convention"])
            if row["model"] in kept and row["state"] != "theory" and key(row, _DATA_SET) in same
        ]
        panels = [
            Panel(f"N = {cell['N']}, sizes {cell['sizes']}", *representations(g, "d0"))
            for cell, g in grouped(some, ("N", "sizes"))
        ]
        sheet = Sheet([panels], FEATURES, "NC1 under the true labels", height=3.2)
        released = any(row["model"] == RELEASED_ADAPTIVE for row in some)
        caption = (
            f"{group['dataset']}, {written(group['activation'])}, arm '{group['arm']}': the adaptive kernel of true and of "
            "shuffled labels, on the same data. NC1 is taken under the true labels both times; a kernel that does not "
            "depend on the labels has the same twice. Only data sets with this control"
            f".{RELEASED if released else ''}{setting(some)}"
        )
        name = f"shuffled-{group['arm']}-{group['dataset']}-{group['activation']}"
        yield Drawing(name, caption, drawn(sheet))


def conventions(rows: Sequence[Row]) -> Iterator[Drawing]:
    """NC1 against class sizes at the largest d0, one curve for each convention."""
    for group, arm in grouped(rows, ("arm", "dataset")):
        if min(len(distinct(arm, name)) for name in ("convention", "sizes")) < 2:
            continue
        d0 = max(distinct(arm, "d0"))
        some = select(arm, d0=d0)
        names = distinct(some, "convention")
        there = {(model_of(row), row["state"]) for row in some}
        models = [model for model in _MODELS if model in there]
        if not models:
            continue
        panels: list[list[Panel | None]] = []
        for activation in activations(some):
            row: list[Panel | None] = []
            for model, state in models:
                of_model = [
                    r
                    for r in select(some, activation=activation, state=state)
                    if model_of(r) == model
                ]
                curves = [
                    Curve(graded(name, index, len(names)), points)
                    for index, name in enumerate(names)
                    if (points := levels(select(of_model, convention=name), "sizes"))
                ]
                title = f"{written(activation)}, {look_of(model, state).label}"
                row.append(Panel(title, curves) if curves else None)
            panels.append(row)
        sheet = Sheet(panels, "class sizes", "NC1", place=None, by_row=True, height=2.7)
        caption = (
            f"{group['dataset']}, N = {some[0]['N']}, d₀ = {d0}, the largest: NC1 of the same models and data under each "
            "convention, against the class sizes. A convention is the weights of the classes in the covariances within "
            "and between classes; with equal classes all agree. Points of one list of sizes are set side by side."
        )
        yield Drawing(f"conventions-{group['arm']}-{group['dataset']}", caption, drawn(sheet))
