"""How far estimates from strata of pairs may be off."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nc1fast.estimators.traces import TraceForms

    Array = NDArray[np.float64]

_ROUNDING = 1e-13  # relative, of a mean of squared distances


@dataclass(frozen=True, eq=False)
class PairSpread:
    """`Uncertainty` of mean squared distances that are sampled independently in each of S strata.

    Attributes
    ----------
    sizes : ndarray of int of shape (n_classes,)
    first, second : ndarray of int of shape (S,)
        The two classes of each stratum.
    distances : ndarray of shape (S,)
        Estimated mean of D2.
    scales : ndarray of shape (S,)
        Its derivative by the mean of the sampled terms y/b.
    draws : ndarray of shape (S,)
        Number of the sampled terms.
    variances, freedom : ndarray of shape (S,)
        Variance of the terms, and its degrees of freedom, which follow from their kurtosis.
    noise : ndarray of shape (S,)
        Standard error of the mean of D2 by rounding, where D2 is a difference of values of the
        kernel; else 0.
    """

    sizes: NDArray[np.int64]
    first: NDArray[np.intp]
    second: NDArray[np.intp]
    distances: Array
    scales: Array
    draws: Array
    variances: Array
    freedom: Array
    noise: Array

    def slopes(self, f: TraceForms, ratio: float) -> Array:
        """Derivatives of Tr Sigma_W - ratio Tr Sigma_B by the mean D2 of each stratum, shape (S,)."""
        own = (1 - 1 / self.sizes) / 2 * (f.within - f.norms + ratio * np.diag(f.between))
        apart = ratio * f.between[self.first, self.second]
        return np.where(self.first == self.second, own[self.first], apart)

    def weights(self, f: TraceForms, ratio: float) -> tuple[Array, Array]:
        """Standard deviation and bound of what a pair of each stratum adds to Tr Sigma_W - ratio Tr
        Sigma_B; (S,) each.
        """
        bound = np.abs(self.slopes(f, ratio)) * self.scales
        return bound * np.sqrt(self.variances), bound

    def variance(self, f: TraceForms, ratio: float) -> tuple[float, float]:
        """Variance of Tr Sigma_W - ratio Tr Sigma_B, and its degrees of freedom by Welch and
        Satterthwaite.
        """
        slopes = self.slopes(f, ratio) ** 2
        terms = slopes * self.scales**2 * self.variances / np.maximum(self.draws, 1)
        total, freedom = float(terms.sum()), math.inf
        if total > 0:
            freedom = total**2 / float((terms**2 / self.freedom).sum())
        return total + float((slopes * self.noise**2).sum()), freedom

    def terms(self, f: TraceForms, ratio: float) -> float:
        """Effective number of pairs: n rare ones of equal size would give the variance 2 n degrees
        of freedom.
        """
        return self.variance(f, ratio)[1] / 2

    def rounding(self, f: TraceForms, ratio: float) -> float:
        """Bound on the rounding error of Tr Sigma_W - ratio Tr Sigma_B."""
        return _ROUNDING * float((np.abs(self.slopes(f, ratio)) * self.distances).sum())
