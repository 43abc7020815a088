"""Coefficients of kernels of one hidden layer, as random features, shortcuts and pairs of rows use
them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.core.linear import matmul

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nc1fast.activations import Activation

    Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class InputLayer:
    """Sigma = weight <x, z> + bias and Theta = theta_weight <x, z> + theta_bias, over the rows of
    `rows`.

    Attributes
    ----------
    activation : str, LeakyReLU, ShiftedReLU or Activation
    weight, bias : float
    theta_weight, theta_bias : float
        0 for a covariance kernel.
    factor : ndarray of shape (n_features, r) or None
        Of an adaptive kernel: the rows are those of X times this.
    """

    activation: Activation
    weight: float
    bias: float
    theta_weight: float = 0.0
    theta_bias: float = 0.0
    factor: Array | None = None

    def rows(self, X: NDArray[Any]) -> Array:
        """The rows that the inner products are of, in float64."""
        X = X.astype(np.float64, copy=False)
        return X if self.factor is None else matmul(X, self.factor)


@dataclass(frozen=True, eq=False)
class OneLayer(InputLayer):
    """k(x, z) = value kappa(Sigma) + constant + tangent Theta(x, z) kdot(Sigma)."""

    value: float = 1.0
    constant: float = 0.0
    tangent: float = 0.0

    @classmethod
    def after(cls, first: InputLayer, value: float, constant: float, tangent: float) -> OneLayer:
        """The kernel whose input layer is `first`."""
        head = (first.activation, first.weight, first.bias, first.theta_weight, first.theta_bias)
        return cls(*head, first.factor, value, constant, tangent)
