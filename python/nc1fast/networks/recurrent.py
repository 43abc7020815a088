"""RecurrentNetwork: a torch network with tied weights that reads a sequence and gives out its last
state.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from nc1fast.networks.network import register_normal
from nc1fast.support.arguments import as_count, as_number
from nc1fast.support.arithmetic import ieee
from nc1fast.support.extras import require

if TYPE_CHECKING:
    import torch
else:
    torch = require("torch", "torch")


class RecurrentNetwork(torch.nn.Module):  # type: ignore[misc]
    """h_t = relu(sw W h_{t-1}/sqrt(n) + su U x_t/sqrt(m) + sb b), h_0 = 0, f = sv <v, h_T>/sqrt(n),
    all parameters N(0, 1).

    Parameters
    ----------
    n_features : int
        Inputs m of a step.
    width : int, default 500
        Units n.
    weight_variance, input_variance, bias_variance, readout_variance : float, default 1.0, 1.0, 0.0
    and 1.0
        sw^2, su^2, sb^2 and sv^2, as of `nc1fast.RecurrentNTK`.
    seed : int, optional
        Seed of the draw. Default: one from the operating system.
    dtype : {"float64", "float32"}, default "float64"

    Notes
    -----
    As n grows its kernels are `nc1fast.RecurrentNNGP` and `nc1fast.RecurrentNTK` of the same
    variances.
    Cost of a forward pass: 2 N T n (n + m) flops.
    Source: Alemohammad, Wang, Balestriero & Baraniuk (2021), arXiv 2006.10246.

    Examples
    --------
    >>> network = nc.networks.RecurrentNetwork(3, width=2000, seed=0)
    >>> nc.networks.empirical_ntk(network, X)  # X of shape (N, T, 3); near nc.RecurrentNTK()(X)
    """

    @ieee
    def __init__(
        self,
        n_features: int,
        *,
        width: int = 500,
        weight_variance: float = 1.0,
        input_variance: float = 1.0,
        bias_variance: float = 0.0,
        readout_variance: float = 1.0,
        seed: int | None = None,
        dtype: str = "float64",
    ) -> None:
        super().__init__()
        self.n_features = as_count("n_features", n_features)
        self.width = as_count("width", width)
        variances = {
            "weight_variance": weight_variance,
            "input_variance": input_variance,
            "bias_variance": bias_variance,
            "readout_variance": readout_variance,
        }
        sw2, su2, sb2, sv2 = (as_number(name, v, least=0) for name, v in variances.items())
        self.scales = (
            math.sqrt(sw2 / self.width),
            math.sqrt(su2 / self.n_features),
            math.sqrt(sb2),
            math.sqrt(sv2 / self.width),
        )
        shapes = {
            "recurrent": (self.width, self.width),
            "weight": (self.width, self.n_features),
            "bias": (self.width,),
            "readout": (self.width,),
        }
        register_normal(self, shapes, seed, dtype)

    def extra_repr(self) -> str:
        """The shape of the network, for `repr`."""
        return f"{self.n_features}, width={self.width}"

    def features(self, X: torch.Tensor) -> torch.Tensor:
        """Last states, shape (n_samples, width), of sequences (n_samples, n_steps, n_features)."""
        carry, enter, shift, _ = self.scales
        inputs = X @ (enter * self.weight).T + shift * self.bias
        first, *others = inputs.unbind(1)
        state = torch.relu(first)
        for step in others:
            state = torch.relu(state @ (carry * self.recurrent).T + step)
        return state

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Outputs, shape (n_samples, 1), of sequences (n_samples, n_steps, n_features)."""
        return self.scales[3] * self.features(X) @ self.readout[:, None]
