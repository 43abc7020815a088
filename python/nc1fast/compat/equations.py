"""The equations of state of the code released with arXiv 2406.02105.

They differ from those of `nc1fast.adaptive` in the matrix A of the gradient. With t = (Q + s2 I)^-1
y and the mean prediction f = y - s2 t, the data term is -t t^T = -(y - f)(y - f)^T/s2^2; the
released code multiplies by s2 instead of dividing by s2^2, and subtracts f, a column, from y, a
row, which gives the matrix D_ij = y_j - f_i in place of a vector:

    A = (Q + s2 I)^-1 - s2 D D^T,   D D^T = |y|^2 1 1^T - (sum y)(1 f^T + f 1^T) + N f f^T.

At s2 = 1e-6 the labels hardly enter, and the log-determinant is left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nc1fast.adaptive.equations import DataTerm
from nc1fast.adaptive.settings import SolverSettings
from nc1fast.adaptive.solving import solve_equations
from nc1fast.datasets.paths import reads_files
from nc1fast.inputs.arrays import as_rows
from nc1fast.inputs.targets import as_numbers
from nc1fast.support.arithmetic import ieee

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray

    from nc1fast.adaptive.solution import AdaptiveSolution

    Array = NDArray[np.float64]

# Widths of the released configuration, from the widest to the 500 hidden units of its networks.
ANNEALING = (*range(100_000, 9_999, -10_000), *range(9_000, 999, -1_000), *range(900, 499, -100))


@ieee
@reads_files("X", labels="targets", in_memory=True)
def released_adaptive(
    X: ArrayLike,
    targets: ArrayLike,
    *,
    noise: float = 1e-6,
    weight_variance: float = 1.0,
    readout_variance: float = 1 / 128,
    width: float = 500,
    start: ArrayLike | None = None,
    widths: Sequence[float] | None = None,
    tol: float = 1e-8,
    max_iter: int = 2000,
    n_threads: int | None = None,
    progress: bool | Callable[[int, int], object] = False,
) -> AdaptiveSolution:
    """Solve the released equations, in float64; for comparison only.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features), or path
    targets : array-like of shape (n_samples,), path, or part of the file X
        Of a single output.
    noise, weight_variance, readout_variance, width, start, widths, tol, max_iter, n_threads,
    progress
        As in `nc1fast.adaptive.solve`. The defaults are the released configuration, whose 24 widths
        are `widths=nc1fast.compat.equations.ANNEALING`; the root does not depend on them.

    Returns
    -------
    AdaptiveSolution
        Its `free_energy` lacks the data term, of which the released equations are no gradient:
        prior and log-determinant.

    Raises
    ------
    TypeError, ValueError
        As `nc1fast.adaptive.solve`; also for more than one output.

    Notes
    -----
    Cost and accuracy: as `nc1fast.adaptive.solve`. The released code computes in float32 and solves
    to an absolute tolerance of 5e-4 in Sigma.
    """
    Y = as_numbers(targets, len(as_rows(X, "X")), None)
    if Y.shape[1] != 1:
        raise ValueError(f"targets must be of one output here, got {Y.shape[1]}")
    settings = SolverSettings(
        noise=noise,
        weight_variance=weight_variance,
        readout_variance=readout_variance,
        width=width,
        widths=widths,
        multistart=1,  # F is no guide between roots
        tol=tol,
        max_iter=max_iter,
        n_threads=n_threads,
    )
    return solve_equations(X, Y, settings, data_term=_released, start=start, progress=progress)


def _released(Y: Array, T: Array, log_det: float, noise: float) -> DataTerm:
    """The data term s2 D D^T = F F^T with F (N, 2), from D D^T = [1 f] C [1 f]^T."""
    y, f = Y[:, 0], Y[:, 0] - noise * T[:, 0]
    C = np.array([[y @ y, -y.sum()], [-y.sum(), len(y)]])
    eigenvalues, basis = np.linalg.eigh(C)
    root = basis * np.sqrt(np.maximum(eigenvalues, 0.0))
    factor = np.sqrt(noise) * np.column_stack([np.ones_like(f), f]) @ root
    return DataTerm(0.5 * log_det, 1.0, factor, None)
