"""Ridge regression and Gaussian processes: (K + ridge I) dual = Y, and the outputs K(Z, X) dual."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.core.products import ProductSettings
from nc1fast.datasets.paths import reads_files
from nc1fast.prediction.conjugate import lengths
from nc1fast.prediction.probing import Probing
from nc1fast.prediction.problem import Regression, Solving
from nc1fast.prediction.result import Prediction
from nc1fast.prediction.routes import ByFactor, ByProducts
from nc1fast.support.arguments import as_flag, as_number
from nc1fast.support.arithmetic import ieee
from nc1fast.support.progress import reporting
from nc1fast.support.warnings import AccuracyWarning, warn

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from nc1fast.kernels.classes import Kernel
    from nc1fast.support.progress import Progress

    Array = NDArray[np.float64]


@dataclass(frozen=True)
class Wanted:
    """Which of the costlier answers are computed beside the mean."""

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
        Of "cg": how many of the digits wanted have been reached.

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
    wanted = Wanted(leave_one_out=as_flag("leave_one_out", leave_one_out))
    settings = ProductSettings(dtype, n_threads, memory_limit)
    solving = Solving.of(solver, (tolerance, max_iterations), rank, start, seed)
    level = as_number("ridge", ridge, least=0)
    problem = Regression.of(kernel, (X, targets, Z), settings)
    return _solved(problem, level, solving, wanted, progress)


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
) -> Prediction:
    """Posterior of a Gaussian process of zero mean and covariance `kernel`, observed with noise.

    Parameters
    ----------
    kernel, X, targets, Z, solver, tolerance, max_iterations, rank, start, leave_one_out, dtype,
    n_threads, memory_limit, seed, progress
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
    wanted = Wanted(
        as_flag("variance", variance),
        as_flag("covariance", covariance),
        Probing.of(probes, confidence, none=True),
        as_flag("leave_one_out", leave_one_out),
    )
    settings = ProductSettings(dtype, n_threads, memory_limit)
    solving = Solving.of(solver, (tolerance, max_iterations), rank, start, seed)
    level = as_number("noise", noise, least=0)
    problem = Regression.of(kernel, (X, targets, Z), settings)
    return _solved(problem, level, solving, wanted, progress)


def _solved(
    problem: Regression, ridge: float, solving: Solving, wanted: Wanted, progress: Any
) -> Prediction:
    """The prediction by the solver that is asked for, or chosen."""
    solver = solving.choice(problem.n, ridge)
    route: ByFactor | ByProducts
    if solver == "cholesky":
        route = ByFactor(problem, ridge)
    else:
        route = ByProducts(problem, ridge, solving)
    with reporting(progress, "steps") as report:
        solved = route.solve(report)
    sizes = lengths(solved.residuals)
    residual = float((sizes / np.maximum(lengths(problem.Y), np.finfo(float).tiny)).max())
    if not solved.converged:
        warn(
            f"conjugate gradients end with a residual of {residual:.1e}, not {solving.stopping.tolerance:.1e}: "
            "a larger ridge, rank or max_iterations may help",
            AccuracyWarning,
        )
    covariance = route.covariance() if wanted.covariance else None
    variance = None
    if wanted.variance:
        variance = route.variance() if covariance is None else covariance.diagonal().copy()
    likelihood = route.likelihood(solved, wanted.likelihood) if wanted.likelihood else None
    with np.errstate(divide="ignore"):
        bound = np.sqrt(problem.at.result_diagonal / ridge)[:, None] * sizes
    return Prediction(
        mean=problem.shaped(problem.at(solved.X)),
        dual=solved.X,
        variance=variance,
        covariance=covariance,
        log_marginal_likelihood=None if likelihood is None else likelihood.value,
        log_marginal_likelihood_interval=None if likelihood is None else likelihood.interval,
        leave_one_out=problem.shaped(route.leave_one_out(solved.X))
        if wanted.leave_one_out
        else None,
        error_bound=problem.shaped(bound),
        residual=residual,
        iterations=solved.iterations,
        converged=solved.converged,
        solver=solver,
        rank=route.rank,
        kernel=problem.train.kernel,
    )
