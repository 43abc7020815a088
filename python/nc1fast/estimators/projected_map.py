"""Random features of deep kernels in fewer columns than the rows have: a random projection of a
wider map.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.estimators.deep_map import Design, deep_map
from nc1fast.estimators.hadamard import Sketch, sketch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nc1fast.estimators.deep_map import DeepMap

    Array = NDArray[Any]

_PROJECTION = 1 << 20  # tells the draw of the projection from those of the layers


@dataclass(frozen=True, eq=False)
class ProjectedMap:
    """A map from rows (n, d0) to random projections (n, n_features) of the features of another.

    Attributes
    ----------
    inner : DeepMap
    sketch : Sketch
    """

    inner: DeepMap
    sketch: Sketch

    @property
    def dtype(self) -> Any:
        """The type of the features."""
        return self.inner.dtype

    @property
    def n_features(self) -> int:
        """Number of features of a row."""
        return len(self.sketch.coordinates)

    def __call__(self, X: Array) -> Array:
        """Features of rows X (n, d0), shape (n, n_features)."""
        projected = self.sketch(self.inner(X)) / math.sqrt(self.n_features)
        return projected.astype(self.dtype, copy=False)


def projected_map(
    kernel: Any, probe: Array, n_features: int, seed: int, *, sampling: str, dtype: str
) -> ProjectedMap:
    """A projection of the map whose layers have `n_features` units each.

    Parameters
    ----------
    kernel, probe, n_features, seed, sampling, dtype
        As of `nc1fast.estimators.ntk_features.draw_map`, checked.

    Notes
    -----
    Accuracy: the projection S has E S S^T = I, so that inner products stay unbiased, with errors of
    O(1/sqrt(n_features)).
    Source: Ailon & Chazelle (2006).
    """
    inner = deep_map(
        kernel, probe, np.asarray, Design(n_features, sampling, np.dtype(dtype)), (seed,)
    )
    rng = np.random.default_rng([seed, _PROJECTION])
    return ProjectedMap(inner, sketch(inner.n_features, n_features, rng))
