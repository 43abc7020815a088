"""Metrics of a linear classifier h -> W h + b beside the class means of its features.

Notation: W (C, d), b (C,), mu the class means (C, d), mu_G = g^T mu, Z = mu - mu_G the centred
class means. Angles and products with Z of features that are held explicitly: kernels have no W.
Sources: Papyan, Han & Donoho (2020) for self-duality and the nearest class centre; Zhu et al.
(2021) for the dual frame and the bias; Wu & Papyan (2024) for uniform duality; Bjorck & Golub
(1973) for angles between subspaces.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from nc1fast.core.linear import length, matmul
from nc1fast.inputs.arrays import as_matrix, host_array, row_chunks
from nc1fast.metrics.pairs import distance_from_ideal, ideal_entries
from nc1fast.metrics.spectra import RANK_TOLERANCE

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]

_ROWS = 128  # of W Z^T at a time


@dataclass(frozen=True, eq=False)
class Classifier:
    """Weights W (C, d) and bias b (C,) of a linear classifier, one row for each class in the order
    of the labels.

    `agreement` is the fraction of the rows whose decision is their nearest class mean; None where
    no rows were given.
    """

    W: Array
    b: Array
    agreement: float | None = None

    @classmethod
    def of(cls, W: ArrayLike, b: ArrayLike | None, shape: tuple[int, int]) -> Classifier:
        """Checked weights and bias, float64; a bias of None is zero.

        Raises
        ------
        TypeError, ValueError
            For what is not finite real numbers of the `shape` (n_classes, n_features) and
            (n_classes,).
        """
        weight = as_matrix(W, "W").astype(np.float64)
        if weight.shape != shape:
            hint = "; transpose it" if weight.shape == shape[::-1] else ""
            raise ValueError(
                f"W must have shape (n_classes, n_features) = {shape}, got {weight.shape}{hint}"
            )
        if b is None:
            return cls(weight, np.zeros(shape[0]))
        bias = host_array(b, "b")
        if bias.shape != shape[:1]:
            raise ValueError(f"b must have shape (n_classes,) = {shape[:1]}, got {bias.shape}")
        return cls(weight, as_matrix(bias[:, None], "b")[:, 0].astype(np.float64))

    def decisions(self, H: Array) -> NDArray[np.int64]:
        """argmax_c (W h + b)_c of each row of H (n, d), shape (n,); ties go to the lowest."""
        return np.asarray((matmul(self.W, H.T) + self.b[:, None]).argmax(axis=0))

    def with_rows(self, H: ArrayLike, nearest: NDArray[np.int64]) -> Classifier:
        """The same with the agreement of its decisions of the rows H (n, d) with their nearest
        class means.

        Raises
        ------
        TypeError, ValueError
            For what is not finite real numbers of this shape.
        """
        rows, shape = as_matrix(H, "H"), (len(nearest), self.W.shape[1])
        if rows.shape != shape:
            raise ValueError(f"H must have shape {shape}, got {rows.shape}")
        decisions = [self.decisions(part.astype(np.float64)) for part in row_chunks(rows)]
        return replace(self, agreement=float((np.concatenate(decisions) == nearest).mean()))


def nc3_self_duality(W: Array, Z: Array) -> float:
    """|W/|W| - Z/|Z||, Frobenius norms; in [0, 2], 0 when collapsed, sqrt(2) for W orthogonal to Z,
    NaN if one is zero.

    Source: Papyan, Han & Donoho (2020), whose figures show the norm; some tool kits report its
    square.
    """
    sizes = length(W), length(Z)
    return length(W / sizes[0] - Z / sizes[1]) if all(sizes) else math.nan


def nc3_etf(W: Array, Z: Array) -> float:
    """Distance of W Z^T/|W Z^T| from (I - 11^T/C)/sqrt(C - 1), Frobenius norms; in [0, 2], 0 when
    collapsed.

    Unlike self-duality it wants frames too: Z = W alone is not enough. Source: Zhu et al. (2021).
    """
    W, Z = (A / (length(A) or 1.0) for A in (W, Z))
    on, off = ideal_entries("simplex", len(W))
    trace, total = float((W * Z).sum()), float((W.sum(axis=0) * Z.sum(axis=0)).sum())
    p = on * trace + off * (total - trace)
    rest = []
    for start in range(0, len(W), _ROWS):
        block = matmul(W[start : start + _ROWS], Z.T) - p * off
        k = np.arange(len(block))
        block[k, start + k] -= p * (on - off)
        rest.append(float(np.square(block).sum()))
    return distance_from_ideal(p, math.fsum(rest))


def nc3_cosines(W: Array, Z: Array) -> Array:
    """cos(w_c, z_c), shape (C,); 1 when collapsed, and 0 where one is zero."""
    norms = np.linalg.norm(W, axis=1) * np.linalg.norm(Z, axis=1)
    cosine: Array = np.divide((W * Z).sum(axis=1), norms, out=np.zeros(len(W)), where=norms > 0)
    return cosine


def nc3_uniform(W: Array, Z: Array) -> float:
    """Spread (std) over the classes of cos(w_c, z_c); in [0, 1], 0 when collapsed, and whenever all
    classes are equally dual.

    Source: Wu & Papyan (2024), uniform duality, for more classes than features.
    """
    return float(nc3_cosines(W, Z).std())


def bias_collapse(W: Array, b: Array, center: Array) -> float:
    """|b + W mu_G|; 0 when the bias only removes the global mean, as it does when collapsed.

    Source: Zhu et al. (2021).
    """
    return length(b + (W * center).sum(axis=1))


def _orthonormal_columns(A: Array) -> Array:
    """Orthonormal basis (d, r) of the span of the rows of A, of singular values above 1e-10 of the
    largest.
    """
    _, values, rows = np.linalg.svd(A, full_matrices=False)
    return np.asarray(rows[values > max(RANK_TOLERANCE * values[0], 0)].T)


def classifier_angles(W: Array, Z: Array) -> Array:
    """Principal angles (r,), ascending, in [0, pi/2], of the spans of the rows of W about their
    mean and of Z.

    0 when collapsed; r is the smaller of the two dimensions. The mean row of W adds one number to
    every output, which decides nothing.

    Notes
    -----
    Cost: O(C d min(C, d)). Accuracy: angles below pi/4 from their sines, others from their cosines.
    """
    A, B = _orthonormal_columns(W - W.mean(axis=0)), _orthonormal_columns(Z)
    if A.shape[1] < B.shape[1]:
        A, B = B, A
    if not B.shape[1]:
        return np.zeros(0)
    cosine = np.linalg.svd(A.T @ B, compute_uv=False)
    sine = np.linalg.svd(B - A @ (A.T @ B), compute_uv=False)[::-1]
    small = cosine**2 > 0.5
    angles: Array = np.where(
        small, np.arcsin(np.minimum(sine, 1)), np.arccos(np.clip(cosine, 0, 1))
    )
    return angles
