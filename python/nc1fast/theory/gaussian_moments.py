"""Moments of an activation and its derivative at a Gaussian preactivation u ~ N(z, v), in forms
that do not cancel.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nc1fast.support.extras import require
from nc1fast.theory.nodes import legendre

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_SLEPIAN_NODES = 10  # of Var erf(u); more change nothing beyond 1e-14
_CLIP = 39.0  # standard deviations at which the normal tail is below the smallest float


class GaussianMoments(NamedTuple):
    """Means and variances of phi(u), phi'(u) and u phi'(u), u ~ N(z, v): arrays of one shape."""

    value: Array
    value_variance: Array
    slope: Array
    slope_variance: Array
    flux: Array
    flux_variance: Array


def relu_moments(z: Array, v: Array) -> GaussianMoments:
    """Moments of relu; here u phi'(u) = phi(u).

    With r = z/sqrt v, Phi and phi the normal distribution and density at r:
    E relu = sqrt v (r Phi + phi), Var relu = v [Phi + r^2 Phi Phi(-r) + r phi (1 - 2 Phi) - phi^2].
    """
    ndtr = require("scipy.special", "adaptive").ndtr
    std = np.sqrt(v)
    tiny = np.finfo(np.float64).tiny
    r = z / np.maximum(np.maximum(std, np.abs(z) / _CLIP), tiny)
    Phi, tail = ndtr(r), ndtr(-r)
    phi = np.exp(-(r**2) / 2) / math.sqrt(2 * math.pi)
    value = z * Phi + std * phi
    variance = v * (Phi + r**2 * Phi * tail + r * phi * (tail - Phi) - phi**2)
    return GaussianMoments(value, variance, Phi, Phi * tail, value, variance)


def erf_moments(z: Array, v: Array) -> GaussianMoments:
    """Moments of erf, the variances as sums of positive terms.

    E erf = erf(h), h^2 = z^2/(1+2v).
    Var erf = 8 [T(sqrt 2 h, 1) - T(sqrt 2 h, 1/sqrt(1+4v))] with Owen's function T, that is,
    (4/pi) int exp(-h^2/cos^2 f) df from atan(1/sqrt(1+4v)) to pi/4.
    phi' = (2/sqrt pi) exp(-u^2):  E phi'^2 = (4/pi) c2, (E phi')^2 = (4/pi) c2 e^-L.
    """
    erf = require("scipy.special", "adaptive").erf
    one, two = 1 + 2 * v, 1 + 4 * v
    h2 = z**2 / one
    width = np.arctan(4 * v / (np.sqrt(two) + 1) ** 2)
    variance = np.zeros(np.broadcast_shapes(z.shape, v.shape))
    for x, weight in zip(*legendre(_SLEPIAN_NODES), strict=True):
        angle = math.pi / 4 - width * (1 - x) / 2
        variance += weight / 2 * np.exp(-h2 / np.cos(angle) ** 2)
    variance *= 4 / math.pi * width
    slope = 2 / math.sqrt(math.pi) * np.exp(-h2) / np.sqrt(one)
    c2 = 4 / math.pi * np.exp(-2 * z**2 / two) / np.sqrt(two)
    L = np.log1p(4 * v**2 / two) / 2 + 4 * z**2 * v / (one * two)
    flux_variance = c2 / two * (v - z**2 / two * np.expm1(2 * np.log1p(2 * v / one) - L))
    return GaussianMoments(
        value=erf(z / np.sqrt(one)),
        value_variance=variance,
        slope=slope,
        slope_variance=-c2 * np.expm1(-L),
        flux=slope * z / one,
        flux_variance=flux_variance,
    )


MOMENTS: dict[str, Callable[[Array, Array], GaussianMoments]] = {
    "relu": relu_moments,
    "erf": erf_moments,
}
