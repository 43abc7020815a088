"""Random features of a kernel as an array, to look at or to train on."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.core.machine import thread_count
from nc1fast.datasets.paths import reads_files
from nc1fast.estimators.deep_map import Design, check_deep, deep_map, widest
from nc1fast.estimators.directions import check_sampling
from nc1fast.inputs.arrays import as_rows, rows_at
from nc1fast.inputs.files import as_source
from nc1fast.support.arguments import as_count, as_seed, check_choice, seed_of
from nc1fast.support.arithmetic import ieee
from nc1fast.support.threads import workers

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    from nc1fast.estimators.deep_map import DeepMap

_PROBE = 128  # rows that direct the weights
_CHUNK_NUMBERS = 1 << 19  # of features at a time


@ieee
@reads_files("X")
def ntk_features(
    X: ArrayLike,
    kernel: Any,
    n_features: int,
    seed: int = 0,
    *,
    sampling: str = "stratified",
    dtype: str = "float64",
    n_threads: int | None = None,
    rng: int | np.random.Generator | None = None,
) -> NDArray[Any]:
    """Random features H whose Gram matrix H H^T approximates that of an NTK or NNGP kernel of the
    ReLU family.

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
    rng : None, int or numpy.random.Generator, optional
        What `seed` is, as SPEC 7 has it: an integer gives the bits of the same seed, a Generator
        its next integer.

    Returns
    -------
    ndarray of shape (n_samples, n_features)
        The last columns are zero where n_features is not that of a whole number of units.

    Raises
    ------
    TypeError, ValueError
        As `nc1fast.collapse` for X; for another kernel, an argument out of range, and too few
        features for one unit in each layer.

    Notes
    -----
    Cost: for layers of m units, about 2 N m (d0 + L m) flops a layer; m is n_features/(L - 1), for
    an NTK half of it.
    Accuracy: errors of O(1/sqrt(m)), and a bias of O(1/m) from depth 3 on; figures in
    bench/bench_estimators.py.
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
    rows = as_rows(as_source(X), "X", unread=True)
    probe = rows_at(rows, probe_rows(len(rows)))
    seed = seed_of(rng, seed)
    drawn = draw_map(kernel, probe, n_features, seed, sampling=sampling, dtype=dtype)
    return mapped(drawn, partial(rows_at, rows), (len(rows), n_features), n_threads)


def probe_rows(n_rows: int) -> NDArray[np.intp]:
    """Numbers of the rows that direct the weights: evenly spaced, at most 128."""
    return np.arange(0, n_rows, -(-n_rows // _PROBE))


def draw_map(
    kernel: Any, probe: NDArray[Any], n_features: int, seed: int, *, sampling: str, dtype: str
) -> DeepMap:
    """The map of `ntk_features`, as a function of any rows.

    Parameters
    ----------
    kernel, n_features, seed, sampling, dtype
        As of `ntk_features`.
    probe : ndarray of shape (n, d0)
        Rows that direct the weights.

    Raises
    ------
    TypeError, ValueError
        As `ntk_features` for all but X.
    """
    check_deep(kernel)
    check_sampling(sampling)
    check_choice("dtype", dtype, ("float64", "float32"))
    n_features, seed = as_count("n_features", n_features), as_seed(seed)
    width = widest(kernel, probe.shape[1], n_features)
    if not width:
        raise ValueError(
            f"n_features must leave a unit for each layer beside the {probe.shape[1]} features of "
            f"X, got {n_features}"
        )
    return deep_map(kernel, probe, np.asarray, Design(width, sampling, np.dtype(dtype)), (seed,))


def mapped(
    drawn: Any, read: Callable[[slice], NDArray[Any]], shape: tuple[int, int], n_threads: int | None
) -> NDArray[Any]:
    """Features of many rows, a chunk at a time.

    Parameters
    ----------
    drawn : DeepMap, ProjectedMap, ProximalMap or UnitMap
    read : callable
        From a range of rows to these rows.
    shape : (int, int)
        Of the result; columns that the map does not have are zero.
    n_threads : int or None
        The bits do not depend on it.
    """
    out = np.zeros(shape, drawn.dtype)
    step = max(1, _CHUNK_NUMBERS // shape[1])

    def fill(start: int) -> None:
        chunk = slice(start, min(start + step, shape[0]))
        out[chunk, : drawn.n_features] = drawn(read(chunk))

    with workers(thread_count(n_threads)) as in_order:
        for _ in in_order(fill, range(0, shape[0], step)):
            pass
    return out
