"""Finite recurrent networks and an extended-precision judge: what recurrent kernels are compared
with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nc1fast.kernels import RecurrentKernel

    Array = np.ndarray[Any, Any]
    Long = np.ndarray[Any, Any]


class TiedNetwork:
    """h_t = relu(W h_{t-1} + U x_t + b), output v h_T, in the NTK's parametrization: one draw of
    all weights.
    """

    def __init__(
        self, kernel: RecurrentKernel, width: int, m: int, rng: np.random.Generator
    ) -> None:
        self.sw2 = kernel.weight_variance / width
        self.sx2, self.sb2 = kernel.input_variance / m, kernel.bias_variance
        self.sv2 = kernel.readout_variance / width
        self.W = rng.standard_normal((width, width))
        self.U, self.b = rng.standard_normal((width, m)), rng.standard_normal(width)
        self.v = rng.standard_normal(width)

    def states(self, x: Array) -> Array:
        """(n_steps + 1, width), the first of them 0."""
        h = [np.zeros(len(self.b))]
        for step in x:
            pre = np.sqrt(self.sw2) * self.W @ h[-1] + np.sqrt(self.sx2) * self.U @ step
            h.append(np.maximum(pre + np.sqrt(self.sb2) * self.b, 0.0))
        return np.array(h)

    def sensitivities(self, h: Array) -> Array:
        """Derivatives of the output with respect to the pre-activations, (n_steps, width)."""
        delta, out = np.sqrt(self.sv2) * self.v, []
        for state in h[:0:-1]:
            out.append(delta * (state > 0))
            delta = np.sqrt(self.sw2) * self.W.T @ out[-1]
        return np.array(out[::-1])

    def kernels(self, x: Array, z: Array) -> tuple[float, float]:
        """(sv2 <h_T, h_T'>/n, <gradient, gradient'>), the second by back-propagation through all
        pairs of steps.
        """
        (h, g), (k, d) = [(s, self.sensitivities(s)) for s in (self.states(x), self.states(z))]
        pairs = g @ d.T
        inner = self.sw2 * h[:-1] @ k[:-1].T + self.sx2 * x @ z.T + self.sb2
        nngp = self.sv2 * h[-1] @ k[-1]
        return float(nngp), float(nngp + (pairs * inner).sum())


def judged(kernel: RecurrentKernel, X: Sequence[Array]) -> Long:
    """The Gram matrix of exact data in extended precision, by plain covariances: another form than
    the core's.
    """
    n, m, n_steps = len(X), X[0].shape[1], max(map(len, X))
    pi = np.longdouble(3) + np.longdouble("0.14159265358979323846264338327950288")
    sw2, sx2, sb2, sv2 = map(np.longdouble, kernel.recurrence.variances)
    c, theta = (np.zeros((n, n), np.longdouble) for _ in "ct")
    kappa, kdot = np.zeros_like(c), np.zeros_like(c)
    for t in range(n_steps, 0, -1):
        there = np.array([len(x) >= t for x in X])
        row = np.array(
            [x[-t] if ok else np.zeros(m) for x, ok in zip(X, there, strict=True)], np.longdouble
        )
        inner = np.sum(row[:, None] * row, axis=2)
        # Before the shorter one begins there is no pair, but the longer one has its variance.
        both = there[:, None] & there
        c = np.where(both, sw2 * kappa + sx2 * inner / m + sb2, np.longdouble(0))
        theta = np.where(both, c + sw2 * theta * kdot, np.longdouble(0))
        a = np.diag(c)
        ab = np.sqrt(a)[:, None] * np.sqrt(a)
        s = np.sqrt(np.maximum((ab - c) * (ab + c), 0))
        angle = np.arctan2(s, c)
        kappa = (s + (pi - angle) * c) / (2 * pi)
        kdot = (pi - angle) / (2 * pi)
        np.fill_diagonal(kappa, a / 2)
        np.fill_diagonal(kdot, np.longdouble(0.5))
    return sv2 * (kappa + theta * kdot) if kernel.is_tangent else sv2 * kappa
