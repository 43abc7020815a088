"""The prior of the hidden weights, and draws from it and from wider laws.

    w = sqrt(sw2/d0) z,   z standard normal.

In the directions in which the rows of X vary most, z comes from a scrambled Sobol sequence: the
error of an expectation falls nearly as 1/n there. Where the law that is looked for lies in the
prior's tails, half of the draws are stretched in a few directions; the two halves stand for one
draw from their mixture, so that no draw counts more than twice.
Source: Owen (1998), scrambling; Owen & Zhou (2000), mixtures; Owen (2013), Monte Carlo theory,
methods and examples, chapter 9.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.activations import of_arrays
from nc1fast.kernels.fully_connected import ConjugateKernel
from nc1fast.support.extras import require

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nc1fast.adaptive.mean_field_settings import MeanFieldSettings

    Array = NDArray[np.float64]

_LEADING = 64  # directions that get a Sobol sequence
_INSIDE = 2.0**-33  # keeps the uniform numbers, multiples of 2^-32, off 0 and 1
_STRETCHED = 3  # directions, at most
_VAST = 700.0  # below the logarithm of the largest float
_WIDER, _TIGHTER = (
    2.0,
    1.3,
)  # stretches, in standard deviations of the law, where it is wide or narrow


@dataclass(frozen=True, eq=False)
class Stretch:
    """Directions in which half of the draws are stretched.

    Attributes
    ----------
    directions : ndarray of shape (d0, k)
        Orthonormal.
    scales : ndarray of shape (k,)
        Standard deviation in each, in units of the prior's.
    """

    directions: Array
    scales: Array

    def apply(self, z: Array) -> Array:
        """Standard normal draws (n, d0), stretched."""
        V = self.directions
        stretched: Array = z + (z @ V * (self.scales - 1)) @ V.T
        return stretched

    def base(self, z: Array) -> Array:
        """Probabilities under the standard normal law of draws of the even mixture, shape (n,);
        they sum to 1.
        """
        t = z @ self.directions
        exponent = (np.square(t) * (1 - 1 / self.scales**2)).sum(axis=1) / 2
        log_ratio = exponent - np.log(self.scales).sum()  # of the stretched to the prior's density
        raw = 1 / (1 + np.exp(np.minimum(log_ratio, _VAST)))
        normalised: Array = raw / raw.sum()
        return normalised


class Prior:
    """The prior of the hidden weights, as the rows of X see it.

    Parameters
    ----------
    X : ndarray of shape (N, d0)
    settings : MeanFieldSettings

    Attributes
    ----------
    gram : ndarray of shape (N, N)
        Q0, the kernel of the hidden layer before training.
    scale : float
        Standard deviation sqrt(sw2/d0) of a weight.
    """

    def __init__(self, X: Array, settings: MeanFieldSettings) -> None:
        self.X, self.settings = X, settings
        self.scale = float(np.sqrt(settings.weight_variance / X.shape[1]))
        kernel = ConjugateKernel(settings.activation, weight_variance=settings.weight_variance)
        self.gram: Array = kernel(X, n_threads=settings.n_threads)
        self.phi, _ = of_arrays(settings.activation)
        directions = np.linalg.svd(X, full_matrices=False)[2][:_LEADING]
        self._leading: Array = np.ascontiguousarray(directions.T)  # (d0, k)
        self._sobol: Any = require("scipy.stats.qmc", "adaptive").Sobol
        self._normal: Any = require("scipy.special", "adaptive").ndtri

    def draw(
        self, n: int, rng: np.random.Generator, stretch: Stretch | None = None
    ) -> tuple[Array, Array]:
        """Weights of n units, n a power of two, shape (n, d0), and their probabilities, shape (n,),
        which sum to 1.
        """
        if stretch is None or n == 1:
            return self.scale * self._normals(n, rng), np.full(n, 1 / n)
        halves = self._normals(n // 2, rng), stretch.apply(self._normals(n // 2, rng))
        z = np.concatenate(halves)
        return self.scale * z, stretch.base(z)

    def main_variance(self, weights: Array, p: Array) -> float:
        """Variance of the law p of weights (n, d0) in the direction in which the rows vary most,
        relative to the prior's.
        """
        t = weights @ self._leading[:, 0] / self.scale
        return float(p @ np.square(t))

    def stretch(self, weights: Array, p: Array) -> Stretch:
        """The directions in which the law p of weights (n, d0) differs most from the prior in
        variance.
        """
        t = weights @ self._leading / self.scale
        variances, U = np.linalg.eigh((t * p[:, None]).T @ t)
        variances = np.maximum(variances, np.finfo(np.float64).eps)
        chosen = np.argsort(-np.abs(np.log(variances)), kind="stable")[:_STRETCHED]
        deviations = np.sqrt(variances[chosen])
        scales = np.where(deviations >= 1, _WIDER, _TIGHTER) * deviations
        return Stretch(self._leading @ U[:, chosen], scales)

    def _normals(self, n: int, rng: np.random.Generator) -> Array:
        """Standard normal numbers of shape (n, d0)."""
        z = rng.standard_normal((n, self.X.shape[1]))
        V = self._leading
        uniform = self._sobol(V.shape[1], scramble=True, seed=rng).random(n)
        z += (self._normal(np.clip(uniform, _INSIDE, 1 - _INSIDE)) - z @ V) @ V.T
        return z
