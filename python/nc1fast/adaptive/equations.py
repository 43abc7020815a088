"""The free energy of the hidden weights' covariance Sigma, and its gradient.

h hidden weights w ~ N(0, Sigma), readout variance sa2, noise variance s2, P outputs Y (N, P):

    F(Sigma) = (h/2) [(d0/sw2) Tr Sigma - log det Sigma] + (1/2) [Tr Y^T Qt^-1 Y + P log det Qt],
    Qt = sa2 kappa(X Sigma X^T) + s2 I.

dF = 0 is the equation of state Sigma^-1 = (d0/sw2) I + (1/h) d Tr(A Q)/d Sigma with A = P Qt^-1 - T T^T held fixed,
T = Qt^-1 Y; the mean prediction is Q T = Y - s2 T. The derivative has a closed form,

    d Tr(A Q)/d Sigma = X^T B X,   B = A o sa2 kdot + diag(2 r),   r_i = sum_j A_ij sa2 dkappa_ij/dK_ii.

Everything is written for S, Sigma = (sw2/d0)(V S V^T + I - V V^T), V a basis of the rows of X: outside of it the prior
(sw2/d0) I is the solution, and in it the prior is S = I, which conditions the problem. S = L L^T, L lower triangular.
Source: Seroussi, Naveh & Ringel (2023), for the equations of state.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from nc1fast.adaptive.factoring import Hidden, factoring
from nc1fast.support.extras import require

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_RANK = 1e-12  # singular values of X below this part of the largest are rounding


@dataclass(frozen=True, eq=False)
class DataTerm:
    """What the data add to F at one Sigma: a value, and A = scale Qt^-1 - factor factor^T."""

    value: float
    scale: float
    factor: Array  # (N, k)
    image: Array | None  # Q factor (N, k); only where row slopes need it


class Likelihood(Protocol):
    """A data term from Y, T = Qt^-1 Y, log det Qt and the noise."""

    def __call__(self, Y: Array, T: Array, log_det: float, noise: float) -> DataTerm:
        """The term at one Sigma."""
        ...


def likelihood(Y: Array, T: Array, log_det: float, noise: float) -> DataTerm:
    """Minus the log-likelihood of Y ~ N(0, Qt), up to a constant."""
    n_outputs = Y.shape[1]
    value = 0.5 * (float((Y * T).sum()) + n_outputs * log_det)
    return DataTerm(value, n_outputs, T, Y - noise * T)


def _erf_slopes(a: Array, own: Array, _: Array | None) -> Array:
    return -own / (1 + 2 * a)


def _relu_slopes(a: Array, own: Array, traces: Array | None) -> Array:
    assert traces is not None
    return np.divide(traces - own, 2 * a, out=np.zeros_like(a), where=a > 0)


# r_i = sum_j A_ij sa2 dkappa_ij/dK_ii from a_i = K_ii, own_i = sum_j A_ij sa2 kdot_ij K_ij and traces_i = (A Q)_ii:
# dkappa/dK_ii is -K_ij kdot/(1 + 2 K_ii) for erf, (kappa - K_ij kdot)/(2 K_ii) for ReLU (homogeneous of degree 1).
ROW_SLOPES: dict[str, Callable[[Array, Array, Array | None], Array]] = {
    "erf": _erf_slopes,
    "relu": _relu_slopes,
}


@dataclass(frozen=True, eq=False)
class Evaluation:
    """F and its gradient at one L.

    Attributes
    ----------
    value : float
        F.
    mismatch : ndarray of shape (r, r)
        L^T (I + G/h) L - I, G = d Tr(A Q)/dS: zero where the equation of state holds.
    gradient : ndarray of shape (r, r)
        dF/dL, lower triangular.
    T : ndarray of shape (N, P)
        Qt^-1 Y.
    """

    value: float
    mismatch: Array
    gradient: Array
    T: Array

    @property
    def residual(self) -> float:
        """|mismatch| / sqrt(r): relative, the same in every basis of the features."""
        return float(np.linalg.norm(self.mismatch) / np.sqrt(len(self.mismatch)))


class FreeEnergy:
    """F of one data set.

    Parameters
    ----------
    X : ndarray of shape (N, d0)
    Y : ndarray of shape (N, P)
    noise, weight_variance, readout_variance, width : float
        s2, sw2, sa2, h, all positive.
    activation : {"erf", "relu"}
    n_threads : int or None
    device : str, default "cpu"
        Where Qt is factored: see `nc1fast.adaptive.factoring`.
    data_term : Likelihood
        Another one stands for other equations of state.
    potential : bool
        Whether the equation is the gradient of F. If not, F only leads into the neighbourhood of a root.

    Notes
    -----
    An evaluation: N^3 flops for the Cholesky factor and the inverse, in place; 4 N^2 r for Q and the product with B.
    Memory: one N x N matrix; on a device three.
    """

    def __init__(
        self,
        X: Array,
        Y: Array,
        *,
        noise: float,
        weight_variance: float,
        readout_variance: float,
        width: float,
        activation: str,
        n_threads: int | None = None,
        device: str = "cpu",
        data_term: Likelihood = likelihood,
        potential: bool = True,
    ) -> None:
        d0 = X.shape[1]
        _, singular, Vt = np.linalg.svd(X, full_matrices=False)
        rank = max(1, int((singular > _RANK * singular[0]).sum()))
        self.basis = np.ascontiguousarray(Vt[:rank].T)  # (d0, r)
        self.prior = weight_variance / d0
        self.rows = (X @ self.basis) * np.sqrt(self.prior)  # (N, r): K = rows S rows^T
        self.Y, self.noise, self.width = Y, noise, width
        self.weight_variance, self.readout_variance = weight_variance, readout_variance
        self.activation = activation
        self.data_term, self.potential = data_term, potential
        self.n_evaluations = 0
        self._factored = factoring(
            Hidden(Y, noise, readout_variance, activation, n_threads), device
        )
        self._solve_triangular: Any = require("scipy.linalg", "adaptive").solve_triangular

    @property
    def rank(self) -> int:
        """Dimensions in which Sigma may leave the prior."""
        return int(self.basis.shape[1])

    def sigma(self, L: Array) -> Array:
        """Sigma (d0, d0), exactly symmetric."""
        change = self.basis @ (L @ L.T - np.eye(self.rank)) @ self.basis.T
        sigma: Array = self.prior * (np.eye(len(self.basis)) + (change + change.T) / 2)
        return sigma

    def coordinates(self, sigma: Array) -> Array:
        """L of a positive definite Sigma, whose part outside of the rows of X is dropped."""
        factor: Array = np.linalg.cholesky(self.basis.T @ sigma @ self.basis / self.prior)
        return factor

    def evaluate(self, L: Array) -> Evaluation | None:
        """F and its gradient; None where Qt is not positive definite in float64."""
        self.n_evaluations += 1
        h, s2 = self.width, self.noise
        W = self.rows @ L  # (N, r): K = W W^T
        factored = self._factored(W)
        if factored is None:
            return None
        data = self.data_term(self.Y, factored.T, factored.log_det, s2)
        BW, inverse = factored.product(data.scale, data.factor)
        a, own = (W * W).sum(axis=1), (BW * W).sum(axis=1)
        traces = None
        if data.image is not None:
            traces = data.scale * (1 - s2 * inverse) - (data.factor * data.image).sum(1)
        BW += 2 * ROW_SLOPES[self.activation](a, own, traces)[:, None] * W
        H = W.T @ BW  # L^T G L
        mismatch = L.T @ L + (H + H.T) / (2 * h) - np.eye(self.rank)
        gradient = np.tril(h * self._solve_triangular(L, mismatch, lower=True, trans="T"))
        value = data.value + 0.5 * h * self._prior_energy(L)
        return Evaluation(value, mismatch, gradient, factored.T)

    def _prior_energy(self, L: Array) -> float:
        """(d0/sw2) Tr Sigma - log det Sigma."""
        d0 = len(self.basis)
        log_det = 2 * float(np.log(L.diagonal()).sum()) + d0 * np.log(self.prior)
        return float((L * L).sum() + (d0 - self.rank) - log_det)
