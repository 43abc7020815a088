"""The result of solving the equations of state, with its certificate."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from nc1fast.kernels.adaptive import AdaptiveKernel

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    Array = NDArray[np.float64]


HISTORY = ("stage", "start", "width", "evaluation", "free_energy", "residual")


@dataclass(frozen=True, eq=False)
class Branch:
    """A minimum of the free energy, and the starts whose descents ended there.

    Attributes
    ----------
    sigma : ndarray of shape (n_features, n_features)
        Covariance of the hidden weights.
    free_energy : float
        F(sigma).
    residual : float
        Relative error of the equation of state. A branch that was not kept is known to about 1e-4
        only, which gives F to about 1e-8.
    starts : tuple of str
        Names of the starts, in the order in which they were tried.
    activation : str
    """

    sigma: Array
    free_energy: float
    residual: float
    starts: tuple[str, ...]
    activation: str

    @property
    def kernel(self) -> AdaptiveKernel:
        """The kernel of this covariance."""
        return AdaptiveKernel(self.sigma, self.activation)

    def __repr__(self) -> str:
        return (
            f"Branch(F = {self.free_energy:.10g}, residual {self.residual:.2g}, Tr Sigma {np.trace(self.sigma):.6g}, "
            f"from {', '.join(self.starts)})"
        )


@dataclass(frozen=True, eq=False)
class AdaptiveSolution:
    """The lowest stationary point of the free energy that was found, or the best point on the way
    to one.

    Attributes
    ----------
    sigma : ndarray of shape (n_features, n_features)
        Covariance of the hidden weights.
    free_energy : float
        F(sigma).
    residual : float
        |L^T (Sigma^-1's equation) L - I|_F / sqrt(rank), Sigma = L L^T: relative error of the equation of state.
    smallest_eigenvalue : float
        The smallest eigenvalue of sigma, in units of the prior variance weight_variance/n_features.
    converged : bool
        Whether residual <= tol.
    reason : str
        Why the solver ended.
    predictions : ndarray of shape (n_samples, n_outputs)
        Mean outputs Q (Q + noise I)^-1 Y on the training rows.
    history : dict of str to ndarray
        Columns stage, start, width, evaluation, free_energy, residual: every improvement, those of
        the start that won last.
    evaluations : int
        Evaluations of F, of all starts and widths.
    start : str
        Name of the start that won.
    branches : tuple of Branch
        The minima at which descents ended, distinct in F or in the kernel, lowest F first: the
        first one is this solution.
    noise, width, weight_variance, readout_variance, activation
        The problem that was solved, as the arguments of `solve`.
    stages : tuple of AdaptiveSolution
        One per width of a continuation, this one last; empty without one.
    """

    sigma: Array
    free_energy: float
    residual: float
    smallest_eigenvalue: float
    converged: bool
    reason: str
    predictions: Array
    history: dict[str, NDArray[Any]]
    evaluations: int
    start: str
    branches: tuple[Branch, ...] = field(repr=False)
    noise: float
    width: float
    weight_variance: float
    readout_variance: float
    activation: str
    stages: tuple[AdaptiveSolution, ...] = field(default=(), repr=False)

    @property
    def n_starts(self) -> int:
        """Number of descents at this width."""
        return sum(len(branch.starts) for branch in self.branches)

    @property
    def kernel(self) -> AdaptiveKernel:
        """The adaptive kernel: Q without the readout variance, which only scales it."""
        return AdaptiveKernel(self.sigma, self.activation)

    def __repr__(self) -> str:
        state = "converged" if self.converged else "NOT converged"
        n = len(self.branches)
        lowest = f", lowest of {n} branch{'es' * (n > 1)} from {self.n_starts} starts"
        return (
            f"AdaptiveSolution({state}: {self.reason}; F = {self.free_energy:.10g}"
            f"{lowest if self.n_starts > 1 else ''}, found from {self.start}, residual {self.residual:.2g}, "
            f"Tr Sigma {np.trace(self.sigma):.6g}, smallest eigenvalue {self.smallest_eigenvalue:.3g} of the prior's, "
            f"noise {self.noise:g}, width {self.width:g})"
        )
