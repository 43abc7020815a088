"""Moments of a Gaussian mixture with any means and covariances under any kernel, from pairs of
rows: randomised quasi-Monte Carlo.

With x, x' independent rows of classes c, c', D2 = |psi(x) - psi(x')|^2 in feature space and T_c = E
k(x, x),

    V_c = E D2(x_c, x_c')/2,    M_cc' = (T_c + T_c' - E D2(x_c, x_c'))/2.

All classes are made of the same deviates z, z', so that differences between them vary little.
Points are a scrambled Sobol sequence; independent scramblings give the standard error.
Source: Owen (1997) for the scrambling, whose error falls as n^-3/2 for smooth integrands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nc1fast.core.backend import diagonal
from nc1fast.kernels.pairwise import squared_distances
from nc1fast.support.extras import require

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from nc1fast.kernels.classes import Kernel

    Array = NDArray[np.float64]

_SCRAMBLINGS = 16
_FIRST, _LAST = 10, 17  # log2 of the points of a scrambling: of the first round, and at most
_CHUNK = 1 << 20  # numbers of a chunk of rows
_MOST_UNIFORMS = 21201  # dimensions of the Sobol sequence
_RANK = 1e-12  # singular values of the means below this fraction of the largest are rounding


@dataclass(frozen=True, eq=False)
class Mixture:
    """Classes N(mu_c, L_c L_c^T) in d0 features, each row mu_c + L_c z with z ~ N(0, I).

    Attributes
    ----------
    means : ndarray of shape (n_classes, n_columns)
        Before `fold` it may have fewer columns than features where L_c = s_c I; the others are
        zero.
    factors : ndarray of shape (n_classes,) or (n_classes, n_columns, n_columns)
        s_c of L_c = s_c I, or L_c.
    n_features : int
        d0.
    folded : int
        Features that the last two columns stand for: see `fold`; 0 if every column is a feature.
    """

    means: Array
    factors: Array
    n_features: int
    folded: int = 0

    def fold(self) -> Mixture:
        """The same mixture in few columns, where L_c = s_c I in many features.

        Only inner products matter. Outside of the span of the means, of dimension r, two vectors z,
        z' of d0 - r normal deviates are determined by |z|, the deviate z.z'/|z| and the norm of the
        rest of z': two columns.
        """
        if self.factors.ndim > 1:
            return self
        _, singular, Vt = np.linalg.svd(self.means, full_matrices=False)
        rank = int((singular > _RANK * singular[0]).sum())
        if self.n_features < rank + 3:
            means = np.zeros((len(self.means), self.n_features))
            means[:, : self.means.shape[1]] = self.means
            return Mixture(means, self.factors, self.n_features)
        means = np.zeros((len(self.means), rank + 2))
        means[:, :rank] = self.means @ Vt[:rank].T
        return Mixture(means, self.factors, self.n_features, self.n_features - rank)

    @property
    def n_uniforms(self) -> int:
        """Uniform numbers from which a pair (z, z') is made."""
        return 2 * int(self.means.shape[1]) - (self.folded > 0)

    def deviates(self, uniforms: Array) -> tuple[Array, Array]:
        """The pairs z, z' of shape (n, n_columns) of numbers (n, n_uniforms) in (0, 1)."""
        special = require("scipy.special", "adaptive")
        n_columns = self.means.shape[1]
        if not self.folded:
            both = special.ndtri(uniforms)
            return both[:, :n_columns], both[:, n_columns:]
        n, rank = len(uniforms), n_columns - 2
        normal = special.ndtri(uniforms[:, : 2 * rank + 1])
        z, other = np.zeros((n, n_columns)), np.empty((n, n_columns))
        z[:, :rank], other[:, : rank + 1] = normal[:, :rank], normal[:, rank:]
        # chi^2(k) by the upper tail 1 - u, which is a uniform number as good as u
        z[:, rank] = np.sqrt(special.chdtri(self.folded, uniforms[:, -2]))
        other[:, rank + 1] = np.sqrt(special.chdtri(self.folded - 1, uniforms[:, -1]))
        return z, other

    def centred(self, c: int, z: Array) -> Array:
        """L_c z, shape (n, n_columns)."""
        factor = self.factors[c]
        return np.asarray(factor * z if factor.ndim == 0 else z @ factor.T)


@dataclass(frozen=True, eq=False)
class PairMoments:
    """V and M of a mixture by each scrambling.

    Attributes
    ----------
    V : ndarray of shape (n_scramblings, n_classes)
    M : ndarray of shape (n_scramblings, n_classes, n_classes)
    """

    V: Array
    M: Array

    def mean(self) -> tuple[Array, Array]:
        """V (C,) and M (C, C) of all pairs."""
        return self.V.mean(axis=0), self.M.mean(axis=0)

    def standard_error(self, statistic: Callable[[Array, Array], float]) -> float:
        """Standard error of a function of V (C,) and M (C, C) at their means: the jackknife over
        scramblings.
        """
        n, (V, M) = len(self.V), self.mean()
        left_out = [
            statistic((n * V - v) / (n - 1), (n * M - m) / (n - 1))
            for v, m in zip(self.V, self.M, strict=True)
        ]
        return float(np.sqrt((n - 1) * np.var(left_out)))


def pair_moments(
    kernel: Kernel, mixture: Mixture, good: Callable[[PairMoments], bool], seed: int
) -> PairMoments:
    """Moments from ever more pairs until they are good enough, or 2^17 for each of 16 scramblings
    have been used.

    Parameters
    ----------
    kernel : Kernel
    mixture : Mixture
    good : callable(PairMoments) -> bool
    seed : int

    Raises
    ------
    ValueError
        For more than 10,600 features whose covariances are not multiples of the identity.
    """
    folded = mixture.fold()
    if folded.n_uniforms > _MOST_UNIFORMS:
        raise ValueError(
            f"covariances of at most {_MOST_UNIFORMS // 2} features are covered, "
            f"got {mixture.n_features}"
        )
    qmc = require("scipy.stats.qmc", "adaptive")
    rngs = (np.random.default_rng((seed, k)) for k in range(_SCRAMBLINGS))
    engines = [qmc.Sobol(folded.n_uniforms, scramble=True, seed=rng) for rng in rngs]
    n_classes = len(folded.means)
    sums = np.zeros((_SCRAMBLINGS, n_classes + 1, n_classes))
    n = 0
    for level in range(_FIRST, _LAST + 1):
        while n < 1 << level:
            step = min(1 << (_CHUNK // folded.n_uniforms).bit_length() - 1, (1 << level) - n)
            sums += [_sums(kernel, folded, engine.random(step)) for engine in engines]
            n += step
        T, D2 = sums[:, -1] / n, sums[:, :-1] / n
        V = np.einsum("kcc->kc", D2) / 2
        moments = PairMoments(V, (T[:, :, None] + T[:, None, :] - D2) / 2)
        if good(moments):
            break
    return moments


def _sums(kernel: Kernel, mixture: Mixture, uniforms: Array) -> Array:
    """Sums over pairs of D2 (C, C), and of k(x, x) in a last row: shape (C + 1, C)."""
    d0, n_classes = mixture.n_features, len(mixture.means)
    z, other = mixture.deviates(uniforms)
    rows = [mixture.centred(c, z) for c in range(n_classes)]
    others = [mixture.centred(c, other) for c in range(n_classes)]
    out = np.empty((n_classes + 1, n_classes))
    for c, mean in enumerate(mixture.means):
        for e, opposite in enumerate(mixture.means[: c + 1]):
            difference = (mean - opposite) + (rows[c] - others[e])
            D2 = squared_distances(kernel, mean + rows[c], opposite + others[e], difference, d0)
            out[c, e] = out[e, c] = D2.sum()
        out[n_classes, c] = diagonal(kernel, mean + rows[c], d0).sum()
    return out
