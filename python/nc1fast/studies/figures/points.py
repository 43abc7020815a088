"""Curves over depth, and rows of points: every representation of a single data set, or ratios of
many.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nc1fast.studies.figures import axes as _axes
from nc1fast.studies.figures import palette
from nc1fast.studies.figures.collapse import RELEASED, is_released, over_features, repeats, setting
from nc1fast.studies.figures.curves import (
    Curve,
    activations,
    beside,
    is_depth_curve,
    is_width_sweep,
    levels,
    representations,
    written,
)
from nc1fast.studies.figures.drawing import Drawing
from nc1fast.studies.figures.looks import look_of, model_of, of_activation, variant, with_activation
from nc1fast.studies.figures.panels import (
    Panel,
    Sheet,
    add_legend,
    drawn,
    headline,
    keys,
    new_figure,
    page_width,
    undefined,
)
from nc1fast.studies.findings.checks import LIMITING
from nc1fast.studies.summary import distinct, grouped, select

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nc1fast.studies.figures.looks import Look
    from nc1fast.studies.tidy import Row

_WIDTH = 3.6  # width of a panel, in inches
_MOST_DEPTHS = 4  # that are rows of points of one data set


def against_depth(rows: Sequence[Row]) -> Iterator[Drawing]:
    """NC1 of limiting kernels against depth, one row of panels for each data set, one column for
    each d0.
    """
    kernels = select(rows, lambda row: model_of(row) in LIMITING and row["state"] != "theory")
    for group, members in grouped(kernels, ("arm", "N", "convention")):
        if not is_depth_curve(members):
            continue
        panels: list[list[Panel | None]] = []
        for _, of_data in grouped(members, ("dataset", "sizes")):
            by_d0 = grouped(sorted(of_data, key=lambda row: row["d0"]), ("dataset", "d0"))
            panels.append(
                [
                    Panel(f"{cell['dataset']}, d₀ = {cell['d0']}", _over_depth(some))
                    for cell, some in by_d0
                ]
            )
        sheet = Sheet(panels, "depth (weight layers)", "NC1", place=float, by_row=True)
        caption = (
            "NC1 against depth: the kernels of infinitely wide networks. Line and marker tell the activation (arm "
            f"'{group['arm']}', N = {group['N']}).{repeats(members)}"
        )
        yield Drawing(f"{group['arm']}-nc1", caption, drawn(sheet))


def _over_depth(rows: Sequence[Row]) -> list[Curve]:
    """One curve for each kernel and activation; variances are named where one activation has
    several.
    """
    names = activations(rows)
    curves = []
    for cell, some in grouped(rows, ("model", "activation", "weight_variance", "bias_variance")):
        name = cell["activation"]
        variances = distinct(select(rows, activation=name), "weight_variance")
        look = with_activation(look_of(cell["model"], ""), written(name), names.index(name))
        suffix = f", variance {cell['weight_variance']}" if len(variances) > 1 else ""
        look = variant(look, suffix, variances.index(cell["weight_variance"]))
        curves.append(Curve(look, sorted(levels(some, "depth"), key=lambda p: p.x)))
    return curves


def single_data_sets(rows: Sequence[Row]) -> Iterator[Drawing]:
    """NC1 and relative NC1 of every representation on data of one size, such as digits."""
    elsewhere = {arm["arm"] for arm, _ in over_features(rows)}
    for group, members in grouped(rows, ("arm", "dataset", "N", "d0", "sizes", "convention")):
        some = select(members, lambda row: row["state"] != "theory")
        if len(distinct(some, "depth")) > _MOST_DEPTHS:
            some = beside(some)  # the others are in `against_depth`
        if group["arm"] in elsewhere or is_width_sweep(some) or not activations(some):
            continue
        names = activations(some)
        panels = [
            Panel(title, _dots(some, names, column))
            for column, title in (("log10_nc1", "NC1"), ("log10_relative_nc1", "relative NC1"))
        ]
        looks = [of_activation(written(name), index) for index, name in enumerate(names)]
        caption = (
            f"{group['dataset']}: NC1 of each representation, and its NC1 relative to that of the data. N = {group['N']}, "
            f"d₀ = {group['d0']}, convention '{group['convention']}'.{repeats(some)}"
            f"{RELEASED if any(map(is_released, some)) else ''}{setting(some)}"
        )
        figure = dotted(panels, [None, 1.0], looks)
        yield Drawing(f"{group['arm']}-{group['dataset']}-{group['convention']}", caption, figure)


def _dots(rows: Sequence[Row], names: Sequence[str], column: str) -> list[Curve]:
    """A curve of one point for each representation and activation: the colour tells the first, the
    marker the second.
    """
    dots = []
    for index, name in enumerate(("", *names), -1):
        for curve in representations(select(rows, activation=name), "d0", column)[0]:
            worn = with_activation(curve.look, written(name), index) if name else curve.look
            points = [replace(point, x=curve.look.label) for point in curve.points]
            dots.append(Curve(worn, points))
    return dots


def dotted(
    panels: Sequence[Panel], references: Sequence[float | None], legend: Sequence[Look]
) -> Any:
    """Panels side by side whose points share the names on the vertical axis; each has its own
    logarithmic x.
    """
    figure = new_figure()
    axes = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    names = list(
        dict.fromkeys(p.x for panel in panels for curve in panel.curves for p in curve.points)
    )
    for ax, panel, reference in zip(axes, panels, references, strict=False):
        ends = [] if reference is None else [reference]
        if reference is not None:
            ax.axvline(reference, color=palette.INK, linewidth=0.8, zorder=1.5)
        for index, curve in enumerate(panel.curves):
            points = [p for p in curve.points if p.value > 0]
            ends += [end for p in points for end in (p.low, p.value, p.high)]
            ax.errorbar(
                [p.value for p in points],
                [_level(p.x, index, panel, names) for p in points],
                xerr=[[p.value - p.low for p in points], [p.high - p.value for p in points]],
                label=curve.look.label,
                **{**curve.look.line_style(), "linestyle": "none"},
            )
            for expected in panel.theory:
                if expected.look == curve.look:
                    places = [_level(p.x, index, panel, names) for p in expected.points]
                    values = [p.value for p in expected.points]
                    ends += values
                    ax.plot(values, places, "|", color=palette.THEORY, markersize=13, zorder=3)
        headline(ax, panel.title, undefined(panel.curves), _WIDTH)
        _axes.log_axis(ax.xaxis, *_axes.limits(ends))
    axes[0].set_yticks(range(len(names)), names)
    axes[0].set_ylim(len(names) - 0.5, -0.5)
    add_legend(figure, keys(legend), "above", (page_width(1), 0.3 * len(names) + 1.0))
    return figure


def _level(x: Any, index: int, panel: Panel, names: Sequence[Any]) -> float:
    """Vertical position of a point of curve `index`: at its name, beside the points of other
    curves.
    """
    there = [i for i, curve in enumerate(panel.curves) if any(p.x == x for p in curve.points)]
    return names.index(x) + 0.4 * ((there.index(index) + 0.5) / len(there) - 0.5)
