"""`effective_dimension`: how many directions a ridge leaves to a kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nc1fast.core.products import KernelMap, ProductSettings
from nc1fast.datasets.paths import reads_files
from nc1fast.kernels.classes import check_kernel
from nc1fast.prediction.conjugate import RidgeSystem, Stopping, lengths
from nc1fast.prediction.dense import Cholesky
from nc1fast.prediction.probing import Probing
from nc1fast.prediction.problem import SOLVERS
from nc1fast.prediction.result import EffectiveDimension
from nc1fast.support.arguments import as_count, as_number, as_seed, check_choice
from nc1fast.support.arithmetic import ieee
from nc1fast.support.progress import reporting

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike

    from nc1fast.kernels.classes import Kernel

_FEW_ROWS = 2000  # of which the inverse is cheap


@ieee
@reads_files("X")
def effective_dimension(
    kernel: Kernel,
    X: ArrayLike,
    *,
    ridge: float = 1e-3,
    solver: str = "auto",
    probes: int = 32,
    confidence: float = 0.95,
    tolerance: float = 1e-6,
    max_iterations: int = 1000,
    n_threads: int | None = None,
    memory_limit: float | None = None,
    seed: int = 0,
    progress: bool | Callable[[int, int], object] = False,
) -> EffectiveDimension:
    """Tr K (K + ridge I)^-1, the degrees of freedom of a ridge regression.

    Parameters
    ----------
    kernel, X, n_threads, memory_limit, tolerance, max_iterations, progress
        As of `ridge`.
    ridge : float > 0, default 1e-3
    solver : {"auto", "cholesky", "cg"}, default "auto"
        "cholesky": exact, from the stored matrix; "cg": an estimate. "auto": exact up to 2,000
        rows.
    probes : int, default 32
        Random vectors of an estimate, at least 2.
    confidence : float, default 0.95
        Probability with which the interval covers the value.
    seed : int, default 0

    Returns
    -------
    EffectiveDimension

    Raises
    ------
    TypeError, ValueError, OSError, ImportError
        As `ridge`.

    Notes
    -----
    n - ridge E z^T (K + ridge I)^-1 z over vectors z of random signs; the interval is Student's
    over the probes, widened by what the residuals r leave: |z^T (x - x_exact)| <= |x| |r| +
    |r|^2/ridge.
    Cost: one solution with `probes` right-hand sides.
    Source: Hutchinson (1990); Avron & Toledo (2011).
    """
    check_kernel(kernel, X)
    level = as_number("ridge", ridge, above=0)
    check_choice("solver", solver, SOLVERS)
    probing = Probing.of(probes, confidence)
    stopping = Stopping(
        as_number("tolerance", tolerance, above=0, below=1),
        as_count("max_iterations", max_iterations),
    )
    made = KernelMap.of(kernel, X, None, ProductSettings("float64", n_threads, memory_limit))
    n = made.shape[1]
    if solver == "cholesky" or (solver == "auto" and n <= _FEW_ROWS):
        value = n - level * float(Cholesky(made, level).inverse_diagonal().sum())
        return EffectiveDimension(value, (value, value), 0)
    signs = probing.signs(n, as_seed(seed))
    system = RidgeSystem.of(made, level, None, as_seed(seed))
    with reporting(progress, "steps") as report:
        solved = system.solve(signs, stopping, report=report)
    traces = n - level * np.einsum("ij,ij->j", signs, solved.X)
    left = lengths(solved.residuals)
    solving = level * float((lengths(solved.X) * left + np.square(left) / level).max())
    mean, half = float(traces.mean()), probing.half_width(traces) + solving
    return EffectiveDimension(mean, (mean - half, mean + half), probing.probes)
