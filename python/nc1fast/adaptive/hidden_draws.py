"""Sums over weighted draws of the hidden weights.

E phi(X w) phi(X w)^T = Q0 over the prior is known, and the draws' own Q^ differs from it. That
error is taken out of every sum: phi is replaced by C phi with

    C = R (R M R)^(-1/2) R,   R^2 = Q0 + e I,   M = Q^ + e I,   C M C = Q0 + e I,

of all such maps the one that moves phi least in mean square, so that sums with weights that vary
little are nearly free of error. e is a small part of the noise and of Q0; directions of Q0 below it
do not matter.
Source: Givens & Shortt (1984), the least map between Gaussian laws.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from nc1fast.core.machine import thread_count
from nc1fast.support.threads import workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from nc1fast.adaptive.hidden_prior import Prior

    Array = NDArray[np.float64]

_FLOOR = 0.01  # e, in units of the noise that Q sees, s2/sa2,
_RESOLVED = 1e-4  # and at most so much of the mean diagonal of Q0
_TILE = 1 << 20  # numbers in a tile of phi: 8 MiB
_KEPT = 1 << 28  # bytes of phi that are kept; beyond, tiles are computed anew where they are needed


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
