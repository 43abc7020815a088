"""Networks besides `ShallowNetwork` that are compared with their kernels: products of rectified
units, tied weights on sequences, and two layers in the mean-field scaling. All parameters are drawn
from N(0, 1).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from nc1fast.core.activations import Activation, phi
from nc1fast.kernels.fully_connected import NNGP
from nc1fast.networks.network import as_dtype, generator_of
from nc1fast.support.arguments import as_count, as_flag, as_number, seed_of
from nc1fast.support.arithmetic import ieee

if TYPE_CHECKING:
    from collections.abc import Mapping


def _register_normal(
    module: torch.nn.Module, shapes: Mapping[str, tuple[int, ...]], seed: int | None, dtype: str
) -> None:
    """Give a module parameters of these shapes, drawn from N(0, 1) in float64."""
    generator = generator_of(seed)
    for name, shape in shapes.items():
        drawn = torch.randn(shape, generator=generator, dtype=torch.float64)
        module.register_parameter(name, torch.nn.Parameter(drawn.to(as_dtype(dtype))))


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
    rng : None, int or numpy.random.Generator, optional
        What `seed` is, as SPEC 7 has it: an integer gives the bits of the same seed, a Generator
        its next integer.

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
        rng: Any = None,
    ) -> None:
        super().__init__()
        self.n_features = as_count("n_features", n_features)
        self.degree, self.width = as_count("degree", degree), as_count("width", width)
        self.skip = as_flag("skip", skip)
        shapes = {"weight": (self.degree, self.width, self.n_features), "readout": (self.width,)}
        _register_normal(self, shapes, seed_of(rng, seed, None), dtype)

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
    rng : None, int or numpy.random.Generator, optional
        What `seed` is, as SPEC 7 has it: an integer gives the bits of the same seed, a Generator
        its next integer.

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
        rng: Any = None,
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
        _register_normal(self, shapes, seed_of(rng, seed, None), dtype)

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
    rng : None, int or numpy.random.Generator, optional
        What `seed` is, as SPEC 7 has it: an integer gives the bits of the same seed, a Generator
        its next integer.

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
        rng: Any = None,
    ) -> None:
        super().__init__()
        self.activation = NNGP(activation).activation
        self.n_features = as_count("n_features", n_features)
        self.width = as_count("width", width)
        self.scale = as_number("scale", scale, above=0)
        shapes = {"weight": (self.width, self.n_features), "readout": (self.width,)}
        _register_normal(self, shapes, seed_of(rng, seed, None), dtype)

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
