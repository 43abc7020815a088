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
class AdaptiveSolution:
    """A stationary point of the free energy, or the best point found on the way to one.

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
        Columns stage, start, width, evaluation, free_energy, residual: every improvement.
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
    noise: float
    width: float
    weight_variance: float
    readout_variance: float
    activation: str
    stages: tuple[AdaptiveSolution, ...] = field(default=(), repr=False)

    @property
    def kernel(self) -> AdaptiveKernel:
        """The adaptive kernel: Q without the readout variance, which only scales it."""
        return AdaptiveKernel(self.sigma, self.activation)

    def __repr__(self) -> str:
        state = "converged" if self.converged else "NOT converged"
        return (
            f"AdaptiveSolution({state}: {self.reason}; F = {self.free_energy:.10g}, residual {self.residual:.2g}, "
            f"Tr Sigma {np.trace(self.sigma):.6g}, smallest eigenvalue {self.smallest_eigenvalue:.3g} of the prior's, "
            f"noise {self.noise:g}, width {self.width:g})"
        )
