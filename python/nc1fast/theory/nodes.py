"""Quadrature nodes for hidden weights w ~ N(0, I): their direction relative to the all-ones vector,
and their length.

The density of tau = w.1/|w| is (1 - tau^2/d0)^((d0-3)/2), that of rho = |w|/sqrt(d0) follows from
d0 rho^2 ~ chi^2(d0). At d0 = inf, tau ~ N(0, 1) and rho = 1.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

FAR = 9.0  # standard deviations at which a normal density is cut off: e^-40
_ANGLE_NODES = 16  # per panel; more change nothing beyond 1e-14


@lru_cache
def legendre(n: int) -> tuple[Array, Array]:
    """Gauss-Legendre nodes and weights on [-1, 1], shape (n,) each."""
    x, w = np.polynomial.legendre.leggauss(n)
    return x, w


def direction_nodes(n_features: float, narrowest: float) -> tuple[Array, Array, Array]:
    """Nodes tau > 0, 1 - tau^2/d0 there, and weights up to a common factor, (n,) each.

    Gauss-Legendre panels in the angle from the equator, tau = sqrt(d0) sin(angle), whose widths
    double away from 0.

    Parameters
    ----------
    n_features : float
        d0; may be infinite.
    narrowest : float
        The scale in tau on which the integrand varies near 0.
    """
    if n_features == 1:
        return np.ones(1), np.zeros(1), np.ones(1)
    root = math.sqrt(n_features)
    end = FAR
    if root < math.inf:  # density cos(angle)^(d0-2): within a normal one of variance 1/(d0-2)
        end = min(root * math.pi / 2, FAR * root / math.sqrt(max(n_features - 2, 1)))
    start = min(2 * narrowest, end / 4)
    n_panels = math.ceil(math.log2(end / max(start, 1e-100)))
    edges = np.concatenate([[0.0], end * 2.0 ** -np.arange(n_panels, -1, -1)])
    x, w = legendre(_ANGLE_NODES)
    half, middle = np.diff(edges) / 2, (edges[1:] + edges[:-1]) / 2
    arc, w = (middle[:, None] + half[:, None] * x).ravel(), np.outer(half, w).ravel()
    if root == math.inf:
        return arc, np.ones_like(arc), w * np.exp(-(arc**2) / 2)
    sine = np.sin(arc / root)
    density = np.exp((n_features - 2) / 2 * np.log1p(-(sine**2)))
    return root * sine, np.cos(arc / root) ** 2, w * density


def length_nodes(n_features: float, largest: float) -> tuple[Array, Array]:
    """Nodes rho and weights up to a common factor, (n,) each.

    The trapezoidal rule in y = log rho, whose density is exp(d0 (y - (e^2y - 1)/2)).

    Parameters
    ----------
    n_features : float
        d0; may be infinite.
    largest : float
        Largest of |m_c| and s_c: at d0 = 1, the region rho < 1/largest may hold all of the
        variance.
    """
    if n_features == math.inf:
        return np.ones(1), np.ones(1)
    root = math.sqrt(n_features)
    a = math.sqrt((FAR**2 / 2 + 2 * math.log1p(largest)) / n_features)
    # outside of (low, high) the exponent is below -a^2 d0
    low, high = -(a + a**2), min(a, math.log1p((FAR + 1) / root))
    # the rule errs by min over f of cos(2f)^(-d0/2) e^(-2 pi f/step), f < pi/4 where the integrands
    # are analytic: 5e-14
    step = 1 / math.hypot(1 / 0.14, root / 0.55)
    y = np.arange(math.ceil(low / step), math.floor(high / step) + 1) * step
    return np.exp(y), np.exp(n_features * (y - np.expm1(2 * y) / 2))
