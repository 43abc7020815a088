"""Activations phi and their derivatives phi' as functions of NumPy arrays, for random hidden units."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.activations import LeakyReLU
from nc1fast.support.extras import require

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[Any]
    Function = Callable[[Array], Array]


def _erf(u: Array) -> Array:
    return np.asarray(require("scipy.special", "adaptive").erf(u))


def _normal(u: Array) -> Array:
    return np.asarray(require("scipy.special", "adaptive").ndtr(u))


def _density(u: Array) -> Array:
    return np.asarray(np.exp(-(u**2) / 2) / math.sqrt(2 * math.pi))


# name -> phi, phi'; derivatives at a kink are those from the left, or 0.
_ACTIVATIONS: dict[str, tuple[Function, Function]] = {
    "relu": (lambda u: np.maximum(u, 0), lambda u: (u > 0).astype(u.dtype)),
    "abs": (np.abs, np.sign),
    "step": (lambda u: (u > 0).astype(u.dtype), np.zeros_like),
    "sign": (np.sign, np.zeros_like),
    "relu2": (lambda u: np.maximum(u, 0) ** 2, lambda u: 2 * np.maximum(u, 0)),
    "erf": (_erf, lambda u: 2 / math.sqrt(math.pi) * np.exp(-(u**2))),
    "probit": (_normal, _density),
    "gelu": (lambda u: u * _normal(u), lambda u: _normal(u) + u * _density(u)),
    "sin": (np.sin, np.cos),
    "cos": (np.cos, lambda u: -np.sin(u)),
    "exp": (np.exp, np.exp),
    "gaussian": (lambda u: np.exp(-(u**2)), lambda u: -2 * u * np.exp(-(u**2))),
}


# Even or odd activations: the product of two units, or of two derivatives, is even in the weights.
PARITY = frozenset({"abs", "sign", "erf", "sin", "cos", "gaussian"})


def activation_of(activation: Any) -> tuple[Function, Function]:
    """Functions phi and phi' of an activation, elementwise on arrays.

    Raises
    ------
    ImportError
        When a function of erf, probit or gelu is called without scipy (extra "adaptive").
    """
    if isinstance(activation, LeakyReLU):
        slope = activation.slope
        return lambda u: np.where(u > 0, u, slope * u), lambda u: np.where(u > 0, 1.0, slope)
    return _ACTIVATIONS[activation]
