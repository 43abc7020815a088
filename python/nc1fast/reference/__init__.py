"""The slow, obvious float64 NumPy version of everything: what "correct" means.

Gram matrices are stored, features are explicit, Sigma_W and Sigma_B are d x d matrices. The fast
path is tested against this module; this module is tested against quadrature, extended precision and
published values. Everything here costs O(N^2 d0) time and O(N^2) memory or more, and is meant for a
few hundred rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.activations import (
    Activation,
    LeakyReLU,
    activations,
    as_activation,
    of_arrays,
    traits,
)
from nc1fast.kernels.adaptive import AdaptiveKernel
from nc1fast.kernels.algebra import Composite, Power, Scaled, Sum
from nc1fast.kernels.classes import ConjugateKernel, Kernel, Linear
from nc1fast.kernels.ntk import NTK

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

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


def class_weights(sizes: ArrayLike, convention: str) -> tuple[Array, Array, Array]:
    """Weights of the classes in Sigma_W, in Sigma_B and in the global mean, each of shape
    (n_classes,).
    """
    n = np.asarray(sizes, dtype=np.float64)
    p, u = n / n.sum(), np.full(len(n), 1 / len(n))
    return {
        "papyan": (p, u, u),
        "probe": (p, u, p),
        "class": (u, u, u),
        "sample": (p, p, p),
        "released": (p, u, p),
    }[convention]


def collapse_features(H: ArrayLike, y: ArrayLike, convention: str = "papyan") -> dict[str, Any]:
    """Every metric of `nc1fast.Collapse` by its definition, from explicit features.

    Parameters
    ----------
    H : array-like of shape (n_samples, n_features)
    y : array-like of shape (n_samples,)
    convention : {"papyan", "probe", "class", "sample", "released"}, default "papyan"

    Returns
    -------
    dict
        Under the field names of `nc1fast.Collapse`.

    Notes
    -----
    Cost: O(N d^2 + d^3); Sigma_W and Sigma_B are stored.
    Accuracy: cancellation-free within classes; nc1_pinv to 1e-10 times the condition number of
    Sigma_B.
    Source: Papyan, Han & Donoho (2020); Galanti et al. (2022) for CDNV.
    """
    H = np.asarray(H, dtype=np.float64)
    labels, y = np.unique(np.asarray(y), return_inverse=True)
    sizes = np.bincount(y)
    C = len(labels)
    weight_within, weight_between, weight_mean = class_weights(sizes, convention)

    means = np.array([H[y == c].mean(axis=0) for c in range(C)])  # (C, d)
    deviations = H - means[y]
    deviations -= np.array([deviations[y == c].mean(axis=0) for c in range(C)])[y]
    centred = means - weight_mean @ means  # (C, d)
    sigma_w = sum(
        weight_within[c] * deviations[y == c].T @ deviations[y == c] / sizes[c] for c in range(C)
    )
    sigma_b = centred.T @ np.diag(weight_between) @ centred
    trace_within, trace_between = np.trace(sigma_w), np.trace(sigma_b)
    if convention == "released":  # mixes sample and class weights, as published
        trace_within = np.sum(H * H) / len(H) - np.sum(means * means) / C
        trace_between = np.sum(means * means) / C - np.sum((weight_mean @ means) ** 2)

    within_by_class = np.array([np.sum(deviations[y == c] ** 2) / sizes[c] for c in range(C)])
    distance2 = np.array([[np.sum((m - k) ** 2) for k in means] for m in means])
    off = ~np.eye(C, dtype=bool)
    norms = np.linalg.norm(centred, axis=1)
    cosines = (centred @ centred.T) / np.outer(norms, norms)
    gram_centred = centred @ centred.T
    simplex = (np.eye(C) - 1 / C) / np.sqrt(C - 1)
    eigenvalues = np.linalg.eigvalsh(sigma_b)
    to_means = np.array([np.sum((H - m) ** 2, axis=1) for m in means]).T  # (N, C)
    nearest = to_means.argmin(axis=1)
    return {
        "nc1": trace_within / trace_between,
        "trace_within": trace_within,
        "trace_between": trace_between,
        "nc1_pinv": np.trace(sigma_w @ np.linalg.pinv(sigma_b, rcond=1e-10, hermitian=True)) / C,
        "between_rank": int(np.sum(eigenvalues > 1e-10 * eigenvalues[-1])),
        "nc2_equinorm": norms.std() / norms.mean(),
        "nc2_equiangle": cosines[off].std(),
        "nc2_etf": np.linalg.norm(gram_centred / np.linalg.norm(gram_centred) - simplex),
        "cdnv": np.mean(((within_by_class[:, None] + within_by_class) / 2)[off] / distance2[off]),
        "within_by_class": within_by_class,
        "nc1_by_class": within_by_class / norms**2,
        "class_gram": means @ means.T,
        "nearest_center": nearest,
        "ncc_accuracy": float(np.mean(nearest == y)),
        "sizes": sizes,
        "labels": labels,
        "convention": convention,
    }


def features(K: ArrayLike) -> Array:
    """Explicit features H with H H^T = K, from the eigenvectors of a positive semi-definite Gram
    matrix.
    """
    values, vectors = np.linalg.eigh(np.asarray(K, dtype=np.float64))
    return vectors * np.sqrt(np.maximum(values, 0.0))  # type: ignore[no-any-return]


def collapse(K: ArrayLike, y: ArrayLike, convention: str = "papyan") -> dict[str, Any]:
    """Every metric of `nc1fast.Collapse` from a stored Gram matrix, through explicit features of
    it.

    Parameters
    ----------
    K : array-like of shape (n_samples, n_samples)
        Symmetric, positive semi-definite.
    y : array-like of shape (n_samples,)
    convention : str, default "papyan"

    Returns
    -------
    dict
        Under the field names of `nc1fast.Collapse`.

    Notes
    -----
    Cost: O(N^3).
    Accuracy: 1e-16 |K| relative to the trace it is compared with, |K| the largest eigenvalue.
    """
    return collapse_features(features(K), y, convention)


def class_sums(K: ArrayLike, y: ArrayLike) -> dict[str, NDArray[Any]]:
    """Sum a stored Gram matrix over classes: the arrays of `nc1fast.ClassSums`.

    Returns
    -------
    dict
        block_sums (C, C), traces (C,), within (C,), row_sums (N, C), sizes (C,), labels (C,).
    """
    K = np.asarray(K, dtype=np.float64)
    labels, y = np.unique(np.asarray(y), return_inverse=True)
    rows = [np.flatnonzero(y == c) for c in range(len(labels))]
    d2 = np.diag(K)[:, None] + np.diag(K) - 2 * K
    return {
        "block_sums": np.array([[K[np.ix_(i, j)].sum() for j in rows] for i in rows]),
        "traces": np.array([np.diag(K)[i].sum() for i in rows]),
        "within": np.array([d2[np.ix_(i, i)].sum() / (2 * len(i)) for i in rows]),
        "row_sums": np.array([K[:, j].sum(axis=1) for j in rows]).T,
        "sizes": np.array([len(i) for i in rows]),
        "labels": labels,
    }
