"""The activations: one line each with phi, its derivative, and what is known of its shape.

The dual activations, E[phi(u) phi(v)] and E[phi'(u) phi'(v)] of a Gaussian pair, are C++ structs in
cpp/nc1fast/activations.hpp, one each, under the same names: a test holds the two lists together. A new activation is one
struct there and one line of `_NAMED` here; everything else that depends on an activation follows from the two.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import SimpleNamespace
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from nc1fast.support.arguments import as_number, shown
from nc1fast.support.extras import require

# f(functions, u): written in relu, step, abs, sign, erf, ndtr, sin, cos, exp, where of torch tensors or of NumPy arrays.
Expression: TypeAlias = Callable[[Any, Any], Any]
ArrayFunction: TypeAlias = Callable[[Any], Any]


class Homogeneous(NamedTuple):
    """phi(u) = odd sign(u) |u|^degree + even |u|^degree.

    Products of an odd and an even part have no expectation over symmetric weights, so that kappa and kdot are
    odd^2 times those of the one and even^2 times those of the other.
    """

    degree: int
    odd: float
    even: float


@dataclass(frozen=True)
class Traits:
    """Shape of an activation phi, and the functions that evaluate it.

    Attributes
    ----------
    phi : Expression
    slope : Expression or None
        phi'; None for an activation that jumps, whose NTK is infinite on the diagonal.
    homogeneous : Homogeneous or None
    parity : int
        1 for an even phi, -1 for an odd one, 0 for neither.
    smooth : bool
        Whether phi is analytic, and the kernel therefore its polynomial interpolant to rounding.
    """

    phi: Expression
    slope: Expression | None
    homogeneous: Homogeneous | None = None
    parity: int = 0
    smooth: bool = False

    @property
    def halves(self) -> tuple[float, float] | None:
        """(odd, even) of phi(u) = odd u + even |u|; None for other activations."""
        if self.homogeneous is None or self.homogeneous.degree != 1:
            return None
        return self.homogeneous.odd, self.homogeneous.even


def _density(f: Any, u: Any) -> Any:
    """Density of the standard normal distribution."""
    return f.exp(-(u**2) / 2) / math.sqrt(2 * math.pi)


# fmt: off
_NAMED: dict[str, Traits] = {
    "relu": Traits(lambda f, u: f.relu(u), lambda f, u: f.step(u), Homogeneous(1, 0.5, 0.5)),
    "abs": Traits(lambda f, u: f.abs(u), lambda f, u: f.sign(u), Homogeneous(1, 0.0, 1.0), parity=1),
    "step": Traits(lambda f, u: f.step(u), None, Homogeneous(0, 0.5, 0.5)),
    "sign": Traits(lambda f, u: f.sign(u), None, Homogeneous(0, 1.0, 0.0), parity=-1),
    "relu2": Traits(lambda f, u: f.relu(u) ** 2, lambda f, u: 2 * f.relu(u), Homogeneous(2, 0.5, 0.5)),
    "erf": Traits(lambda f, u: f.erf(u), lambda f, u: 2 / math.sqrt(math.pi) * f.exp(-(u**2)), parity=-1, smooth=True),
    "probit": Traits(lambda f, u: f.ndtr(u), _density, smooth=True),
    "gelu": Traits(lambda f, u: u * f.ndtr(u), lambda f, u: f.ndtr(u) + u * _density(f, u), smooth=True),
    "sin": Traits(lambda f, u: f.sin(u), lambda f, u: f.cos(u), parity=-1, smooth=True),
    "cos": Traits(lambda f, u: f.cos(u), lambda f, u: -f.sin(u), parity=1, smooth=True),
    "exp": Traits(lambda f, u: f.exp(u), lambda f, u: f.exp(u), smooth=True),
    "gaussian": Traits(lambda f, u: f.exp(-(u**2)), lambda f, u: -2 * u * f.exp(-(u**2)), parity=1, smooth=True),
}
# fmt: on


@dataclass(frozen=True)
class LeakyReLU:
    """The leaky rectifier phi(u) = max(u, slope u).

    Parameters
    ----------
    slope : float, default 0.01
        Slope on the negative side; 0 is ReLU, -1 the absolute value.
    """

    slope: float = 0.01
    name = "leaky_relu"

    def __post_init__(self) -> None:
        slope = as_number("slope", self.slope, above=-1e6, below=1e6)
        object.__setattr__(self, "slope", slope)

    def __str__(self) -> str:
        return f"leaky_relu({self.slope:g})"

    @property
    def parameter(self) -> float:
        """The number that the core takes beside the name."""
        return float(self.slope)

    @property
    def traits(self) -> Traits:
        """Its shape, which depends on the slope."""
        odd, even = (1 + self.slope) / 2, (1 - self.slope) / 2
        return Traits(
            lambda f, u: f.where(u > 0, u, self.slope * u),
            lambda f, u: f.where(u > 0, 1.0, self.slope),
            Homogeneous(1, odd, even),
        )


Activation: TypeAlias = str | LeakyReLU

FAMILIES = {family.name: family for family in (LeakyReLU,)}  # activations with a parameter


def activations() -> list[str]:
    """Names of the activations, sorted. `"leaky_relu"` stands for `LeakyReLU()`."""
    return sorted([*_NAMED, *FAMILIES])


def as_activation(activation: Activation) -> Activation:
    """Check an activation; a bare `"leaky_relu"` becomes the object with its default slope."""
    if isinstance(activation, tuple(FAMILIES.values())):
        return activation
    if not isinstance(activation, str):
        raise TypeError(
            f"activation must be a name or an activation object, got {shown(activation)}"
        )
    if activation in FAMILIES:
        return FAMILIES[activation]()
    if activation not in _NAMED:
        raise ValueError(
            f"unknown activation {shown(activation)}; choose from {', '.join(activations())}"
        )
    return activation


def traits(activation: Activation) -> Traits:
    """The line of an activation, which `as_activation` has checked."""
    return _NAMED[activation] if isinstance(activation, str) else activation.traits


def has_ntk(activation: Activation) -> bool:
    """Whether the NTK is finite: phi' is a function, not a distribution."""
    return traits(as_activation(activation)).slope is not None


def name_and_parameter(activation: Activation) -> tuple[str, float]:
    """The activation as the compiled core takes it: a name and one number (0 where there is none)."""
    if isinstance(activation, str):
        return activation, 0.0
    return activation.name, activation.parameter


def named(name: str, parameter: float) -> Activation:
    """The activation that `name_and_parameter` took apart."""
    return FAMILIES[name](parameter) if name in FAMILIES else name


def phi(activation: Activation) -> ArrayFunction:
    """The activation as a function of torch tensors (needs the `torch` extra)."""
    known, functions = traits(as_activation(activation)), _of_tensors()
    return lambda u: known.phi(functions, u)


def of_arrays(activation: Activation) -> tuple[ArrayFunction, ArrayFunction | None]:
    """Phi and phi' as functions of NumPy arrays; those of erf, probit and gelu need scipy (extra "adaptive")."""
    known = traits(activation)
    slope = known.slope
    return (
        lambda u: known.phi(_ARRAYS, u),
        None if slope is None else lambda u: slope(_ARRAYS, u),
    )


@cache
def _of_tensors() -> SimpleNamespace:
    """The functions that activations are written in, for torch tensors."""
    import torch

    return SimpleNamespace(
        relu=torch.relu,
        step=lambda u: (u > 0).to(u.dtype),
        abs=torch.abs,
        sign=torch.sign,
        erf=torch.erf,
        ndtr=torch.special.ndtr,
        sin=torch.sin,
        cos=torch.cos,
        exp=torch.exp,
        where=torch.where,
    )


# The same for NumPy arrays.
_ARRAYS = SimpleNamespace(
    relu=lambda u: np.maximum(u, 0),
    step=lambda u: (u > 0).astype(u.dtype),
    abs=np.abs,
    sign=np.sign,
    erf=lambda u: np.asarray(require("scipy.special", "adaptive").erf(u)),
    ndtr=lambda u: np.asarray(require("scipy.special", "adaptive").ndtr(u)),
    sin=np.sin,
    cos=np.cos,
    exp=np.exp,
    where=np.where,
)
