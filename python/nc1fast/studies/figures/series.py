"""Figures of series: NC1 along training and annealing, spectra and matrices."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.studies.figures import axes as _axes
from nc1fast.studies.figures import palette
from nc1fast.studies.figures.curves import written
from nc1fast.studies.figures.drawing import Drawing
from nc1fast.studies.figures.levels import RELEASED
from nc1fast.studies.figures.looks import Look, graded, look_of, released
from nc1fast.studies.figures.panels import (
    add_legend,
    headline,
    new_figure,
    page_width,
    panel_width,
)
from nc1fast.studies.summary import DATA, distinct, grouped, select
from nc1fast.support.extras import require

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from nc1fast.studies.tidy import Row


_ANNEALED = {
    "nc1": "NC1 of the kernel Q",
    "nc1 of predictions": "NC1 of the predictions' kernel",
    "trace sigma": "Tr Σ",
    "training error": "training error",
}
_PANEL_HEIGHT = 2.4
_MARKERS = 7  # of a line, at most: they tell lines apart where colours do not


def along_training(series: Sequence[Row]) -> Iterator[Drawing]:
    """NC1 of each layer, and the loss, against the epoch; a column of panels for each data set."""
    some = select(series, lambda row: row["quantity"] in ("nc1", "loss"), model="network")
    for group, members in grouped(some, ("arm", "dataset", "activation")):
        cells = grouped(members, ("N", "d0", "sizes"))
        layers = [name for name in distinct(select(members, quantity="nc1"), "layer") if name]
        looks = {name: _layer_look(name, i, len(layers)) for i, name in enumerate(layers)}
        figure = new_figure()
        axes = figure.subplots(2, len(cells), squeeze=False, sharex=True, sharey="row")
        entries: dict[Look, Any] = {}
        for (above, below), (cell, rows) in zip(axes.T, cells, strict=True):
            for name, look in looks.items():
                entries |= _repeats(above, select(rows, quantity="nc1", layer=name), look)
            loss = select(rows, quantity="loss")
            _repeats(below, loss, Look("loss", palette.INK, "."))
            missing = [
                _undefined(name, select(rows, quantity="nc1", layer=name)) for name in layers
            ]
            notes = [note for note in (*missing, _undefined("loss", loss)) if note]
            headline(above, f"N = {cell['N']}, d₀ = {cell['d0']}", notes, panel_width(len(cells)))
            _epochs(below)
        for row, quantity in zip(axes, ("nc1", "loss"), strict=True):
            ends = [r["value"] for r in select(members, quantity=quantity)]
            _axes.log_axis(row[0].yaxis, *_axes.limits(ends))
        axes[0, 0].set_ylabel("NC1")
        axes[1, 0].set_ylabel("loss")
        figure.supxlabel("epoch", fontsize="medium")
        add_legend(figure, entries, "above", (page_width(len(cells)), 2 * _PANEL_HEIGHT))
        many = len(distinct(members, "repeat")) > 1
        caption = (
            f"{group['dataset']}, {written(group['activation'])}, arm '{group['arm']}': NC1 of the "
            "layers of the network, and its loss, along training. pre: before the activation, "
            f"post: after it. {'One line for each repeat. ' if many else ''}The axis of epochs is "
            "linear from 0, the start, to the first epoch after it and logarithmic from there."
        )
        name = f"training-{group['arm']}-{group['dataset']}-{group['activation']}"
        yield Drawing(name, caption, figure)


def _layer_look(name: str, index: int, n: int) -> Look:
    if name == "output":
        return Look(name, palette.NETWORK, "s", "-.", rank=n)
    return graded(name, index, n)


def _repeats(ax: Any, rows: Sequence[Row], look: Look) -> dict[Look, Any]:
    """Draw one line for each repeat of a positive quantity; returns its legend entry."""
    entries = {}
    for _, members in grouped(rows, ("repeat",)):
        points = _defined(members)
        style = {**look.line_style(), "markersize": 2.5, "linewidth": 1}
        if points:
            every = math.ceil(len(points) / _MARKERS)
            [entries[look]] = ax.plot(*zip(*points, strict=True), markevery=every, **style)
    return entries


def _defined(rows: Sequence[Row]) -> list[tuple[float, float]]:
    """Points (x, value) that have a place on a logarithmic axis, by x."""
    return sorted((row["x"], row["value"]) for row in rows if 0 < row["value"] < math.inf)


def _undefined(name: str, rows: Sequence[Row]) -> str:
    """A note that counts the points without a place on a logarithmic axis, or nothing."""
    missing = len(rows) - len(_defined(rows))
    return f"{missing} undefined: {name}" if missing else ""


def _epochs(ax: Any) -> None:
    """Give the axis of epochs a linear part from 0 to the first epoch drawn, and logarithmic ticks
    beyond.
    """
    epochs = [x for line in ax.lines for x in line.get_xdata() if x > 0]
    first, last = min(epochs, default=1), max(epochs, default=1)
    ax.set_xscale("symlog", linthresh=first, linscale=0.4)
    mantissas = (1, 3) if last < 100 * first else (1,)
    ticks = [m * 10**k for k in range(7) for m in mantissas if first <= m * 10**k <= last]
    ax.set_xticks([0, *ticks], [str(tick) for tick in (0, *ticks)])
    ax.minorticks_off()
    ax.set_xlim(-0.15 * first, last * 1.6)


def along_annealing(series: Sequence[Row]) -> Iterator[Drawing]:
    """Four quantities of the adaptive kernel against the width, from wide to narrow; dashed for the
    released code.
    """
    some = select(
        series,
        lambda row: row["quantity"] in _ANNEALED and row["model"] != "network" and row["x"] > 0,
    )
    if not some:
        return
    figure = new_figure()
    axes = figure.subplots(2, 2)
    cells = grouped(some, (*DATA, "activation"))
    entries: dict[Look, Any] = {}
    for index, (cell, members) in enumerate(cells):
        look = graded(_named(cell, some), index, len(cells))
        for is_released in (False, True):
            rows = [r for r in members if _is_released(r) == is_released]
            for ax, quantity in zip(axes.flat, _ANNEALED, strict=True):
                entries |= _annealed(
                    ax, select(rows, quantity=quantity), released(look) if is_released else look
                )
    for ax, (quantity, title) in zip(axes.flat, _ANNEALED.items(), strict=True):
        values = select(some, quantity=quantity)
        note = _undefined(quantity, values)
        headline(ax, title, [note] if note else [], panel_width(2))
        _axes.log_axis(ax.yaxis, *_axes.limits(r["value"] for r in values))
        widths = sorted({r["x"] for r in some})
        decades = [10.0**k for k in range(7) if 2 * widths[0] <= 10.0**k <= widths[-1]]
        _axes.log_axis(ax.xaxis, *_axes.limits(widths), ticks=[widths[0], *decades])
        ax.invert_xaxis()
    figure.supxlabel("width h, annealed from left to right", fontsize="medium")
    add_legend(figure, entries, "above", (page_width(2), 2 * _PANEL_HEIGHT + 0.3))
    caption = (
        "The adaptive kernel along its annealing from large width, where it is the NNGP, to the "
        "width of the network: NC1 of the kernel Q of the hidden layer; NC1 of the kernel that "
        "the predictions span; the trace of Σ, which is the weight variance where the data has no "
        "say; and the mean squared error of the predictions on the data. One data set "
        f"each.{RELEASED if any(map(_is_released, some)) else ''}"
    )
    yield Drawing("annealing", caption, figure)


def _is_released(row: Row) -> bool:
    return bool(row["state"] == "released" or row["model"].startswith("compat."))


def _named(cell: Row, rows: Sequence[Row]) -> str:
    """Label of a cell: data set, N and d0; class sizes and arm where another has the same."""
    name = f"{cell['dataset']}, N = {cell['N']}, d₀ = {cell['d0']}"
    alike = grouped(
        select(rows, dataset=cell["dataset"], N=cell["N"], d0=cell["d0"]), (*DATA, "activation")
    )
    return name if len(alike) == 1 else f"{name}, {cell['sizes']}, {cell['arm']}"


def _annealed(ax: Any, rows: Sequence[Row], look: Look) -> dict[Look, Any]:
    points = _defined(rows)
    if not points:
        return {}
    [line] = ax.plot(*zip(*points, strict=True), **{**look.line_style(), "markersize": 3.5})
    return {look: line}


_CELL = (*DATA, "activation")
_SIDE = 2.5  # side of a panel, in inches
_MOST_CLASSES = 12  # classes whose names fit on an axis


def weight_covariances(series: Sequence[Row]) -> Iterator[Drawing]:
    """Spectra and heat maps of the adaptive kernel's Sigma and of W^T W/width of the network, one
    row for each data set.
    """
    caption = (
        "The covariance of the hidden weights: Σ, which the adaptive kernel finds, beside "
        "WᵀW/width of the network's first layer before and after training: "
        "{dataset}, {activation}, arm '{arm}'. Left: eigenvalues, largest first, some of them "
        "marked. Right: the matrices, feature by feature, where they are small enough; one colour "
        "scale for each row, to its largest entry off the diagonals, beyond which the diagonals "
        "lie. One repeat."
    )
    return _matrices(series, ("sigma spectrum", "sigma"), caption, symmetric=True)


def gram_matrices(series: Sequence[Row]) -> Iterator[Drawing]:
    """Spectra and heat maps of Gram matrices in class order, one row for each data set."""
    caption = (
        "Gram matrices of the kernels: {dataset}, {activation}, arm '{arm}'. Left: leading "
        "eigenvalues, some of them marked. Right: means over blocks of the matrix, rows of the "
        "data in the order of their classes, which the white lines part; each matrix has its own "
        "colour scale. One repeat."
    )
    return _matrices(series, ("kernel spectrum", "gram"), caption, symmetric=False)


def _matrices(
    series: Sequence[Row], quantities: tuple[str, str], caption: str, *, symmetric: bool
) -> Iterator[Drawing]:
    """A figure of a spectrum and a matrix for each arm, data set and activation."""
    some = select(series, lambda row: row["quantity"] in quantities)
    for group, members in grouped(some, ("arm", "dataset", "activation")):
        name = "-".join((quantities[1], *group.values()))
        words = caption.format_map({**group, "activation": written(group["activation"])})
        yield Drawing(name, words, _maps(members, *quantities, symmetric=symmetric))


def _maps(rows: Sequence[Row], spectrum: str, matrix: str, *, symmetric: bool) -> Any:
    """One row for each data set: its spectra, then a heat map for each representation that has a
    matrix.
    """
    figure = new_figure()
    cells = grouped(rows, _CELL)
    kinds = sorted({(r["model"], r["state"]) for r in rows}, key=lambda kind: look_of(*kind).rank)
    mapped = [kind for kind in kinds if _of(rows, kind, matrix)]
    grid = figure.add_gridspec(len(cells), 1 + len(mapped))
    entries: dict[Look, Any] = {}
    for line, (cell, members) in enumerate(cells):
        matrices = {k: as_matrix(found) for k in mapped if (found := _of(members, k, matrix))}
        ax = figure.add_subplot(grid[line, 0 if matrices else slice(None)])
        title = f"N = {cell['N']}, d₀ = {cell['d0']}"
        spectra = {kind: _of(members, kind, spectrum) for kind in kinds}
        entries |= _spectra(ax, title, spectra, steep=not symmetric)
        ax.set_ylabel("eigenvalue")
        if line == len(cells) - 1:
            ax.set_xlabel("index of the eigenvalue")
        axes = [figure.add_subplot(grid[line, 1 + mapped.index(kind)]) for kind in matrices]
        images = _heat_maps(axes, matrices, symmetric=symmetric)
        if symmetric and images:
            figure.colorbar(images[0], ax=axes, shrink=0.9, extend="both")
        for each, image in zip(axes, images, strict=True):
            _frame(each, "" if symmetric else cell["sizes"], image.get_array().shape[0])
            if not symmetric:
                figure.colorbar(image, ax=each, shrink=0.9)
    size = ((_SIDE + 0.5) * (1 + len(mapped)), _SIDE * len(cells) + 0.3)
    add_legend(figure, entries, "above", size)
    return figure


def _heat_maps(
    axes: Sequence[Any], matrices: dict[tuple[str, str], NDArray[np.float64]], *, symmetric: bool
) -> list[Any]:
    """One image for each matrix; if `symmetric`, on one scale around zero to the largest entry off
    the diagonals.
    """
    scale: dict[str, Any] = {"cmap": "viridis"}
    if symmetric:
        shown = [m - np.diag(np.diag(m)) if len(m) > 1 else m for m in matrices.values()]
        largest = max((float(np.abs(m).max()) for m in shown), default=0.0)
        scale = {"cmap": "PuOr", "vmin": -largest, "vmax": largest}
    images = []
    for ax, (kind, matrix) in zip(axes, matrices.items(), strict=True):
        ax.set_title(look_of(*kind).label)
        images.append(ax.imshow(matrix, **scale, interpolation="none"))
    return images


def _of(rows: Sequence[Row], kind: tuple[str, str], quantity: str) -> list[Row]:
    return select(rows, model=kind[0], state=kind[1], quantity=quantity)


def as_matrix(rows: Sequence[Row]) -> NDArray[np.float64]:
    """Square matrix whose entries have x as row and y as column; NaN where there is none."""
    indices = sorted({row["x"] for row in rows})
    place = {index: i for i, index in enumerate(indices)}
    out = np.full((len(indices), len(indices)), np.nan)
    for row in rows:
        out[place[row["x"]], place[row["y"]]] = row["value"]
    return out


def _spectra(
    ax: Any, title: str, spectra: dict[tuple[str, str], list[Row]], *, steep: bool
) -> dict[Look, Any]:
    """Draw eigenvalues against their index, on a logarithmic axis if `steep`; returns legend
    entries.
    """
    entries: dict[Look, Any] = {}
    notes: list[str] = []
    for kind, rows in spectra.items():
        values = [row["value"] for row in sorted(rows, key=lambda row: row["x"])]
        points = [(index, value) for index, value in enumerate(values, 1) if value > 0]
        look = look_of(*kind)
        if len(points) < len(values):
            notes.append(f"{len(values) - len(points)} not positive: {look.label}")
        if not points:
            continue
        style = {**look.line_style(), "markersize": 3.5, "linewidth": 1}
        if kind[1] == "start":  # larger, to be seen behind markers of the end in the same place
            style |= {"markersize": 8, "markerfacecolor": "white"}
        marked = np.geomspace(1, len(points), 12) if steep else np.linspace(1, len(points), 16)
        style["markevery"] = sorted({round(index) - 1 for index in marked})
        [entries[look]] = ax.plot(*zip(*points, strict=True), **style)
    headline(ax, title, notes, _SIDE)
    drawn = [(x, y) for line in ax.lines for x, y in zip(*line.get_data(), strict=True)]
    _axes.log_axis(ax.yaxis, *_axes.limits(y for _, y in drawn))
    if steep:
        _axes.log_axis(ax.xaxis, *_axes.limits(x for x, _ in drawn))
        return entries
    whole = require("matplotlib.ticker", "study").MaxNLocator(integer=True, nbins=8)
    ax.xaxis.set_major_locator(whole)
    ax.set_xlim(0.5, max((x for x, _ in drawn), default=1) + 0.5)
    return entries


def _frame(ax: Any, sizes: str, n: int) -> None:
    """Put ticks at the classes and white lines between them; where `sizes` is empty, ticks at the
    features.
    """
    ax.grid(visible=False)
    if not sizes:
        ends = sorted({0, n - 1})
        ax.set_xticks(ends, [str(1 + i) for i in ends])
        ax.set_yticks(ends, [str(1 + i) for i in ends])
        return
    counts = [int(size) for size in sizes.split(":")]
    edges = [n * edge / sum(counts) - 0.5 for edge in itertools.accumulate(counts, initial=0)]
    middles = [(a + b) / 2 for a, b in itertools.pairwise(edges)]
    for edge in edges[1:-1]:
        ax.axhline(edge, color="white", linewidth=1)
        ax.axvline(edge, color="white", linewidth=1)
    some = range(0, len(counts), math.ceil(len(counts) / _MOST_CLASSES))
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_ticks([middles[c] for c in some], [str(c) for c in some])
    ax.set_xlabel("class")
    ax.set_ylabel("class")
