"""The figures of the published comparison: its answer first, those of any table, and its
counter-examples last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nc1fast.studies import figures
from nc1fast.studies.figures import levels as _levels
from nc1fast.studies.figures.curves import Curve, activations, levels, ratios, written
from nc1fast.studies.figures.drawing import Drawing
from nc1fast.studies.figures.looks import look_of, model_of, of_activation, variant
from nc1fast.studies.figures.panels import Panel, Sheet, drawn
from nc1fast.studies.figures.points import dotted
from nc1fast.studies.findings.pairings import COUNTER
from nc1fast.studies.summary import DATA, distinct, grouped, select

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nc1fast.studies.figures.looks import Look
    from nc1fast.studies.tidy import Row

_BALANCED, _MATCHED = "balanced", "matched"
# (arm, model, state, name after that of the model) of the curves of the answer
_ANSWER = (
    (_BALANCED, "network", "end", ""),
    (_BALANCED, "NNGP", "", ""),
    (_BALANCED, "NTK", "", ""),
    (_BALANCED, "NTK of the network", "", ""),
    (_BALANCED, "AdaptiveKernel", "", ", published prior"),
    (_MATCHED, "AdaptiveKernel", "", ", matched prior"),
    (_MATCHED, "mean field", "", ", matched prior"),
)


def draw(rows: Sequence[Row], series: Sequence[Row] = ()) -> list[Drawing]:
    """All figures, as `nc1fast.studies.figures.draw`, with the answer first and the
    counter-examples last.
    """
    return figures.draw(rows, series, lead=lead, own=(counter_examples,), aside=(COUNTER,))


def lead(rows: Sequence[Row]) -> Iterator[Drawing]:
    """The figure of the answer where networks stand beside kernels, else that of any table."""
    drawings = list(answer(rows))
    yield from drawings or _levels.overview(select(rows, lambda row: row["arm"] != COUNTER))


def answer(rows: Sequence[Row]) -> Iterator[Drawing]:
    """NC1 of trained erf networks and of every kernel that might explain them, against d0, at the
    largest N that all have.
    """
    some = select(
        rows, lambda row: row["arm"] in (_BALANCED, _MATCHED) and row["activation"] == "erf"
    )
    drawn_rows: list[Row] = []
    panels = []
    for group, members in grouped(some, ("dataset",)):
        of_curves = {kind: of_curve for kind in _ANSWER if (of_curve := _of(kind, members))}
        shared = set.intersection(*(set(distinct(some, "N")) for some in of_curves.values()))
        if not shared or not select(members, model="network", state="end"):
            continue
        curves = []
        for (arm, model, state, suffix), of_curve in of_curves.items():
            of_size = select(of_curve, N=max(shared))
            points = sorted(levels(of_size, "d0"), key=lambda point: point.x)
            look = variant(look_of(model, state), suffix, arm == _MATCHED)
            curves.append(Curve(look, points))
            drawn_rows += of_size
        panels.append(Panel(f"{group['dataset']}, N = {max(shared)}", curves))
    if not panels or len(distinct(drawn_rows, "d0")) < 2:
        return
    caption = (
        "NC1 of trained erf networks, and of the kernels that might explain them, against the "
        "number of features d₀. A kernel explains the networks where its curve runs along theirs. "
        "Published prior: that of the published adaptive kernel; matched prior: the prior and the "
        f"noise of the networks.{_levels.repeats(drawn_rows)}{_levels.setting(drawn_rows)}"
    )
    sheet = Sheet([panels], _levels.FEATURES, _levels.NC1, height=3.8)
    yield Drawing("overview", caption, drawn(sheet))


def _of(kind: tuple[str, str, str, str], rows: Sequence[Row]) -> list[Row]:
    """Rows of one of the curves of the answer."""
    arm, model, state, _ = kind
    return select(rows, lambda row: model_of(row) == model, arm=arm, state=state)


def counter_examples(rows: Sequence[Row]) -> Iterator[Drawing]:
    """NC1(NTK)/NC1(NNGP) and NC1(erf)/NC1(ReLU) on mixtures outside the published data."""
    some = select(rows, lambda row: model_of(row) in ("NNGP", "NTK"), arm=COUNTER)
    some = [
        {**row, "where": f"{row['dataset']}, d₀ = {row['d0']}"}
        for row in select(some, lambda row: row["convention"] == some[0]["convention"])
    ]
    by_activation = [
        (of_activation(written(name), index), select(some, activation=name))
        for index, name in enumerate(activations(some))
    ]
    by_model = [(look_of(name, ""), select(some, model=name)) for name in ("NNGP", "NTK")]
    panels = [
        _ratio_panel("NC1(NTK) / NC1(NNGP)", by_activation, "model", ("NTK", "NNGP")),
        _ratio_panel("NC1(erf) / NC1(ReLU)", by_model, "activation", ("erf", "relu")),
    ]
    panels = [panel for panel in panels if panel.curves]
    if not panels:
        return
    strokes = " Vertical strokes: the ratio of the expected values."
    caption = (
        "Gaussian mixtures outside the published data. NC1(NTK)/NC1(NNGP): right of the line at 1 "
        "the NTK is not more collapsed than the NNGP. NC1(erf)/NC1(ReLU): left of the line at 1 "
        f"erf gives lower NC1 than ReLU.{strokes if select(some, state='theory') else ''}"
    )
    looks = list(dict.fromkeys(curve.look for panel in panels for curve in panel.curves))
    yield Drawing("counter-examples", caption, dotted(panels, [1.0, 1.0], looks))


def _ratio_panel(
    title: str, groups: Sequence[tuple[Look, list[Row]]], column: str, sides: tuple[str, str]
) -> Panel:
    """Ratios of the NC1 of two values of a column, one curve for each look; those of expectations
    as theory.
    """
    curves: dict[str, list[Curve]] = {"": [], "theory": []}
    for look, rows in groups:
        for state, into in curves.items():
            upper, lower = (
                [row for row in rows if row["state"] == state and row[column] == side]
                for side in sides
            )
            if points := ratios(upper, lower, (*DATA, "where"), "where"):
                into.append(Curve(look, points))
    return Panel(title, curves[""], curves["theory"])
