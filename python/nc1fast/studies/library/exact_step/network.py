"""A shallow network f(x) = sqrt(1/m) a . h(W x/sqrt(d0)) with the change of f by a step of its
weights, in powers and exactly.

With u = W x/sqrt(d0), and d = D x/sqrt(d0) for a step D of W and b of a, the term of order k is

    sqrt(1/m) sum_j [a_j h^(k)(u_j) d_j^k/k! + b_j h^(k-1)(u_j) d_j^(k-1)/(k-1)!]

For a step theta_1 = theta - eta g along the gradient g = sum_j grad f(x_j; theta) e_j/n, the
fundamental theorem of calculus says

    f(x; theta_1) - f(x; theta) = -eta sum_j Kbar(x, x_j) e_j/n,
    Kbar(x, x_j) = int_0^1 <grad f(x; theta - s eta g), grad f(x_j; theta)> ds

Kbar is ours; the papers' kernels of a step were not read.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nc1fast.support.extras import require

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

ORDERS = 3  # of the expansion


@dataclass(frozen=True, eq=False)
class ShallowWeights:
    """Weights of a shallow network, or a step of them.

    Attributes
    ----------
    W : ndarray of shape (m, d0)
    a : ndarray of shape (m,)
    """

    W: Array
    a: Array

    @classmethod
    def drawn(cls, width: int, d0: int, random: np.random.Generator) -> ShallowWeights:
        """Weights with standard normal entries."""
        return cls(random.standard_normal((width, d0)), random.standard_normal(width))

    def moved(self, step: ShallowWeights, length: float = 1.0) -> ShallowWeights:
        """These weights after a step of some length."""
        return ShallowWeights(self.W + length * step.W, self.a + length * step.a)


@dataclass(frozen=True)
class Shallow:
    """The function of weights and rows, for an activation with known derivatives.

    Attributes
    ----------
    activation : {"tanh", "erf"}
    """

    activation: str

    def outputs(self, theta: ShallowWeights, X: Array) -> Array:
        """The outputs f at rows X, shape (n,)."""
        [h] = derivatives(self.activation, _along(X, theta), 0)
        return np.asarray(h @ theta.a / math.sqrt(len(theta.a)))

    def tangents(self, at: ShallowWeights, X: Array, theta: ShallowWeights, Z: Array) -> Array:
        """Inner products <grad f(x; at), grad f(z; theta)>, shape (len(X), len(Z))."""
        h, slope = derivatives(self.activation, _along(X, at), 1)
        k, other = derivatives(self.activation, _along(Z, theta), 1)
        inner = X @ Z.T / X.shape[1]
        return np.asarray((h @ k.T + inner * ((slope * at.a) @ (other * theta.a).T)) / len(at.a))

    def gradient(self, theta: ShallowWeights, X: Array, error: Array) -> ShallowWeights:
        """The gradient sum_j grad f(x_j) error_j, of the shape of the weights."""
        h, slope = derivatives(self.activation, _along(X, theta), 1)
        factor = 1 / math.sqrt(len(theta.a))
        back = factor * error[:, None] * slope * theta.a
        return ShallowWeights(back.T @ X / math.sqrt(X.shape[1]), factor * (h.T @ error))

    def terms(self, theta: ShallowWeights, step: ShallowWeights, X: Array) -> list[Array]:
        """The terms of order 1 to 3 of f(theta + step) - f(theta)."""
        known = derivatives(self.activation, _along(X, theta), ORDERS)
        d, factor = _along(X, step), 1 / math.sqrt(len(theta.a))
        found = []
        for k in range(1, ORDERS + 1):
            power = d ** (k - 1) / math.factorial(k - 1)
            found.append(
                factor * ((known[k] * power * d / k) @ theta.a + (known[k - 1] * power) @ step.a)
            )
        return found

    def exact_kernel(
        self, theta: ShallowWeights, step: ShallowWeights, rows: tuple[Array, Array], points: int
    ) -> Array:
        """Kbar(x, z) of a step, by Gauss-Legendre points: rows x (n, d0) and z (k, d0) give (n, k)."""
        X, Z = rows
        nodes, weights = np.polynomial.legendre.leggauss(points)
        parts = (
            w / 2 * self.tangents(theta.moved(step, (1 + s) / 2), X, theta, Z)
            for s, w in zip(nodes, weights, strict=True)
        )
        return np.asarray(sum(parts))


def _along(X: Array, theta: ShallowWeights) -> Array:
    """Pre-activations W x/sqrt(d0) of rows, shape (n, m)."""
    return np.asarray(X @ theta.W.T / math.sqrt(X.shape[1]))


def derivatives(activation: str, u: Array, order: int) -> list[Array]:
    """An activation and its derivatives up to an order of 3 at most.

    Notes
    -----
    Source: tanh' = 1 - tanh^2; erf' = 2/sqrt(pi) exp(-u^2).
    """
    if activation == "tanh":
        t = np.tanh(u)
        slope = 1 - t**2
        found = [t, slope, -2 * t * slope, slope * (6 * t**2 - 2)]
    else:
        slope = 2 / math.sqrt(math.pi) * np.exp(-(u**2))
        erf = require("scipy.special", "study").erf(u)
        found = [erf, slope, -2 * u * slope, (4 * u**2 - 2) * slope]
    return found[: order + 1]
