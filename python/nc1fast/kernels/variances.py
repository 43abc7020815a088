"""Variances of the layers of a network: one number, one for each layer, or one by name."""

from __future__ import annotations

from typing import Any, TypeAlias

from nc1fast.activations import Activation, traits
from nc1fast.support.arguments import as_number

PerLayer: TypeAlias = float | tuple[float, ...]

_LEAST_VARIANCE = 2.0**-1022  # the smallest normal number


def variance(name: str, value: Any) -> float:
    """A number >= 0; what a product with a subnormal number loses would go unnoticed."""
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
            f"weight_variance='he' belongs to the ReLU family (relu, abs, LeakyReLU), got {activation!r}"
        )
    odd, even = halves
    return 1 / (odd**2 + even**2)


def spread_over(value: PerLayer, length: int) -> tuple[float, ...]:
    """The value of each of `length` layers."""
    return value if isinstance(value, tuple) else (value,) * length
