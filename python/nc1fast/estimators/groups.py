"""Independent groups of random features: their mean, and their spread as the measure of its error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast._linear import matmul
from nc1fast.estimators.estimate import Estimate, Forms, pooling

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


class Groups:
    """V and M of each group, as far as any convention asks for them.

    Parameters
    ----------
    sizes : ndarray of shape (n_classes,)
        Rows of each class.
    """

    def __init__(self, sizes: NDArray[np.int64]) -> None:
        self._sizes, self._pooling = sizes, pooling(sizes)
        self._V: list[Array] = []
        self._norms: list[Array] = []  # diagonals of M
        self._pooled: list[Array] = []  # P M P^T, P the weights of a convention
        self._M = np.zeros((len(sizes), len(sizes)))  # sum over groups

    def __len__(self) -> int:
        return len(self._V)

    def add(self, V: Array, M: Array) -> None:
        """Within-class variances (C,) and inner products of class means (C, C) of one more."""
        self._V.append(V)
        self._norms.append(np.diag(M).copy())
        self._pooled.append(matmul(matmul(self._pooling, M), self._pooling.T))
        self._M += M

    def estimate(
        self, labels: NDArray[Any], kernel: Any, reason: str, *, biased: bool = False
    ) -> Estimate:
        """The mean over groups; `biased` if that of a group is not what is estimated, see `Estimate`."""
        V, norms, pooled = (np.array(of) for of in (self._V, self._norms, self._pooled))
        groups = len(V)

        def variance(f: Forms, ratio: float) -> tuple[float, float]:
            """Of the mean over independent groups."""
            between = (norms * f.spread).sum(axis=1) + np.einsum("gab,ab->g", pooled, f.mixed)
            rest = (V * f.within).sum(axis=1) + (norms * f.norms).sum(axis=1) - ratio * between
            return float(rest.var(ddof=1)) / groups, groups - 1

        return Estimate(
            V.mean(axis=0),
            self._M / groups,
            self._sizes,
            labels,
            kernel,
            variance,
            "features",
            f"{reason} in {groups} groups",
            groups if biased else 0,
        )
