"""Heat maps and spectra: the weight covariance Sigma beside the network's, and Gram matrices in
class order.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.studies.figures import axes as _axes
from nc1fast.studies.figures.curves import written
from nc1fast.studies.figures.drawing import Drawing
from nc1fast.studies.figures.looks import look_of
from nc1fast.studies.figures.panels import add_legend, headline, new_figure
from nc1fast.studies.summary import DATA, grouped, select
from nc1fast.support.extras import require

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from nc1fast.studies.figures.looks import Look
    from nc1fast.studies.tidy import Row

_CELL = (*DATA, "activation")
_SIDE = 2.5  # side of a panel, in inches
_MOST_CLASSES = 12  # classes whose names fit on an axis


def weight_covariances(series: Sequence[Row]) -> Iterator[Drawing]:
    """Spectra and heat maps of the adaptive kernel's Sigma and of W^T W/width of the network, one
    row for each data set.
    """
    some = select(series, lambda row: row["quantity"] in ("sigma spectrum", "sigma"))
    for group, members in grouped(some, ("arm", "dataset", "activation")):
        figure = _maps(members, "sigma spectrum", "sigma", symmetric=True)
        caption = (
            "The covariance of the hidden weights: Σ, which the adaptive kernel finds, beside WᵀW/width of the network's "
            f"first layer before and after training: {group['dataset']}, {written(group['activation'])}, arm "
            f"'{group['arm']}'. Left: eigenvalues, largest first, some of them marked. Right: the matrices, feature by "
            "feature, where they are small enough; one colour scale for each row, to its largest entry off the diagonals, "
            "beyond which the diagonals lie. One repeat."
        )
        name = f"sigma-{group['arm']}-{group['dataset']}-{group['activation']}"
        yield Drawing(name, caption, figure)


def gram_matrices(series: Sequence[Row]) -> Iterator[Drawing]:
    """Spectra and heat maps of Gram matrices in class order, one row for each data set."""
    some = select(series, lambda row: row["quantity"] in ("kernel spectrum", "gram"))
    for group, members in grouped(some, ("arm", "dataset", "activation")):
        figure = _maps(members, "kernel spectrum", "gram", symmetric=False)
        caption = (
            f"Gram matrices of the kernels: {group['dataset']}, {written(group['activation'])}, arm '{group['arm']}'. "
            "Left: leading eigenvalues, some of them marked. Right: means over blocks of the matrix, rows of the data in "
            "the order of their classes, which the white lines part; each matrix has its own colour scale. One repeat."
        )
        yield Drawing(
            f"gram-{group['arm']}-{group['dataset']}-{group['activation']}", caption, figure
        )


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
