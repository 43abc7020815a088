"""The free energy of the hidden weights' covariance Sigma, and its gradient.

h hidden weights w ~ N(0, Sigma), readout variance sa2, noise variance s2, P outputs Y (N, P):

    F(Sigma) = (h/2) [(d0/sw2) Tr Sigma - log det Sigma] + (1/2) [Tr Y^T Qt^-1 Y + P log det Qt],
    Qt = sa2 kappa(X Sigma X^T) + s2 I.

dF = 0 is the equation of state Sigma^-1 = (d0/sw2) I + (1/h) d Tr(A Q)/d Sigma with A = P Qt^-1 - T
T^T held fixed, T = Qt^-1 Y; the mean prediction is Q T = Y - s2 T. The derivative has a closed
form,

    d Tr(A Q)/d Sigma = X^T B X,   B = A o sa2 kdot + diag(2 r),

where r_i is the derivative of Tr(A Q) by K_ii, K = X Sigma X^T, through the norm of row i alone:

    r_i = sum_j A_ij sa2 dkappa_ij/dK_ii,   dkappa/dK_ii = -K_ij kdot/(1 + 2 K_ii)        erf,
                                                           (kappa - K_ij kdot)/(2 K_ii)   ReLU,
                                                               homogeneous of degree 1.

Everything is written for S, Sigma = (sw2/d0)(V S V^T + I - V V^T), V a basis of the rows of X:
outside of their span the prior (sw2/d0) I is the solution, and within it the prior is S = I, which
conditions the problem. S = L L^T, L lower triangular.
Source: Seroussi, Naveh & Ringel (2023), for the equations of state.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.adaptive.factoring import factoring
from nc1fast.support.arguments import check_choice
from nc1fast.support.extras import require

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from nc1fast.adaptive.settings import SolverSettings

    Array = NDArray[np.float64]
    # A data term as a function of Y (N, P), T = Qt^-1 Y, log det Qt and the noise variance.
    Likelihood = Callable[[Array, Array, float, float], "DataTerm"]

_RANK = 1e-12  # singular values of X below this fraction of the largest are rounding


def _erf(norms: Array, own: Array, _: Array | None) -> Array:
    """The slopes r of erf, which need no traces."""
    return -own / (1 + 2 * norms)


def _relu(norms: Array, own: Array, traces: Array | None) -> Array:
    """The slopes r of ReLU; 0 for rows of norm 0."""
    assert traces is not None
    return np.divide(traces - own, 2 * norms, out=np.zeros_like(norms), where=norms > 0)


# r (N,) from K_ii, own_i = sum_j A_ij sa2 kdot_ij K_ij and traces_i = (A Q)_ii, each of shape (N,).
ROW_SLOPES: dict[str, Callable[[Array, Array, Array | None], Array]] = {
    "erf": _erf,
    "relu": _relu,
}


@dataclass(frozen=True, eq=False)
class DataTerm:
    """The part of F that depends on the data, at one Sigma, and A = scale Qt^-1 - factor factor^T
    of its gradient.

    Attributes
    ----------
    value : float
    scale : float
    factor : ndarray of shape (N, k)
    image : ndarray of shape (N, k) or None
        Q factor, for activations whose row slopes need it.
    """

    value: float
    scale: float
    factor: Array
    image: Array | None


def likelihood(Y: Array, T: Array, log_det: float, noise: float) -> DataTerm:
    """Minus the log-likelihood of Y ~ N(0, Qt), up to a constant."""
    n_outputs = Y.shape[1]
    value = 0.5 * (float((Y * T).sum()) + n_outputs * log_det)
    return DataTerm(value, n_outputs, T, Y - noise * T)


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
        """|mismatch| / sqrt(r): relative, and the same in every basis of the features."""
        return float(np.linalg.norm(self.mismatch) / np.sqrt(len(self.mismatch)))


class FreeEnergy:
    """F of one data set, as a function of L and the width h.

    Parameters
    ----------
    X : ndarray of shape (N, d0)
    Y : ndarray of shape (N, P)
    settings : SolverSettings
        Variances, activation, threads and device; the width is an argument of `evaluate`.
    data_term : callable(Y, T, log_det, noise) -> DataTerm
        A different one stands for different equations of state.

    Raises
    ------
    ValueError
        For an activation without an adaptive kernel.

    Attributes
    ----------
    potential : bool
        Whether the equation is the gradient of F, as for `likelihood`. If not, F only leads close
        to a root.

    Notes
    -----
    Cost of an evaluation: N^3 flops for the Cholesky factor and the inverse, in place; 4 N^2 r for
    Q and the product with B. Memory: one N x N matrix; on a device three.
    """

    def __init__(
        self, X: Array, Y: Array, settings: SolverSettings, data_term: Likelihood = likelihood
    ) -> None:
        check_choice("activation", settings.activation, ROW_SLOPES)
        d0 = X.shape[1]
        _, singular, Vt = np.linalg.svd(X, full_matrices=False)
        rank = max(1, int((singular > _RANK * singular[0]).sum()))
        self.basis = np.ascontiguousarray(Vt[:rank].T)  # V (d0, r)
        self.prior = settings.weight_variance / d0
        self.rows = (X @ self.basis) * np.sqrt(self.prior)  # (N, r): K = rows S rows^T
        self.Y, self.settings = Y, settings
        self.data_term, self.potential = data_term, data_term is likelihood
        self._factored = factoring(Y, settings)
        self._solve_triangular: Any = require("scipy.linalg", "adaptive").solve_triangular

    @property
    def rank(self) -> int:
        """Dimension r of the span of the rows, in which Sigma may leave the prior."""
        return int(self.basis.shape[1])

    def sigma(self, L: Array) -> Array:
        """Sigma of L, shape (d0, d0), exactly symmetric."""
        change = self.basis @ (L @ L.T - np.eye(self.rank)) @ self.basis.T
        sigma: Array = self.prior * (np.eye(len(self.basis)) + (change + change.T) / 2)
        return sigma

    def coordinates(self, sigma: Array) -> Array:
        """L (r, r) of a positive definite Sigma, whose part outside the span of the rows is
        dropped.
        """
        factor: Array = np.linalg.cholesky(self.basis.T @ sigma @ self.basis / self.prior)
        return factor

    def predictions(self, T: Array) -> Array:
        """Mean outputs Q T = Y - s2 T on the training rows, shape (N, P)."""
        return self.Y - self.settings.noise * T

    def evaluate(self, L: Array, width: float) -> Evaluation | None:
        """F and its gradient; None where Qt is not positive definite in float64."""
        s2, W = self.settings.noise, self.rows @ L  # (N, r): K = W W^T
        factored = self._factored(W)
        if factored is None:
            return None
        data = self.data_term(self.Y, factored.T, factored.log_det, s2)
        BW, inverse = factored.product(data.scale, data.factor)
        norms, own = (W * W).sum(axis=1), (BW * W).sum(axis=1)
        traces = None
        if data.image is not None:
            traces = data.scale * (1 - s2 * inverse) - (data.factor * data.image).sum(1)
        BW += 2 * ROW_SLOPES[self.settings.activation](norms, own, traces)[:, None] * W
        H = W.T @ BW  # L^T G L
        mismatch = L.T @ L + (H + H.T) / (2 * width) - np.eye(self.rank)
        gradient = np.tril(width * self._solve_triangular(L, mismatch, lower=True, trans="T"))
        value = data.value + 0.5 * width * self._prior_energy(L)
        return Evaluation(value, mismatch, gradient, factored.T)

    def _prior_energy(self, L: Array) -> float:
        """(d0/sw2) Tr Sigma - log det Sigma."""
        d0 = len(self.basis)
        log_det = 2 * float(np.log(L.diagonal()).sum()) + d0 * np.log(self.prior)
        return float((L * L).sum() + (d0 - self.rank) - log_det)
