"""The neural tangent kernel, in two parametrizations."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from nc1fast.activations import has_ntk, name_and_parameter
from nc1fast.core.chains import TANGENT, Chain
from nc1fast.core.series import jumps, table_of
from nc1fast.kernels.classes import DeepKernel
from nc1fast.kernels.one_layer import InputLayer, OneLayer
from nc1fast.kernels.variances import PerLayer, per_layer, spread_over
from nc1fast.support.arguments import as_flag, as_number, as_optional_flag, check_choice


def _width(name: str, value: Any) -> float:
    """A number of hidden units."""
    return as_number(name, value, least=1)


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
                self, "width", per_layer("width", self.width, self.depth - 1, _width)
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
        """The same of a network whose readout is trained."""
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
        """The kernel written out; None if it has not one hidden layer."""
        if self.depth != 2:
            return None
        return OneLayer.after(self.input_layer(n_features), *self.tangent_coefficients[1])

    def _prefix(self, depth: int) -> dict[str, Any]:
        cut = super()._prefix(depth)
        if isinstance(self.width, tuple):
            cut["width"] = self.width[: depth - 1]
        return cut
