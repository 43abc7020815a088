"""Ensemble: independent draws of one `ShallowNetwork`, evaluated side by side, with their tangent
kernels.
"""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.datasets.paths import reads_files
from nc1fast.networks.network import ShallowNetwork, generator_of
from nc1fast.networks.probing.modules import placed
from nc1fast.support.arguments import as_count
from nc1fast.support.arithmetic import ieee
from nc1fast.support.extras import require

if TYPE_CHECKING:
    import torch
    from numpy.typing import ArrayLike, NDArray
else:
    torch = require("torch", "torch")


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
    >>> ensemble = nc.networks.Ensemble(nc.networks.ShallowNetwork("relu", 8, depth=4, width=64), 100, seed=0)
    >>> ensemble.tangent_kernels(X).std(axis=0)  # how far the empirical NTK differs from draw to draw
    """

    @ieee
    def __init__(self, network: Any, n_networks: int, *, seed: int | None = None) -> None:
        super().__init__()
        check_alike(network)
        self.n_networks = as_count("n_networks", n_networks)
        one: ShallowNetwork = copy.deepcopy(network)
        self._one = (one,)  # in a tuple: no part of this module
        generator = generator_of(seed)
        for name, layer in network.weight_layers().items():
            for kind, std in (("weight", layer.weight_std), ("bias", layer.bias_std)):
                values = getattr(layer, kind)
                if values is not None:
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
                for kind in ("weight", "bias"):
                    values = getattr(layer, kind)
                    if values is not None:
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
        left = self._factors(placed(one, X))
        right = left if Z is None else self._factors(placed(one, Z, "Z"))
        first = next(iter(left), None)
        if first is None:
            raise ValueError("network must have a parameter that requires a gradient")
        total: Any = 0
        for (D, A), (E, B) in zip(left, right, strict=True):
            total = total + torch.matmul(D, E.mT) * torch.matmul(A, B.mT)
        if Z is None:
            total = (total + total.mT) / 2
        return np.asarray(total.cpu().numpy() / one.n_outputs, dtype=np.float64)

    def _parts(self) -> list[Any]:
        """Weight layers of all networks and activations between them, from input to output."""
        layers = {id(layer): name for name, layer in self._one[0].weight_layers().items()}
        return [
            _LayerStack(self, layers[id(part)], part) if id(part) in layers else part
            for part in self._one[0].children()
        ]

    def _factors(self, X: torch.Tensor) -> list[tuple[Any, Any]]:
        """Of each trained layer: signals (R, N, K width) and augmented inputs (R or 1, N, fan_in +
        1).
        """
        stacks, inputs, signals = [], [], []
        h = X
        with torch.enable_grad():
            for part in self._parts():
                if not isinstance(part, _LayerStack):
                    h = part(h)
                    continue
                stacks.append(part)
                inputs.append(h.detach())
                h = part(h, frozen=True)
                if not h.requires_grad:  # the first layer
                    h.requires_grad_()
                signals.append(h)
            outputs = range(h.shape[2])
            found = [
                torch.autograd.grad(h[..., k].sum(), signals, retain_graph=True) for k in outputs
            ]
        deltas = [torch.cat(of_layer, dim=2) for of_layer in zip(*found, strict=True)]
        factors = zip(deltas, map(_LayerStack.augmented, stacks, inputs), strict=True)
        return [(delta, a) for delta, a in factors if a is not None]


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
        self.scales = (layer.weight_scale, layer.bias_scale)

    def __call__(self, h: torch.Tensor, *, frozen: bool = False) -> torch.Tensor:
        """Pre-activations (R, N, fan_out) of inputs (N, fan_in) or (R, N, fan_in)."""
        weight, bias = self.weight, self.bias
        if frozen:
            weight, bias = weight.detach(), None if bias is None else bias.detach()
        u = torch.matmul(h * self.scales[0], weight.mT)
        return u if bias is None else u + self.scales[1] * bias[:, None]

    def augmented(self, h: torch.Tensor) -> torch.Tensor | None:
        """Inputs with a column for the bias, by which its signals are multiplied in the gradient;
        None if nothing trains.
        """
        found = []
        if self.weight.requires_grad:
            found.append(h * self.scales[0])
        if self.bias is not None and self.bias.requires_grad:
            found.append(torch.full_like(h[..., :1], self.scales[1]))
        return torch.cat(found, dim=-1) if found else None


def check_alike(network: Any) -> None:
    """Raise unless networks of this kind can be evaluated side by side."""
    if not isinstance(network, ShallowNetwork):
        raise TypeError(f"network must be a ShallowNetwork, got {type(network).__name__}")
    if network.batch_norm:
        raise ValueError("network must be without batch normalization, got batch_norm=True")


def numbers_of(network: ShallowNetwork, n_rows: int) -> int:
    """Roughly how many numbers one draw of a network takes, with the tangent kernel of so many
    rows.
    """
    weights = sum(math.prod(layer.weight.shape) for layer in network.weight_layers().values())
    units = network.n_features + sum(network.widths) + network.n_outputs
    return int(weights + n_rows * units * (2 + network.n_outputs) + 3 * n_rows**2)
