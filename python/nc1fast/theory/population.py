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

(the first term alone for Q). What is left is an integral over tau and rho (`nc1fast.theory.nodes`).
ReLU is homogeneous: rho leaves the integral.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nc1fast.theory.gaussian_moments import MOMENTS
from nc1fast.theory.nodes import FAR, direction_nodes, length_nodes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_TINY = 1e-100  # instead of a mean of 0, which varies on no scale


class _Nodes(NamedTuple):
    """Nodes in rho (n, 1) and in tau (m,), and the weights of all pairs of them, (n m,), of sum 1."""

    rho: Array
    tau: Array
    sin2: Array  # (m,), 1 - tau^2/d0
    weights: Array


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
    nodes = (_relu_nodes if activation == "relu" else _erf_nodes)(m, s, n_features)
    w, v1 = nodes.weights, nodes.rho**2
    z1, radial2 = nodes.rho * nodes.tau, n_features * v1  # (n, m); |w|^2, (n, 1)
    V = np.empty(len(m))
    features: list[list[Array]] = []  # per class, rows whose products add up to the kernel
    for c, (mean, std) in enumerate(zip(m, s, strict=True)):
        u = MOMENTS[activation](mean * z1, std**2 * v1)
        variance, rows = u.value_variance, [u.value]
        if tangent:
            rows += [mean * np.sqrt(nodes.sin2) * u.slope, u.flux / np.sqrt(radial2)]
            variance = (
                variance
                + mean**2 * nodes.sin2 * u.slope_variance
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


def _relu_nodes(m: Array, s: Array, n_features: float) -> _Nodes:
    """Nodes for relu: rho = 1, and tau of both signs."""
    scales = (si / abs(mi) for mi, si in zip(m, s, strict=True) if mi and si)
    tau, sin2, w_tau = direction_nodes(n_features, min(scales, default=FAR))
    tau, sin2, w_tau = np.append(-tau, tau), np.tile(sin2, 2), np.tile(w_tau, 2)
    return _nodes(np.ones(1), np.ones(1), (tau, sin2, w_tau))


def _erf_nodes(m: Array, s: Array, n_features: float) -> _Nodes:
    """Nodes for erf, which is odd: the integrands are even in tau, and tau > 0 suffices."""
    rho, w_rho = length_nodes(n_features, float(max(np.abs(m).max(), s.max())))
    saturation = np.sqrt(1 / rho.max() ** 2 + 2 * s**2)  # of erf, in units of m tau
    narrowest = float((saturation / np.maximum(np.abs(m), _TINY)).min())
    return _nodes(rho, w_rho, direction_nodes(n_features, narrowest))


def _nodes(rho: Array, w_rho: Array, directions: tuple[Array, Array, Array]) -> _Nodes:
    """Product rule of nodes in rho and in tau."""
    tau, sin2, w_tau = directions
    w = np.outer(w_rho, w_tau).ravel()
    w /= w.sum()
    return _Nodes(rho[:, None], tau, sin2, w)
