"""Rows of the series from matrices and courses: spectra, entries, block means of Gram matrices."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from nc1fast.studies.tasks.table_rows import ModelColumns
    from nc1fast.studies.tasks.task import DrawnData
    from nc1fast.studies.tidy import Row

    Array = NDArray[np.float64]

GRAM_BLOCKS = 48
SPECTRUM_LENGTH = 64
LARGEST_MATRIX = 32  # features up to which Sigma is shown entry by entry
LARGEST_GRAM = 2048  # samples up to which a Gram matrix is formed


def series(
    named: ModelColumns,
    quantity: str,
    points: Iterable[tuple[float, float, float]],
    **columns: str,
) -> list[Row]:
    """One row per point (x, y, value) of a quantity; `columns` are state and layer, empty by
    default.
    """
    shared = {
        "model": named.model,
        "activation": named.activation,
        "state": columns.get("state", ""),
        "layer": columns.get("layer", ""),
        "quantity": quantity,
    }
    return [{**shared, "x": float(x), "y": float(y), "value": float(v)} for x, y, v in points]


def spectrum(
    named: ModelColumns, quantity: str, matrix: Array, length: int | None = None, state: str = ""
) -> list[Row]:
    """Leading `length` eigenvalues of a symmetric matrix, in descending order."""
    values = np.linalg.eigvalsh(matrix)[::-1][:length]
    return series(named, quantity, ((i, 0, v) for i, v in enumerate(values)), state=state)


def entries(named: ModelColumns, quantity: str, matrix: Array, state: str = "") -> list[Row]:
    """One row per entry of a matrix, x its row and y its column."""
    return series(named, quantity, ((i, j, v) for (i, j), v in np.ndenumerate(matrix)), state=state)


def sigma(named: ModelColumns, matrix: Array, state: str = "") -> list[Row]:
    """Spectrum of a (d0, d0) covariance of hidden weights; its entries too where d0 <= 32."""
    rows = spectrum(named, "sigma spectrum", matrix, state=state)
    if len(matrix) <= LARGEST_MATRIX:
        rows += entries(named, "sigma", matrix, state)
    return rows


def gram_series(data: DrawnData, named: ModelColumns, kernel: Any) -> list[Row]:
    """Spectrum of a kernel and block means of its Gram matrix, each where an illustration asks for
    it.
    """
    shown = {kind for kind in ("spectrum", "gram") if data.shows(kind, named.activation)}
    if not shown or len(data.X) > LARGEST_GRAM:
        return []
    K = kernel(data.X)
    rows = []
    if "spectrum" in shown:
        rows += spectrum(named, "kernel spectrum", K, SPECTRUM_LENGTH)
    if "gram" in shown:
        rows += entries(named, "gram", block_means(K, data.y))
    return rows


def block_means(K: Array, y: NDArray[Any], blocks: int = GRAM_BLOCKS) -> Array:
    """Means of the b x b blocks, b = min(blocks, N), of an (N, N) Gram matrix with its rows in
    class order.
    """
    order = np.argsort(y, kind="stable")
    blocks = min(blocks, len(order))
    starts = np.array([math.floor(i * len(order) / blocks) for i in range(blocks)])
    sizes = np.diff(starts, append=len(order)).astype(np.float64)
    sums = np.add.reduceat(np.add.reduceat(K[np.ix_(order, order)], starts, axis=0), starts, axis=1)
    means: Array = sums / np.outer(sizes, sizes)
    return means
