"""Figures of a study, drawn from its table and nothing else.

Means, standard deviations and ratios come from `nc1fast.studies.summary` and `.findings`; here they
only get a place on paper. Colours are the viridis scale cut before its yellow end, and every curve
has its own marker, so that no figure depends on colour alone.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from nc1fast._extras import require
from nc1fast.studies.findings import RELEASED, findings
from nc1fast.studies.summary import Summary, distinct, equal_classes, grouped, select, summarise
from nc1fast.studies.table import write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from nc1fast.studies.findings import CellVerdict
    from nc1fast.studies.table import Row

_MARKERS = "osD^vPX*"
_SHOWN_CONVENTIONS = ("papyan", "probe", "released")
_VALUES = {
    "log10_nc1": ("nc1", "log₁₀ NC1", "log₁₀ NC1"),
    "log10_relative_nc1": (
        "relative-nc1",
        "log₁₀ relative NC1",
        "log₁₀ of the relative NC1, that of the kernel over that of the data",
    ),
}
_NAMES = {RELEASED: "NTK,\nreleased code"}
_STYLE = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "svg.hashsalt": "nc1fast",
    "svg.fonttype": "path",
}
_BARS = "Points and bars: mean and one standard deviation over the repeats (divisor n)"
_ONCE = "Points: all rows of the data, once, so that there is no deviation"
_UNDEFINED = " A note '2 undefined' at the foot of a panel counts repeats without a logarithm."


@dataclass(frozen=True)
class Drawing:
    """One figure: its file name without suffix, its caption, and the matplotlib figure."""

    name: str
    caption: str
    figure: Any


@dataclass(frozen=True)
class _Point:
    """Something to draw at one x: a value and how far its bar reaches."""

    x: Any
    value: float
    below: float
    above: float
    undefined: int = 0


@dataclass(frozen=True)
class _Curve:
    label: str
    index: int  # colour and marker
    points: list[_Point]
    released: bool = False


def draw(rows: Sequence[Row]) -> list[Drawing]:
    """Draw every figure that the rows can support.

    Parameters
    ----------
    rows : sequence of Row
        A table, as `nc1fast.studies.read` gives it.

    Returns
    -------
    list of Drawing

    Raises
    ------
    ImportError
        If matplotlib is missing (extra `study`).
    """
    matplotlib = require("matplotlib", "study")
    with matplotlib.rc_context(_STYLE):
        drawings = [
            *_against_d0(rows),
            *(drawing for _, arm in grouped(rows, ("arm",)) for drawing in _ratios(arm)),
            *_against_depth(rows),
            *_single_data_sets(rows),
        ]
    if not any(math.isnan(row["log10_nc1"]) for row in rows):
        return drawings
    return [replace(drawing, caption=drawing.caption + _UNDEFINED) for drawing in drawings]


def save(drawings: Sequence[Drawing], folder: Path) -> dict[str, bytes]:
    """Write each figure as PNG and SVG; returns the SVG files by name."""
    folder.mkdir(parents=True, exist_ok=True)
    images = {}
    for drawing in drawings:
        write_atomically(folder / f"{drawing.name}.png", _to_bytes(drawing, "png"))
        images[drawing.name] = _to_bytes(drawing, "svg")
        write_atomically(folder / f"{drawing.name}.svg", images[drawing.name])
    return images


def _to_bytes(drawing: Drawing, kind: str) -> bytes:
    """Render a figure as "png" (150 dpi) or "svg"; the same figure gives the same bytes."""
    matplotlib = require("matplotlib", "study")
    buffer = io.BytesIO()
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    with matplotlib.rc_context(_STYLE):
        drawing.figure.savefig(buffer, format=kind, dpi=150, metadata=metadata)
    return buffer.getvalue()


def _against_d0(rows: Sequence[Row]) -> Iterator[Drawing]:
    """One figure per arm, activation and value: panels by data set or convention and kernel."""
    for group, members in grouped(select(rows, source="gaussian_mixture"), ("arm",)):
        if len(distinct(members, "d0")) < 2 or _is_depth_curve(members):
            continue
        unequal = not all(equal_classes(row) for row in members)
        curve_by = "sizes" if unequal else "N"
        conventions = distinct(members, "convention")
        shown = [c for c in _SHOWN_CONVENTIONS if c in conventions] or conventions
        by_convention = len(conventions) > 1
        for activation in _named(distinct(members, "activation")):
            for column, (stem, axis, words) in _VALUES.items():
                panels = {}
                for dataset in distinct(members, "dataset"):
                    for convention in shown:
                        some = select(
                            members, dataset=dataset, convention=convention, activation=activation
                        )
                        row_name = (
                            f"{dataset}, convention '{convention}'" if by_convention else dataset
                        )
                        panels[row_name] = _kernel_panels(some, column, curve_by)
                figure = _grid(panels, "features d₀", axis, curve_by)
                caption = (
                    f"{group['arm'].capitalize()} classes, {activation}: {words}, against the number of "
                    f"features d₀, one curve per {'list of class sizes' if unequal else 'N'}. {_BARS}; "
                    f"the points of one d₀ are set side by side.{_dashed(activation)}"
                    f"{_divisor(column, conventions)}"
                )
                yield Drawing(f"{group['arm']}-{activation}-{stem}", caption, figure)


def _dashed(activation: str) -> str:
    return " Dashed, open markers: the erf NTK of the released code." if activation == "erf" else ""


def _divisor(column: str, conventions: Sequence[str]) -> str:
    if column == "log10_nc1" or "released" not in conventions:
        return ""
    return " Under 'released' the divisor is the data's NC1 under 'probe', as the released code has it."


def _kernel_panels(rows: Sequence[Row], column: str, curve_by: str) -> dict[str, list[_Curve]]:
    """One panel per kernel; the released code's NTK shares that of the NTK."""
    panels: dict[str, list[_Curve]] = {}
    order = distinct(rows, curve_by)
    for kernel in distinct(rows, "kernel"):
        title = "NTK" if kernel == RELEASED else kernel
        for index, name in enumerate(order):
            some = select(rows, kernel=kernel, **{curve_by: name})
            points = [_point(s.cell["d0"], s) for s in summarise(some, column)]
            curve = _Curve(str(name), index, points, kernel == RELEASED)
            panels.setdefault(title, []).append(curve)
    return panels


def _point(x: Any, s: Summary) -> _Point:
    return _Point(x, s.mean, s.deviation, s.deviation, s.n_undefined)


def _ratios(rows: Sequence[Row]) -> Iterator[Drawing]:
    """NC1(NTK)/NC1(NNGP) of one arm against d0, the NTK as defined and as the released code gives it."""
    found = {finding.key: finding.cells for finding in findings(rows)}
    cells, released = found.get("a2", ()), found.get("released-ntk", ())
    if len({c.cell["d0"] for c in cells}) < 2 or not all(equal_classes(c.cell) for c in cells):
        return
    sizes = sorted({c.cell["N"] for c in cells})
    panels: dict[str, dict[str, list[_Curve]]] = {}
    for dataset in dict.fromkeys(c.cell["dataset"] for c in cells):
        for activation in _named(dict.fromkeys(c.cell["activation"] for c in cells)):
            curves = [
                _Curve(str(n), index, points, of_released)
                for of_released, group in ((False, cells), (True, released))
                for index, n in enumerate(sizes)
                if (points := _ratio_points(group, dataset=dataset, activation=activation, N=n))
            ]
            if curves:
                panels.setdefault(dataset, {})[activation] = curves
    figure = _grid(panels, "features d₀", "NC1(NTK) / NC1(NNGP)", "N", reference=1.0)
    caption = (
        "The NTK against the NNGP on the same data, classes of equal size. Points and bars: median and "
        "range of the paired ratios of the repeats. On and above the line at 1 the NTK is not more "
        f"collapsed than the NNGP.{_dashed('erf') if released else ''}"
    )
    yield Drawing(f"{rows[0]['arm']}-ntk-over-nngp", caption, figure)


def _ratio_points(cells: Sequence[CellVerdict], **values: Any) -> list[_Point]:
    return [
        _Point(c.cell["d0"], c.ratio, c.ratio - c.ratio_min, c.ratio_max - c.ratio)
        for c in cells
        if all(c.cell[name] == value for name, value in values.items())
    ]


def _against_depth(rows: Sequence[Row]) -> Iterator[Drawing]:
    for group, members in grouped(rows, ("arm", "dataset", "N", "d0", "sizes", "convention")):
        if not _is_depth_curve(members):
            continue
        panels: dict[str, list[_Curve]] = {}
        variants = grouped(members, ("activation", "weight_variance", "bias_variance"))
        for kernel in distinct(members, "kernel"):
            for index, (variant, _) in enumerate(variants):
                summaries = summarise(select(members, kernel=kernel, **variant), "log10_nc1")
                points = [_point(s.cell["depth"], s) for s in summaries]
                label = f"{variant['activation']}, weight variance {variant['weight_variance']}"
                panels.setdefault(kernel, []).append(_Curve(label, index, points))
        where = f"{group['dataset']}, N = {group['N']}, d₀ = {group['d0']}"
        figure = _grid(
            {where: panels}, "depth (weight layers)", "log₁₀ NC1", "activation", place=float
        )
        caption = f"NC1 against depth on {where}: the kernels of infinitely wide networks. {_BARS}."
        yield Drawing(f"{group['arm']}-{group['dataset']}-nc1", caption, figure)


def _single_data_sets(rows: Sequence[Row]) -> Iterator[Drawing]:
    """Draw data sets that have one size: a row of points, one per kernel."""
    for group, members in grouped(rows, ("arm", "dataset", "N", "convention")):
        if members[0]["source"] == "gaussian_mixture" or _is_depth_curve(members):
            continue
        panels = {}
        for column, (_, axis, _) in _VALUES.items():
            curves = []
            for index, activation in enumerate(_named(distinct(members, "activation"))):
                summaries = summarise(select(members, activation=activation), column)
                points = [
                    _point(_NAMES.get(s.cell["kernel"], s.cell["kernel"]), s) for s in summaries
                ]
                curves.append(_Curve(activation, index, points))
            panels[axis] = curves
        where = f"{group['dataset']}, N = {group['N']}, d₀ = {members[0]['d0']}"
        figure = _grid({where: panels}, "", "", "activation", place=None)
        caption = (
            f"{where}, scale '{members[0]['scale']}', convention '{group['convention']}': NC1 and "
            f"relative NC1 of the kernels. {_BARS if len(distinct(members, 'repeat')) > 1 else _ONCE}."
        )
        yield Drawing(f"{group['arm']}-{group['dataset']}-{group['convention']}", caption, figure)


def _is_depth_curve(rows: Sequence[Row]) -> bool:
    return len(distinct(select(rows, lambda row: row["kernel"] != "Linear"), "depth")) > 1


def _named(activations: Any) -> list[str]:
    return [activation for activation in activations if activation]


def _grid(
    panels: dict[str, dict[str, list[_Curve]]],
    x_name: str,
    y_name: str,
    legend: str,
    *,
    place: Callable[[float], float] | None = math.log2,
    reference: float | None = None,
) -> Any:
    """Panels by row and column name, sharing their axes, with one legend on the right.

    `place` maps x to the axis; None: x are categories, and their points are not joined.
    """
    figure_class = require("matplotlib.figure", "study").Figure
    columns = list(dict.fromkeys(column for row in panels.values() for column in row))
    size = (3.6 * len(columns) + 1.8, 2.7 * len(panels) + 0.6)
    figure = figure_class(figsize=size, layout="constrained")
    axes = figure.subplots(
        len(panels), len(columns), squeeze=False, sharex=True, sharey=bool(y_name)
    )
    entries: dict[str, Any] = {}
    for line, (row_name, row) in zip(axes, panels.items(), strict=True):
        for ax, column in zip(line, columns, strict=True):
            curves = row.get(column, [])
            ax.set_title(f"{row_name}: {column}", fontsize=10, loc="left")
            if reference is not None:
                ax.axhline(reference, color="black", linewidth=1)
            entries.update(_panel(ax, curves, place))
            if not y_name:
                ax.margins(y=0.15)
        line[0].set_ylabel(y_name)
    for ax in axes[-1]:
        ax.set_xlabel(x_name)
    if reference is not None:
        axes[0, 0].set_yscale("log")  # shared
        _plain_log_axis(axes[0, 0])
    figure.legend(
        entries.values(), entries.keys(), title=legend, loc="outside right upper", alignment="left"
    )
    return figure


def _plain_log_axis(ax: Any) -> None:
    """Ticks at round ratios, written as plain numbers."""
    ticker = require("matplotlib.ticker", "study")
    low, high = ax.get_ylim()
    ticks = [t for t in (0.1, 0.2, 0.5, 1, 2, 3, 4, 6, 8, 10, 20, 50) if low <= t <= high]
    ax.yaxis.set_major_locator(ticker.FixedLocator(ticks))
    ax.yaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
    ax.yaxis.set_minor_locator(ticker.NullLocator())


def _panel(
    ax: Any, curves: Sequence[_Curve], place: Callable[[float], float] | None
) -> dict[str, Any]:
    """Draw the curves of one panel; returns what its legend needs."""
    joined = place is not None
    places: dict[Any, float] = {}
    for x in dict.fromkeys(p.x for curve in curves for p in curve.points):
        places[x] = len(places) if place is None else place(x)
    if places:
        ax.set_xticks(list(places.values()), [str(x) for x in places])
        ax.set_xlim(min(places.values()) - 0.5, max(places.values()) + 0.5)
    n_colours = 1 + max((curve.index for curve in curves), default=0)
    entries = {}
    for curve in curves:
        shift = 0.4 * ((curve.index + 0.5) / n_colours - 0.5)
        colour = _colour(curve.index, n_colours)
        defined = [p for p in curve.points if not math.isnan(p.value)]
        drawn = ax.errorbar(
            [places[p.x] + shift for p in defined],
            [p.value for p in defined],
            yerr=[[p.below for p in defined], [p.above for p in defined]],
            color=colour,
            marker=_MARKERS[curve.index % len(_MARKERS)],
            markersize=5,
            markerfacecolor="white" if curve.released else colour,
            linestyle=("--" if curve.released else "-") if joined else "none",
            linewidth=1.3,
            capsize=2.5,
        )
        for p in curve.points:
            if p.undefined:
                ax.annotate(
                    f"{p.undefined} undefined",
                    (places[p.x] + shift, 0.02),
                    xycoords=("data", "axes fraction"),
                    color=colour,
                    ha="center",
                    fontsize=7,
                )
        entries[f"{curve.label}, released code" if curve.released else curve.label] = drawn
    return entries


def _colour(index: int, n: int) -> Any:
    colormaps = require("matplotlib", "study").colormaps
    return colormaps["viridis"](0.85 * index / max(n - 1, 1))
