"""Two ways to the same answers: a factor of the stored matrix, and products with a matrix that is
not stored.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nc1fast.core.linear import matmul
from nc1fast.core.machine import thread_count
from nc1fast.prediction.conjugate import RidgeSystem, Solved
from nc1fast.prediction.dense import Cholesky, log_likelihood
from nc1fast.prediction.determinant import log_determinant
from nc1fast.support.warnings import AccuracyWarning, warn

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nc1fast.prediction.probing import Probing
    from nc1fast.prediction.problem import Regression, Solving
    from nc1fast.support.progress import Report

    Array = NDArray[np.float64]

_COLUMNS = 256  # new rows whose variance is computed at a time


class LogLikelihood(NamedTuple):
    """Log N(Y; 0, A), and an interval for it."""

    value: float
    interval: tuple[float, float]


class Route(ABC):
    """Solutions with A = K + ridge I, and the variance that the observations explain: k_z^T A^-1
    k_z of new rows.

    Attributes
    ----------
    rank : int
        Columns of the preconditioner.
    """

    rank = 0

    def __init__(self, problem: Regression) -> None:
        self.problem = problem

    @abstractmethod
    def solve(self, report: Report | None) -> Solved:
        """The coefficients of the targets."""

    @abstractmethod
    def explained(self, rows: Array) -> tuple[Array, Array]:
        """Factors U, V (m, n) of k_z^T A^-1 k_z' = U V^T, from `rows` of K(Z, X), (m, n)."""

    @abstractmethod
    def likelihood(self, solved: Solved, probing: Probing) -> LogLikelihood | None:
        """Log N(Y; 0, A) with the solution of the targets, or None where it is not known."""

    @abstractmethod
    def leave_one_out(self, dual: Array) -> Array:
        """Outputs of each row from all others, shape (n, n_outputs)."""

    def variance(self) -> Array:
        """Posterior variance at the rows to predict, shape (m,)."""
        at, prior = self.problem.at, self.problem.at.result_diagonal
        out = np.empty(len(prior))
        for begin in range(0, len(prior), _COLUMNS):
            part = slice(begin, min(len(prior), begin + _COLUMNS))
            U, V = self.explained(at.entries(part))
            out[part] = prior[part] - np.einsum("ij,ij->i", U, V)
        return np.maximum(out, 0.0)

    def covariance(self) -> Array:
        """Posterior covariances of the rows to predict, shape (m, m), exactly symmetric."""
        at = self.problem.at
        U, V = self.explained(at.entries())
        threads = thread_count(at.settings.n_threads)
        K = at.among_results() - matmul(U, V.T, threads)
        return np.asarray((K + K.T) / 2)


class ByFactor(Route):
    """By Cholesky's factorisation of the stored matrix."""

    def __init__(self, problem: Regression, ridge: float) -> None:
        super().__init__(problem)
        self.ridge, self.factor = ridge, Cholesky(problem.train, ridge)

    def solve(self, report: Report | None) -> Solved:
        """One solution with the factor; the residual is that of the streamed product."""
        Y = self.problem.Y
        dual = self.factor.solve(Y)
        residuals = Y - self.problem.train(dual, report) - self.ridge * dual
        return Solved(dual, residuals, 0, converged=True)

    def explained(self, rows: Array) -> tuple[Array, Array]:
        """Both factors are (L^-1 K(X, Z))^T."""
        half = self.factor.half_solve(rows.T).T
        return half, half

    def likelihood(self, solved: Solved, probing: Probing) -> LogLikelihood:
        """By the determinant of the factor."""
        Y = self.problem.Y
        value = log_likelihood(float(np.sum(Y * solved.X)), self.factor.log_determinant, Y.shape)
        return LogLikelihood(value, (value, value))

    def leave_one_out(self, dual: Array) -> Array:
        """y_i - dual_i/(A^-1)_ii, shape (n, n_outputs)."""
        return self.problem.Y - dual / self.factor.inverse_diagonal()[:, None]


class ByProducts(Route):
    """By preconditioned conjugate gradients on streamed products."""

    def __init__(self, problem: Regression, ridge: float, solving: Solving) -> None:
        super().__init__(problem)
        self.solving, self.start = solving, solving.first(problem.Y)
        self.system = RidgeSystem.of(problem.train, ridge, solving.rank, solving.seed)
        self.rank = self.system.preconditioner.rank

    def solve(self, report: Report | None) -> Solved:
        """All targets at once, each by its own recurrence."""
        return self.system.solve(self.problem.Y, self.solving.stopping, self.start, report)

    def explained(self, rows: Array) -> tuple[Array, Array]:
        """From S with residual R = K(X, Z) - A S: k_z^T s + r^T s is off by r^T A^-1 r alone."""
        columns = np.ascontiguousarray(rows.T)
        solved = self.system.solve(columns, self.solving.stopping)
        return (columns + solved.residuals).T, solved.X.T

    def likelihood(self, solved: Solved, probing: Probing) -> LogLikelihood | None:
        """By the estimated determinant.

        With Y = A X + R, Tr Y^T A^-1 Y is Tr X^T (Y + R) and |R|^2/ridge at most.
        """
        if not probing.probes:
            return None
        solving, Y = self.solving, self.problem.Y
        most = solving.stopping.max_iterations
        found = log_determinant(self.system, probing, solving.seed, most)
        if found is None:
            warn(
                f"K + {self.system.ridge:g} I is not positive definite in {self.problem.train.settings.dtype}: there is no "
                "log_marginal_likelihood",
                AccuracyWarning,
            )
            return None
        fit = float(np.sum(solved.X * (Y + solved.residuals)))
        more = float(np.square(solved.residuals).sum()) / self.system.ridge
        low, value, high = (
            log_likelihood(fit + rest, found.value + side * found.half_width, Y.shape)
            for rest, side in ((more, 1), (0.0, 0), (0.0, -1))
        )
        return LogLikelihood(value, (low, high))

    def leave_one_out(self, dual: Array) -> Array:
        """Products give no diagonal of the inverse.

        Raises
        ------
        ValueError
            Always.
        """
        raise ValueError("leave_one_out needs the inverse: solver='cholesky'")
