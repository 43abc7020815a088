"""Figures of probes: metrics against the layers of a module, and through a training.

They are drawn with the settings of matplotlib that are in force, and returned: `figure.savefig`, or
`plt.show()`.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nc1fast.metrics.registry import all_metrics
from nc1fast.metrics.result import Collapse
from nc1fast.metrics.table import TRACES
from nc1fast.support.arguments import as_items, check_choice
from nc1fast.support.extras import require

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# Metrics of a figure where none are named: those of them that have a value.
_DEPTH = ("nc1", "nc2_etf", "ncc_accuracy")
_TRAINING = ("nc1", "nc2_etf", "nc3_self_duality", "ncc_accuracy")
# Values under exact collapse of what is drawn on a linear axis; other metrics have a logarithmic
# one.
_COLLAPSED = {
    **dict.fromkeys(
        (
            *("nc1_total", "nc2_equinorm", "nc2_equiangle", "nc2_etf", "nc2_cosine_offset"),
            *("nc2_orthogonal", "nc3_self_duality", "nc3_etf", "nc3_uniform", "classifier_angle"),
            *("weights_equinorm", "weights_equiangle", "weights_etf", "weights_cosine_offset"),
        ),
        0.0,
    ),
    **dict.fromkeys(("ncc_accuracy", "nc4_agreement"), 1.0),
    **dict.fromkeys(("gnc2_log", "gnc2_riesz")),
    **dict.fromkeys(
        f"{of}_{kind}rank" for of in ("between", "within") for kind in ("", "effective_", "stable_")
    ),
}
_OF_NETWORK = ("loss", "accuracy")  # of all layers alike
_NAMED = 8  # curves in a legend, and
_TICKS = 24  # names of layers under an axis, at most
_BESIDE = 12  # layers up to which panels are side by side
_PANEL, _HEIGHT, _WIDE = 3.2, 3.2, 7.0  # inches, of a panel and of stacked ones
_LINEAR_RATIO = 100  # of the largest step to the first above 0, up to which steps are drawn evenly
_NOTE_LETTERS = 17  # of a note, in an inch


class MetricLine(NamedTuple):
    """A line through a panel: its name, its place between pale (0) and dark (1), x and y of shape
    (n_points,).
    """

    name: str
    shade: float
    x: NDArray[np.float64]
    y: NDArray[np.float64]


def plot_layers(
    found: Mapping[str, Any],
    metrics: Sequence[str] | str | None = None,
    *,
    axes: Any = None,
) -> Any:
    """Draw metrics of a probe against the layers, from input to output.

    Parameters
    ----------
    found : LayerCollapse, or mapping of names to them
        What `probe` returns; several, as ``{"epoch 0": ..., "epoch 12": ...}``, are a line each,
        from pale to dark.
    metrics : str or sequence of str, optional
        Names of numbers of docs/metrics.md, a panel for each. Default: nc1, nc2_etf and
        ncc_accuracy, those that have a value.
    axes : sequence of matplotlib Axes, optional
        Where to draw, one for each metric. Default: a new figure.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    TypeError, ValueError
        For what is no result of a probe, unknown metrics, and as many axes as there are no metrics.
    ImportError
        If matplotlib is missing (extra `study`).

    Notes
    -----
    Dotted: the value under exact collapse, 0 or 1. Axes of ratios and traces, such as nc1, are
    logarithmic; what has no place there, and layers without a result, are named above.

    Examples
    --------
    >>> found = nc.networks.probe(model, loader, layers="blocks", classifier="fc")
    >>> nc.networks.plot_layers(found).savefig("layers.png")
    """
    probes = _probes(found)
    layers = list(dict.fromkeys(layer for one in probes.values() for layer in one))
    places = {layer: float(k) for k, layer in enumerate(layers)}
    names = _names(metrics, _DEPTH, lambda name: [getattr(r, name) for r in _results(probes)])
    panels = {}
    for metric in names:
        panels[metric] = [
            MetricLine(
                name,
                _shade(k, len(probes)),
                np.array([places[layer] for layer in one]),
                np.array([_number(getattr(result, metric)) for result in one.values()]),
            )
            for k, (name, one) in enumerate(probes.items())
        ]
    reasons = {layer for one in probes.values() for layer in getattr(one, "reasons", ())}
    note = f"no result: {', '.join(sorted(reasons - set(layers)))}" if reasons - set(layers) else ""
    stacked = axes is None and len(layers) > _BESIDE
    figure, drawn = _canvas(axes, len(panels), stacked=stacked)
    step = math.ceil(len(layers) / _TICKS)
    lines: dict[str, Any] = {}
    for ax, (metric, curves) in zip(drawn, panels.items(), strict=True):
        lines |= _panel(ax, metric, curves, {place: layer for layer, place in places.items()}, note)
        ax.set_xticks([places[n] for n in layers[::step]], layers[::step], rotation=45, ha="right")
        ax.set_xlim(-0.3, len(layers) - 0.7)
        if stacked:
            ax.tick_params("x", labelbottom=ax is drawn[-1])
    if len(probes) > 1:
        _legend(drawn[-1], lines)
    return figure


def plot_training(
    course: Any,
    metrics: Sequence[str] | str | None = None,
    layers: Sequence[str] | None = None,
    *,
    axes: Any = None,
) -> Any:
    """Draw metrics of layers through a training.

    Parameters
    ----------
    course : Monitor, Trace or mapping of columns
        A `Monitor` after its training, what `train` returns, or a table with the columns layer and
        step or epoch.
    metrics : str or sequence of str, optional
        Names of columns, a panel for each. Default: nc1, nc2_etf, nc3_self_duality and
        ncc_accuracy, those that have a value.
    layers : sequence of str, optional
        Layers to draw, from pale to dark. Default: all.
    axes : sequence of matplotlib Axes, optional
        Where to draw, one for each metric. Default: a new figure.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    TypeError, ValueError
        For what is no such table, unknown metrics or layers, and as many axes as there are no
        metrics.
    ImportError
        If matplotlib is missing (extra `study`).

    Notes
    -----
    As `plot_layers`; repeats of a `Trace` are lines of one colour. Steps over more than two decades
    have a logarithmic axis.

    Examples
    --------
    >>> monitor = nc.networks.Monitor(model, loader, every=100, classifier="fc")
    >>> ...
    >>> nc.networks.plot_training(monitor).savefig("training.png")
    """
    table, x = _course(course)
    of_layer = np.asarray(table["layer"])
    known = [str(name) for name in dict.fromkeys(of_layer.tolist()) if name]
    wanted = known if layers is None else as_items("layers", layers, "a list of names")
    for name in wanted:
        check_choice("layers", name, known)
    names = _names(metrics, _TRAINING, lambda name: table.get(name, ()), known=table)
    repeats = np.asarray(table.get("repeat", np.zeros(len(of_layer))))
    steps = np.asarray(table[x], dtype=np.float64)
    panels: dict[str, list[MetricLine]] = {metric: [] for metric in names}
    for k, layer in enumerate(wanted):
        for repeat in np.unique(repeats):
            rows = (of_layer == layer) & (repeats == repeat)
            for metric, curves in panels.items():
                values = np.asarray(table[metric], dtype=np.float64)[rows]
                if metric not in _OF_NETWORK or layer == wanted[-1]:
                    curves.append(MetricLine(layer, _shade(k, len(wanted)), steps[rows], values))
    figure, drawn = _canvas(axes, len(panels), stacked=False)
    lines: dict[str, Any] = {}
    for ax, (metric, curves) in zip(drawn, panels.items(), strict=True):
        lines |= _panel(ax, metric, curves, {}, "")
        ax.set_xlabel(x)
        _steps(ax, steps)
    _legend(drawn[-1], {name: lines[name] for name in wanted})
    return figure


def _probes(found: Any) -> dict[str, Mapping[str, Collapse]]:
    """Probes by their names; one alone has the name ""."""
    if isinstance(found, Mapping) and found:
        if all(isinstance(one, Collapse) for one in found.values()):
            return {"": found}
        if all(
            isinstance(one, Mapping) and one and all(isinstance(r, Collapse) for r in one.values())
            for one in found.values()
        ):
            return {str(name): one for name, one in found.items()}
    raise TypeError(
        "found must be what nc1fast.networks.probe returns, or a mapping of names to several, "
        f"got {type(found).__name__}"
    )


def _results(probes: Mapping[str, Mapping[str, Collapse]]) -> list[Collapse]:
    return [result for one in probes.values() for result in one.values()]


def _course(course: Any) -> tuple[Mapping[str, Any], str]:
    """Columns of a training, and the name of their steps."""
    table = getattr(course, "table", course)
    table = table() if callable(table) else table
    if not isinstance(table, Mapping):
        raise TypeError(
            f"course must be a Monitor, a Trace or a table of columns, got {type(course).__name__}"
        )
    x = next((name for name in ("step", "epoch") if name in table), None)
    if x is None or "layer" not in table or not len(table["layer"]):
        raise ValueError("course must have rows, with the columns layer and step or epoch")
    return table, x


def _names(metrics: Any, usual: Sequence[str], values: Any, known: Any = None) -> list[str]:
    """Metrics to draw: those named, or the usual ones that have a value."""
    if metrics is None:
        return [n for n in usual if any(not math.isnan(_number(v)) for v in values(n))] or ["nc1"]
    numbers = [name for name, metric in all_metrics().items() if metric.column is not None]
    allowed = [n for n in (*TRACES, *numbers) if known is None or n in known]
    if known is not None:
        allowed += [n for n in _OF_NETWORK if n in known]
    given = [metrics] if isinstance(metrics, str) else metrics
    names = as_items("metrics", given, "a list of names")
    for name in names:
        check_choice("metrics", name, allowed)
    if not names:
        raise ValueError("metrics must name at least one")
    return list(dict.fromkeys(names))


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _canvas(axes: Any, n: int, *, stacked: bool) -> tuple[Any, list[Any]]:
    """The figure, and the axes of the panels, side by side or one above the other."""
    if axes is None:
        plt = require("matplotlib.pyplot", "study")
        shape, size = ((n, 1), (_WIDE, 2.2 * n)) if stacked else ((1, n), (_PANEL * n, _HEIGHT))
        figure, made = plt.subplots(
            *shape, figsize=size, layout="constrained", squeeze=False, sharex=stacked
        )
        return figure, list(made.ravel())
    given = list(np.atleast_1d(np.asarray(axes, dtype=object)).ravel())
    if len(given) != n:
        raise ValueError(f"axes must hold one for each of {n} metrics, got {len(given)}")
    return given[0].figure, given


def _shade(k: int, n: int) -> float:
    """The place of curve k of n between pale (0) and dark (1); one alone is dark."""
    return k / (n - 1) if n > 1 else 1.0


def _colour(shade: float) -> Any:
    """From pale to dark; pale enough to differ, dark enough to be seen on white."""
    return require("matplotlib", "study").colormaps["viridis_r"](0.12 + 0.88 * shade)


def _panel(
    ax: Any, metric: str, curves: Sequence[MetricLine], names: Mapping[float, str], note: str
) -> dict[str, Any]:
    """Draw the curves of a metric, and return their lines; `names` are those of places on the
    horizontal axis.
    """
    is_log = metric not in _COLLAPSED and metric != "accuracy"
    found: dict[str, Any] = {}
    marker = "o" if max(len(curve.x) for curve in curves) <= _TICKS else ""
    lost: list[str] = []
    for curve in curves:
        shown = np.isfinite(curve.y) & ((curve.y > 0) | (not is_log))
        y = np.where(shown, curve.y, np.nan)
        style = {"marker": marker, "markersize": 4, "color": _colour(curve.shade)}
        (found[curve.name],) = ax.plot(curve.x, y, label=curve.name, **style)
        for place, value in zip(curve.x[~shown], curve.y[~shown], strict=True):
            if not math.isnan(value):
                lost.append(f"{names.get(place, curve.name)} is {value:g}")
    title, ideal = metric, _COLLAPSED.get(metric)
    if is_log:
        _log_axis(ax)
    elif ideal is not None:
        ax.axhline(ideal, color="0.4", ls=":", lw=1)
        title += f" ({ideal:g}: collapse)"
    notes = [note, ", ".join(dict.fromkeys(lost))]
    width = int(_NOTE_LETTERS * ax.get_position().width * ax.figure.get_figwidth())
    lines = [line for one in notes if one for line in textwrap.wrap(one, max(width, 20))]
    ax.set_title(title, pad=6 + 10 * len(lines))
    if lines:
        place = {"xycoords": "axes fraction", "textcoords": "offset points", "va": "bottom"}
        ax.annotate("\n".join(lines), (0, 1), (0, 2), fontsize=7, color="0.4", **place)
    return found


def _log_axis(ax: Any) -> None:
    """A logarithmic vertical axis, whose marks within few decades are plain numbers."""
    ax.set_yscale("log")
    low, high = ax.get_ylim()
    if high < 300 * low:
        ticker = require("matplotlib.ticker", "study")
        subs = (1, 2, 5) if high > 4 * low else (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8)
        ax.yaxis.set_major_locator(ticker.LogLocator(subs=subs))
        ax.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
        ax.yaxis.set_minor_formatter(ticker.NullFormatter())


def _steps(ax: Any, steps: NDArray[np.float64]) -> None:
    """A logarithmic axis for steps over more than two decades; 0 has a place on it."""
    above = steps[steps > 0]
    if len(above) and above.max() > _LINEAR_RATIO * above.min():
        if (steps == 0).any():
            ax.set_xscale("symlog", linthresh=above.min(), linscale=0.5)
            ax.set_xlim(0, above.max() * 1.1)
        else:
            ax.set_xscale("log")


def _legend(ax: Any, lines: Mapping[str, Any]) -> None:
    """Names beside the last panel; of many curves the first, the last, and some between."""
    names = list(lines)
    if len(names) > _NAMED:
        kept = np.unique(np.linspace(0, len(names) - 1, _NAMED).round().astype(int))
        names = [names[k] for k in kept]
    ax.legend([lines[n] for n in names], names, loc="center left", bbox_to_anchor=(1.0, 0.5))
