"""A low-rank approximation of a Gram matrix, and the inverse of what it leaves of K + ridge I."""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from nc1fast.core.linear import matmul
from nc1fast.core.machine import thread_count
from nc1fast.support.extras import require

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nc1fast.core.products import KernelMap

    Array = NDArray[np.float64]

_BLOCK = 64  # pivots at a time
_MOST_RANK = 1024
_MOST_BYTES = 1 << 28  # of the factor
_JITTER = 1e-13  # of the largest pivot: a block of nearly equal rows is nearly singular


def low_rank(made: KernelMap, ridge: float, rank: int | None, seed: int) -> Array:
    """F (n, r) with F F^T close to K: Cholesky's factorisation with random pivots, of adaptive rank.

    Pivots are drawn with the probability of what is left of the diagonal. Columns are added until the trace of what is left is
    below n ridge, so that the preconditioned matrix is well-conditioned on average, or until there are `rank` of them.

    Parameters
    ----------
    made : KernelMap
    ridge : float
    rank : int, optional
        Default: at most 1,024, a quarter of the rows, and 256 MiB or a quarter of the memory limit.
    seed : int

    Notes
    -----
    Cost: n r (d0 + r) multiply-adds.
    Source: Chen, Epperly, Tropp & Webber (2023), blocked; the ends of Harbrecht, Peters & Schneider (2012).
    """
    linalg = require("scipy.linalg", "prediction")
    n, random = made.shape[1], np.random.default_rng(seed)
    threads = thread_count(made.settings.n_threads)
    room = min(_MOST_BYTES, (made.settings.memory_limit or math.inf) / 4)
    most = min(_MOST_RANK, n // 4, int(room / (8 * n))) if rank is None else min(rank, n)
    F, left, done = np.zeros((n, most)), made.diagonal.copy(), 0
    while done < most and left.sum() > (0.0 if rank is not None else n * ridge):
        count = min(_BLOCK, most - done)
        drawn = random.choice(n, size=count, p=left / left.sum())
        pivots = np.unique(drawn)
        rows = made.entries(pivots) - matmul(F[pivots, :done], F[:, :done].T, threads)
        square = rows[:, pivots]
        square[np.diag_indices_from(square)] += _JITTER * float(square.diagonal().max())
        lower = linalg.cholesky(square, lower=True, check_finite=False)
        new = linalg.solve_triangular(lower, rows, lower=True, check_finite=False)
        F[:, done : done + len(pivots)] = new.T
        done += len(pivots)
        left = np.maximum(left - np.square(new).sum(axis=0), 0.0)
        left[pivots] = 0.0
    return F[:, :done]


class Preconditioner:
    """P^-1 for P = F F^T + ridge I, by Woodbury's identity: (V - F (ridge I + F^T F)^-1 F^T V)/ridge."""

    def __init__(self, F: Array, ridge: float, n_threads: int | None) -> None:
        self.F, self.ridge, self.threads = F, ridge, thread_count(n_threads)
        self.rank = F.shape[1]
        if self.rank:
            inner = matmul(F.T, F, self.threads)
            inner[np.diag_indices(self.rank)] += ridge
            self._linalg = require("scipy.linalg", "prediction")
            self.factor = self._linalg.cho_factor(inner, check_finite=False)

    def __call__(self, V: Array) -> Array:
        """The product with V (n, k)."""
        if not self.rank:
            return V / self.ridge
        along = matmul(self.F.T, V, self.threads)
        inner = self._linalg.cho_solve(self.factor, along, check_finite=False)
        return np.asarray((V - matmul(self.F, inner, self.threads)) / self.ridge)

    def log_determinant(self, n: int) -> float:
        """Log det P of n rows: ridge^n det(I + F^T F/ridge)."""
        values, _ = self._inner_spectrum
        return n * math.log(self.ridge) + float(np.log1p(values / self.ridge).sum())

    def half(self, V: Array) -> Array:
        """P^-1/2 V, shape (n, k): with F^T F = U s U^T and t = 1 + s/ridge, ridge^-1/2 (V - F U c U^T F^T V).

        1 - t^-1/2 = s c, so that c = 1/(ridge (t + t^1/2)), which no small s makes inexact.
        """
        if not self.rank:
            return V / math.sqrt(self.ridge)
        values, U = self._inner_spectrum
        t = 1 + values / self.ridge
        weights = 1 / (self.ridge * (t + np.sqrt(t)))
        along = matmul(U.T, matmul(self.F.T, V, self.threads), self.threads)
        back = matmul(self.F, matmul(U, weights[:, None] * along, self.threads), self.threads)
        return np.asarray((V - back) / math.sqrt(self.ridge))

    @cached_property
    def _inner_spectrum(self) -> tuple[Array, Array]:
        """Eigenvalues (r,) and vectors (r, r) of F^T F."""
        if not self.rank:
            return np.zeros(0), np.zeros((0, 0))
        inner = matmul(self.F.T, self.F, self.threads)
        values, vectors = self._linalg.eigh(inner, check_finite=False)
        return np.maximum(values, 0.0), vectors
