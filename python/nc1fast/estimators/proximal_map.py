"""Hidden units of a network whose layers are steps of proximal gradient descent: a map of rows to
sparse codes, and these codes as an array of features.

    y_0 = 0,   y_t = h(D^T x + (I - D^T D) y_(t-1)) = h(y_(t-1) - D^T (D y_(t-1) - x)),   D D^T = I

Since h is the proximal map of R and D^T D has largest eigenvalue 1, this is a step of length 1 down

    o(y) = |x - D y|^2/2 + R(y)

    h       R(y)                     h(v)                       o is convex
    relu    0 if y >= 0, else inf    max(v, 0)                  yes
    soft    s |y|_1                  sign(v) max(|v| - s, 0)    yes
    hard    s^2 |y|_0/2              v if |v| > s, else 0       no

so that o never rises, and where o is convex T (o(y_T) - o*) <= |y*|^2/2 for every minimiser y*
(Beck & Teboulle 2009, theorem 3.1). x is a row over sqrt(d0) and s = threshold/sqrt(m) for m units:
sqrt(m) D^T x is normal as the inputs of the units of an NNGP kernel are, with variance |row|^2/d0,
and it is they that meet the threshold.

With ReLU and m >> d0, D relu(D^T x) tends to x/2. Then y_T = (2 - 2^(1 - T)) relu(D^T x), and
o(y_T) = 4^-T |x|^2/2.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.core.linear import matmul, orthonormal
from nc1fast.datasets.paths import reads_files
from nc1fast.estimators.ntk_features import mapped
from nc1fast.inputs.arrays import as_rows, rows_at
from nc1fast.inputs.files import as_source
from nc1fast.support.arguments import as_count, as_number, as_seed, check_choice, seed_of
from nc1fast.support.arithmetic import ieee

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[Any]

PROXES = ("relu", "soft", "hard")


@dataclass(frozen=True, eq=False)
class ProximalMap:
    """One draw of the network: a function from rows (n, d0) to codes (n, n_features), those after
    `steps` steps.

    Attributes
    ----------
    dictionary : ndarray of shape (d0, n_features)
        D, whose rows are orthonormal.
    prox : {"relu", "soft", "hard"}
    threshold : float
        Of units whose inputs have variance |row|^2/d0; not used by ReLU.
    steps : int, default 1
        T.
    """

    dictionary: Array
    prox: str
    threshold: float
    steps: int = 1

    @property
    def dtype(self) -> Any:
        """The type of dictionary and codes."""
        return self.dictionary.dtype

    @property
    def n_features(self) -> int:
        """Entries of a code, the m units."""
        return int(self.dictionary.shape[1])

    @property
    def cut(self) -> float:
        """Threshold s of the entries of codes."""
        return self.threshold / math.sqrt(self.n_features)

    def __call__(self, X: Array) -> Array:
        """Codes of rows X (n, d0) after the last step, shape (n, n_features)."""
        *_, last = itertools.islice(self.iterates(X), self.steps)
        return last

    def signals(self, X: Array) -> Array:
        """The x of rows X (n, d0): the rows over sqrt(d0)."""
        signals: Array = (X / math.sqrt(len(self.dictionary))).astype(self.dtype, copy=False)
        return signals

    def iterates(self, X: Array) -> Iterator[Array]:
        """Codes of rows X (n, d0) after 1, 2, ... steps, without end; each is a new array (n,
        n_features).
        """
        x, D = self.signals(X), self.dictionary
        y = proximal(matmul(x, D), self.prox, self.cut)
        while True:
            yield y
            y = proximal(y + matmul(x - matmul(y, D.T), D), self.prox, self.cut)

    def objective(self, X: Array, codes: Array) -> Array:
        """The objective o of codes (n, n_features) of rows X (n, d0), shape (n,); of ReLU inf where
        a code is negative.
        """
        residuals = self.signals(X) - matmul(codes, self.dictionary.T)
        fits: Array = np.einsum("ij,ij->i", residuals, residuals) / 2
        if self.prox == "relu":
            return np.where((codes >= 0).all(axis=1), fits, np.inf)
        if self.prox == "soft":
            return np.asarray(fits + self.cut * np.abs(codes).sum(axis=1))
        return np.asarray(fits + self.cut**2 / 2 * np.count_nonzero(codes, axis=1))


def check_prox(prox: str) -> None:
    """Raise ValueError unless `prox` is the name of a proximal map."""
    check_choice("prox", prox, PROXES)


def proximal(v: Array, prox: str, cut: float) -> Array:
    """Apply h with s = `cut` to every entry, in place."""
    if prox == "relu":
        return np.maximum(v, 0, out=v)
    if prox == "soft":
        v -= np.clip(v, -cut, cut)
    else:
        v[np.abs(v) <= cut] = 0
    return v


def draw_proximal(
    n_columns: int,
    n_features: int,
    *,
    prox: str = "relu",
    threshold: float = 1.0,
    seed: int = 0,
    dtype: str = "float64",
) -> ProximalMap:
    """A network of one step with a random dictionary, uniform among those with orthonormal rows.

    Parameters
    ----------
    n_columns : int
        Features d0 of a row.
    n_features, prox, threshold, seed, dtype
        As of `nc1fast.estimators.proximal_features`.

    Raises
    ------
    TypeError, ValueError
        For an argument out of range, fewer features than columns among them.

    Notes
    -----
    Cost: 4 n_features d0^2 flops.
    """
    check_prox(prox)
    check_choice("dtype", dtype, ("float64", "float32"))
    m = as_count("n_features", n_features)
    if m < n_columns:
        raise ValueError(f"n_features must be >= {n_columns}, the features of X, got {m}")
    threshold = as_number("threshold", threshold, least=0.0)
    normal = np.random.default_rng(as_seed(seed)).standard_normal((n_columns, m))
    return ProximalMap(orthonormal(normal).astype(dtype), prox, threshold)


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
    rng: int | np.random.Generator | None = None,
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
    rng : None, int or numpy.random.Generator, optional
        What `seed` is, as SPEC 7 has it: an integer gives the bits of the same seed, a Generator
        its next integer.

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
    seed, columns = seed_of(rng, seed), rows.shape[1]
    drawn = draw_proximal(
        columns, n_features, prox=prox, threshold=threshold, seed=seed, dtype=dtype
    )
    drawn = replace(drawn, steps=steps)
    return mapped(drawn, partial(rows_at, rows), (len(rows), drawn.n_features), n_threads)
