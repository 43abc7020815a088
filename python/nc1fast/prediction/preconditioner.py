"""A low-rank approximation of a Gram matrix, and the inverse of what it leaves of K + ridge I.

K is near F F^T with F = K_np L^-T for some rows p, the pivots, and Cholesky's factor L of K_pp. F
is stored where it has room; elsewhere its products are evaluated as those with K_np, which cost 2
p/n of a product with K each, and only p x p numbers stay.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from nc1fast.core.linear import matmul
from nc1fast.core.machine import thread_count
from nc1fast.inputs.arrays import rows_at
from nc1fast.support.extras import require

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nc1fast.core.products import KernelMap

    Array = NDArray[np.float64]

_BLOCK = 64  # pivots at a time
_MOST_STORED, _MOST_EVALUATED = 1024, 2048  # pivots
_OF_ROWS = 16  # rows for each pivot, at least, where F is evaluated: an eighth more work a step
_MOST_BYTES = 1 << 28  # of a factor
_PANEL_BYTES = 1 << 23  # of the columns of K_pn at a time
_JITTER = 1e-13  # of the largest pivot: a block of nearly equal rows is nearly singular


class StoredFactor:
    """F (n, r) with F F^T close to K and K - F F^T positive semidefinite, in memory."""

    def __init__(self, F: Array, threads: int) -> None:
        self.F, self.rank, self.threads = F, F.shape[1], threads

    @cached_property
    def inner(self) -> Array:
        """F^T F, shape (r, r)."""
        return matmul(self.F.T, self.F, self.threads)

    def down(self, V: Array) -> Array:
        """F^T V, shape (r, k), of V (n, k)."""
        return matmul(self.F.T, V, self.threads)

    def up(self, W: Array) -> Array:
        """F W, shape (n, k), of W (r, k)."""
        return matmul(self.F, W, self.threads)


class EvaluatedFactor:
    """The same, F = K_np L^-T, each of whose products evaluates K_np.

    Parameters
    ----------
    made : KernelMap
        Of K.
    pivots : ndarray of shape (r,)
        Numbers of rows.
    L : ndarray of shape (r, r)
        Lower triangular, L L^T = K_pp.
    """

    def __init__(self, made: KernelMap, pivots: NDArray[np.intp], L: Array) -> None:
        exact = replace(made.settings, dtype="float64")  # as L and F^T F are
        p = rows_at(made.X, pivots)
        self.to_pivots = replace(made, Z=p, settings=exact)
        self.to_rows = replace(made, X=p, Z=made.X, settings=exact)
        self.L, self.rank = L, len(pivots)
        self._solve = require("scipy.linalg", "prediction").solve_triangular

    @cached_property
    def inner(self) -> Array:
        """F^T F (r, r), by columns of F^T = L^-1 K_pn. Cost: n r (d0 + 2 r) multiply-adds."""
        n, threads = self.to_pivots.shape[1], thread_count(self.to_pivots.settings.n_threads)
        out, step = np.zeros((self.rank, self.rank)), max(1, _PANEL_BYTES // (8 * self.rank))
        for begin in range(0, n, step):
            K = self.to_rows.entries(slice(begin, min(n, begin + step))).T
            columns = self._solve(self.L, K, lower=True, check_finite=False)
            out += matmul(columns, columns.T, threads)
        return out

    def down(self, V: Array) -> Array:
        """F^T V, shape (r, k), of V (n, k)."""
        along = self.to_pivots(V)
        return np.asarray(self._solve(self.L, along, lower=True, check_finite=False))

    def up(self, W: Array) -> Array:
        """F W, shape (n, k), of W (r, k)."""
        back = self._solve(self.L, W, lower=True, trans="T", check_finite=False)
        return self.to_rows(np.ascontiguousarray(back))


Factor = StoredFactor | EvaluatedFactor


def low_rank(made: KernelMap, ridge: float, rank: int | None, seed: int) -> Factor:
    """A factor of adaptive rank: pivots are added until what is left of the trace is below n ridge,
    or there are `rank` of them.

    The preconditioned matrix is then well-conditioned on average.

    Parameters
    ----------
    made : KernelMap
    ridge : float
    rank : int, optional
        Default: at most 1,024 and a quarter of the rows where F then takes 256 MiB at most, or a
        quarter of the memory limit; elsewhere at most 2,048 and a sixteenth of the rows, of which F
        is evaluated.
    seed : int

    Notes
    -----
    Cost: n r (d0 + 2 r) multiply-adds.
    Source: Chen, Epperly, Tropp & Webber (2023) for the pivots, which are chosen among some of the
    rows where F is not stored; Rudi, Carratino & Rosasco (2017) for a preconditioner of K_np that
    is not stored.
    """
    n, random = made.shape[1], np.random.default_rng(seed)
    threads = thread_count(made.settings.n_threads)
    room = min(_MOST_BYTES, (made.settings.memory_limit or math.inf) / 4)
    adaptive = ridge if rank is None else None
    most = min(_MOST_STORED, n // 4) if rank is None else min(rank, n)
    if 8 * n * most <= room:
        F, _ = pivoted_cholesky(made, most, adaptive, random)
        return StoredFactor(F, threads)
    if rank is None:
        of_room = math.isqrt(int(room / 24))  # L, F^T F and its factor
        most = min(_MOST_EVALUATED, n // _OF_ROWS, of_room)
    some = min(n, max(2 * most, int(room / (8 * max(most, 1)))))
    rows = np.sort(random.choice(n, size=some, replace=False))
    part = replace(made, X=rows_at(made.X, rows))
    F, pivots = pivoted_cholesky(part, most, adaptive, random)
    return EvaluatedFactor(made, rows[pivots], np.tril(F[pivots]))


def pivoted_cholesky(
    made: KernelMap, most: int, ridge: float | None, random: np.random.Generator
) -> tuple[Array, NDArray[np.intp]]:
    """Cholesky's factorisation with random pivots: F (n, r), and the numbers of the r pivots.

    Pivots are drawn with the probability of what is left of the diagonal.

    Parameters
    ----------
    made : KernelMap
    most : int
        Columns at most.
    ridge : float, optional
        The columns end where the trace of what is left is below n ridge.
    random : numpy Generator

    Notes
    -----
    Cost: n r (d0 + r) multiply-adds.
    Source: Chen, Epperly, Tropp & Webber (2023), blocked; the ends of Harbrecht, Peters & Schneider
    (2012).
    """
    linalg = require("scipy.linalg", "prediction")
    n, threads = made.shape[1], thread_count(made.settings.n_threads)
    F, left = np.zeros((n, most)), made.diagonal.copy()
    chosen = np.zeros(most, dtype=np.intp)
    done = 0
    while done < most and left.sum() > (0.0 if ridge is None else n * ridge):
        count = min(_BLOCK, most - done)
        drawn = random.choice(n, size=count, p=left / left.sum())
        pivots = np.unique(drawn)
        rows = made.entries(pivots) - matmul(F[pivots, :done], F[:, :done].T, threads)
        square = rows[:, pivots]
        square[np.diag_indices_from(square)] += _JITTER * float(square.diagonal().max())
        lower = linalg.cholesky(square, lower=True, check_finite=False)
        new = linalg.solve_triangular(lower, rows, lower=True, check_finite=False)
        added = slice(done, done + len(pivots))
        F[:, added], chosen[added] = new.T, pivots
        done += len(pivots)
        left = np.maximum(left - np.square(new).sum(axis=0), 0.0)
        left[pivots] = 0.0
    return F[:, :done], chosen[:done]


class Preconditioner:
    """P^-1 for P = F F^T + ridge I, by Woodbury's identity: (V - F (ridge I + F^T F)^-1 F^T
    V)/ridge.
    """

    def __init__(self, factor: Factor, ridge: float) -> None:
        self.factor, self.ridge, self.rank = factor, ridge, factor.rank
        if self.rank:
            self._linalg = require("scipy.linalg", "prediction")
            shifted = factor.inner + ridge * np.eye(self.rank)
            self.cholesky = self._linalg.cho_factor(shifted, overwrite_a=True, check_finite=False)

    def __call__(self, V: Array) -> Array:
        """The product with V (n, k)."""
        if not self.rank:
            return V / self.ridge
        along = self._linalg.cho_solve(self.cholesky, self.factor.down(V), check_finite=False)
        return np.asarray((V - self.factor.up(along)) / self.ridge)

    def log_determinant(self, n: int) -> float:
        """Log det P of n rows: ridge^n det(I + F^T F/ridge)."""
        values, _ = self._inner_spectrum
        return n * math.log(self.ridge) + float(np.log1p(values / self.ridge).sum())

    def half(self, V: Array) -> Array:
        """P^-1/2 V, shape (n, k): with F^T F = U s U^T and t = 1 + s/ridge, ridge^-1/2 (V - F U c
        U^T F^T V).

        1 - t^-1/2 = s c, so that c = 1/(ridge (t + t^1/2)), which no small s makes inexact.
        """
        if not self.rank:
            return V / math.sqrt(self.ridge)
        values, U = self._inner_spectrum
        t = 1 + values / self.ridge
        weights = 1 / (self.ridge * (t + np.sqrt(t)))
        along = weights[:, None] * matmul(U.T, self.factor.down(V))
        return np.asarray((V - self.factor.up(matmul(U, along))) / math.sqrt(self.ridge))

    @cached_property
    def _inner_spectrum(self) -> tuple[Array, Array]:
        """Eigenvalues (r,) and vectors (r, r) of F^T F."""
        if not self.rank:
            return np.zeros(0), np.zeros((0, 0))
        values, vectors = self._linalg.eigh(self.factor.inner, check_finite=False)
        return np.maximum(values, 0.0), vectors
