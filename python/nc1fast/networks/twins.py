"""Shallow ReLU networks in the NTK parametrization, single or as twins, in NumPy.

f(x) = sum_k s_k sqrt(1/m) a_k . relu(W_k x/sqrt(d0)), all entries of W_k and a_k standard normal:
one network with s = 1, or twins that start equal, with s = +-sqrt(1/2), so that f = 0 at the start
and the tangent kernel is that of one network.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


@dataclass(frozen=True)
class FullBatch:
    """Gradient descent on |f - y|^2/(2 n) + decay |theta|^2/2."""

    rate: float
    steps: int
    decay: float = 0.0


class SignedBranch:
    """One network with W (m, d0), a (m,), and its factor s sqrt(1/m)."""

    def __init__(self, W: Array, a: Array, sign: float) -> None:
        self.W, self.a, self.factor = W.copy(), a.copy(), sign / math.sqrt(len(a))

    def hidden(self, X: Array) -> Array:
        """Hidden features relu(W x/sqrt(d0)), shape (n, m)."""
        return np.asarray(np.maximum(X @ self.W.T / math.sqrt(X.shape[1]), 0.0))

    def descend(self, X: Array, hidden: Array, error: Array, descent: FullBatch) -> None:
        """One step, from the hidden features and (f - y)/n at the rows X."""
        along = self.factor * error
        back = np.where(hidden > 0, np.outer(along, self.a), 0.0)  # (n, m)
        of_W = back.T @ X / math.sqrt(X.shape[1]) + descent.decay * self.W
        self.a -= descent.rate * (hidden.T @ along + descent.decay * self.a)
        self.W -= descent.rate * of_W


class ReLUTwins:
    """A shallow network, or with `centred` twins whose difference starts at zero."""

    def __init__(self, width: int, d0: int, random: np.random.Generator, *, centred: bool) -> None:
        W, a = random.standard_normal((width, d0)), random.standard_normal(width)
        signs = (math.sqrt(0.5), -math.sqrt(0.5)) if centred else (1.0,)
        self.branches = [SignedBranch(W, a, sign) for sign in signs]

    def __call__(self, X: Array) -> Array:
        """Outputs of rows, shape (n,)."""
        return np.asarray(sum(b.factor * (b.hidden(X) @ b.a) for b in self.branches))

    def train(self, X: Array, y: Array, descent: FullBatch) -> ReLUTwins:
        """Descend on the rows X (n, d0) with targets y (n,), in place; returns itself. Some 4 n m
        (d0 + 3) multiply-adds a step and branch.
        """
        for _ in range(descent.steps):
            hidden = [b.hidden(X) for b in self.branches]
            outputs = sum(b.factor * (h @ b.a) for b, h in zip(self.branches, hidden, strict=True))
            error = (outputs - y) / len(y)
            for branch, h in zip(self.branches, hidden, strict=True):
                branch.descend(X, h, error, descent)
        return self
