"""Ridge regression and Gaussian processes: (K + ridge I) dual = Y, and the outputs K(Z, X) dual; by
a factor of the stored matrix, or by products with a matrix that is not stored.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.core.linear import matmul
from nc1fast.core.machine import thread_count
from nc1fast.core.products import ProductSettings
from nc1fast.datasets.paths import reads_files
from nc1fast.prediction.conjugate import RidgeSystem, Solved, Stopping, lengths
from nc1fast.prediction.dense import Cholesky, log_likelihood
from nc1fast.prediction.problem import Prediction, Regression, Solving
from nc1fast.prediction.traces import Probing, log_determinant
from nc1fast.support.arguments import as_flag, as_number, seed_of
from nc1fast.support.arithmetic import ieee
from nc1fast.support.progress import reporting
from nc1fast.support.warnings import AccuracyWarning, warn

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from nc1fast.kernels.classes import Kernel
    from nc1fast.support.progress import Progress, Report

    Array = NDArray[np.float64]
    Likelihood = tuple[float, tuple[float, float]] | tuple[None, None]

_COLUMNS = 256  # new rows whose variance is computed at a time


@dataclass(frozen=True)
class Requested:
    """The costlier answers that are computed beside the mean."""

    variance: bool = False
    covariance: bool = False
    likelihood: Probing | None = None
    leave_one_out: bool = False


@ieee
@reads_files("X", "Z", labels="targets")
def ridge(
    kernel: Kernel,
    X: ArrayLike,
    targets: ArrayLike,
    Z: ArrayLike | None = None,
    *,
    ridge: float = 1e-3,
    solver: str = "auto",
    tolerance: float = 1e-6,
    max_iterations: int = 1000,
    rank: int | None = None,
    start: ArrayLike | None = None,
    leave_one_out: bool = False,
    dtype: str = "float64",
    n_threads: int | None = None,
    memory_limit: float | None = None,
    seed: int = 0,
    progress: Progress = False,
    rng: int | np.random.Generator | None = None,
) -> Prediction:
    """Kernel ridge regression: f(z) = k(z, X) (K + ridge I)^-1 targets.

    Parameters
    ----------
    kernel : Kernel
    X : array-like of shape (n_samples, n_features), or path
    targets : array-like of shape (n_samples,) or (n_samples, n_outputs), path, or part of the file
    X
    Z : array-like of shape (m_samples, n_features), or path, optional
        Rows to predict. Default: X.
    ridge : float, default 1e-3
        Added to the diagonal of K as it is, >= 0.
    solver : {"auto", "cholesky", "cg"}, default "auto"
        "cholesky" stores K; "cg" never does: conjugate gradients on streamed products, with a
        low-rank preconditioner. "auto": "cholesky" up to 5,000 rows.
    tolerance : float, default 1e-6
        Of "cg": |Y - (K + ridge I) dual| <= tolerance |Y| for every output.
    max_iterations : int, default 1000
    rank : int, optional
        Columns of the preconditioner. Default: as many as pay, at most 2,048.
    start : array-like of shape (n_samples, n_outputs), optional
        The `dual` that "cg" goes on from: of an earlier call that was stopped, or of a similar
        ridge.
    leave_one_out : bool, default False
        Whether to predict every row from all others, in closed form ("cholesky").
    dtype : {"float64", "float32"}, default "float64"
        Of the kernel values in products.
    n_threads, memory_limit
        As of `Kernel.matvec`.
    seed : int, default 0
        Of the pivots of the preconditioner.
    progress : bool or callable(done, total), default False
        Of "cg": how many of the requested digits have been reached.
    rng : None, int or numpy.random.Generator, optional
        What `seed` is, as SPEC 7 has it: an integer gives the bits of the same seed, a Generator
        its next integer.

    Returns
    -------
    Prediction

    Raises
    ------
    TypeError, ValueError, OSError
        As `Kernel.matvec`; for targets that do not fit, a ridge of 0 with "cg", and a K that is
        singular without one.
    ImportError
        If SciPy is not installed (extra "prediction").

    Warns
    -----
    AccuracyWarning
        Where "cg" ends before it reaches the tolerance.

    Notes
    -----
    Cost: "cholesky" N^3/3 multiply-adds and 8 N^2 bytes; "cg" one product of `Kernel.matvec` per
    iteration and N rank^2 multiply-adds before the first, in 8 N (rank + 10 n_outputs) bytes.
    Accuracy: |f - f_exact| <= sqrt(k_zz) |r|/sqrt(ridge) for the residual r: `error_bound`.
    Source: Saunders, Gammerman & Vovk (1998); Gardner et al. (2018) for the solver.
    """
    requested = Requested(leave_one_out=as_flag("leave_one_out", leave_one_out))
    settings = ProductSettings(dtype, n_threads, memory_limit)
    stopping = Stopping.of(tolerance, max_iterations)
    solving = Solving.of(solver, stopping, rank, start, seed_of(rng, seed))
    level = as_number("ridge", ridge, least=0)
    problem = Regression.of(kernel, (X, targets, Z), settings)
    return _solved(problem, level, solving, requested, progress)


@ieee
@reads_files("X", "Z", labels="targets")
def gp_posterior(
    kernel: Kernel,
    X: ArrayLike,
    targets: ArrayLike,
    Z: ArrayLike | None = None,
    *,
    noise: float = 1e-2,
    variance: bool = True,
    covariance: bool = False,
    solver: str = "auto",
    tolerance: float = 1e-6,
    max_iterations: int = 1000,
    rank: int | None = None,
    start: ArrayLike | None = None,
    leave_one_out: bool = False,
    probes: int = 16,
    confidence: float = 0.95,
    dtype: str = "float64",
    n_threads: int | None = None,
    memory_limit: float | None = None,
    seed: int = 0,
    progress: Progress = False,
    rng: int | np.random.Generator | None = None,
) -> Prediction:
    """Posterior of a Gaussian process of zero mean and covariance `kernel`, observed with noise.

    Parameters
    ----------
    kernel, X, targets, Z, solver, tolerance, max_iterations, rank, start, leave_one_out, dtype,
    n_threads, memory_limit, seed, progress, rng
        As of `ridge`.
    noise : float, default 1e-2
        Variance of the noise of an observation, >= 0.
    variance : bool, default True
        Whether to compute the posterior variance of the function at every new row.
    covariance : bool, default False
        Whether to compute the covariances between new rows: (m_samples, m_samples).
    probes : int, default 16
        Random vectors that estimate the determinant in log_marginal_likelihood with "cg", at least
        2; 0 leaves it out.
    confidence : float, default 0.95
        Probability with which log_marginal_likelihood_interval covers it.

    Returns
    -------
    Prediction
        Its log_marginal_likelihood is summed over outputs.

    Raises
    ------
    TypeError, ValueError, OSError, ImportError
        As `ridge`.

    Warns
    -----
    AccuracyWarning
        As `ridge`; where rounding makes the matrix of "cg" indefinite, which then has no
        log_marginal_likelihood.

    Notes
    -----
    Cost: as `ridge`; variances of m rows n^2 m multiply-adds by "cholesky", and one more solution
    with m right-hand sides by "cg". The determinant takes 5 to 50 products of `probes` columns.
    Accuracy: the mean as `ridge`; a variance by "cg" is too large by |r|^2/noise at most, r its own
    residual. The interval of the likelihood is Student's over the probes, widened by what Lanczos's
    quadrature and the residual leave. With 16 probes half of it is 2 to 10 for each output at N =
    500; it grows like sqrt(N/probes).
    Source: Rasmussen & Williams (2006), algorithm 2.1; Ubaru, Chen & Saad (2017) for the
    determinant.
    """
    requested = Requested(
        as_flag("variance", variance),
        as_flag("covariance", covariance),
        Probing.of(probes, confidence, none=True),
        as_flag("leave_one_out", leave_one_out),
    )
    settings = ProductSettings(dtype, n_threads, memory_limit)
    stopping = Stopping.of(tolerance, max_iterations)
    solving = Solving.of(solver, stopping, rank, start, seed_of(rng, seed))
    level = as_number("noise", noise, least=0)
    problem = Regression.of(kernel, (X, targets, Z), settings)
    return _solved(problem, level, solving, requested, progress)


def _solved(
    problem: Regression, ridge: float, solving: Solving, requested: Requested, progress: Any
) -> Prediction:
    """The prediction by the requested solver, or the chosen one."""
    solver = solving.choice(problem.n, ridge)
    stored = solver == "cholesky"
    route: ByFactor | ByProducts
    route = ByFactor(problem, ridge) if stored else ByProducts(problem, ridge, solving)
    with reporting(progress, "steps") as report:
        solved = route.solve(report)
    sizes = lengths(solved.residuals)
    residual = float((sizes / np.maximum(lengths(problem.Y), np.finfo(float).tiny)).max())
    if not solved.converged:
        warn(
            f"conjugate gradients end with a residual of {residual:.1e}, not "
            f"{solving.stopping.tolerance:.1e}: a larger ridge, rank or max_iterations may help",
            AccuracyWarning,
        )
    covariance = route.covariance() if requested.covariance else None
    variance, likelihood, interval = None, None, None
    if requested.variance:
        variance = route.variance() if covariance is None else covariance.diagonal().copy()
    if requested.likelihood is not None:
        likelihood, interval = route.likelihood(solved, requested.likelihood)
    left_out = problem.shaped(route.leave_one_out(solved.X)) if requested.leave_one_out else None
    with np.errstate(divide="ignore"):
        bound = np.sqrt(problem.at.result_diagonal / ridge)[:, None] * sizes
    return Prediction(
        mean=problem.shaped(problem.at(solved.X)),
        dual=solved.X,
        variance=variance,
        covariance=covariance,
        log_marginal_likelihood=likelihood,
        log_marginal_likelihood_interval=interval,
        leave_one_out=left_out,
        error_bound=problem.shaped(bound),
        residual=residual,
        iterations=solved.iterations,
        converged=solved.converged,
        solver=solver,
        rank=route.rank,
        kernel=problem.train.kernel,
    )


class Route(ABC):
    """Base of the solutions with A = K + ridge I, and the variance that the observations explain:
    k_z^T A^-1 k_z of new rows.

    Attributes
    ----------
    rank : int
        Columns of the preconditioner.
    """

    rank = 0

    def __init__(self, problem: Regression) -> None:
        self.problem = problem

    @abstractmethod
    def explained(self, rows: Array) -> tuple[Array, Array]:
        """Factors U, V (m, n) of k_z^T A^-1 k_z' = U V^T, from `rows` of K(Z, X), (m, n)."""

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
        self.ridge, self.factor = ridge, Cholesky(problem.train.entries(), ridge)

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

    def likelihood(self, solved: Solved, probing: Probing) -> Likelihood:
        """Log N(Y; 0, A) by the determinant of the factor, and an interval that is this value."""
        Y = self.problem.Y
        value = log_likelihood(float(np.sum(Y * solved.X)), self.factor.log_determinant, Y.shape)
        return value, (value, value)

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
        """From S with residual R = K(X, Z) - A S: the error of k_z^T s + r^T s is r^T A^-1 r."""
        columns = np.ascontiguousarray(rows.T)
        solved = self.system.solve(columns, self.solving.stopping)
        return (columns + solved.residuals).T, solved.X.T

    def likelihood(self, solved: Solved, probing: Probing) -> Likelihood:
        """Log N(Y; 0, A) by the estimated determinant, and its interval; None and None without.

        With Y = A X + R, Tr Y^T A^-1 Y is Tr X^T (Y + R) and |R|^2/ridge at most.
        """
        if not probing.probes:
            return None, None
        solving, Y = self.solving, self.problem.Y
        most = solving.stopping.max_iterations
        found = log_determinant(self.system, probing, solving.seed, most)
        if found is None:
            warn(
                f"K + {self.system.ridge:g} I is not positive definite in "
                f"{self.problem.train.settings.dtype}: there is no log_marginal_likelihood",
                AccuracyWarning,
            )
            return None, None
        fit = float(np.sum(solved.X * (Y + solved.residuals)))
        more = float(np.square(solved.residuals).sum()) / self.system.ridge
        low, value, high = (
            log_likelihood(fit + rest, found.value + side * found.half_width, Y.shape)
            for rest, side in ((more, 1), (0.0, 0), (0.0, -1))
        )
        return value, (low, high)

    def leave_one_out(self, dual: Array) -> Array:
        """Raises ValueError: products give no diagonal of the inverse."""
        raise ValueError("leave_one_out needs the inverse: solver='cholesky'")
