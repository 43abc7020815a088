"""Class sums of explicit features, from the moments of every class."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from nc1fast.core.linear import matmul, matmul_error
from nc1fast.sums.class_sums import ClassSums, SumsError
from nc1fast.sums.moments import LEAST, MomentTable, class_moments, widened_rows
from nc1fast.sums.rounding import UNIT_ROUNDOFF, summation_error
from nc1fast.support.lazy import later

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from nc1fast.inputs.labelled import LabelledData

    Array = NDArray[np.float64]

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
    once they are wanted.
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
