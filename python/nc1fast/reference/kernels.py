"""Kernels as they are defined: dual activations and the recursions over layers and steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.core.activations import (
    Activation,
    LeakyReLU,
    activations,
    as_activation,
    of_arrays,
    traits,
)
from nc1fast.kernels.adaptive import AdaptiveKernel
from nc1fast.kernels.algebra import Composite, Power, Scaled, Sum
from nc1fast.kernels.fully_connected import NTK, ConjugateKernel, Linear

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from nc1fast.kernels.classes import Kernel
    from nc1fast.kernels.recurrent import RecurrentKernel

Array = np.ndarray[Any, np.dtype[np.float64]]


def dual(
    activation: Activation, a: ArrayLike, b: ArrayLike, c: ArrayLike, s: ArrayLike | None = None
) -> tuple[Array, Array]:
    """Dual activation and its derivative: E[phi(u) phi(v)] and E[phi'(u) phi'(v)], (u, v) ~ N(0,
    [[a, c], [c, b]]).

    Parameters
    ----------
    activation : str, LeakyReLU, ShiftedReLU or Activation
    a, b : array-like
        Variances, >= 0.
    c : array-like
        Covariance, c^2 <= a b; broadcast against a and b.
    s : array-like, optional
        sqrt(a b - c^2), for a caller that knows it better than the subtraction does.

    Returns
    -------
    kappa, kdot : ndarray
        kdot of "step" and "sign" is d kappa/dc, infinite at s = 0.

    Notes
    -----
    Cost: some 30 flops an entry.
    Accuracy: 1e-14 of sqrt(kappa(a, a) kappa(b, b)), given s; tests/test_reference.py.
    Source: Cho & Saul (2009) for step, relu, relu2; Williams (1997) for erf; Daniely et al. (2016)
    for the principle; kdot = d kappa/dc by Price's theorem.
    """
    activation = as_activation(activation)
    a, b, c = np.broadcast_arrays(*(np.asarray(v, dtype=np.float64) for v in (a, b, c)))
    s = np.sqrt(np.maximum(a * b - c * c, 0.0)) if s is None else np.asarray(s, dtype=np.float64)
    name, slope = str(activation), 0.0
    if isinstance(activation, LeakyReLU):
        name, slope = "leaky_relu", activation.slope
    if name in ("relu", "leaky_relu", "abs", "step", "sign", "relu2"):
        return _dual_of_angle(name, a * b, c, s, slope)
    if name not in activations(elementary=True):
        return _dual_by_quadrature(activation, a, b, c, s)
    return _dual_smooth(name, a, b, c, s)


def _dual_by_quadrature(
    activation: Activation, a: Array, b: Array, c: Array, s: Array
) -> tuple[Array, Array]:
    """Any activation: Gauss and Legendre between the kinks of u, and for each u between those of v.

    40 ms an entry.
    """
    known, functions = traits(activation).series, of_arrays(activation)
    kinks = np.array([activation.parameter] if known is None else known.kinks)  # type: ignore[union-attr]
    kappa, kdot = np.empty(a.shape), np.empty(a.shape)
    for k in np.ndindex(a.shape):
        root = np.sqrt(a[k])
        z, weights = _pieces(kinks / root)
        along, across = c[k] / root * z, s[k] / root
        inner, inner_weights = _pieces((kinks - along[:, None]) / np.maximum(across, 1e-300))
        v = along[:, None] + across * inner
        for function, out in zip(functions, (kappa, kdot), strict=True):
            means = (function(v) * inner_weights).sum(axis=1)  # type: ignore[misc]
            out[k] = (weights * function(root * z) * means).sum()  # type: ignore[misc]
    return kappa, kdot


def _pieces(kinks: Array) -> tuple[Array, Array]:
    """Nodes and weights for N(0, 1), on intervals of length 1 at most between the kinks (..., n):
    (..., n_nodes) each.
    """
    grid = np.broadcast_to(np.arange(-13.0, 14.0), (*kinks.shape[:-1], 27))
    ends = np.sort(np.concatenate([grid, np.clip(kinks, -13, 13)], axis=-1), axis=-1)
    x, w = np.polynomial.legendre.leggauss(20)
    middle, half = (ends[..., 1:] + ends[..., :-1]) / 2, (ends[..., 1:] - ends[..., :-1]) / 2
    z = (middle[..., None] + half[..., None] * x).reshape(*kinks.shape[:-1], -1)
    weights = (half[..., None] * w).reshape(z.shape)
    return z, weights * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)


def _dual_of_angle(name: str, ab: Array, c: Array, s: Array, slope: float) -> tuple[Array, Array]:
    """Piecewise polynomials: functions of the angle theta between u and v."""
    theta = np.arctan2(s, c)
    relu, step = (s + (np.pi - theta) * c) / (2 * np.pi), (np.pi - theta) / (2 * np.pi)
    with np.errstate(divide="ignore"):
        density = 1 / (2 * np.pi * s) if name in ("step", "sign") else s
    if name == "relu":
        return relu, step
    if name == "leaky_relu":
        return (1 - slope) ** 2 * relu + slope * c, (1 - slope) ** 2 * step + slope
    if name == "abs":
        return 2 / np.pi * (s + (np.pi / 2 - theta) * c), 1 - 2 * theta / np.pi
    if name == "step":
        return step, density
    if name == "sign":
        return 1 - 2 * theta / np.pi, 4 * density
    return (3 * s * c + (np.pi - theta) * (ab + 2 * c * c)) / (2 * np.pi), 4 * relu  # relu2


def _dual_smooth(name: str, a: Array, b: Array, c: Array, s: Array) -> tuple[Array, Array]:
    """Dual activations of entire functions, in closed form."""
    mean = (a + b) / 2
    root = np.sqrt(1 + 2 * (a + b) + 4 * s * s)  # sqrt((1 + 2a)(1 + 2b) - 4c^2)
    if name == "erf":
        return 2 / np.pi * np.arctan2(2 * c, root), 4 / np.pi / root
    if name == "gaussian":
        return 1 / root, 4 * c / root**3
    if name in ("exp", "rbf"):
        return (np.exp(c + mean if name == "exp" else c - mean),) * 2
    if name in ("sin", "cos"):
        # exp(-mean) sinh(c) without overflow for large c, without cancellation for small c
        small = np.exp(-mean) * np.sinh(np.clip(c, -1, 1))
        odd = np.where(np.abs(c) < 1, small, (np.exp(c - mean) - np.exp(-c - mean)) / 2)
        even = (np.exp(c - mean) + np.exp(-c - mean)) / 2
        return (odd, even) if name == "sin" else (even, odd)
    det = 1 + (a + b) + s * s  # (1 + a)(1 + b) - c^2
    probit = 1 / 4 + np.arctan2(c, np.sqrt(det)) / (2 * np.pi)
    if name == "probit":
        return probit, 1 / (2 * np.pi * np.sqrt(det))
    if name == "gelu":
        e = 1 - (1 / (1 + a) + 1 / (1 + b))
        numerator = a * b - e * c * c
        scale = 1 / (2 * np.pi * np.sqrt(det))
        return c * probit + numerator * scale, probit + (
            c - 2 * c * e + numerator * c / det
        ) * scale
    raise NotImplementedError(f"no reference for the activation {name!r}")


def _products(U: Array, V: Array) -> tuple[Array, Array]:
    """<u, v> and sqrt(|u|^2 |v|^2 - <u, v>^2) of every pair of rows; equal and opposite rows give
    exactly 0.

    The second is |u| |v| sin(theta) with sin(theta) = |u^ - v^| |u^ + v^| / 2 for unit rows, which
    keeps small angles.
    """
    c = np.array([(u * V).sum(axis=-1) for u in U])
    norm_u, norm_v = (np.sqrt((W * W).sum(axis=-1)) for W in (U, V))
    u_hat, v_hat = (W / np.where(n > 0, n, 1.0)[:, None] for W, n in ((U, norm_u), (V, norm_v)))
    sine = np.array(
        [np.linalg.norm(u - v_hat, axis=-1) * np.linalg.norm(u + v_hat, axis=-1) / 2 for u in u_hat]
    )
    return c, norm_u[:, None] * norm_v * sine


def gram(kernel: Kernel, X: ArrayLike, Z: ArrayLike | None = None) -> Array:
    """Gram matrix of a kernel, by the recursion over layers as it is written.

    Parameters
    ----------
    kernel : Linear, ConjugateKernel, NNGP, NTK, AdaptiveKernel, or sums, products, powers and
    multiples of them
    X : array-like of shape (n_samples, n_features)
    Z : array-like of shape (m_samples, n_features), optional
        Default: X.

    Returns
    -------
    ndarray of shape (n_samples, m_samples)

    Raises
    ------
    ValueError
        For "sign" and "step" of a row of zero variance.

    Notes
    -----
    Cost: N M (4 d0 + 30 depth) flops, O(N M) memory.
    Accuracy: 1e-14 of sqrt(k_ii k_jj) at depth 2; beyond it, sqrt(a b - c^2) of nearly parallel
    pairs loses half the digits, which the NTK of relu, leaky_relu and abs feels (1e-8).
    Source: Lee et al. (2018), eq. 5; Jacot et al. (2018), theorem 1; Sohl-Dickstein et al. (2020)
    ("standard").
    """
    X = np.asarray(X, dtype=np.float64)
    Z = X if Z is None else np.asarray(Z, dtype=np.float64)
    if isinstance(kernel, Composite):
        return _combined(kernel, [gram(part, X, Z) for part in kernel.parts])
    if isinstance(kernel, AdaptiveKernel):
        a, b = (((W @ kernel.sigma) * W).sum(axis=1) for W in (X, Z))
        return dual(kernel.activation, a[:, None], b, X @ kernel.sigma @ Z.T)[0]
    sw2, sb2 = kernel.weight_variances, kernel.bias_variances  # type: ignore[attr-defined]
    d0 = X.shape[1]
    U, V = (
        np.hstack([np.sqrt(sw2[0] / d0) * A, np.full((len(A), 1), np.sqrt(sb2[0]))]) for A in (X, Z)
    )
    a, b = ((W * W).sum(axis=-1) for W in (U, V))  # Sigma^0_ii of X and of Z
    c, s = _products(U, V)
    if isinstance(kernel, Linear):
        return c
    phi, depth = kernel.activation, kernel.depth  # type: ignore[attr-defined]
    if phi in ("sign", "step") and not (a.all() and b.all()):
        raise ValueError(f"{phi!r} of a row of zeros needs bias_variance > 0")
    tangent = kernel.tangent_coefficients if isinstance(kernel, NTK) else []
    if tangent:
        q, one, _ = tangent[0]
        theta = (X @ Z.T) * (1.0 if kernel.parametrization == "standard" else q / d0) + one  # type: ignore[attr-defined]
    for layer in range(1, depth):
        kappa, kdot = dual(phi, a[:, None], b, c, s)
        if tangent:
            q, one, factor = tangent[layer]
            theta = q * kappa + one + factor * theta * kdot
        if layer == depth - 1 and isinstance(kernel, ConjugateKernel):
            return kappa
        a, b = (sb2[layer] + sw2[layer] * dual(phi, v, v, v, np.zeros_like(v))[0] for v in (a, b))
        c = sb2[layer] + sw2[layer] * kappa
        s = np.sqrt(np.maximum(a[:, None] * b - c * c, 0.0))
    return theta if tangent else c


def _combined(kernel: Composite, parts: list[Array]) -> Array:
    """The Gram matrix of a composite kernel, from those of its parts."""
    if isinstance(kernel, Scaled):
        return kernel.factor * parts[0]
    if isinstance(kernel, Power):
        return parts[0] ** kernel.exponent
    join = np.add if isinstance(kernel, Sum) else np.multiply
    return np.asarray(join.reduce(parts))


def free_energy(
    kernel: AdaptiveKernel,
    X: ArrayLike,
    Y: ArrayLike,
    *,
    noise: float,
    weight_variance: float = 1.0,
    readout_variance: float = 1 / 128,
    width: float = 500,
) -> float:
    """F(Sigma) = (h/2) [(d0/sw2) Tr Sigma - log det Sigma] + (1/2) [Tr Y^T Qt^-1 Y + P log det Qt].

    Qt = readout_variance Q + noise I, Q the Gram matrix of the kernel; Y of shape (n_samples,
    n_outputs).
    """
    X, Y = (np.asarray(A, dtype=np.float64) for A in (X, Y))
    Qt = readout_variance * gram(kernel, X) + noise * np.eye(len(X))
    prior = X.shape[1] / weight_variance * np.trace(kernel.sigma)
    prior -= np.linalg.slogdet(kernel.sigma).logabsdet
    data = np.trace(Y.T @ np.linalg.solve(Qt, Y)) + Y.shape[1] * np.linalg.slogdet(Qt).logabsdet
    return float(width / 2 * prior + data / 2)


def diag(kernel: Kernel, X: ArrayLike) -> Array:
    """k(x_i, x_i), shape (n_samples,), row by row."""
    return np.array([gram(kernel, row[None])[0, 0] for row in np.asarray(X, dtype=np.float64)])


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
