"""Rows of points: data sets of one size, and mixtures outside the published data; and curves over depth."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nc1fast.studies.figures import axes as _axes
from nc1fast.studies.figures.collapse import COUNTER, over_features, repeats, setting
from nc1fast.studies.figures.curves import (
    BARS,
    RANGES,
    Curve,
    activations,
    is_depth_curve,
    levels,
    ratios,
    representations,
    written,
)
from nc1fast.studies.figures.drawing import Drawing
from nc1fast.studies.figures.looks import graded, look_of, model_of, of_activation
from nc1fast.studies.figures.panels import (
    Panel,
    Sheet,
    add_legend,
    drawn,
    headline,
    new_figure,
    undefined,
)
from nc1fast.studies.summary import DATA, distinct, grouped, select

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nc1fast.studies.figures.looks import Look
    from nc1fast.studies.tidy import Row

_WIDTH = 3.6  # inches, of a panel of points
_ONCE = "Points: all rows of the data, once, so that there is no deviation."


def against_depth(rows: Sequence[Row]) -> Iterator[Drawing]:
    """NC1 against depth, a panel for each kernel."""
    for group, all_members in grouped(rows, ("arm", "dataset", "N", "d0", "sizes", "convention")):
        members = select(all_members, lambda row: row["depth"] >= 2 and row["state"] != "theory")
        if not is_depth_curve(members):
            continue
        variants = grouped(members, ("activation", "weight_variance", "bias_variance"))
        panels = []
        for model in distinct(members, "model"):
            curves = []
            for index, (variant, some) in enumerate(variants):
                label = f"{written(variant['activation'])}, weight variance {variant['weight_variance']}"
                points = levels(select(some, model=model), "depth")
                curves.append(Curve(graded(label, index, len(variants)), points))
            panels.append(Panel(model, curves))
        where = f"{group['dataset']}, N = {group['N']}, d₀ = {group['d0']}"
        sheet = Sheet(
            *([panels], "depth (weight layers)", "NC1"),
            place=float,
            legend="right",
            size=(3.6, 3.4),
        )
        caption = f"NC1 against depth on {where}: the kernels of infinitely wide networks. {BARS}."
        yield Drawing(f"{group['arm']}-{group['dataset']}-nc1", caption, drawn(sheet))


def single_data_sets(rows: Sequence[Row]) -> Iterator[Drawing]:
    """NC1 and relative NC1 of every representation on data of one size, such as digits."""
    elsewhere = {arm["arm"] for arm, _ in over_features(rows)} | {COUNTER}
    for group, members in grouped(rows, ("arm", "dataset", "N", "d0", "sizes", "convention")):
        if group["arm"] in elsewhere or is_depth_curve(members):
            continue
        some = select(members, lambda row: row["state"] != "theory")
        names = activations(some)
        panels = []
        for column, title in (("log10_nc1", "NC1"), ("log10_relative_nc1", "relative NC1")):
            curves = [
                Curve(
                    of_activation(written(name), index) if name else look_of("data", ""),
                    [
                        replace(point, x=curve.look.label)
                        for curve in representations(select(some, activation=name), "d0", column)[0]
                        for point in curve.points
                    ],
                )
                for index, name in enumerate(("", *names), -1)
            ]
            panels.append(Panel(title, [curve for curve in curves if curve.points]))
        several = len(distinct(some, "repeat")) > 1
        where = f"{group['dataset']}, N = {group['N']}, d₀ = {group['d0']}"
        caption = (
            f"{where}, convention '{group['convention']}': NC1 and relative NC1, over that of the data, of each "
            f"representation. {f'{BARS}.' if several else _ONCE}{repeats(some)}{setting(some)}"
        )
        figure = _dotted(panels, [None, 1.0])
        yield Drawing(f"{group['arm']}-{group['dataset']}-{group['convention']}", caption, figure)


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
    yield Drawing("counter-examples", caption, _dotted(panels, [1.0, 1.0]))


def _ratio_panel(
    title: str, groups: Sequence[tuple[Look, list[Row]]], column: str, sides: tuple[str, str]
) -> Panel:
    """For each look and its rows, ratios of the NC1 of two values of a column; of expectations as theory."""
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


def _dotted(panels: Sequence[Panel], references: Sequence[float | None]) -> Any:
    """Panels side by side that share the names on their vertical axis; x is logarithmic, one scale each."""
    figure = new_figure()
    axes = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    names = list(
        dict.fromkeys(p.x for panel in panels for curve in panel.curves for p in curve.points)
    )
    entries: dict[Look, Any] = {}
    for ax, panel, reference in zip(axes, panels, references, strict=False):
        ends = [] if reference is None else [reference]
        if reference is not None:
            ax.axvline(reference, color="black", linewidth=1, zorder=1.5)
        for index, curve in enumerate(panel.curves):
            points = [p for p in curve.points if p.value > 0]
            ends += [end for p in points for end in (p.low, p.high)]
            entries[curve.look] = ax.errorbar(
                [p.value for p in points],
                [_level(p.x, index, panel, names) for p in points],
                xerr=[[p.value - p.low for p in points], [p.high - p.value for p in points]],
                label=curve.look.label,
                capsize=2,
                **{**curve.look.line_style(), "linestyle": "none"},
            )
            for expected in panel.theory:
                if expected.look == curve.look:
                    places = [_level(p.x, index, panel, names) for p in expected.points]
                    values = [p.value for p in expected.points]
                    ends += values
                    ax.plot(values, places, "|", color="black", markersize=13, zorder=3)
        headline(ax, panel.title, undefined(panel.curves), _WIDTH)
        _axes.log_axis(ax.xaxis, *_axes.limits(ends))
    axes[0].set_yticks(range(len(names)), names)
    axes[0].set_ylim(len(names) - 0.5, -0.5)
    size = (_WIDTH * len(panels) + 0.08 * max(map(len, names)), 0.34 * len(names) + 1.0)
    add_legend(figure, entries, "right", size)
    return figure


def _level(x: Any, index: int, panel: Panel, names: Sequence[Any]) -> float:
    """Vertical place of a point of the curve `index`: beside those of the other curves that have the same name."""
    there = [i for i, curve in enumerate(panel.curves) if any(p.x == x for p in curve.points)]
    return names.index(x) + 0.4 * ((there.index(index) + 0.5) / len(there) - 0.5)
