"""Noisy gradient descent of a wide two-layer network, as its kernels predict it.

To first order in 1/alpha as the width grows. With a_k(x) the part of degree k in w of u h(<w,
x>/sqrt(d0)) in Hermite polynomials, K_k(x, x') = E a_k(x) a_k(x') sums over k to the NNGP and
(1 + k) K_k to the NTK, and f = sum_k F_k with

    dF_k/dt = -alpha^2 (1 + k) K_k dL/df - lambda (1 + k) F_k

At lambda t << 1 this is the NTK; at lambda t >> 1 it is ridge regression with the NNGP and ridge n
lambda/(2 alpha^2). Ours, after Chen, Cao, Gu & Zhang (2020), arXiv 2002.04026.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from nc1fast.kernels.fully_connected import NTK

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_MOST, _NODES = 24, 200  # degrees of Hermite polynomials, and nodes of their quadrature


def predicted_outputs(
    X: Array, y: Array, start: Array, *, alpha: float, decay: float, rate: float, steps: int
) -> Array:
    """Outputs along the steps, (steps + 1, n), of tanh networks on rows with |x|^2 = d0.

    Parameters
    ----------
    X, y : ndarray of shape (n, d0) and (n,)
    start : ndarray of shape (n,)
        Outputs at the start, which decay as their degree 1 does, which is most of them.
    alpha, decay, rate, steps
        Scale of the network, lambda, eta, and their number.
    """
    degrees, parts = hermite_parts(X)
    pulls = decay * degrees
    kept = np.exp(-rate * pulls)
    lengths = -np.expm1(-rate * pulls) / pulls if decay else rate + 0 * pulls
    forces = alpha**2 * (lengths * degrees)[:, None, None] * parts
    forces = forces.reshape(-1, len(start))  # (parts n, n)
    F, first, found = np.zeros((len(degrees), len(start))), start, []
    for _ in range(steps + 1):
        f = first + F.sum(axis=0)
        found.append(f)
        F = kept[:, None] * F - (forces @ (2 / len(f) * (f - y))).reshape(F.shape)
        first = math.exp(-2 * rate * decay) * first
    return np.stack(found)


def hermite_parts(X: Array) -> tuple[Array, Array]:
    """Degrees 1 + k of u h_k, h = tanh, and K_k of rows with |x|^2 = d0, of shapes (parts,) and
    (parts, n, n).

    Their sums, plain and by degree, are the NNGP and the NTK; what is beyond the largest k is the
    last part.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    weights = weights / weights.sum()
    rho = X @ X.T / X.shape[1]
    degrees, parts = [], []
    before, now = np.zeros_like(nodes), np.ones_like(nodes)  # He_k/sqrt(k!)
    for k in range(_MOST):
        c = float(weights @ (np.tanh(nodes) * now))
        if k % 2:  # tanh is odd
            degrees.append(1.0 + k)
            parts.append(c**2 * rho**k)
        after = (nodes * now - math.sqrt(k) * before) / math.sqrt(k + 1)
        before, now = now, after
    rest = (NTK("tanh")(X) - np.tensordot(degrees, np.stack(parts), 1)) / (2.0 + _MOST)
    return np.array([*degrees, 2.0 + _MOST]), np.stack([*parts, rest])
