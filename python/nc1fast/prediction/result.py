"""The results of this room, as frozen dataclasses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Prediction:
    """Outputs of a kernel method on new rows, with what certifies them.

    Attributes
    ----------
    mean : ndarray of shape (m_samples,) or (m_samples, n_outputs)
        As the targets have one axis or two.
    dual : ndarray of shape (n_samples, n_outputs)
        Coefficients: mean = K(Z, X) dual. A later call goes on from them (`start`).
    variance : ndarray of shape (m_samples,) or None
        Of the function at each new row, the same for all outputs, without the noise.
    covariance : ndarray of shape (m_samples, m_samples) or None
    log_marginal_likelihood : float or None
        Of all outputs together; None where it was not computed.
    log_marginal_likelihood_interval : (float, float) or None
        Covers it with the probability asked for, where random vectors estimate the determinant;
        else both ends are the value.
    leave_one_out : ndarray of the shape of the targets, or None
        Prediction for every row from all others.
    error_bound : ndarray of the shape of the mean
        On the error of the mean that the solver leaves, from the true residual; rounding of kernel
        values comes on top.
    residual : float
        |Y - A dual|/|Y| of the worst output, computed anew at the end; for gradient flow, the error of the polynomial relative
        to the targets.
    iterations : int
        Of conjugate gradients, or the degree of the polynomial; 0 for a factorisation.
    converged : bool
        Whether the residual is within the tolerance.
    solver : {"cholesky", "cg"}
    rank : int
        Columns of the preconditioner.
    kernel : Kernel
    """

    mean: Array
    dual: Array
    variance: Array | None
    covariance: Array | None
    log_marginal_likelihood: float | None
    log_marginal_likelihood_interval: tuple[float, float] | None
    leave_one_out: Array | None
    error_bound: Array
    residual: float
    iterations: int
    converged: bool
    solver: str
    rank: int
    kernel: Any


@dataclass(frozen=True, eq=False)
class Selection:
    """Scores of kernels and ridges, and the best of them.

    Attributes
    ----------
    kernel : Kernel
        The best one.
    ridge : float
        The best one for it.
    scores : ndarray of shape (n_kernels, n_ridges)
        Log marginal likelihood, or minus the mean squared error of leaving one out: the larger, the
        better.
    kernels : tuple of Kernel
    ridges : tuple of float
    criterion : {"marginal_likelihood", "leave_one_out"}
    """

    kernel: Any
    ridge: float
    scores: Array
    kernels: tuple[Any, ...]
    ridges: tuple[float, ...]
    criterion: str


@dataclass(frozen=True)
class EffectiveDimension:
    """Tr K (K + ridge I)^-1, estimated.

    Attributes
    ----------
    value : float
    interval : (float, float)
        Covers it with the probability asked for, and what the solver leaves.
    probes : int
        Random vectors; 0 where the value is exact.
    """

    value: float
    interval: tuple[float, float]
    probes: int
