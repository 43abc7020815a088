"""(K + ridge I) X = Y by factorising the stored matrix."""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from nc1fast.support.extras import require

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nc1fast.core.products import KernelMap

    Array = NDArray[np.float64]


class Cholesky:
    """K + ridge I = L L^T, by LAPACK.

    Parameters
    ----------
    made : KernelMap
    ridge : float

    Raises
    ------
    ValueError
        If the matrix is not positive definite in float64.

    Notes
    -----
    Cost: n^3/3 multiply-adds, 8 n^2 bytes.
    """

    def __init__(self, made: KernelMap, ridge: float) -> None:
        self.linalg = require("scipy.linalg", "prediction")
        A = made.entries()
        A[np.diag_indices_from(A)] += ridge
        try:
            self.L = self.linalg.cholesky(A, lower=True, overwrite_a=True, check_finite=False)
        except np.linalg.LinAlgError:
            raise ValueError(
                f"K + {ridge:g} I is not positive definite in float64: a larger ridge or noise is needed"
            ) from None

    def solve(self, Y: Array) -> Array:
        """A^-1 Y, shape (n, k)."""
        return self.linalg.cho_solve((self.L, True), Y, check_finite=False)  # type: ignore[no-any-return]

    def half_solve(self, Y: Array) -> Array:
        """L^-1 Y, shape (n, k)."""
        return self.linalg.solve_triangular(self.L, Y, lower=True, check_finite=False)  # type: ignore[no-any-return]

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
