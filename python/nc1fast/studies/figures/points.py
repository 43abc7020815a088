"""Points of single data sets, ratios of many, and two controls: permuted labels, class weights."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nc1fast.studies.figures import axes as _axes
from nc1fast.studies.figures import palette
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
from nc1fast.studies.figures.levels import (
    FEATURES,
    RELEASED,
    by_features,
    is_released,
    over_features,
    repeats,
    setting,
)
from nc1fast.studies.figures.looks import (
    graded,
    look_of,
    model_of,
    of_activation,
    variant,
    with_activation,
)
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
from nc1fast.studies.summary import distinct, grouped, key, select
from nc1fast.studies.table import LIMITING, RELEASED_ADAPTIVE

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
        panels = by_features(members, "sizes", "{dataset}, d₀ = {d0}", _over_depth)
        sheet = Sheet(panels, "depth (weight layers)", "NC1", place=float, by_row=True)
        caption = (
            "NC1 against depth: the kernels of infinitely wide networks. Line and marker tell the "
            f"activation (arm '{group['arm']}', N = {group['N']}).{repeats(members)}"
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
            f"{group['dataset']}: NC1 of each representation, and its NC1 relative to that of the "
            f"data. N = {group['N']}, d₀ = {group['d0']}, convention "
            f"'{group['convention']}'.{repeats(some)}"
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
            f"{group['dataset']}, {written(group['activation'])}, arm '{group['arm']}': the "
            "adaptive kernel of true and of shuffled labels, on the same data. NC1 is taken under "
            "the true labels both times; a kernel that does not depend on the labels has the same "
            f"twice. Only data sets with this control.{RELEASED if released else ''}{setting(some)}"
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
            f"{group['dataset']}, N = {some[0]['N']}, d₀ = {d0}, the largest: NC1 of the same "
            "models and data under each convention, against the class sizes. A convention is the "
            "weights of the classes in the covariances within and between classes; with equal "
            "classes all agree. Points of one list of sizes are set side by side."
        )
        yield Drawing(f"conventions-{group['arm']}-{group['dataset']}", caption, drawn(sheet))
