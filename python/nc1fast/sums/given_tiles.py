"""Class sums from tiles of a Gram matrix that is given: stored, or computed by a callable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.inputs.arrays import host_array
from nc1fast.sums.class_sums import ClassSums, SumsError
from nc1fast.sums.rounding import UNIT_ROUNDOFF, summation_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from nc1fast.inputs.file_rows import FileRows
    from nc1fast.inputs.labelled import Classes

    Array = NDArray[np.float64]
    Tile = Callable[[NDArray[np.int64], NDArray[np.int64]], Array]

_TILE = 512
_SYMMETRY = {2: 1e-2, 4: 1e-5, 8: 1e-10}  # relative to the largest entry, by bytes of the dtype


def precomputed(K: Any) -> Tile:
    """Tiles of a stored Gram matrix, of which both triangles are read and must agree.

    Parameters
    ----------
    K : ndarray of shape (n_samples, n_samples)
        As `as_gram` gives it.

    Raises
    ------
    ValueError
        From the tiles: if K is not symmetric or not finite.
    """
    tolerance = _SYMMETRY.get(K.dtype.itemsize, 1e-10) if K.dtype.kind == "f" else 0.0

    def tile(rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Array:
        upper = np.asarray(K[np.ix_(rows, columns)], dtype=np.float64)
        lower = np.asarray(K[np.ix_(columns, rows)], dtype=np.float64).T
        if not (np.isfinite(upper).all() and np.isfinite(lower).all()):
            raise ValueError(
                "X must be a Gram matrix of finite numbers, but it contains NaN or Inf"
            )
        if np.abs(upper - lower).max() > tolerance * np.abs(upper).max():
            raise ValueError("X must be a symmetric Gram matrix")
        return upper

    return tile


def called(f: Callable[..., Any], X: NDArray[Any] | FileRows) -> Tile:
    """Tiles f(X_I, X_J) of a callable, for I <= J only.

    Raises
    ------
    ValueError
        From the tiles: if f returns another shape than (len(X_I), len(X_J)), or NaN or Inf.
    """

    def tile(rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Array:
        values = host_array(f(X[rows], X[columns]), "kernel")
        if values.dtype.kind not in "fiu":
            raise TypeError(f"kernel must return real numbers, got dtype {values.dtype}")
        values = values.astype(np.float64)
        if values.shape != (len(rows), len(columns)):
            raise ValueError(
                f"kernel must return an array of shape {(len(rows), len(columns))} here, got {values.shape}"
            )
        if not np.isfinite(values).all():
            raise ValueError("kernel must return finite numbers, but it returned NaN or Inf")
        return values

    return tile


def tile_sums(
    tile: Tile,
    classes: Classes,
    kernel: Any,
    *,
    row_sums: bool,
    progress: Callable[[int, int], object] | None = None,
) -> ClassSums:
    """Class sums of a kernel given tile by tile, upper triangle.

    Notes
    -----
    Cost: N^2/2 kernel values, O(N C) memory. Accuracy: the bounds take the tiles as exact; within-class sums use
    D2 = k_ii + k_jj - 2 k_ij as it stands.
    """
    n, n_classes = len(classes.of_row), len(classes)
    order, sizes, starts = classes.order, classes.sizes, classes.starts[:-1]
    sorted_classes = classes.of_row[order]
    blocks = [slice(s, min(n, s + _TILE)) for s in range(0, n, _TILE)]
    diagonal = np.concatenate([np.diag(tile(order[b], order[b])) for b in blocks])
    R, magnitude = np.zeros((n_classes, n)), np.zeros((n_classes, n))
    distance = np.zeros(n)  # sum over the own class of D2
    total = len(blocks) * (len(blocks) + 1) // 2
    done = 0
    for i, rows in enumerate(blocks):
        for columns in blocks[i:]:
            K = tile(order[rows], order[columns])
            sides = (
                [(rows, columns, K)]
                if rows == columns
                else [(rows, columns, K), (columns, rows, K.T)]
            )
            own = sorted_classes[rows, None] == sorted_classes[None, columns]
            D2 = np.where(own, diagonal[rows, None] + diagonal[None, columns] - 2 * K, 0.0)
            for to, over, values in sides:
                by_class = sorted_classes[over]
                cuts = np.flatnonzero(np.diff(by_class, prepend=-1))
                present = by_class[cuts]
                R[present, to] += np.add.reduceat(values, cuts, axis=1).T
                magnitude[present, to] += np.add.reduceat(np.abs(values), cuts, axis=1).T
            distance[rows] += D2.sum(axis=1)
            if rows != columns:
                distance[columns] += D2.sum(axis=0)
            done += 1
            if progress is not None:
                progress(done, total)
    counts = sizes.astype(np.float64)
    traces = np.add.reduceat(diagonal, starts)
    within = np.add.reduceat(distance, starts) / (2 * counts)
    block = np.add.reduceat(R, starts, axis=1)
    block = (block + block.T) / 2
    np.fill_diagonal(block, counts * (traces - within))
    size = np.add.reduceat(magnitude, starts, axis=1)
    u = UNIT_ROUNDOFF * (_TILE + len(blocks) + summation_error(n) + 8)
    d_traces = u * np.add.reduceat(np.abs(diagonal), starts)
    d_within = u * (
        2 * np.add.reduceat(np.abs(diagonal), starts) + np.diag(size) / counts + np.abs(within)
    )
    d_block = u * (size + size.T) / 2
    np.fill_diagonal(d_block, counts * (d_traces + d_within))
    return ClassSums(
        block,
        traces,
        within,
        sizes,
        classes.labels,
        SumsError(d_block, d_traces, d_within),
        kernel,
        R if row_sums else None,
        order,
    )
