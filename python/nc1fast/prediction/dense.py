"""The stored matrix: (K + ridge I) X = Y by its factors; and `select`, the kernel and the ridge
that explain the targets best.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from nc1fast.core.products import ProductSettings
from nc1fast.datasets.paths import reads_files
from nc1fast.inputs.arrays import as_rows, host_array, rows_at
from nc1fast.inputs.files import as_source
from nc1fast.prediction.problem import Regression, Selection
from nc1fast.support.arguments import as_items, as_number, check_choice
from nc1fast.support.arithmetic import ieee
from nc1fast.support.extras import require
from nc1fast.support.progress import reporting

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray

    from nc1fast.core.products import KernelMap
    from nc1fast.kernels.classes import Kernel

    Array = NDArray[np.float64]

CRITERIA = ("marginal_likelihood", "leave_one_out")


class Cholesky:
    """K + ridge I = L L^T, by LAPACK.

    Parameters
    ----------
    K : ndarray of shape (n, n)
        Its memory is taken for L.
    ridge : float

    Raises
    ------
    ValueError
        If the matrix is not positive definite in float64.

    Notes
    -----
    Cost: n^3/3 multiply-adds, 8 n^2 bytes.
    """

    def __init__(self, K: Array, ridge: float) -> None:
        self.linalg = require("scipy.linalg", "prediction")
        K[np.diag_indices_from(K)] += ridge
        try:
            self.L = self.linalg.cholesky(K, lower=True, overwrite_a=True, check_finite=False)
        except np.linalg.LinAlgError:
            raise ValueError(
                f"K + {ridge:g} I is not positive definite in float64: "
                "a larger ridge, noise or alpha is needed"
            ) from None

    def solve(self, Y: Array) -> Array:
        """A^-1 Y, shape (n, k)."""
        X: Array = self.linalg.cho_solve((self.L, True), Y, check_finite=False)
        return X

    def half_solve(self, Y: Array) -> Array:
        """L^-1 Y, shape (n, k)."""
        X: Array = self.linalg.solve_triangular(self.L, Y, lower=True, check_finite=False)
        return X

    @cached_property
    def log_determinant(self) -> float:
        """The logarithm of det A."""
        return 2.0 * float(np.log(self.L.diagonal()).sum())

    def inverse_diagonal(self) -> Array:
        """Diagonal of A^-1 = L^-T L^-1, shape (n,)."""
        inverse, _ = self.linalg.lapack.dtrtri(self.L, lower=1)
        return np.asarray(np.square(np.tril(inverse)).sum(axis=0))


def log_likelihood(fit: float, log_determinant: float, shape: tuple[int, int]) -> float:
    """Log N(Y; 0, A) of all columns of Y (n, k) together, by fit = Tr Y^T A^-1 Y and log det A."""
    n, outputs = shape
    return -0.5 * (fit + outputs * (log_determinant + n * math.log(2 * math.pi)))


class Eigen:
    """K = U diag(lambda) U^T, which serves every ridge and every time.

    Parameters
    ----------
    made : KernelMap

    Notes
    -----
    Cost: some 9 n^3 multiply-adds, 24 n^2 bytes.
    """

    def __init__(self, made: KernelMap) -> None:
        linalg = require("scipy.linalg", "prediction")
        values, self.U = linalg.eigh(
            made.entries(), driver="evd", overwrite_a=True, check_finite=False
        )
        self.values = np.maximum(values, 0.0)

    def scores(self, Y: Array, ridge: float) -> tuple[float, float]:
        """Log marginal likelihood, and minus the mean squared error of leaving one out."""
        with np.errstate(divide="ignore", invalid="ignore"):
            inverse = 1.0 / (self.values + ridge)
            along = self.U.T @ Y
            dual = self.U @ (inverse[:, None] * along)
            left = dual / (np.square(self.U) @ inverse)[:, None]
            fit = float(np.sum(inverse[:, None] * np.square(along)))
            determinant = -float(np.log(inverse).sum())
        return log_likelihood(fit, determinant, Y.shape), -float(np.square(left).mean())


@ieee
@reads_files("X", labels="targets")
def select(
    kernels: Sequence[Kernel],
    X: ArrayLike,
    targets: ArrayLike,
    *,
    ridges: Sequence[float] = (1e-4, 1e-3, 1e-2, 1e-1, 1.0),
    criterion: str = "marginal_likelihood",
    n_threads: int | None = None,
    progress: bool | Callable[[int, int], object] = False,
) -> Selection:
    """Compare kernels (depths, variances, activations) and ridges on the data that they are fitted
    to.

    Parameters
    ----------
    kernels : sequence of Kernel
    X : array-like of shape (n_samples, n_features), or path
    targets : array-like of shape (n_samples,) or (n_samples, n_outputs), path, or part of the file
    X
    ridges : sequence of float > 0
        Ridges, or variances of the noise.
    criterion : {"marginal_likelihood", "leave_one_out"}
        The likelihood of a Gaussian process, summed over outputs; or the mean squared error of
        predicting each row from all others, in closed form.
    n_threads : int, optional
        Default: as `collapse`.
    progress : bool or callable(done, total), default False
        In kernels.

    Returns
    -------
    Selection

    Raises
    ------
    TypeError, ValueError, OSError, ImportError
        As `ridge`; for no kernel and no ridge.

    Notes
    -----
    Cost: one eigendecomposition of a stored matrix for each kernel, 9 N^3 multiply-adds and 24 N^2
    bytes, which serves all ridges; of more rows than memory has room for, take a sample. X is read
    once; inner products of rows are computed for each kernel anew. They take a share of about
    d0/(d0 + 6 N) of the time (measured on one core with AVX-512: 10 % at N = 1000, d0 = 784, a
    third at d0 = 3 N), which is all that kernels in one pass could save.
    Source: Rasmussen & Williams (2006), eqs. 2.30 and 5.12.
    """
    candidates = as_items("kernels", kernels, "a sequence of kernels")
    levels = [as_number("ridges", one, above=0) for one in as_items("ridges", ridges, "numbers")]
    check_choice("criterion", criterion, CRITERIA)
    if not candidates or not levels:
        raise ValueError("kernels and ridges must not be empty")
    settings = ProductSettings("float64", n_threads)
    rows = rows_at(as_rows(as_source(X), "X"), slice(None))
    values = host_array(as_source(targets), "targets")
    problems = [Regression.of(kernel, (rows, values, None), settings) for kernel in candidates]
    scores = np.empty((len(problems), len(levels)))
    with reporting(progress, "kernels") as report:
        for index, problem in enumerate(problems):
            eigen = Eigen(problem.train)
            for column, level in enumerate(levels):
                found = eigen.scores(problem.Y, level)
                scores[index, column] = found[CRITERIA.index(criterion)]
            if report is not None:
                report(index + 1, len(problems))
    best = np.unravel_index(int(scores.argmax()), scores.shape)
    return Selection(
        candidates[best[0]], levels[best[1]], scores, tuple(candidates), tuple(levels), criterion
    )
