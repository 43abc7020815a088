"""Curves over depth, and rows of points: every representation of a single data set, or ratios of many."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nc1fast.studies.figures import axes as _axes
from nc1fast.studies.figures.collapse import over_features, repeats, setting
from nc1fast.studies.figures.curves import (
    BARS,
    Curve,
    activations,
    is_depth_curve,
    levels,
    representations,
    written,
)
from nc1fast.studies.figures.drawing import Drawing
from nc1fast.studies.figures.looks import graded, look_of, of_activation
from nc1fast.studies.figures.panels import (
    Panel,
    Sheet,
    add_legend,
    drawn,
    headline,
    new_figure,
    undefined,
)
from nc1fast.studies.summary import distinct, grouped, select

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nc1fast.studies.figures.looks import Look
    from nc1fast.studies.tidy import Row

_WIDTH = 3.6  # width of a panel, in inches
_ONCE = "Points: all rows of the data, once, so that there is no deviation."


def against_depth(rows: Sequence[Row]) -> Iterator[Drawing]:
    """NC1 against depth, one panel for each kernel."""
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
            [panels],
            "depth (weight layers)",
            "NC1",
            place=float,
            legend="right",
            size=(3.6, 3.4),
        )
        caption = f"NC1 against depth on {where}: the kernels of infinitely wide networks. {BARS}."
        yield Drawing(f"{group['arm']}-{group['dataset']}-nc1", caption, drawn(sheet))


def single_data_sets(rows: Sequence[Row]) -> Iterator[Drawing]:
    """NC1 and relative NC1 of every representation on data of one size, such as digits."""
    elsewhere = {arm["arm"] for arm, _ in over_features(rows)}
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
        figure = dotted(panels, [None, 1.0])
        yield Drawing(f"{group['arm']}-{group['dataset']}-{group['convention']}", caption, figure)


def dotted(panels: Sequence[Panel], references: Sequence[float | None]) -> Any:
    """Panels side by side whose points share the names on the vertical axis; each has its own logarithmic x."""
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
    """Vertical position of a point of curve `index`: at its name, beside the points of other curves."""
    there = [i for i, curve in enumerate(panel.curves) if any(p.x == x for p in curve.points)]
    return names.index(x) + 0.4 * ((there.index(index) + 0.5) / len(there) - 0.5)
