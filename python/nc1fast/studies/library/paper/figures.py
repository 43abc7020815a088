"""The figures of the published comparison: those of any table, and its counter-examples."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nc1fast.studies import figures
from nc1fast.studies.figures.curves import RANGES, Curve, activations, ratios, written
from nc1fast.studies.figures.drawing import Drawing
from nc1fast.studies.figures.looks import look_of, model_of, of_activation
from nc1fast.studies.figures.panels import Panel
from nc1fast.studies.figures.points import dotted
from nc1fast.studies.library.paper.findings.pairings import COUNTER
from nc1fast.studies.summary import DATA, select

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nc1fast.studies.figures.looks import Look
    from nc1fast.studies.tidy import Row


def draw(rows: Sequence[Row], series: Sequence[Row] = ()) -> list[Drawing]:
    """All figures, as `nc1fast.studies.figures.draw`; the counter-examples come last, in a figure of their own."""
    return figures.draw(rows, series, own=(counter_examples,), aside=(COUNTER,))


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
        "Gaussian mixtures outside the published data. NC1(NTK)/NC1(NNGP): right of the line at 1 the NTK is not more "
        "collapsed than the NNGP. NC1(erf)/NC1(ReLU): left of the line at 1 erf gives lower NC1 than ReLU. "
        f"{RANGES}.{strokes if select(some, state='theory') else ''}"
    )
    yield Drawing("counter-examples", caption, dotted(panels, [1.0, 1.0]))


def _ratio_panel(
    title: str, groups: Sequence[tuple[Look, list[Row]]], column: str, sides: tuple[str, str]
) -> Panel:
    """Ratios of the NC1 of two values of a column, one curve for each look; those of expectations as theory."""
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
