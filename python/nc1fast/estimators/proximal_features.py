"""Codes of a network whose layers are proximal steps, as an array of features."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from nc1fast.datasets.paths import reads_files
from nc1fast.estimators.ntk_features import mapped
from nc1fast.estimators.proximal_map import draw_proximal
from nc1fast.inputs.arrays import as_rows, rows_at
from nc1fast.inputs.files import as_source
from nc1fast.support.arguments import as_count
from nc1fast.support.arithmetic import ieee

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@ieee
@reads_files("X")
def proximal_features(
    X: ArrayLike,
    n_features: int,
    *,
    steps: int = 1,
    prox: str = "relu",
    threshold: float = 1.0,
    seed: int = 0,
    dtype: str = "float64",
    n_threads: int | None = None,
) -> NDArray[Any]:
    """Features H of an unrolled optimisation: codes of the rows after some steps of proximal
    gradient descent.

    y <- h(D^T x + (I - D^T D) y) from y = 0, with x a row over sqrt(d0), a random D with D D^T = I,
    and h the proximal map of R: a network with tied weights, whose layers go down |x - D y|^2/2 +
    R(y). H H^T is a kernel, of one hidden layer after one step.

    Parameters
    ----------
    X : array-like of shape (n_samples, d0), or path
        As `nc1fast.collapse`.
    n_features : int
        Units m, d0 at least.
    steps : int, default 1
        T.
    prox : {"relu", "soft", "hard"}, default "relu"
        h: ReLU, for y >= 0; the soft threshold, for a penalty on |y|_1; the hard one, for a penalty
        on the number of entries.
    threshold : float, default 1.0
        Of the thresholds, >= 0, for units whose inputs have variance |row|^2/d0: that of the
        entries of y is threshold/sqrt(m).
    seed : int, default 0
        >= 0; the same seed gives the same bits.
    dtype : {"float64", "float32"}, default "float64"
        Of H and of all that it is computed from.
    n_threads : int, optional
        As `nc1fast.collapse`; the bits do not depend on it.

    Returns
    -------
    ndarray of shape (n_samples, n_features)

    Raises
    ------
    TypeError, ValueError
        As `nc1fast.collapse` for X; for an argument out of range.

    Notes
    -----
    Cost: 4 N T m d0 flops, and 4 m d0^2 for D.
    Accuracy: H H^T tends to `nc1fast.estimators.proximal_limit.wide_gram`, with errors of
    O(1/sqrt(m)) that grow with T and d0. For ReLU that is (2 - 2^(1 - T))^2 times
    `nc1fast.NNGP("relu")`, and NC1 does not depend on T; for T = 1 it is the mean over seeds at any
    m.
    Source: ours, after Lyu & Tsang (2021), whose formula was not read; Beck & Teboulle (2009) for
    what the steps go down. See `nc1fast.estimators.proximal_map`.

    Examples
    --------
    >>> import nc1fast as nc
    >>> X, _ = nc.datasets.paper_d1(128, 8, seed=0)
    >>> H, K = nc.estimators.proximal_features(X, 4096, steps=2), 1.5**2 * nc.NNGP("relu")(X)
    >>> bool(((H @ H.T - K) ** 2).sum() < 1e-3 * (K**2).sum())
    True
    """
    rows, steps = as_rows(as_source(X), "X", unread=True), as_count("steps", steps)
    drawn = draw_proximal(
        rows.shape[1],
        n_features,
        prox=prox,
        threshold=threshold,
        seed=seed,
        dtype=dtype,
    )
    drawn = replace(drawn, steps=steps)
    return mapped(drawn, partial(rows_at, rows), (len(rows), drawn.n_features), n_threads)
