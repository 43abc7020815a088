"""Kernels of polynomial networks, whose hidden units are products of units of fully connected
layers.

f(x) = m^-1/2 sum_r a_r prod_{n<=P} sqrt(v) phi(<w_nr, x>), w_nr ~ N(0, w/d0), a_r ~ N(0, 1), as the
width m grows: factors are independent, so that covariances multiply and tangent kernels follow by
the product rule.
Source: Wu, Zhu, Liu, Chrysos & Cevher (2022), arXiv 2209.07736.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nc1fast.datasets.paths import reads_files
from nc1fast.kernels.fully_connected import NNGP, NTK, Linear, variance
from nc1fast.support.arguments import as_count, as_flag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from nc1fast.core.activations import Activation
    from nc1fast.kernels.classes import Kernel

_LARGEST_DEGREE = 32  # of products that stay within the range of a double for rows of usual lengths
_PAPER = (1.0, 2.0)  # w and v: phi is sqrt2 relu


def polynomial_nngp(
    degree: int,
    activation: Activation = "relu",
    *,
    weight_variance: float | Sequence[float] = _PAPER,
) -> Kernel:
    """Covariance of the outputs of a network of products, k1^P, k1 = v E[phi(u) phi(u')].

    Parameters
    ----------
    degree : int
        P >= 1, the number of factors of a unit, at most 32.
    activation : str, LeakyReLU, ShiftedReLU or Activation, default "relu"
    weight_variance : float or (float, float), default (1.0, 2.0)
        w of the weights and v of the factors; one number is both.

    Returns
    -------
    Kernel
        An expression of others; its cost and accuracy are theirs.
    """
    return NNGP(activation, 2, weight_variance) ** _degree(degree)  # type: ignore[arg-type]


def polynomial_ntk(
    degree: int,
    activation: Activation = "relu",
    *,
    weight_variance: float | Sequence[float] = _PAPER,
) -> Kernel:
    """Neural tangent kernel of a network of products, k1^P + P T k1^(P-1).

    Parameters
    ----------
    degree, activation, weight_variance
        As of `polynomial_nngp`.

    Returns
    -------
    Kernel
        An expression of others.

    Raises
    ------
    ValueError
        As `NTK`, for activations that jump.

    Notes
    -----
    T = v w <x, x'>/d0 E[phi'(u) phi'(u')], the tangent kernel of one factor: `NTK(...,
    train_readout=False)`. One term for the readout, and one for each factor beside the covariance
    of the others. P = 1 is `NTK`.
    Source: Wu et al. (2022), arXiv 2209.07736.
    """
    degree = _degree(degree)
    covariance = NNGP(activation, 2, weight_variance)  # type: ignore[arg-type]
    tangent: Kernel = NTK(activation, 2, weight_variance, train_readout=False)  # type: ignore[arg-type]
    if degree > 1:
        tangent = degree * (tangent * covariance ** (degree - 1))
    return covariance**degree + tangent


@dataclass(frozen=True)
class SkipPolynomial:
    """Kernels of a network of products with skips: y_1 = relu(W_1 x), y_n = y_{n-1} (relu(W_n x) +
    1), f = m^-1/2 <a, y_P>.

    A callable for `nc1fast.collapse`, which stores no Gram matrix; it is no `Kernel`, as it has a
    constant within.

    Parameters
    ----------
    degree : int
        P >= 1, at most 32.
    tangent : bool, default False
        The neural tangent kernel in place of the covariance.
    weight_variance : float, default 1.0
        w of all weights.

    Notes
    -----
    S = E[relu(u) relu(u')], D = E[step(u) step(u')], M = E[(1 + relu(u)) (1 + relu(u'))] = 1 + (|x|
    + |x'|)/sqrt(2 pi) + S; S M^(P-1), and <x, x'> D M^(P-1) + (P-1) <x, x'> D S M^(P-2) more for
    the tangent kernel; x times sqrt(w/d0).
    Cost: three Gram matrices by the core, and some P operations a pair; memory a few tiles.
    Accuracy: some P roundings of a double relative to the diagonal; no `error_bound`.
    Source: Wu et al. (2022), arXiv 2209.07736, for the networks.
    """

    degree: int
    tangent: bool = False
    weight_variance: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "degree", _degree(self.degree))
        object.__setattr__(self, "tangent", as_flag("tangent", self.tangent))
        object.__setattr__(
            self, "weight_variance", variance("weight_variance", self.weight_variance)
        )

    @reads_files("X", "Z", in_memory=True)
    def __call__(self, X: ArrayLike, Z: ArrayLike | None = None) -> NDArray[np.float64]:
        """Gram matrix k(x_i, z_j).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or path
        Z : array-like of shape (m_samples, n_features), or path, optional
            Default: X.

        Returns
        -------
        ndarray of shape (n_samples, m_samples)
        """
        linear, variances = Linear(self.weight_variance), (self.weight_variance, 1.0)
        relu, step = NNGP("relu", 2, variances), NNGP("step", 2, variances)
        S: NDArray[np.float64] = relu(X, Z)
        rows = np.sqrt(linear.diag(X) / (2 * np.pi))  # E relu(u)
        columns = rows if Z is None else np.sqrt(linear.diag(Z) / (2 * np.pi))
        M = 1 + (rows[:, None] + columns) + S
        K: NDArray[np.float64] = S * M ** (self.degree - 1)
        if self.tangent:
            slopes = M ** (self.degree - 1)
            if self.degree > 1:
                slopes = slopes + (self.degree - 1) * S * M ** (self.degree - 2)
            K = K + linear(X, Z) * step(X, Z) * slopes
        return K


def _degree(degree: int) -> int:
    """A number of factors, checked."""
    return as_count("degree", degree, 1, _LARGEST_DEGREE)
