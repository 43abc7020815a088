"""The activations: their names, their parameters, and phi itself as a torch expression.

The dual activations, E[phi(u) phi(v)] and E[phi'(u) phi'(v)] of a Gaussian pair, are C++ structs in
cpp/nc1fast/activations.hpp, one each, under the same names. A test holds the two lists together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from nc1fast.support.arguments import as_number, shown

if TYPE_CHECKING:
    from collections.abc import Callable

# phi(torch, u): what a finite network applies. One line per activation, sorted as in the C++ list.
_PHI: dict[str, Callable[[Any, Any], Any]] = {
    "relu": lambda torch, u: torch.relu(u),
    "abs": lambda torch, u: torch.abs(u),
    "step": lambda torch, u: (u > 0).to(u.dtype),
    "sign": lambda torch, u: torch.sign(u),
    "relu2": lambda torch, u: torch.relu(u) ** 2,
    "erf": lambda torch, u: torch.erf(u),
    "probit": lambda torch, u: torch.special.ndtr(u),
    "gelu": lambda torch, u: u * torch.special.ndtr(u),
    "sin": lambda torch, u: torch.sin(u),
    "cos": lambda torch, u: torch.cos(u),
    "exp": lambda torch, u: torch.exp(u),
    "gaussian": lambda torch, u: torch.exp(-(u**2)),
}
NO_FINITE_NTK = frozenset(
    {"step", "sign"}
)  # phi' is a distribution: E[phi' phi'] diverges on the diagonal


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


Activation: TypeAlias = str | LeakyReLU


def activations() -> list[str]:
    """Names of the activations, sorted. `"leaky_relu"` stands for `LeakyReLU()`."""
    return sorted([*_PHI, "leaky_relu"])


def as_activation(activation: Activation) -> Activation:
    """Check an activation; a bare `"leaky_relu"` becomes the object with its default slope."""
    if isinstance(activation, LeakyReLU):
        return activation
    if not isinstance(activation, str):
        raise TypeError(
            f"activation must be a name or an activation object, got {shown(activation)}"
        )
    if activation == "leaky_relu":
        return LeakyReLU()
    if activation not in _PHI:
        raise ValueError(
            f"unknown activation {shown(activation)}; choose from {', '.join(activations())}"
        )
    return activation


def name_and_parameter(activation: Activation) -> tuple[str, float]:
    """The activation as the compiled core takes it: a name and one number (0 where there is none)."""
    return (
        ("leaky_relu", float(activation.slope))
        if isinstance(activation, LeakyReLU)
        else (activation, 0.0)
    )


def phi(activation: Activation) -> Callable[[Any], Any]:
    """The activation as a function of torch tensors (needs the `torch` extra)."""
    import torch

    activation = as_activation(activation)
    if isinstance(activation, LeakyReLU):
        slope = activation.slope
        return lambda u: torch.where(u > 0, u, slope * u)
    expression = _PHI[activation]
    return lambda u: expression(torch, u)
