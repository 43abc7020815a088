"""Hidden units of a network whose layers are steps of proximal gradient descent: a map of rows to
sparse codes.

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
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.core.linear import matmul, orthonormal
from nc1fast.support.arguments import as_count, as_number, as_seed, check_choice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

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
