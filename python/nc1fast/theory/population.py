"""Within-class variances and Gram matrix of the class means of a Gaussian mixture, in the
population.

Class c is N(m_c 1, s_c^2 I) in d0 features; the kernel is an expectation over hidden weights w ~
N(0, I):

    Q(x, x')  = E_w phi(u) phi(u'),   u = w.x/sqrt(d0)
    NTK(x, x') = Q + E_w phi'(u) phi'(u') <x, x'>/d0

Given w, u ~ N(z, v) with z = m_c rho tau, v = s_c^2 rho^2, rho = |w|/sqrt(d0), tau = w.1/|w|, and x
splits into its part along w, u/rho times a unit vector, and the rest, which is independent of u.
With sin2 = 1 - tau^2/d0, for independent rows

    M_cc' = E k(x, x') = E_w[ Eu phi E'u phi + m_c m_c' sin2 Eu phi' E'u phi' + Eu[u phi'] E'u[u
    phi']/(d0 rho^2) ]

and the expected squared distance of a feature from its class mean is an integral of positive terms,
so that nothing cancels however small s_c is:

    V_c = E_w[ Var phi + m_c^2 sin2 Var phi' + s_c^2 (1 - 1/d0) E phi'^2 + Var(u phi')/(d0 rho^2) ]

(the first term alone for Q). What is left is an integral over tau and rho. The density of tau is
(1 - tau^2/d0)^((d0-3)/2), that of rho follows from d0 rho^2 ~ chi^2(d0). At d0 = inf, tau ~ N(0, 1)
and rho = 1. ReLU is homogeneous: rho leaves the integral.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nc1fast.support.extras import require

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Pair = tuple[Array, Array]
    Triple = tuple[Array, Array, Array]

_FAR = 9.0  # standard deviations at which a normal density is cut off: e^-40
_ANGLE_NODES = 16  # per panel; more change nothing beyond 1e-14
_SLEPIAN_NODES = 10  # of Var erf(u); more change nothing beyond 1e-14
_CLIP = 39.0  # standard deviations at which the normal tail is below the smallest float
_TINY = 1e-100  # instead of a mean of 0, which varies on no scale


class GaussianMoments(NamedTuple):
    """Means and variances of phi(u), phi'(u) and u phi'(u), u ~ N(z, v): arrays of one shape."""

    value: Array
    value_variance: Array
    slope: Array
    slope_variance: Array
    flux: Array
    flux_variance: Array


def _relu_moments(z: Array, v: Array) -> GaussianMoments:
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


def _erf_moments(z: Array, v: Array) -> GaussianMoments:
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
    for x, weight in zip(*_legendre(_SLEPIAN_NODES), strict=True):
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
    "relu": _relu_moments,
    "erf": _erf_moments,
}


def population(
    activation: str, m: Array, s: Array, n_features: float, *, tangent: bool
) -> tuple[Array, Array]:
    """V (C,) and M (C, C) of classes N(m_c 1, s_c^2 I).

    Parameters
    ----------
    activation : {"relu", "erf"}
    m, s : ndarray of shape (C,)
    n_features : float
        d0; may be infinite.
    tangent : bool
        Whether the kernel is the NTK; otherwise Q.
    """
    of_nodes = _relu_nodes if activation == "relu" else _erf_nodes
    (rho, w_rho), (tau, sin2, w_tau) = of_nodes(m, s, n_features)
    w = np.outer(w_rho, w_tau).ravel()
    w /= w.sum()
    v1 = rho[:, None] ** 2  # (n, 1)
    z1, radial2 = rho[:, None] * tau, n_features * v1  # (n, m); |w|^2, (n, 1)
    V = np.empty(len(m))
    features: list[list[Array]] = []  # per class, rows whose products add up to the kernel
    for c, (mean, std) in enumerate(zip(m, s, strict=True)):
        u = MOMENTS[activation](mean * z1, std**2 * v1)
        variance, rows = u.value_variance, [u.value]
        if tangent:
            rows += [mean * np.sqrt(sin2) * u.slope, u.flux / np.sqrt(radial2)]
            variance = (
                variance
                + mean**2 * sin2 * u.slope_variance
                + std**2 * (1 - 1 / n_features) * (u.slope**2 + u.slope_variance)
                + u.flux_variance / radial2
            )
        V[c] = (w * variance.ravel()).sum()
        features.append([row.ravel() for row in rows])
    M = np.empty((len(m), len(m)))
    for c in range(len(m)):
        for e in range(c + 1):
            products = sum(a * b for a, b in zip(features[c], features[e], strict=True))
            M[c, e] = M[e, c] = (w * products).sum()
    return V, M


def _relu_nodes(m: Array, s: Array, n_features: float) -> tuple[Pair, Triple]:
    """Nodes in rho and in tau for relu: rho = 1, and tau of both signs."""
    scales = (si / abs(mi) for mi, si in zip(m, s, strict=True) if mi and si)
    tau, sin2, w_tau = _direction_nodes(n_features, min(scales, default=_FAR))
    both = np.append(-tau, tau), np.tile(sin2, 2), np.tile(w_tau, 2)
    return (np.ones(1), np.ones(1)), both


def _erf_nodes(m: Array, s: Array, n_features: float) -> tuple[Pair, Triple]:
    """Nodes for erf, which is odd: the integrands are even in tau, and tau > 0 suffices."""
    rho, w_rho = _length_nodes(n_features, float(max(np.abs(m).max(), s.max())))
    saturation = np.sqrt(1 / rho.max() ** 2 + 2 * s**2)  # of erf, in units of m tau
    narrowest = float((saturation / np.maximum(np.abs(m), _TINY)).min())
    return (rho, w_rho), _direction_nodes(n_features, narrowest)


@lru_cache
def _legendre(n: int) -> Pair:
    """Gauss-Legendre nodes and weights on [-1, 1], shape (n,) each."""
    x, w = np.polynomial.legendre.leggauss(n)
    return x, w


def _direction_nodes(n_features: float, narrowest: float) -> Triple:
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
    end = _FAR
    if root < math.inf:  # density cos(angle)^(d0-2): within a normal one of variance 1/(d0-2)
        end = min(root * math.pi / 2, _FAR * root / math.sqrt(max(n_features - 2, 1)))
    start = min(2 * narrowest, end / 4)
    n_panels = math.ceil(math.log2(end / max(start, 1e-100)))
    edges = np.concatenate([[0.0], end * 2.0 ** -np.arange(n_panels, -1, -1)])
    x, w = _legendre(_ANGLE_NODES)
    half, middle = np.diff(edges) / 2, (edges[1:] + edges[:-1]) / 2
    arc, w = (middle[:, None] + half[:, None] * x).ravel(), np.outer(half, w).ravel()
    if root == math.inf:
        return arc, np.ones_like(arc), w * np.exp(-(arc**2) / 2)
    sine = np.sin(arc / root)
    density = np.exp((n_features - 2) / 2 * np.log1p(-(sine**2)))
    return root * sine, np.cos(arc / root) ** 2, w * density


def _length_nodes(n_features: float, largest: float) -> Pair:
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
    a = math.sqrt((_FAR**2 / 2 + 2 * math.log1p(largest)) / n_features)
    # outside of (low, high) the exponent is below -a^2 d0
    low, high = -(a + a**2), min(a, math.log1p((_FAR + 1) / root))
    # the rule errs by min over f of cos(2f)^(-d0/2) e^(-2 pi f/step), f < pi/4 where the integrands
    # are analytic: 5e-14
    step = 1 / math.hypot(1 / 0.14, root / 0.55)
    y = np.arange(math.ceil(low / step), math.floor(high / step) + 1) * step
    return np.exp(y), np.exp(n_features * (y - np.expm1(2 * y) / 2))
