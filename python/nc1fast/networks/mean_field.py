"""MeanFieldNetwork: a two-layer torch network in the mean-field scaling, alpha/m in place of
m^-1/2.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from nc1fast.activations import Activation, phi
from nc1fast.kernels.fully_connected import NNGP
from nc1fast.networks.network import register_normal
from nc1fast.support.arguments import as_count, as_number
from nc1fast.support.arithmetic import ieee
from nc1fast.support.extras import require

if TYPE_CHECKING:
    import torch
else:
    torch = require("torch", "torch")


class MeanFieldNetwork(torch.nn.Module):  # type: ignore[misc]
    """A mean of units, f(x) = (alpha/m) sum_j u_j h(<w_j, x>/sqrt(d0)), all parameters N(0, 1).

    Parameters
    ----------
    activation : str, LeakyReLU, ShiftedReLU or Activation
        h, any of `nc1fast.activations()`.
    n_features : int
        Inputs d0.
    width : int, default 500
        Units m.
    scale : float, default 1.0
        alpha > 0; sqrt(m) is the NTK parametrization.
    seed : int, optional
        Seed of the draw. Default: one from the operating system.
    dtype : {"float64", "float32"}, default "float64"

    Notes
    -----
    At the start, as m grows: f is a Gaussian process of covariance (alpha^2/m) NNGP(activation),
    which vanishes at fixed alpha, and the empirical NTK is (alpha^2/m) NTK(activation), exactly in
    its mean over draws. Per unit, gradients are of order 1/m: descend on m L, and a step eta moves
    f by -eta alpha^2 NTK dL/df. Units are then particles whose distribution p obeys dp/dt = -div(p
    v), v = -alpha grad[u sum_i (dL/df_i) h(<w, x_i>/sqrt(d0))], as m grows; with alpha they move
    less, by 1/alpha for the same f. Noisy gradient descent theta <- theta - eta (grad + lambda
    theta) + sqrt(2 eta lambda) xi, grad that of m L, is `Langevin(parameters, lr=eta,
    temperature=lambda, prior_variance=1)` to first order in eta lambda.
    Cost of a forward pass: 2 N m d0 flops.
    Source: Chen, Cao, Gu & Zhang (2020), arXiv 2002.04026, for alpha and the noise; Mei, Montanari
    & Nguyen (2018).

    Examples
    --------
    >>> network = nc.networks.MeanFieldNetwork("tanh", 8, width=4096, scale=16, seed=0)
    >>> nc.networks.empirical_ntk(network, X)  # near 16**2/4096 * nc.NTK("tanh")(X)
    """

    @ieee
    def __init__(
        self,
        activation: Activation,
        n_features: int,
        *,
        width: int = 500,
        scale: float = 1.0,
        seed: int | None = None,
        dtype: str = "float64",
    ) -> None:
        super().__init__()
        self.activation = NNGP(activation).activation
        self.n_features = as_count("n_features", n_features)
        self.width = as_count("width", width)
        self.scale = as_number("scale", scale, above=0)
        shapes = {"weight": (self.width, self.n_features), "readout": (self.width,)}
        register_normal(self, shapes, seed, dtype)

    def extra_repr(self) -> str:
        """The shape of the network, for `repr`."""
        return f"{self.activation!r}, {self.n_features}, width={self.width}, scale={self.scale:g}"

    def features(self, X: torch.Tensor) -> torch.Tensor:
        """The units h(<w_j, x>/sqrt(d0)), shape (n_samples, width), of inputs (n_samples,
        n_features).
        """
        return phi(self.activation)(X @ self.weight.T / math.sqrt(self.n_features))

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Outputs, shape (n_samples, 1), of inputs (n_samples, n_features)."""
        return self.features(X) @ self.readout[:, None] * (self.scale / self.width)
