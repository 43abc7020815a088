"""Class sums where there is no pass of the core: of explicit features, from the moments of every
class, and from tiles of a Gram matrix that is stored, computed by a callable, or of sequences.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.core.linear import matmul, matmul_error
from nc1fast.core.recurrent import block
from nc1fast.inputs.arrays import host_array
from nc1fast.sums.class_sums import ClassSums, SumsError
from nc1fast.sums.moments import LEAST, MomentTable, class_moments, widened_rows
from nc1fast.sums.rounding import UNIT_ROUNDOFF, summation_error
from nc1fast.support.lazy import later

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from nc1fast.inputs.labelled import LabelledData

    Array = NDArray[np.float64]
    from collections.abc import Callable

    from nc1fast.inputs.file_rows import FileRows
    from nc1fast.inputs.labelled import Classes
    from nc1fast.inputs.sequences import Sequences
    from nc1fast.kernels.recurrent import RecurrentKernel
    from nc1fast.sums.settings import Settings

    Integers = NDArray[np.int64]
    Tile = Callable[[Integers, Integers], tuple[Array, Array | None]]

_SAFETY = 1.01  # bounds are computed in float64, to first order


def _block_sums(n: Array, means: Array) -> Array:
    """Sums over the pairs of each two classes, n n' <mu, mu'>, shape (C, C)."""
    return np.asarray(np.outer(n, n) * matmul(means, means.T))


def _block_sums_error(n: Array, means: Array, errors: Array, norms: Array) -> Array:
    """Bounds on the errors of `_block_sums`, for means of these norms and errors."""
    d = means.shape[1]
    pairs = np.outer(errors, norms)
    error = pairs + pairs.T + np.outer(errors, errors) + 4 * d * LEAST
    error += (matmul_error(d) + 3) * UNIT_ROUNDOFF * np.outer(norms, norms)
    return np.asarray(_SAFETY * np.outer(n, n) * error)


def sums_of(
    moments: MomentTable,
    labels: NDArray[Any],
    class_rows: Array | None = None,
    order: NDArray[np.int64] | None = None,
) -> ClassSums:
    """Class sums of the kernel <h, h'> from the moments of every class; sums over pairs of classes
    when they are first used.
    """
    u, n, means = UNIT_ROUNDOFF, moments.n.astype(np.float64), moments.means
    d = means.shape[1]
    squares = np.square(means).sum(axis=1)
    norms = np.sqrt(squares)
    errors = moments.offset_error + u * norms  # of the means
    squares_error = 2 * errors * norms + errors**2 + 4 * d * LEAST
    squares_error += (summation_error(d) + 2) * u * squares
    traces = moments.squares + n * squares
    return ClassSums(
        block_sums=later(partial(_block_sums, n, means)),
        traces=traces,
        within=moments.squares,
        sizes=moments.n,
        labels=labels,
        error=SumsError(
            block_sums=later(partial(_block_sums_error, n, means, errors, norms)),
            traces=_SAFETY * (moments.squares_error + n * squares_error + 3 * u * traces),
            within=_SAFETY * moments.squares_error,
            means=_SAFETY * errors,
        ),
        class_rows=class_rows,
        order=order,
        means=means,
    )


def feature_sums(data: LabelledData, *, rows: bool = True, n_threads: int = 1) -> ClassSums:
    """Class sums of explicit features: of the kernel <h, h'>.

    Parameters
    ----------
    data : LabelledData
        Rows of float16, float32 (both widened exactly) or float64.
    rows : bool, default True
        Whether to compute the row-class sums.
    n_threads : int, default 1

    Returns
    -------
    ClassSums
        With kernel None.

    Notes
    -----
    Cost: 6 N d flops; with rows 2 N d C more and N C doubles. Some 1.5 MiB a thread beside them: H
    is widened piece by piece.
    Accuracy: within to some 60 unit roundoffs relative, however collapsed; block sums to 60 + 128 +
    d/128 of n n' |mu| |mu'|.
    Source: two-pass variance with the correction of Chan, Golub & LeVeque (1983).
    """
    H, classes = data.rows, data.classes
    moments = class_moments(data, n_threads)
    if not rows:
        return sums_of(moments, classes.labels)
    scaled = moments.n[:, None] * moments.means  # (C, d)
    R = np.empty((len(classes), len(H)))
    start = 0
    for chunk in widened_rows(H, classes.order):
        R[:, start : start + len(chunk)] = matmul(scaled, chunk.T, n_threads)
        start += len(chunk)
    return sums_of(moments, classes.labels, R, classes.order)


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

    def tile(rows: Integers, columns: Integers) -> tuple[Array, None]:
        upper = np.asarray(K[np.ix_(rows, columns)], dtype=np.float64)
        lower = np.asarray(K[np.ix_(columns, rows)], dtype=np.float64).T
        if not (np.isfinite(upper).all() and np.isfinite(lower).all()):
            raise ValueError(
                "X must be a Gram matrix of finite numbers, but it contains NaN or Inf"
            )
        if np.abs(upper - lower).max() > tolerance * np.abs(upper).max():
            raise ValueError("X must be a symmetric Gram matrix")
        return upper, None

    return tile


def called(f: Callable[..., Any], X: NDArray[Any] | FileRows) -> Tile:
    """Tiles f(X_I, X_J) of a callable, for I <= J only.

    Raises
    ------
    ValueError
        From the tiles: if f returns another shape than (len(X_I), len(X_J)), or NaN or Inf.
    """

    def tile(rows: Integers, columns: Integers) -> tuple[Array, None]:
        try:
            values = host_array(f(X[rows], X[columns]), "kernel")
        except Exception as error:
            error.add_note(
                "kernel(X_I, X_J) takes two blocks of rows and returns the matrix of its values"
            )
            raise
        if values.dtype.kind not in "fiu":
            raise TypeError(f"kernel must return real numbers, got dtype {values.dtype}")
        values = values.astype(np.float64)
        if values.shape != (len(rows), len(columns)):
            raise ValueError(
                f"kernel must return an array of shape {(len(rows), len(columns))} here, "
                f"got {values.shape}"
            )
        if not np.isfinite(values).all():
            raise ValueError("kernel must return finite numbers, but it returned NaN or Inf")
        return values, None

    return tile


def of_sequences(kernel: RecurrentKernel, X: Sequences, settings: Settings) -> Tile:
    """Tiles of a recurrent kernel, with bounds on the errors of their entries.

    Raises
    ------
    ValueError
        From the tiles: for values on the diagonal that are out of range.
    """
    recurrence, single = kernel.recurrence, settings.dtype == "float32"

    def tile(rows: Integers, columns: Integers) -> tuple[Array, Array]:
        others = None if np.array_equal(rows, columns) else X.at(columns)
        values, errors = block(
            recurrence,
            X.at(rows),
            others,
            single=single,
            errors=True,
            n_threads=settings.n_threads,
        )
        return values.astype(np.float64, copy=False), errors

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
    Cost: N^2/2 kernel values, O(N C) memory. Accuracy: the bounds take the tiles as exact where
    these have no bounds of their own; within-class sums use D2 = k_ii + k_jj - 2 k_ij as it stands.
    """
    n, n_classes = len(classes.of_row), len(classes)
    order, sizes, starts = classes.order, classes.sizes, classes.starts[:-1]
    sorted_classes = classes.of_row[order]
    blocks = [slice(s, min(n, s + _TILE)) for s in range(0, n, _TILE)]
    diagonal, d_diagonal = _diagonals(tile, [order[b] for b in blocks])
    R, magnitude = np.zeros((n_classes, n)), np.zeros((n_classes, n))
    off = np.zeros((n_classes, n_classes))  # sums of the bounds on the errors of entries
    distance = np.zeros(n)  # sum over the own class of D2
    total = len(blocks) * (len(blocks) + 1) // 2
    done = 0
    for i, rows in enumerate(blocks):
        for columns in blocks[i:]:
            K, E = tile(order[rows], order[columns])
            sides = (
                [(rows, columns, K)]
                if rows == columns
                else [(rows, columns, K), (columns, rows, K.T)]
            )
            own = sorted_classes[rows, None] == sorted_classes[None, columns]
            D2 = np.where(own, diagonal[rows, None] + diagonal[None, columns] - 2 * K, 0.0)
            for to, over, values in sides:
                present, cuts = _runs(sorted_classes[over])
                R[present, to] += np.add.reduceat(values, cuts, axis=1).T
                magnitude[present, to] += np.add.reduceat(np.abs(values), cuts, axis=1).T
            if E is not None:
                off += _over_classes(E, sorted_classes[rows], sorted_classes[columns], len(sizes))
                if rows != columns:
                    off += _over_classes(
                        E.T, sorted_classes[columns], sorted_classes[rows], len(sizes)
                    )
            distance[rows] += D2.sum(axis=1)
            if rows != columns:
                distance[columns] += D2.sum(axis=0)
            done += 1
            if progress is not None:
                progress(done, total)
    counts = sizes.astype(np.float64)
    traces = np.add.reduceat(diagonal, starts)
    within = np.add.reduceat(distance, starts) / (2 * counts)
    pairs = np.add.reduceat(R, starts, axis=1)
    pairs = (pairs + pairs.T) / 2
    np.fill_diagonal(pairs, counts * (traces - within))
    size = np.add.reduceat(magnitude, starts, axis=1)
    u = UNIT_ROUNDOFF * (_TILE + len(blocks) + summation_error(n) + 8)
    d_traces = u * np.add.reduceat(np.abs(diagonal), starts)
    d_within = u * (
        2 * np.add.reduceat(np.abs(diagonal), starts) + np.diag(size) / counts + np.abs(within)
    )
    entries = np.add.reduceat(d_diagonal, starts)
    d_traces += entries
    d_within += entries + np.diag(off) / counts
    d_block = u * (size + size.T) / 2 + (off + off.T) / 2
    np.fill_diagonal(d_block, counts * (d_traces + d_within))
    return ClassSums(
        pairs,
        traces,
        within,
        sizes,
        classes.labels,
        SumsError(d_block, d_traces, d_within),
        kernel,
        R if row_sums else None,
        order,
    )


def _diagonals(tile: Tile, blocks: list[Integers]) -> tuple[Array, Array]:
    """The diagonal of the Gram matrix, and bounds on its errors."""
    values, errors = [], []
    for rows in blocks:
        K, E = tile(rows, rows)
        values.append(np.diag(K))
        errors.append(np.zeros(len(K)) if E is None else np.diag(E))
    return np.concatenate(values), np.concatenate(errors)


def _runs(classes: NDArray[np.int32]) -> tuple[NDArray[np.int32], Integers]:
    """The classes of sorted rows, and where each begins."""
    cuts = np.flatnonzero(np.diff(classes, prepend=-1))
    return classes[cuts], cuts


def _over_classes(
    values: Array, of_rows: NDArray[np.int32], of_columns: NDArray[np.int32], n_classes: int
) -> Array:
    """Sums of values over the classes of their sorted rows and columns, shape (n_classes,
    n_classes).
    """
    (first, down), (second, across) = _runs(of_rows), _runs(of_columns)
    out = np.zeros((n_classes, n_classes))
    out[np.ix_(first, second)] = np.add.reduceat(
        np.add.reduceat(values, across, axis=1), down, axis=0
    )
    return out
