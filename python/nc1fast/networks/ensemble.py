"""Ensembles: independent draws of one `ShallowNetwork`, evaluated side by side, their tangent
kernels, and the moments of these over many draws.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from nc1fast.datasets.paths import reads_files
from nc1fast.networks.empirical import layer_factors
from nc1fast.networks.network import ShallowNetwork, generator_of
from nc1fast.networks.probing.modules import placed
from nc1fast.support.arguments import as_count, seed_of
from nc1fast.support.arithmetic import ieee

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]

_NUMBERS = 1 << 20  # of the draws that are evaluated at once


class Ensemble(torch.nn.Module):  # type: ignore[misc]
    """Independent networks of one architecture, as one module whose parameters have the networks as
    their first axis.

    Parameters
    ----------
    network : ShallowNetwork
        Its architecture, variances, precision, device, and what of it trains; its own weights are
        not used.
    n_networks : int
        R.
    seed : int, optional
        Seed of all draws. Default: one from the operating system.
    rng : None, int or numpy.random.Generator, optional
        What `seed` is, as SPEC 7 has it: an integer gives the bits of the same seed, a Generator
        its next integer.

    Attributes
    ----------
    n_networks : int

    Raises
    ------
    TypeError
        For anything but a `ShallowNetwork`.
    ValueError
        With batch normalization.

    Notes
    -----
    Cost of a forward pass: 2 N R flops per weight of one network, in one call for each layer. It
    trains as any module does; the sum of the losses of all networks trains each of them alone.

    Examples
    --------
    >>> network = nc.networks.ShallowNetwork("relu", 8, depth=4, width=64)
    >>> ensemble = nc.networks.Ensemble(network, 100, seed=0)
    >>> ensemble.tangent_kernels(X).std(axis=0)  # standard deviation of the empirical NTK
    """

    @ieee
    def __init__(
        self, network: Any, n_networks: int, *, seed: int | None = None, rng: Any = None
    ) -> None:
        super().__init__()
        _check_network(network)
        self.n_networks = as_count("n_networks", n_networks)
        one: ShallowNetwork = copy.deepcopy(network)
        self._one = (one,)  # in a tuple: no part of this module
        generator = generator_of(seed_of(rng, seed, None))
        for name, layer in network.weight_layers().items():
            for kind, values, std in layer.drawn():
                shape = (self.n_networks, *values.shape)
                drawn = torch.randn(shape, generator=generator, dtype=torch.float64) * std
                parameter = torch.nn.Parameter(drawn.to(values), values.requires_grad)
                self.register_parameter(f"{name}_{kind}", parameter)

    def extra_repr(self) -> str:
        """The number of networks and their architecture, for `repr`."""
        return f"{self.n_networks} x {self._one[0]!r}"

    def member(self, index: int) -> ShallowNetwork:
        """A network of its own with the weights that one of these has now.

        Parameters
        ----------
        index : int
            0 to n_networks - 1.
        """
        index = as_count("index", index, 0, self.n_networks - 1)
        network: ShallowNetwork = copy.deepcopy(self._one[0])
        with torch.no_grad():
            for name, layer in network.weight_layers().items():
                for kind, values, _ in layer.drawn():
                    values.copy_(getattr(self, f"{name}_{kind}")[index])
        return network

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Outputs, shape (n_networks, n_samples, n_outputs), of inputs (n_samples, n_features)."""
        h = X
        for part in self._parts():
            h = part(h)
        return h

    @ieee
    @reads_files("X", "Z", in_memory=True)
    def tangent_kernels(self, X: ArrayLike, Z: ArrayLike | None = None) -> NDArray[np.float64]:
        """The empirical NTK of every network: `empirical_ntk` of each of them, at once.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or path
        Z : array-like of shape (m_samples, n_features), or path, optional
            Default: X; the kernels are then exactly symmetric.

        Returns
        -------
        ndarray of shape (n_networks, n_samples, m_samples), float64
            Means over the outputs.

        Notes
        -----
        Cost: 2 N M R (sum of layer widths) flops, besides a forward pass and one backward pass for
        each output.
        """
        one = self._one[0]
        outputs = range(one.n_outputs)
        left = right = layer_factors(self._parts(), placed(one, X), outputs)
        if Z is not None:
            right = layer_factors(self._parts(), placed(one, Z, "Z"), outputs)
        if not left:
            raise ValueError("network must have a parameter that requires a gradient")
        total: Any = 0
        for (D, A), (E, B) in zip(left, right, strict=True):
            inner = torch.matmul(D.flatten(-2), E.flatten(-2).mT)
            total = total + inner * torch.matmul(A, B.mT)
        if Z is None:
            total = (total + total.mT) / 2
        return np.asarray(total.cpu().numpy() / one.n_outputs, dtype=np.float64)

    def descend(
        self, X: torch.Tensor, y: torch.Tensor, rates: torch.Tensor, steps: int
    ) -> NDArray[np.float64]:
        """Full-batch gradient descent of every network on mean (f - y)^2/2, in place.

        Parameters
        ----------
        X, y : tensor of shape (n_samples, n_features) and (n_samples,)
            Rows, and targets of the first output.
        rates : tensor of shape (n_networks,)
            A learning rate for each network.
        steps : int

        Returns
        -------
        ndarray of shape (n_networks,)
            Mean squared errors after it.
        """
        parameters = [p for p in self.parameters() if p.requires_grad]
        for _ in range(steps):
            losses = (self(X)[..., 0] - y).square().mean(dim=1) / 2
            gradients = torch.autograd.grad(losses.sum(), parameters)
            with torch.no_grad():
                for p, g in zip(parameters, gradients, strict=True):
                    p.sub_(rates.reshape(-1, *[1] * (p.ndim - 1)) * g)
        with torch.no_grad():
            squares = (self(X)[..., 0] - y).square().mean(dim=1)
        return np.asarray(squares.numpy())

    def _parts(self) -> list[Any]:
        """Weight layers of all networks and activations between them, from input to output."""
        layers = self._one[0].weight_layers()
        return [
            _LayerStack(self, name, part) if name in layers else part
            for name, part in self._one[0].named_children()
        ]


class _LayerStack:
    """One weight layer of all networks of an ensemble: h -> weight_scale W h + bias_scale b.

    Parameters
    ----------
    ensemble : Ensemble
    name : str
    layer : Layer
        That of one network, for its scales.
    """

    def __init__(self, ensemble: Ensemble, name: str, layer: Any) -> None:
        self.weight = getattr(ensemble, f"{name}_weight")
        self.bias = getattr(ensemble, f"{name}_bias", None)
        self.weight_scale, self.bias_scale = layer.weight_scale, layer.bias_scale

    def __call__(self, h: torch.Tensor) -> torch.Tensor:
        """Pre-activations (R, N, fan_out) of inputs (N, fan_in) or (R, N, fan_in)."""
        u = torch.matmul(h * self.weight_scale, self.weight.mT)
        return u if self.bias is None else u + self.bias_scale * self.bias[:, None]


def _check_network(network: Any) -> None:
    """Raise unless networks of this kind can be evaluated side by side."""
    if not isinstance(network, ShallowNetwork):
        raise TypeError(f"network must be a ShallowNetwork, got {type(network).__name__}")
    if network.batch_norm:
        raise ValueError("network must be without batch normalization, got batch_norm=True")


@dataclass(frozen=True, eq=False)
class TangentDispersion:
    """Moments of the entries of the empirical NTK over independent networks; each array is
    (n_samples, m_samples).

    Attributes
    ----------
    mean, variance : ndarray
        The variance is unbiased.
    third, fourth : ndarray
        Central moments.
    draws : int

    Notes
    -----
    Standard errors are those of many draws. Entries of deep networks have heavy tails: beyond a
    relative deviation of about 1 so few draws decide the variance that its error is itself only a
    rough number.
    """

    mean: Array
    variance: Array
    third: Array
    fourth: Array
    draws: int

    @property
    def mean_error(self) -> Array:
        """Standard error of the mean."""
        return np.sqrt(self.variance / self.draws)

    @property
    def variance_error(self) -> Array:
        """Standard error of the variance, sqrt((mu_4 - variance^2)/draws)."""
        return np.sqrt(np.maximum(self.fourth - self.variance**2, 0) / self.draws)

    @property
    def relative_variance(self) -> Array:
        """Var/mean^2, NaN where the mean is 0."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.mean == 0, np.nan, self.variance / self.mean**2)

    @property
    def relative_deviation(self) -> Array:
        """Standard deviation over the mean's absolute value, NaN where the mean is 0."""
        return np.sqrt(self.relative_variance)

    @property
    def relative_variance_error(self) -> Array:
        """Standard error of Var/mean^2, to first order in the errors of both."""
        v, m = self.variance, self.mean
        with np.errstate(divide="ignore", invalid="ignore"):
            square = (self.fourth - v**2) / m**4 - 4 * v * self.third / m**5 + 4 * v**3 / m**6
        return np.sqrt(np.maximum(square, 0) / self.draws)


@ieee
@reads_files("X", "Z", in_memory=True)
def tangent_dispersion(
    network: Any,
    X: ArrayLike,
    Z: ArrayLike | None = None,
    *,
    draws: int = 1000,
    seed: int | None = None,
    rng: Any = None,
) -> TangentDispersion:
    """Mean and variance of the entries of the empirical NTK over independent draws of a network.

    Parameters
    ----------
    network : ShallowNetwork
        Its architecture, variances, parametrization, and what of it trains; its own weights are not
        used.
    X : array-like of shape (n_samples, n_features), or path
    Z : array-like of shape (m_samples, n_features), or path, optional
        Default: X.
    draws : int, default 1000
        At least 2.
    seed : int, optional
        Of all draws. Default: one from the operating system.
    rng : None, int or numpy.random.Generator, optional
        What `seed` is, as SPEC 7 has it: an integer gives the bits of the same seed, a Generator
        its next integer.

    Returns
    -------
    TangentDispersion

    Raises
    ------
    TypeError, ValueError
        As for `Ensemble` and `empirical_ntk`.

    Notes
    -----
    Cost: that of `Ensemble.tangent_kernels` and of one normal number per weight and draw; memory
    for some million numbers, or for one draw.
    Source: the dispersion of Seleznova & Kutyniok (2021), arXiv 2012.04477. Of a ReLU network
    without biases Var/mean^2 of Theta(x, x) is `nc1fast.theory.tangent_moment` - 1, 3/m with one
    hidden layer of m units.

    Examples
    --------
    >>> network = nc.networks.ShallowNetwork("relu", 8, depth=16, width=64, parametrization="ntk")
    >>> found = nc.networks.tangent_dispersion(network, X[:2], draws=3000, seed=0)
    >>> found.relative_variance, found.relative_variance_error
    """
    _check_network(network)
    draws = as_count("draws", draws, 2)
    rows = placed(network, X)
    columns = None if Z is None else placed(network, Z, "Z")
    generator = generator_of(seed_of(rng, seed, None))
    at_once = max(2, _NUMBERS // _numbers_of_a_draw(network, rows, columns))
    shift: Any = None
    sums: Any = 0.0
    for first in range(0, draws, at_once):
        own = int(torch.randint(1 << 62, (), generator=generator))
        ensemble = Ensemble(network, min(at_once, draws - first), seed=own)
        kernels = ensemble.tangent_kernels(rows, columns)
        if shift is None:
            shift = kernels.mean(axis=0)  # so that no power sum cancels
        d = kernels - shift
        sums = sums + np.stack([(d**p).sum(axis=0) for p in (1, 2, 3, 4)])
    m, s2, s3, s4 = sums / draws
    return TangentDispersion(
        mean=shift + m,
        variance=np.maximum(s2 - m**2, 0) * draws / (draws - 1),
        third=s3 - 3 * m * s2 + 2 * m**3,
        fourth=s4 - 4 * m * s3 + 6 * m**2 * s2 - 3 * m**4,
        draws=draws,
    )


def _numbers_of_a_draw(network: ShallowNetwork, X: torch.Tensor, Z: torch.Tensor | None) -> int:
    """Roughly how many numbers one draw takes, with the tangent kernel of these rows."""
    n_rows = len(X) + (0 if Z is None else len(Z))
    weights = sum(layer.weight.numel() for layer in network.weight_layers().values())
    units = network.n_features + sum(network.widths) + network.n_outputs
    return int(weights + n_rows * units * (2 + network.n_outputs) + 3 * n_rows**2)
