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

from nc1fast.metrics.result import Collapse
from nc1fast.metrics.table import as_metric_names, number_names
from nc1fast.support.arguments import as_items, check_choice
from nc1fast.support.extras import require

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

# Metrics of a figure where none are named: those of them that have a value.
_DEPTH = ("nc1", "nc2_etf", "ncc_accuracy")
_TRAINING = ("nc1", "nc2_etf", "nc3_self_duality", "ncc_accuracy")
_OF_NETWORK = ("loss", "accuracy")  # the same for all layers
# Metrics on a linear axis, with their values under exact collapse; others have a logarithmic one.
_LINEAR = {
    **dict.fromkeys(("nc1_total", "nc2_equinorm", "nc2_equiangle", "nc2_etf"), 0.0),
    **dict.fromkeys(("nc2_cosine_offset", "nc2_orthogonal", "nc3_self_duality"), 0.0),
    **dict.fromkeys(("nc3_etf", "nc3_uniform", "classifier_angle", "weights_equinorm"), 0.0),
    **dict.fromkeys(("weights_equiangle", "weights_etf", "weights_cosine_offset"), 0.0),
    **dict.fromkeys(("ncc_accuracy", "nc4_agreement"), 1.0),
    **dict.fromkeys(("gnc2_log", "gnc2_riesz", "accuracy", "between_rank", "within_rank")),
    **dict.fromkeys(("between_effective_rank", "between_stable_rank")),
    **dict.fromkeys(("within_effective_rank", "within_stable_rank")),
}
_NAMED = 8  # curves in a legend, and
_TICKS = 24  # names of layers under an axis, at most
_BESIDE = 12  # layers up to which panels are side by side
_PANEL, _HEIGHT, _WIDE = 3.2, 3.2, 7.0  # inches, of a panel and of stacked ones
_LINEAR_RATIO = 100  # of the largest step to the first above 0, up to which steps are drawn evenly


class MetricCurve(NamedTuple):
    """A curve of a panel: its name, its place between pale (0) and dark (1), x and y of shape
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
    results = [result for one in probes.values() for result in one.values()]
    if metrics is None:
        names = _with_values(_DEPTH, {n: [getattr(r, n) for r in results] for n in _DEPTH})
    else:
        names = _metric_names(metrics, number_names())
    reasons = {layer for one in probes.values() for layer in getattr(one, "reasons", ())}
    missing = sorted(reasons - set(layers))
    note = f"no result: {', '.join(missing)}" if missing else ""
    stacked = axes is None and len(layers) > _BESIDE
    figure, panels = _panels(axes, len(names), stacked=stacked)
    step = math.ceil(len(layers) / _TICKS)
    for ax, metric in zip(panels, names, strict=True):
        curves = [
            MetricCurve(
                name,
                _shade(k, len(probes)),
                np.array([float(layers.index(layer)) for layer in one]),
                np.array([_number(getattr(result, metric)) for result in one.values()]),
            )
            for k, (name, one) in enumerate(probes.items())
        ]
        _draw(ax, metric, curves, note, layers)
        ax.set_xticks(range(0, len(layers), step), layers[::step], rotation=45, ha="right")
        ax.set_xlim(-0.3, len(layers) - 0.7)
        if stacked:
            ax.tick_params("x", labelbottom=ax is panels[-1])
    if len(probes) > 1:
        _legend(panels, list(probes))
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
    table, x = _table(course)
    of_layer = np.asarray(table["layer"])
    known = [str(name) for name in dict.fromkeys(of_layer.tolist()) if name]
    drawn = known if layers is None else as_items("layers", layers, "a list of names")
    for name in drawn:
        check_choice("layers", name, known)
    if metrics is None:
        names = _with_values(_TRAINING, table)
    else:
        names = _metric_names(metrics, [n for n in (*number_names(), *_OF_NETWORK) if n in table])
    repeats = np.asarray(table.get("repeat", np.zeros(len(of_layer))))
    steps = np.asarray(table[x], dtype=np.float64)
    figure, panels = _panels(axes, len(names), stacked=False)
    for ax, metric in zip(panels, names, strict=True):
        values = np.asarray(table[metric], dtype=np.float64)
        curves = []
        for k, layer in enumerate(drawn):
            if metric in _OF_NETWORK and layer != drawn[-1]:
                continue
            for repeat in np.unique(repeats):
                rows = (of_layer == layer) & (repeats == repeat)
                curves.append(MetricCurve(layer, _shade(k, len(drawn)), steps[rows], values[rows]))
        _draw(ax, metric, curves)
        ax.set_xlabel(x)
        _scale_steps(ax, steps)
    _legend(panels, drawn)
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


def _table(course: Any) -> tuple[Mapping[str, Any], str]:
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


def _with_values(usual: Sequence[str], values: Mapping[str, Iterable[Any]]) -> list[str]:
    """The usual metrics that have a value, or nc1."""
    return [
        name
        for name in usual
        if any(not math.isnan(_number(value)) for value in values.get(name, ()))
    ] or ["nc1"]


def _metric_names(metrics: Any, allowed: Sequence[str]) -> list[str]:
    """Named metrics, each once, checked."""
    names = as_metric_names([metrics] if isinstance(metrics, str) else metrics, allowed)
    if not names:
        raise ValueError("metrics must name at least one")
    return list(dict.fromkeys(names))


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _shade(k: int, n: int) -> float:
    """The place of curve k of n between pale (0) and dark (1); one alone is dark."""
    return k / (n - 1) if n > 1 else 1.0


def _panels(axes: Any, n: int, *, stacked: bool) -> tuple[Any, list[Any]]:
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


def _draw(
    ax: Any, metric: str, curves: Sequence[MetricCurve], note: str = "", places: Sequence[str] = ()
) -> None:
    """Draw the curves of a metric, and name the points that have no place on its axis: by `places`
    at x = 0, 1, ..., or by their curve.
    """
    colours = require("matplotlib", "study").colormaps["viridis_r"]
    log = metric not in _LINEAR
    marker = "o" if max(len(curve.x) for curve in curves) <= _TICKS else ""
    left_out: list[str] = []
    for name, shade, x, y in curves:
        drawn = np.isfinite(y) & ((y > 0) | (not log))
        # pale enough to differ, dark enough to be seen on white
        style = {"marker": marker, "markersize": 4, "color": colours(0.12 + 0.88 * shade)}
        ax.plot(x, np.where(drawn, y, np.nan), label=name, **style)
        for k in np.flatnonzero(~drawn & ~np.isnan(y)):
            left_out.append(f"{places[int(x[k])] if places else name} is {y[k]:g}")
    title, ideal = metric, _LINEAR.get(metric)
    if log:
        _scale_log(ax)
    elif ideal is not None:
        ax.axhline(ideal, color="0.4", ls=":", lw=1)
        title += f" ({ideal:g}: collapse)"
    letters = int(17 * ax.get_position().width * ax.figure.get_figwidth())  # of a line of notes
    notes = [note, ", ".join(dict.fromkeys(left_out))]
    lines = [line for one in notes for line in textwrap.wrap(one, max(letters, 20))]
    ax.set_title(title, pad=6 + 10 * len(lines))
    offset = {"xycoords": "axes fraction", "textcoords": "offset points", "va": "bottom"}
    if lines:
        ax.annotate("\n".join(lines), (0, 1), (0, 2), fontsize=7, color="0.4", **offset)


def _scale_log(ax: Any) -> None:
    """A logarithmic vertical axis, whose ticks within few decades are plain numbers."""
    ax.set_yscale("log")
    low, high = ax.get_ylim()
    if high < 300 * low:
        ticker = require("matplotlib.ticker", "study")
        subs = (1, 2, 5) if high > 4 * low else (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8)
        ax.yaxis.set_major_locator(ticker.LogLocator(subs=subs))
        ax.yaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_minor_formatter(ticker.NullFormatter())


def _scale_steps(ax: Any, steps: NDArray[np.float64]) -> None:
    """A logarithmic axis for steps over more than two decades; 0 has a place on it."""
    above = steps[steps > 0]
    if not len(above) or above.max() <= _LINEAR_RATIO * above.min():
        return
    if (steps == 0).any():
        ax.set_xscale("symlog", linthresh=above.min(), linscale=0.5)
        ax.set_xlim(0, above.max() * 1.1)
    else:
        ax.set_xscale("log")


def _legend(panels: Sequence[Any], names: Sequence[str]) -> None:
    """Names beside the last panel; of many curves the first, the last, and some between."""
    lines = {line.get_label(): line for ax in panels for line in ax.lines}
    names = [name for name in names if name in lines]
    if len(names) > _NAMED:
        kept = np.unique(np.linspace(0, len(names) - 1, _NAMED).round().astype(int))
        names = [names[k] for k in kept]
    panels[-1].legend(
        [lines[name] for name in names], names, loc="center left", bbox_to_anchor=(1.0, 0.5)
    )
