"""(K + ridge I) X = Y by conjugate gradients: a product with K serves all right-hand sides."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.prediction.preconditioner import Preconditioner, low_rank
from nc1fast.support.arguments import as_count, as_number

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nc1fast.core.products import KernelMap
    from nc1fast.support.progress import Report

    Array = NDArray[np.float64]

_STEPS = 1000  # of a report: parts of the way, in digits, from the first residual to the tolerance
_STALLED = 0.5  # of the true residual: a restart that leaves more has reached the rounding error


@dataclass(frozen=True, eq=False)
class Solved:
    """Solutions of a system of equations, one column for each right-hand side.

    Attributes
    ----------
    X : ndarray of shape (n, k)
    residuals : ndarray of shape (n, k)
        Y - A X, computed anew.
    iterations : int
    converged : bool
    """

    X: Array
    residuals: Array
    iterations: int
    converged: bool


@dataclass(frozen=True)
class Stopping:
    """Limits of an iteration.

    Attributes
    ----------
    tolerance : float
        |Y - A X| <= tolerance |Y| for every column.
    max_iterations : int
    """

    tolerance: float
    max_iterations: int

    @classmethod
    def of(cls, tolerance: Any, max_iterations: Any) -> Stopping:
        """The same, checked.

        Raises
        ------
        TypeError, ValueError
            For a value that is not allowed.
        """
        least = as_number("tolerance", tolerance, above=0, below=1)
        return cls(least, as_count("max_iterations", max_iterations))


@dataclass(frozen=True, eq=False)
class RidgeSystem:
    """The matrix A = K + ridge I of a kernel, with its preconditioner.

    Attributes
    ----------
    made : KernelMap
    ridge : float
    preconditioner : Preconditioner
    """

    made: KernelMap
    ridge: float
    preconditioner: Preconditioner

    @classmethod
    def of(cls, made: KernelMap, ridge: float, rank: int | None, seed: int) -> RidgeSystem:
        """The system, preconditioned by at most `rank` columns; None lets the kernel decide."""
        return cls(made, ridge, Preconditioner(low_rank(made, ridge, rank, seed), ridge))

    def product(self, V: Array) -> Array:
        """A V, shape (n, k)."""
        return self.made(V) + self.ridge * V

    def solve(
        self,
        Y: Array,
        stopping: Stopping,
        start: Array | None = None,
        report: Report | None = None,
    ) -> Solved:
        """Solve for the columns of Y (n, k), each by its own recurrence.

        The residual of the recurrence drifts from the true one; where it has converged, the true
        one is computed, and the iteration goes on from there until that one is small, too, or no
        longer falls.

        Notes
        -----
        Source: Hestenes & Stiefel (1952); van der Vorst & Ye (2000) for the restarts.
        """
        X = np.zeros_like(Y) if start is None else start.copy()
        R = Y - self.product(X) if X.any() else Y.copy()
        goal = stopping.tolerance * lengths(Y)
        progress = _Digits(report, lengths(R), goal)
        done = 0
        while done < stopping.max_iterations and (lengths(R) > goal).any():
            before, last = lengths(R), X.copy()
            done += self._descend(X, R, goal, stopping.max_iterations - done, progress)
            R = Y - self.product(np.where(np.isfinite(X), X, last))
            worse = ~(np.isfinite(X).all(axis=0) & (lengths(R) <= before))
            if worse.any():
                X[:, worse] = last[:, worse]
                R = Y - self.product(X)
            now = lengths(R)
            if not (now[now > goal] < _STALLED * before[now > goal]).all():
                break
        converged = bool((lengths(R) <= goal).all())
        return Solved(X, R, done, converged)

    def _descend(self, X: Array, R: Array, goal: Array, most: int, progress: _Digits) -> int:
        """Conjugate gradients from the residual R, until all columns have reached the goal by the
        recurrence: how many steps.

        X moves in place; R is used up.
        """
        active = np.flatnonzero(lengths(R) > goal)
        Z = self.preconditioner(R[:, active])
        D, rho = Z, _dots(R[:, active], Z)
        for step in range(1, most + 1):
            Q = self.product(D)
            alpha = rho / _dots(D, Q)
            X[:, active] += alpha * D
            R[:, active] -= alpha * Q
            progress(lengths(R))
            going = lengths(R[:, active]) > goal[active]
            if not going.any():
                return step
            active, D, rho = active[going], D[:, going], rho[going]
            Z = self.preconditioner(R[:, active])
            now = _dots(R[:, active], Z)
            D, rho = Z + now / rho * D, now
        return most


class _Digits:
    """Reports how many of the requested digits have been reached, by the worst column."""

    def __init__(self, report: Report | None, first: Array, goal: Array) -> None:
        self.report, self.goal = report, goal
        self.all = self._missing(first)

    def _missing(self, lengths: Array) -> float:
        open_ = (self.goal > 0) & (lengths > self.goal)
        return math.log(float((lengths[open_] / self.goal[open_]).max())) if open_.any() else 0.0

    def __call__(self, lengths: Array) -> None:
        if self.report is not None and self.all > 0:
            share = 1 - self._missing(lengths) / self.all
            self.report(int(_STEPS * min(max(share, 0.0), 1.0)), _STEPS)


def lengths(V: Array) -> Array:
    """Euclidean norm of each column."""
    return np.asarray(np.sqrt(np.einsum("ij,ij->j", V, V)))


def _dots(U: Array, V: Array) -> Array:
    """Inner product of each two columns."""
    return np.asarray(np.einsum("ij,ij->j", U, V))
