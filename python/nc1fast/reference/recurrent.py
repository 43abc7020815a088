"""The recursion of recurrent networks over their steps, as it is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nc1fast.reference import Array, dual

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from nc1fast.kernels.recurrent import RecurrentKernel


def recurrent_gram(
    kernel: RecurrentKernel, X: Sequence[ArrayLike], Z: Sequence[ArrayLike] | None = None
) -> Array:
    """Gram matrix of a recurrent kernel.

    Parameters
    ----------
    kernel : RecurrentNNGP or RecurrentNTK
    X, Z : sequences of arrays of shape (n_steps_i, n_features)
        Aligned at their ends. Z: default X.

    Notes
    -----
    Cost: N M T (2 m + 30) flops, O(N M + N T m) memory.
    Accuracy: as `nc1fast.reference.gram`: nearly parallel pairs lose half the digits of their
    angle.
    Source: Alemohammad, Wang, Balestriero & Baraniuk (2021), theorems 1 and 2.
    """
    same = Z is None
    Z = X if Z is None else Z
    n_steps = max(len(np.asarray(x)) for x in (*X, *Z))
    (x_rows, x_there), (z_rows, z_there) = _aligned(X, n_steps), _aligned(Z, n_steps)
    sw2, sx2, sb2 = kernel.weight_variance, kernel.input_variance, kernel.bias_variance
    scale = sx2 / x_rows.shape[-1]
    # Variances of the pre-activations, their covariances, and Theta: 0 before a sequence begins.
    a, b = np.zeros(len(X)), np.zeros(len(Z))
    c, theta = np.zeros((len(X), len(Z))), np.zeros((len(X), len(Z)))
    kappa, kdot = _relu(a, b, c, same)
    for t in range(n_steps):
        both = x_there[t][:, None] & z_there[t]
        a = np.where(x_there[t], sw2 * a / 2 + scale * (x_rows[t] ** 2).sum(axis=1) + sb2, 0.0)
        b = np.where(z_there[t], sw2 * b / 2 + scale * (z_rows[t] ** 2).sum(axis=1) + sb2, 0.0)
        c = np.where(both, sw2 * kappa + scale * x_rows[t] @ z_rows[t].T + sb2, 0.0)
        theta = np.where(both, c + sw2 * theta * kdot, 0.0)
        kappa, kdot = _relu(a, b, c, same)
    value = kappa + theta * kdot if kernel.is_tangent else kappa
    return np.asarray(kernel.readout_variance * value)


def _aligned(X: Sequence[ArrayLike], n_steps: int) -> tuple[Array, np.ndarray]:
    """Steps (n_steps, n, n_features) with zeros before a sequence begins, and whether it has begun
    (n_steps, n).
    """
    arrays = [np.asarray(x, dtype=np.float64) for x in X]
    out = np.zeros((n_steps, len(arrays), arrays[0].shape[1]))
    there = np.zeros((n_steps, len(arrays)), dtype=bool)
    for i, x in enumerate(arrays):
        out[n_steps - len(x) :, i] = x
        there[n_steps - len(x) :, i] = True
    return out, there


def _relu(a: Array, b: Array, c: Array, same: bool) -> tuple[Array, Array]:
    """E relu relu and E step step of each pair; `same`: those on the diagonal are equal."""
    s = np.sqrt(np.maximum(a[:, None] * b - c * c, 0.0))
    if same:
        np.fill_diagonal(s, 0.0)
    return dual("relu", a[:, None], b, c, s)
