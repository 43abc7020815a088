"""Kernels of infinitely wide fully connected networks: Linear, ConjugateKernel, NNGP and NTK.

Depth L >= 2 counts weight layers: depth=2 is one hidden layer. Sigma, Q and Theta are defined under
`ConjugateKernel` and `NTK`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any, Literal, TypeAlias, cast

from nc1fast.core.activations import Activation, as_activation, has_ntk, name_and_parameter, traits
from nc1fast.core.chains import COVARIANCE, TANGENT, Chain
from nc1fast.core.series import jumps, table_of
from nc1fast.kernels.classes import InputLayer, Kernel, OneLayer
from nc1fast.support.arguments import as_count, as_flag, as_number, as_optional_flag, check_choice

PerLayer: TypeAlias = float | tuple[float, ...]

_LEAST_VARIANCE = 2.0**-1022  # the smallest normal number


_DEEPEST = 1 << 16  # weight layers of a description; a pass has room for fewer, and says so


def variance(name: str, value: Any) -> float:
    """Check a variance: >= 0, and not subnormal, where products lose digits."""
    found = as_number(name, value, least=0)
    if 0 < found < _LEAST_VARIANCE:
        raise ValueError(f"{name} must be 0 or at least {_LEAST_VARIANCE:.1e}, got {found!r}")
    return found


def per_layer(name: str, value: Any, length: int, check: Any = variance) -> PerLayer:
    """A number, or a tuple of `length` of them; `check(name, value)` gives each."""
    if isinstance(value, list | tuple) or getattr(value, "ndim", 0) == 1:
        if len(value) != length:
            raise ValueError(
                f"{name} must be one number or {length} (one per layer), got {len(value)}"
            )
        return tuple(check(name, v) for v in value)
    return check(name, value)  # type: ignore[no-any-return]


def he_variance(activation: Activation) -> float:
    """The weight variance 1/E phi(u)^2, u ~ N(0, 1), that keeps |x| from layer to layer: 2 for
    ReLU.

    Raises
    ------
    ValueError
        For an activation outside the ReLU family: no variance keeps every length there.

    Notes
    -----
    Source: He et al. (2015), eqs. 10 and 15.
    """
    halves = traits(activation).halves
    if halves is None:
        raise ValueError(
            "weight_variance='he' belongs to the ReLU family (relu, abs, LeakyReLU), "
            f"got {activation!r}"
        )
    odd, even = halves
    return 1 / (odd**2 + even**2)


def spread_over(value: PerLayer, length: int) -> tuple[float, ...]:
    """The value of each of `length` layers."""
    return value if isinstance(value, tuple) else (value,) * length


@dataclass(frozen=True, repr=False)
class Linear(Kernel):
    """The data itself: bias_variance + weight_variance <x, z>/d0.

    Parameters
    ----------
    weight_variance, bias_variance : float, default 1.0 and 0.0
    """

    weight_variance: float = 1.0
    bias_variance: float = 0.0
    depth = 1
    option = "linear"
    is_linear = True

    def __post_init__(self) -> None:
        for name in ("weight_variance", "bias_variance"):
            object.__setattr__(self, name, variance(name, getattr(self, name)))

    @property
    def weight_variances(self) -> tuple[float, ...]:
        """One per layer, from input to output."""
        return (self.weight_variance,)

    @property
    def bias_variances(self) -> tuple[float, ...]:
        """One per layer, from input to output."""
        return (self.bias_variance,)

    def chain(self, n_features: int) -> Chain:
        """The input layer alone: Theta^0, whatever the activation."""
        outputs = [(0, TANGENT, 1.0, 0.0)]
        return Chain(
            "relu", 0.0, self.weight_variances, self.bias_variances, TANGENT, outputs=outputs
        )


@dataclass(frozen=True, repr=False)
class DeepKernel(Kernel):
    """Base of the kernels of fully connected networks: an activation, and variances for each weight
    layer.
    """

    activation: Activation
    depth: int = 2
    weight_variance: PerLayer | Literal["he"] = 1.0  # a name is replaced by its number
    bias_variance: PerLayer = 0.0
    expression = lru_cache(maxsize=256)(Kernel.expression)  # that of equal kernels is made once

    def __post_init__(self) -> None:
        object.__setattr__(self, "activation", as_activation(self.activation))
        object.__setattr__(
            self, "depth", as_count("depth, of weight layers,", self.depth, 2, _DEEPEST)
        )
        if isinstance(self.weight_variance, str):
            check_choice("weight_variance, where it is a name,", self.weight_variance, ("he",))
            object.__setattr__(self, "weight_variance", he_variance(self.activation))
        for name in ("weight_variance", "bias_variance"):
            object.__setattr__(self, name, per_layer(name, getattr(self, name), self.depth))

    @property
    def weight_variances(self) -> tuple[float, ...]:
        """One per layer, from input to output (length `depth`)."""
        return spread_over(cast("PerLayer", self.weight_variance), self.depth)

    @property
    def bias_variances(self) -> tuple[float, ...]:
        """One per layer, from input to output (length `depth`)."""
        return spread_over(self.bias_variance, self.depth)

    @property
    def readout(self) -> tuple[float, float]:
        """(scale, constant) of the last layer: its kernel is scale Q + constant, beside what is
        added for Theta.
        """
        return self.weight_variances[-1], self.bias_variances[-1]

    def chain(self, n_features: int) -> Chain:
        """The recursion of Sigma, of which the readout is taken."""
        name, parameter = name_and_parameter(self.activation)
        w, b = self.weight_variances[:-1], self.bias_variances[:-1]
        outputs, table = [(self.depth - 1, COVARIANCE, *self.readout)], table_of(self.activation)
        return Chain(name, parameter, w, b, COVARIANCE, outputs=outputs, table=table)

    def _prefix(self, depth: int) -> dict[str, Any]:
        """The fields of the same kernel cut to `depth` layers."""
        given = {name: getattr(self, name) for name in ("weight_variance", "bias_variance")}
        cut = {name: v[:depth] if isinstance(v, tuple) else v for name, v in given.items()}
        return {"depth": depth, **cut}

    def layers(self) -> list[Kernel]:
        """The kernels of depths 2..L; a pass over the list shares everything."""
        return [replace(self, **self._prefix(depth)) for depth in range(2, self.depth + 1)]


@dataclass(frozen=True, repr=False)
class ConjugateKernel(DeepKernel):
    """Q^{L-2}: covariance of the last hidden layer's activations at infinite width.

    Parameters
    ----------
    activation : str, LeakyReLU, ShiftedReLU or Activation
    depth : int, default 2
        Weight layers L >= 2; one hidden layer is depth 2.
    weight_variance, bias_variance : float or sequence of length depth, default 1.0 and 0.0
        From input to output; the last layer's are ignored. weight_variance="he": `he_variance`, for
        the ReLU family.

    Notes
    -----
    Sigma^0 = sb2_0 + sw2_0 <x,x'>/d0;  Q^l = E[phi(u) phi(v)], (u, v) ~ N(0, Sigma^l);  Sigma^l =
    sb2_l + sw2_l Q^{l-1}.
    Source: Neal (1996); Lee et al. (2018); Cho & Saul (2009); Williams (1997).
    """

    option = "conjugate"

    @property
    def readout(self) -> tuple[float, float]:
        """(1, 0): the kernel is Q itself."""
        return 1.0, 0.0


@dataclass(frozen=True, repr=False)
class NNGP(DeepKernel):
    """Sigma^{L-1} = sb2 + sw2 Q^{L-2}: covariance of the outputs at infinite width. Same NC1 as
    `ConjugateKernel`.

    Parameters
    ----------
    activation : str, LeakyReLU, ShiftedReLU or Activation
    depth : int, default 2
    weight_variance, bias_variance : float or sequence of length depth, default 1.0 and 0.0
        weight_variance="he" as of `ConjugateKernel`.

    Notes
    -----
    Source: Lee et al. (2018), eq. 5. The recursion is written out under `ConjugateKernel`.
    """

    option = "nngp"


@dataclass(frozen=True, repr=False)
class NTK(DeepKernel):
    """Theta^{L-1}, the neural tangent kernel.

    Parameters
    ----------
    activation : str, LeakyReLU, ShiftedReLU or Activation
    depth : int, default 2
    weight_variance, bias_variance : float or sequence of length depth, default 1.0 and 0.0
        weight_variance="he" as of `ConjugateKernel`.
    parametrization : {"ntk", "standard"}, default "ntk"
        "standard" is what gradient descent on an ordinary layer trains; it needs `width`.
    width : int or sequence of length depth - 1, optional
        Hidden widths, for "standard" only.
    train_bias : bool, optional
        Default: bias_variance > 0 for "ntk", True for "standard". For "ntk" a bias of variance sb2
        adds sb2, so one of variance zero adds nothing, trained or not.
    train_readout : bool, default True
        False: the weights and the bias of the last layer keep their values, and only what their
        gradient passes on counts.

    Raises
    ------
    ValueError
        For "step" and "sign", whose NTK is infinite on the diagonal; for "standard" without
        `width`.

    Notes
    -----
    Theta^0 = Sigma^0,  Theta^l = Sigma^l + sw2_l Theta^{l-1} kdot(Sigma^{l-1})            ("ntk";
        Sigma without the
    bias variance where biases do not train);  Theta^0 = <x,x'> + tau,
    Theta^l = n_l Q^{l-1} + tau + sw2_l Theta^{l-1} kdot(Sigma^{l-1}), tau = train_bias
        ("standard", n_l hidden widths).
    Without its readout, Theta^{L-1} = sw2_{L-1} Theta^{L-2} kdot(Sigma^{L-2}) in both.
    Source: Jacot, Gabriel & Hongler (2018), theorem 1; Sohl-Dickstein et al. (2020) for the
    parametrizations.
    """

    option = "ntk"
    is_tangent = True

    parametrization: str = "ntk"
    width: PerLayer | None = None
    train_bias: bool | None = None
    train_readout: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not has_ntk(self.activation) or jumps(self.activation):
            raise ValueError(
                f"{self.activation!r} has no finite NTK: its derivative is not a function"
            )
        check_choice("parametrization", self.parametrization, ("ntk", "standard"))
        trained = as_optional_flag("train_bias", self.train_bias)
        object.__setattr__(self, "train_bias", trained)
        readout = as_flag("train_readout", self.train_readout)
        object.__setattr__(self, "train_readout", readout)
        if (self.parametrization == "standard") != (self.width is not None):
            raise ValueError("width belongs to parametrization='standard', which needs it")
        if self.width is not None:
            object.__setattr__(
                self,
                "width",
                per_layer("width", self.width, self.depth - 1, partial(as_number, least=1)),
            )

    @property
    def tangent_coefficients(self) -> list[tuple[float, float, float]]:
        """Per layer l, (q, one, theta) of Theta^l = q Q^{l-1} + one + theta Theta^{l-1} kdot; layer
        0: q of <x,x'>/d0.
        """
        layers = self._trained_throughout
        return layers if self.train_readout else [*layers[:-1], (0.0, 0.0, layers[-1][2])]

    @property
    def _trained_throughout(self) -> list[tuple[float, float, float]]:
        """The coefficients if the readout is trained."""
        sw2, sb2 = self.weight_variances, self.bias_variances
        if self.parametrization == "ntk":
            biases = [0.0 if self.train_bias is False else b for b in sb2]
            return [(w, b, w) for w, b in zip(sw2, biases, strict=True)]
        tau = 0.0 if self.train_bias is False else 1.0
        widths = spread_over(self.width, self.depth - 1)  # type: ignore[arg-type]
        return [
            (math.nan, tau, math.nan),
            *((n, tau, w) for n, w in zip(widths, sw2[1:], strict=True)),
        ]

    def chain(self, n_features: int) -> Chain:
        """The recursions of Sigma and Theta.

        Raises
        ------
        ValueError
            For "standard" without input weights: Theta^0 is no multiple of Sigma^0 then.
        """
        first, *rest = self.tangent_coefficients
        w, b = self.weight_variances, self.bias_variances
        scale = 1.0
        if self.parametrization == "standard":  # Theta^0 = <x, x'> + tau, from Sigma^0
            if w[0] == 0:
                raise ValueError(
                    "weight_variance of the input layer must be > 0 with parametrization='standard'"
                )
            scale = n_features / w[0]
        offset = first[1] - scale * b[0]
        outputs = [(self.depth - 1, TANGENT, 1.0, 0.0)]
        name, parameter = name_and_parameter(self.activation)
        head = Chain(name, parameter, w[:-1], b[:-1], TANGENT, scale, offset)
        table = table_of(self.activation)
        return replace(head, coefficients=tuple(rest), outputs=outputs, table=table)

    def input_layer(self, n_features: int) -> InputLayer:
        """Sigma^0 and Theta^0, each from its own coefficients."""
        first, theta_bias, _ = self.tangent_coefficients[0]
        weight = self.weight_variances[0] / n_features
        theta_weight = 1.0 if self.parametrization == "standard" else first / n_features
        bias = self.bias_variances[0]
        return InputLayer(self.activation, weight, bias, theta_weight, theta_bias)

    def one_layer(self, n_features: int) -> OneLayer | None:
        """The kernel in closed form; None unless it has one hidden layer."""
        if self.depth != 2:
            return None
        return OneLayer.after(self.input_layer(n_features), *self.tangent_coefficients[1])

    def _prefix(self, depth: int) -> dict[str, Any]:
        cut = super()._prefix(depth)
        if isinstance(self.width, tuple):
            cut["width"] = self.width[: depth - 1]
        return cut
