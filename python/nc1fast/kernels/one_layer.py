"""Kernels of one hidden layer, written out: what random features, shortcuts and pairs of rows need to know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.activations import Activation, LeakyReLU
from nc1fast.core.linear import matmul
from nc1fast.kernels.classes import NNGP, NTK, AdaptiveKernel, ConjugateKernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


def halves(activation: Activation) -> tuple[float, float] | None:
    """(odd, even) of phi(u) = odd u + even |u|; None for other activations.

    odd^2 Sigma + even^2 kappa_abs is then the dual activation, odd^2 + even^2 (1 - 2 theta/pi) its derivative: the mixed
    terms are odd in the weights.
    """
    if isinstance(activation, LeakyReLU):
        return (1 + activation.slope) / 2, (1 - activation.slope) / 2
    return {"relu": (0.5, 0.5), "abs": (0.0, 1.0)}.get(activation)


@dataclass(frozen=True, eq=False)
class OneLayer:
    """k(x, z) = value kappa(Sigma) + constant + tangent Theta(x, z) kdot(Sigma).

    Sigma = weight <x, z> + bias and Theta = theta_weight <x, z> + theta_bias, over the rows of `rows`.
    """

    activation: Activation
    weight: float
    bias: float
    value: float
    constant: float
    tangent: float
    theta_weight: float
    theta_bias: float
    factor: Array | None = None  # of an adaptive kernel: the rows are those of X times this

    def rows(self, X: NDArray[Any]) -> Array:
        """The rows that the inner products are of, in float64."""
        X = X.astype(np.float64, copy=False)
        return X if self.factor is None else matmul(X, self.factor)


def one_layer(kernel: Any, n_features: int) -> OneLayer | None:
    """The kernel as a `OneLayer`; None if it is none, or deeper."""
    if getattr(kernel, "depth", None) != 2:
        return None
    if isinstance(kernel, AdaptiveKernel):
        return OneLayer(kernel.activation, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, kernel.factor)
    if not isinstance(kernel, ConjugateKernel | NNGP | NTK):
        return None
    w, b = kernel.weight_variances, kernel.bias_variances
    head = (kernel.activation, w[0] / n_features, b[0])
    if isinstance(kernel, ConjugateKernel):
        return OneLayer(*head, 1.0, 0.0, 0.0, 0.0, 0.0)
    if isinstance(kernel, NNGP):
        return OneLayer(*head, w[1], b[1], 0.0, 0.0, 0.0)
    (first, theta_bias, _), (value, constant, tangent) = kernel.tangent_coefficients
    theta_weight = 1.0 if kernel.parametrization == "standard" else first / n_features
    return OneLayer(*head, value, constant, tangent, theta_weight, theta_bias)
