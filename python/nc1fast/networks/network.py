"""ShallowNetwork: a fully connected torch network that knows its own infinite-width kernels."""

from __future__ import annotations

import copy
import itertools
import math
from typing import TYPE_CHECKING, Any

import torch

from nc1fast.core.activations import Activation, phi
from nc1fast.kernels.fully_connected import NNGP, NTK
from nc1fast.support.arguments import (
    as_count,
    as_flag,
    as_items,
    as_optional_flag,
    check_choice,
    seed_of,
)
from nc1fast.support.arithmetic import ieee

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def as_dtype(dtype: Any) -> Any:
    """A torch dtype from "float32", "float64" or the dtype itself."""
    name = str(dtype).removeprefix("torch.")
    check_choice("dtype", name, ("float32", "float64"))
    return getattr(torch, name)


def generator_of(seed: int | None) -> torch.Generator:
    """A generator with a seed, an integer >= 0, or with one from the operating system."""
    generator = torch.Generator()
    generator.manual_seed(generator.seed() if seed is None else as_count("seed", seed, 0))
    return generator


class Layer(torch.nn.Module):  # type: ignore[misc]
    """One weight layer: h -> weight_scale W h + bias_scale b, batch-normalised on request.

    The parameters are drawn from N(0, weight_std^2) and N(0, bias_std^2); the scales are 1 in the
    standard parametrization.

    Parameters
    ----------
    fans : (fan_in, fan_out)
    variances : (weight_variance, bias_variance)
    ntk : bool
        Whether the scales hold the variances and the parameters are N(0, 1).
    train_bias, batch_norm : bool
    """

    def __init__(
        self,
        fans: tuple[int, int],
        variances: tuple[float, float],
        *,
        ntk: bool,
        train_bias: bool,
        batch_norm: bool,
    ) -> None:
        super().__init__()
        fan_in, fan_out = fans
        weight, bias = math.sqrt(variances[0] / fan_in), math.sqrt(variances[1])
        self.weight_scale, self.weight_std = (weight, 1.0) if ntk else (1.0, weight)
        self.bias_scale, self.bias_std = (bias, 1.0) if ntk else (1.0, bias)
        self.weight = torch.nn.Parameter(torch.empty(fan_out, fan_in))
        b = torch.zeros(fan_out)
        if bias == 0 and (ntk or not train_bias):  # it is zero and stays zero
            self.register_parameter("bias", None)
        elif train_bias:
            self.bias = torch.nn.Parameter(b)
        else:
            self.register_buffer("bias", b)
        self.norm = torch.nn.BatchNorm1d(fan_out) if batch_norm else None

    def drawn(self) -> Iterator[tuple[str, torch.Tensor, float]]:
        """Name, values and standard deviation of weights and, where there are any, biases."""
        yield "weight", self.weight, self.weight_std
        if self.bias is not None:
            yield "bias", self.bias, self.bias_std

    def draw(self, generator: Any) -> None:
        """Draw weights and biases; float64 draws, so that both precisions start from the same
        network.
        """
        with torch.no_grad():
            for _, values, std in self.drawn():
                z = torch.randn(values.shape, generator=generator, dtype=torch.float64)
                values.copy_(z * std)
            if self.norm is not None:
                self.norm.reset_running_stats()
                self.norm.reset_parameters()

    def effective_weight(self) -> torch.Tensor:
        """The matrix that multiplies the input, shape (fan_out, fan_in), detached."""
        return self.weight.detach() * self.weight_scale

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        """The pre-activations (n_samples, fan_out) of inputs (n_samples, fan_in)."""
        weight = self.weight if self.weight_scale == 1 else self.weight * self.weight_scale
        bias = self.bias
        if bias is not None and self.bias_scale != 1:
            bias = bias * self.bias_scale
        u = torch.nn.functional.linear(h, weight, bias)
        return u if self.norm is None else self.norm(u)


class Phi(torch.nn.Module):  # type: ignore[misc]
    """The activation, named as the kernels name it."""

    def __init__(self, activation: Activation) -> None:
        super().__init__()
        self.activation = activation

    def extra_repr(self) -> str:
        """The name of the activation, for `repr`."""
        return str(self.activation)

    def forward(self, u: torch.Tensor) -> torch.Tensor:
        """Apply phi to each entry of u, which may have any shape."""
        return phi(self.activation)(u)


class ShallowNetwork(torch.nn.Module):  # type: ignore[misc]
    """A fully connected network of the kind whose kernels nc1fast computes.

    Parameters
    ----------
    activation : str, LeakyReLU, ShiftedReLU or Activation
        Any of `nc1fast.activations()`.
    n_features : int
        Inputs d0.
    depth : int, default 2
        Weight layers L >= 2; one hidden layer is depth 2.
    width : int or sequence of int, default 500
        Hidden units: one number, or depth - 1 of them from input to output.
    n_outputs : int, default 1
    weight_variance, bias_variance : float or sequence of length depth, default 1.0 and 0.0
        sw2_l and sb2_l from input to output, as the kernels have them.
    parametrization : {"standard", "ntk"}, default "standard"
        "standard": W ~ N(0, sw2/fan_in), b ~ N(0, sb2) and the layer is W h + b. "ntk": W, b ~ N(0,
        1) and the layer is sqrt(sw2/fan_in) W h + sqrt(sb2) b. The functions drawn are the same,
        the gradients are not.
    train_bias : bool, optional
        Default: True for "standard", bias_variance > 0 for "ntk", where biases of variance zero add
        nothing. In the standard parametrization biases of variance zero start at zero and train.
    train_readout : bool, default True
        False: the weights and the bias of the last layer keep their values.
    batch_norm : bool, default False
        Batch normalization of the pre-activations of every hidden layer. Such a network has no
        kernels here.
    seed : int, optional
        Seed of the draw. Default: one from the operating system.
    dtype : {"float64", "float32"}, default "float64"
    rng : None, int or numpy.random.Generator, optional
        What `seed` is, as SPEC 7 has it: an integer gives the bits of the same seed, a Generator
        its next integer.

    Attributes
    ----------
    layers : list of str
        Names of the layers that `probe` and `train` report, from input to output: "pre1", "post1",
        ..., "output". "pre" are the arguments of the activation, "post" its values.

    Raises
    ------
    TypeError, ValueError
        As for the kernels, and for a width or a number of features or outputs below 1.

    Notes
    -----
    Cost of a forward pass: 2 N flops per weight.
    Source: Jacot, Gabriel & Hongler (2018) and Sohl-Dickstein et al. (2020) for the
    parametrizations.

    Examples
    --------
    >>> network = nc.networks.ShallowNetwork("erf", 8, weight_variance=(1.0, 3.88), seed=0)
    >>> nc.collapse(X, y, network.ntk())  # standard parametrization, trained biases
    """

    @ieee
    def __init__(
        self,
        activation: Activation,
        n_features: int,
        *,
        depth: int = 2,
        width: int | Sequence[int] = 500,
        n_outputs: int = 1,
        weight_variance: float | Sequence[float] = 1.0,
        bias_variance: float | Sequence[float] = 0.0,
        parametrization: str = "standard",
        train_bias: bool | None = None,
        train_readout: bool = True,
        batch_norm: bool = False,
        seed: int | None = None,
        dtype: str = "float64",
        rng: Any = None,
    ) -> None:
        super().__init__()
        check_choice("parametrization", parametrization, ("standard", "ntk"))
        train_bias = as_optional_flag("train_bias", train_bias)
        train_readout = as_flag("train_readout", train_readout)
        batch_norm = as_flag("batch_norm", batch_norm)
        self._nngp = NNGP(activation, depth, weight_variance, bias_variance)  # type: ignore[arg-type]
        self.activation, self.depth = self._nngp.activation, self._nngp.depth
        self.n_features = as_count("n_features", n_features)
        self.n_outputs = as_count("n_outputs", n_outputs)
        n_hidden = self.depth - 1
        if hasattr(width, "__len__") and getattr(width, "ndim", 1) > 0:
            widths = as_items("width", width, "one number or one per hidden layer")
        else:
            widths = [width] * n_hidden
        if len(widths) != n_hidden:
            raise ValueError(
                f"width must be one number or {n_hidden} (one per hidden layer), got {len(widths)}"
            )
        self.widths = tuple(as_count("width", n) for n in widths)
        self.parametrization, self.batch_norm = parametrization, batch_norm
        self.train_bias, self.train_readout = train_bias, train_readout
        fans = itertools.pairwise((self.n_features, *self.widths, self.n_outputs))
        variances = zip(self._nngp.weight_variances, self._nngp.bias_variances, strict=True)
        for index, (fan, variance) in enumerate(zip(fans, variances, strict=True), 1):
            hidden = index < self.depth
            layer = Layer(
                fan,
                variance,
                ntk=parametrization == "ntk",
                train_bias=train_bias is not False,
                batch_norm=batch_norm and hidden,
            )
            self.add_module(f"pre{index}" if hidden else "output", layer)
            if hidden:
                self.add_module(f"post{index}", Phi(self.activation))
        self.layers = [name for name, _ in self.named_children()]
        for parameter in self.output.parameters():
            parameter.requires_grad_(train_readout)
        self.to(as_dtype(dtype))
        self.draw(seed, rng=rng)

    def extra_repr(self) -> str:
        """The kernel, the widths and the parametrization, for `repr`."""
        return f"{self._nngp!r}, widths={self.widths}, parametrization={self.parametrization!r}"

    def draw(self, seed: int | None = None, *, rng: Any = None) -> None:
        """Draw all weights and biases again, in place.

        Parameters
        ----------
        seed : int, optional
            The same seed gives the same network, in either precision and on any device.
        rng : None, int or numpy.random.Generator, optional
            What `seed` is, as SPEC 7 has it.

        Raises
        ------
        TypeError, ValueError
            For a seed that is not an integer >= 0.
        """
        generator = generator_of(seed_of(rng, seed, None))
        for layer in self.weight_layers().values():
            layer.draw(generator)

    def redrawn(self, seed: int | None = None, *, rng: Any = None) -> ShallowNetwork:
        """Return another draw of the same architecture, as `draw`."""
        other = copy.deepcopy(self)
        other.draw(seed, rng=rng)
        return other

    def weight_layers(self) -> dict[str, Layer]:
        """The layers that hold weights, by name, from input to output."""
        named = self.named_children()
        return {name: layer for name, layer in named if isinstance(layer, Layer)}

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Outputs, shape (n_samples, n_outputs), of inputs (n_samples, n_features)."""
        for module in self.children():
            X = module(X)
        return X

    def nngp(self) -> NNGP:
        """Return the kernel of the outputs at initialisation as the widths grow: depth and
        variances of this network.

        Its NC1 is that of the last hidden layer's activations as well.

        Raises
        ------
        ValueError
            With batch normalization.
        """
        self._no_norm()
        return self._nngp

    def ntk(self) -> NTK:
        """Return the NTK of this network: its depth, widths, variances, parametrization, and what
        of it trains.

        With several outputs the tangent kernel is this one times the identity between outputs.

        Raises
        ------
        ValueError
            With batch normalization, and for "step" and "sign", which have none.

        Notes
        -----
        The mean of the empirical NTK over draws: exactly at depth 2, up to O(1/width) relative
        beyond. In the standard parametrization it grows with the widths.
        """
        self._no_norm()
        standard = self.parametrization == "standard"
        n = self._nngp
        return NTK(
            n.activation,
            n.depth,
            n.weight_variance,
            n.bias_variance,
            parametrization=self.parametrization,
            width=tuple(float(w) for w in self.widths) if standard else None,
            train_bias=self.train_bias,
            train_readout=self.train_readout,
        )

    def _no_norm(self) -> None:
        """Raise ValueError for batch normalization."""
        if self.batch_norm:
            raise ValueError("a network with batch_norm=True has no kernel: its limit is another")
