"""Random features of a kernel as an array, to look at or to train on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.core.machine import thread_count
from nc1fast.estimators.deep_map import Design, check_deep, deep_map, widest
from nc1fast.estimators.directions import check_sampling
from nc1fast.inputs.arrays import as_rows, rows_at
from nc1fast.inputs.files import as_source, steady
from nc1fast.support.arguments import as_count, as_seed, check_choice
from nc1fast.support.arithmetic import ieee
from nc1fast.support.threads import workers

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_PROBE = 128  # rows that direct the weights
_CHUNK_NUMBERS = 1 << 19  # of features at a time


@ieee
@steady
def ntk_features(
    X: ArrayLike,
    kernel: Any,
    n_features: int,
    seed: int = 0,
    *,
    sampling: str = "stratified",
    dtype: str = "float64",
    n_threads: int | None = None,
) -> NDArray[Any]:
    """Random features H whose Gram matrix H H^T approximates that of an NTK or NNGP kernel of the ReLU family.

    Parameters
    ----------
    X : array-like of shape (n_samples, d0), or path
        As `nc1fast.collapse`.
    kernel : NTK, NNGP or ConjugateKernel
        Of relu, abs or a LeakyReLU, of any depth.
    n_features : int
        Columns of H, those of the linear part included: d0, and one if there are biases.
    seed : int, default 0
        >= 0; the same seed gives the same bits.
    sampling : {"stratified", "orthogonal", "plain"}, default "stratified"
        How hidden weights are drawn; see `nc1fast.estimators.directions`.
    dtype : {"float64", "float32"}, default "float64"
        Of H and of all that it is computed from.
    n_threads : int, optional
        As `nc1fast.collapse`; the bits do not depend on it.

    Returns
    -------
    ndarray of shape (n_samples, n_features)
        The last columns are zero where n_features is not that of a whole number of units.

    Raises
    ------
    TypeError, ValueError
        As `nc1fast.collapse` for X; for another kernel, an argument out of range, and too few features for one unit in
        each layer.

    Notes
    -----
    Cost: for layers of m units, about 2 N m (d0 + L m) flops a layer; m is n_features/(L - 1), for an NTK half of it.
    Accuracy: errors of O(1/sqrt(m)), and a bias of O(1/m) from depth 3 on; figures in bench/bench_estimators.py.
    Source: Zandieh et al. (2021); see `nc1fast.estimators.deep_map` for what differs.

    Examples
    --------
    >>> import nc1fast as nc
    >>> X, _ = nc.datasets.paper_d1(128, 8, seed=0)
    >>> kernel = nc.NTK("relu", depth=3)
    >>> H, K = nc.estimators.ntk_features(X, kernel, 2048), kernel(X)
    >>> bool(((H @ H.T - K) ** 2).sum() < 1e-3 * (K**2).sum())
    True
    """
    check_deep(kernel)
    check_sampling(sampling)
    check_choice("dtype", dtype, ("float64", "float32"))
    n_features, seed = as_count("n_features", n_features), as_seed(seed)
    rows = as_rows(as_source(X), "X", unread=True)
    width = widest(kernel, rows.shape[1], n_features)
    if not width:
        raise ValueError(
            f"n_features must leave a unit for each layer beside the {rows.shape[1]} features of X, got {n_features}"
        )
    probe = rows_at(rows, np.arange(0, len(rows), -(-len(rows) // _PROBE)))
    out = np.zeros((len(rows), n_features), dtype)
    step = max(1, _CHUNK_NUMBERS // n_features)
    with workers(thread_count(n_threads)) as in_order:
        design = Design(width, sampling, np.dtype(dtype))
        drawn = deep_map(kernel, probe, np.asarray, design, (seed,))

        def fill(start: int) -> None:
            chunk = slice(start, start + step)
            out[chunk, : drawn.n_features] = drawn(rows_at(rows, chunk))

        for _ in in_order(fill, range(0, len(rows), step)):
            pass
    return out
