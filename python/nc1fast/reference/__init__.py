"""The slow, obvious float64 NumPy version of everything: what "correct" means.

Gram matrices are stored, features are explicit, Sigma_W and Sigma_B are d x d matrices. The fast
path is tested against this module; this module is tested against quadrature, extended precision and
published values. Everything here costs O(N^2 d0) time and O(N^2) memory or more, and is meant for a
few hundred rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.reference.kernels import diag, dual, free_energy, gram, recurrent_gram

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]

__all__ = [
    "class_sums",
    "class_weights",
    "collapse",
    "collapse_features",
    "diag",
    "dual",
    "features",
    "free_energy",
    "gram",
    "recurrent_gram",
]


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
