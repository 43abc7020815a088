"""`Mixture`, Gaussian classes with any means and covariances, and the pairs of rows that stand for
a pair of classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nc1fast.support.extras import require

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

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
