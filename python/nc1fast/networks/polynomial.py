"""PolynomialNetwork: a torch network whose hidden units are products of rectified units."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from nc1fast.networks.network import register_normal
from nc1fast.support.arguments import as_count, as_flag
from nc1fast.support.arithmetic import ieee
from nc1fast.support.extras import require

if TYPE_CHECKING:
    import torch
else:
    torch = require("torch", "torch")


class PolynomialNetwork(torch.nn.Module):  # type: ignore[misc]
    """A network of products, f(x) = m^-1/2 sum_r a_r prod_{n<=P} sqrt2 relu(<w_nr, x>/sqrt(d0)),
    all parameters N(0, 1).

    Parameters
    ----------
    n_features : int
        Inputs d0.
    degree : int
        P >= 1, the number of factors of a unit.
    width : int, default 500
        Units m.
    skip : bool, default False
        y_1 = relu(W_1 x), y_n = y_{n-1} relu(W_n x) + y_{n-1} in place of the product, without the
        factors sqrt2.
    seed : int, optional
        Seed of the draw. Default: one from the operating system.
    dtype : {"float64", "float32"}, default "float64"

    Notes
    -----
    As m grows its kernels are `nc1fast.kernels.polynomial_nngp(degree)` and
    `polynomial_ntk(degree)`, or `SkipPolynomial`.
    Cost of a forward pass: 2 N P m d0 flops.
    Source: Wu et al. (2022), arXiv 2209.07736.

    Examples
    --------
    >>> network = nc.networks.PolynomialNetwork(8, degree=3, width=4096, seed=0)
    >>> nc.networks.empirical_ntk(network, X)  # near nc.kernels.polynomial_ntk(3)(X)
    """

    @ieee
    def __init__(
        self,
        n_features: int,
        *,
        degree: int,
        width: int = 500,
        skip: bool = False,
        seed: int | None = None,
        dtype: str = "float64",
    ) -> None:
        super().__init__()
        self.n_features = as_count("n_features", n_features)
        self.degree, self.width = as_count("degree", degree), as_count("width", width)
        self.skip = as_flag("skip", skip)
        shapes = {"weight": (self.degree, self.width, self.n_features), "readout": (self.width,)}
        register_normal(self, shapes, seed, dtype)

    def extra_repr(self) -> str:
        """The shape of the network, for `repr`."""
        return f"{self.n_features}, degree={self.degree}, width={self.width}, skip={self.skip}"

    def features(self, X: torch.Tensor) -> torch.Tensor:
        """The products y_P, shape (n_samples, width), of inputs (n_samples, n_features)."""
        scale = math.sqrt((1 if self.skip else 2) / self.n_features)
        units = torch.relu(X @ (scale * self.weight).transpose(1, 2))  # (P, n_samples, width)
        first, *others = units.unbind()
        for factor in others:
            first = first * (factor + 1 if self.skip else factor)
        return first

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Outputs, shape (n_samples, 1), of inputs (n_samples, n_features)."""
        return self.features(X) @ self.readout[:, None] / math.sqrt(self.width)
