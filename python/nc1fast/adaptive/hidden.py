"""The hidden weights as draws: their prior, draws from it and from wider laws, and weighted sums.

    w = sqrt(sw2/d0) z,   z standard normal.

In the directions in which the rows of X vary most, z comes from a scrambled Sobol sequence: the
error of an expectation falls nearly as 1/n there. Where the law that is looked for lies in the
prior's tails, half of the draws are stretched in a few directions; the two halves stand for one
draw from their mixture, so that no draw counts more than twice.

E phi(X w) phi(X w)^T = Q0 over the prior is known, and the draws' own Q^ differs from it. That
error is taken out of every sum: phi is replaced by C phi with

    C = R (R M R)^(-1/2) R,   R^2 = Q0 + e I,   M = Q^ + e I,   C M C = Q0 + e I,

of all such maps the one that moves phi least in mean square, so that sums with weights that vary
little are nearly free of error. e is a small part of the noise and of Q0; directions of Q0 below it
do not matter.
Sources: Owen (1998), scrambling; Owen & Zhou (2000), mixtures; Owen (2013), Monte Carlo theory,
methods and examples, chapter 9; Givens & Shortt (1984), the least map between Gaussian laws.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.core.activations import of_arrays
from nc1fast.core.machine import thread_count
from nc1fast.kernels.fully_connected import ConjugateKernel
from nc1fast.support.extras import require
from nc1fast.support.threads import workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from nc1fast.adaptive.settings import MeanFieldSettings

    Array = NDArray[np.float64]

_LEADING = 64  # directions that get a Sobol sequence
_INSIDE = 2.0**-33  # keeps the uniform numbers, multiples of 2^-32, off 0 and 1
_STRETCHED = 3  # directions, at most
_VAST = 700.0  # below the logarithm of the largest float
_WIDER, _TIGHTER = 2.0, 1.3  # stretches of a wide or narrow law, in its standard deviations
_FLOOR = 0.01  # e, in units of the noise that Q sees, s2/sa2,
_RESOLVED = 1e-4  # and at most so much of the mean diagonal of Q0
_TILE = 1 << 20  # numbers in a tile of phi: 8 MiB
_KEPT = 1 << 28  # bytes of phi that are kept; beyond, tiles are computed anew where they are needed


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


class HiddenDraws:
    """Weighted sums of phi phi^T over draws.

    Parameters
    ----------
    prior : Prior
    weights : ndarray of shape (n, d0)
        Hidden weights.
    base : ndarray of shape (n,)
        Their probabilities under the prior, which sum to 1.

    Notes
    -----
    Cost: n N^2 flops for a sum, 2 n N^2 for quadratic forms. Memory: 8 n N bytes up to 256 MiB;
    beyond that tiles of 8 MiB are computed anew. A few N x N matrices, whose square roots take some
    30 N^3 flops once. The order of the sums does not depend on the number of threads.
    """

    def __init__(self, prior: Prior, weights: Array, base: Array) -> None:
        self.prior, self.weights, self.base = prior, weights, base
        n, N = len(weights), len(prior.X)
        rows = max(1, _TILE // N)
        self._spans = [slice(at, min(at + rows, n)) for at in range(0, n, rows)]
        self._tiles: dict[int, Array] = {}  # by their first draw, where they are kept
        self._kept = 8 * n * N <= _KEPT
        settings = prior.settings
        seen = _FLOOR * settings.noise / settings.readout_variance
        resolved = _RESOLVED * float(np.trace(prior.gram)) / N
        self._floor = min(seen, resolved) or seen  # e
        self._threads = thread_count(settings.n_threads)

    def __len__(self) -> int:
        return len(self.weights)

    @cached_property
    def map(self) -> Array:
        """C, symmetric, shape (N, N): gives C phi the second moment Q0 of the prior."""
        root, _ = _roots(self._regular(self.prior.gram))
        mean = self._sum(self.base)
        _, inverse = _roots(root @ self._regular(mean) @ root)
        C = root @ inverse @ root
        symmetric: Array = (C + C.T) / 2
        return symmetric

    def gram(self, p: Array) -> Array:
        """Sum of p C phi phi^T C, shape (N, N), for p (n,) that sum to 1; Q0 for p = base."""
        C = self.map
        Q = C @ self._regular(self._sum(p)) @ C
        Q[np.diag_indices_from(Q)] -= self._floor
        symmetric: Array = (Q + Q.T) / 2
        return symmetric

    def quadratic(self, A: Array) -> Array:
        """phi^T C A C phi of every draw, shape (n,), for a symmetric A (N, N)."""
        middle = self.map @ A @ self.map

        def tile(span: slice) -> Array:
            F = self._tile(span)
            forms: Array = np.einsum("ij,ij->i", F @ middle, F)
            return forms

        return np.concatenate(list(self._each(tile)))

    def split(self, n_batches: int) -> list[HiddenDraws]:
        """Batches of successive draws, each with probabilities that sum to 1."""
        parts = zip(np.split(self.weights, n_batches), np.split(self.base, n_batches), strict=True)
        return [HiddenDraws(self.prior, weights, base / base.sum()) for weights, base in parts]

    def second_moment(self, p: Array) -> Array:
        """Sum of p w w^T, shape (d0, d0), exactly symmetric and exact for p = base."""
        W, d0 = self.weights, self.weights.shape[1]
        excess = (p - self.base)[:, None] * W
        change = W.T @ excess
        moment: Array = self.prior.scale**2 * np.eye(d0) + (change + change.T) / 2
        return moment

    def _regular(self, Q: Array) -> Array:
        """Q + e I, a new matrix."""
        return Q + self._floor * np.eye(len(Q))

    def _sum(self, p: Array) -> Array:
        """Sum of p phi phi^T."""
        roots = np.sqrt(p)[:, None]

        def tile(span: slice) -> Array:
            F = self._tile(span) * roots[span]
            product: Array = F.T @ F
            return product

        total = np.zeros_like(self.prior.gram)
        for part in self._each(tile):
            total += part
        return total

    def _each(self, task: Callable[[slice], Array]) -> Iterator[Array]:
        with workers(self._threads) as spread:
            yield from spread(task, self._spans)

    def _tile(self, span: slice) -> Array:
        """The activations phi(X w) of some draws, shape (m, N)."""
        known = self._tiles.get(span.start)
        if known is None:
            known = self.prior.phi(self.weights[span] @ self.prior.X.T)
            if self._kept:
                self._tiles[span.start] = known
        return known


def _roots(K: Array) -> tuple[Array, Array]:
    """The symmetric square root of a positive definite matrix, and its inverse."""
    values, U = np.linalg.eigh(K)
    roots = np.sqrt(np.maximum(values, np.finfo(np.float64).eps * values[-1]))
    return (U * roots) @ U.T, (U / roots) @ U.T
