"""Collapse in regression: features of rows whose targets are vectors.

Notation as in the source, Andriopoulos et al. (2024): features h_i in R^d, targets y_i in R^n with
covariance Sigma, last layer W (n, d).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nc1fast.core.linear import column_gram, length, matmul
from nc1fast.datasets.paths import reads_files
from nc1fast.inputs.arrays import as_matrix, host_array, row_chunks
from nc1fast.metrics.spectra import RANK_TOLERANCE
from nc1fast.support.arithmetic import ieee
from nc1fast.support.plain import PlainFields

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]

_NO_WEIGHTS = "no weights of the last layer were given: regression_collapse(H, Y, W)"


@dataclass(frozen=True, eq=False)
class RegressionData:
    """The arguments of the metrics.

    Attributes
    ----------
    H : ndarray or FileRows of shape (n_samples, n_features)
    Y : ndarray of shape (n_samples, n_targets)
    W : ndarray of shape (n_targets, n_features) or None
    """

    H: Any
    Y: Array
    W: Array | None

    @cached_property
    def spectrum(self) -> tuple[Array, Array]:
        """Eigenvalues (d,), descending, and principal axes (d, d), as columns, of the centred
        features.
        """
        shift = np.asarray(self.H[0]).astype(np.float64)
        total, scatter = np.zeros(len(shift)), np.zeros((len(shift), len(shift)))
        for part in row_chunks(self.H):
            D = part.astype(np.float64) - shift
            total += D.sum(axis=0)
            scatter += column_gram(D)
        mean = total / len(self.Y)
        values, axes = np.linalg.eigh(scatter / len(self.Y) - np.outer(mean, mean))
        return np.maximum(values[::-1], 0), axes[:, ::-1]

    @cached_property
    def target_root(self) -> Array:
        """Sigma^(1/2) of the targets, shape (n, n)."""
        D = self.Y - self.Y.mean(axis=0)
        values, vectors = np.linalg.eigh(column_gram(D) / len(D))
        return matmul(vectors * np.sqrt(np.maximum(values, 0)), vectors.T)

    def outside(self, axes: Array) -> float:
        """Mean of |h~ - P h~|^2, h~ = h/|h| and P onto orthonormal columns `axes` (d, r); rows h =
        0 count as inside.
        """
        found = []
        for part in row_chunks(self.H):
            rows = part.astype(np.float64)
            lengths = np.sqrt(np.square(rows).sum(axis=1))
            rows /= np.where(lengths > 0, lengths, 1)[:, None]
            found.append(float(np.square(rows - matmul(matmul(rows, axes), axes.T)).sum()))
        return math.fsum(found) / len(self.Y)


def nrc1(data: RegressionData) -> float:
    """Mean of |h~ - P h~|^2, h~ = h/|h| and P onto the first n principal axes of the features; in
    [0, 1], 0 when collapsed.
    """
    _, axes = data.spectrum
    return data.outside(axes[:, : data.Y.shape[1]])


def nrc2(data: RegressionData) -> float:
    """The same with P onto the span of the rows of W; in [0, 1], 0 when collapsed."""
    assert data.W is not None
    _, values, rows = np.linalg.svd(data.W, full_matrices=False)
    return data.outside(rows[values > max(RANK_TOLERANCE * values[0], 0)].T)


def nrc3(data: RegressionData) -> float:
    """|G/|G| - R/|R||^2, G = W W^T and R = Sigma^(1/2) - gamma^(1/2) I, least over gamma; in [0,
    4], 0 when collapsed.

    0 for one target, always. See `best_gamma`.
    """
    assert data.W is not None
    G, R = matmul(data.W, data.W.T), data.target_root
    shifted = R - math.sqrt(best_gamma(G, R)) * np.eye(len(R))
    sizes = length(G), length(shifted)
    return length(G / sizes[0] - shifted / sizes[1]) ** 2 if all(sizes) else math.nan


def best_gamma(G: Array, R: Array) -> float:
    """The gamma in [0, lambda_min(Sigma)] for which the cosine of G and Sigma^(1/2) - gamma^(1/2) I
    = R - t I is largest.

    With a = <G, R>, b = Tr G, c = Tr R and s = |R|^2 it is (a - t b)/(|G| sqrt(s - 2 t c + t^2 n)),
    whose derivative is 0 at t = (b s - a c)/(b c - a n) alone: there, or at an end.
    """
    n, a, b, c = len(R), float((G * R).sum()), float(np.trace(G)), float(np.trace(R))
    s, most = float(np.square(R).sum()), max(float(np.linalg.eigvalsh(R)[0]), 0.0)

    def cosine(t: float) -> float:
        size = s - 2 * t * c + t * t * n
        return (a - t * b) / math.sqrt(size) if size > 0 else -math.inf

    ends = [0.0, most]
    if slope := b * c - a * n:
        ends.append(min(max((b * s - a * c) / slope, 0.0), most))
    return max(ends, key=cosine) ** 2


class RegressionMetric(NamedTuple):
    """A metric of the registry: a function of `RegressionData`, and whether it needs W."""

    of: Callable[[RegressionData], float]
    needs_weights: bool = True


REGRESSION_METRICS: dict[str, RegressionMetric] = {
    "nrc1": RegressionMetric(nrc1, needs_weights=False),
    "nrc2": RegressionMetric(nrc2),
    "nrc3": RegressionMetric(nrc3),
}


@dataclass(frozen=True, eq=False)
class RegressionCollapse(PlainFields):
    """Collapse of features whose targets are vectors.

    Attributes
    ----------
    nrc1 : float
        Share of |h|^2 outside of the first n principal axes of the features, mean over the rows; n
        targets.
    nrc2, nrc3 : float or None
        The same of the span of the rows of W, and the distance of W W^T from what the targets make
        of it; None without W.
    explained : ndarray of shape (min(n_features, n_targets + 5),)
        Shares of the variance of the features along their first principal axes.
    missing : dict of str to str
        Why a metric is None, by name.
    """

    nrc1: float
    nrc2: float | None
    nrc3: float | None
    explained: Array
    missing: dict[str, str]


@ieee
@reads_files("H", "W", labels="Y", in_memory=True)
def regression_collapse(
    H: ArrayLike, Y: ArrayLike, W: ArrayLike | None = None
) -> RegressionCollapse:
    """Measure how far the features of a regression network have collapsed.

    Parameters
    ----------
    H : array-like of shape (n_samples, n_features), or path
        Features of the last hidden layer.
    Y : array-like of shape (n_samples,) or (n_samples, n_targets), path, or part of the file H
        Targets; n_targets <= n_features.
    W : array-like of shape (n_targets, n_features), optional
        Weights of the last layer.

    Returns
    -------
    RegressionCollapse

    Raises
    ------
    TypeError, ValueError
        For what is not finite real numbers of these shapes.

    Notes
    -----
    Cost: N d^2 multiply-adds and an eigendecomposition of d x d numbers; d^2 numbers, and some MiB
    of rows at a time.
    Source: Andriopoulos et al. (2024); principal axes are those of centred features, h~ is not
    centred.

    Examples
    --------
    >>> import numpy as np
    >>> import nc1fast as nc
    >>> rng = np.random.default_rng(0)
    >>> W, Y = rng.normal(size=(2, 5)), rng.normal(size=(40, 2))
    >>> bool(nc.regression_collapse(Y @ W, Y, W).nrc2 < 1e-25)
    True
    """
    rows, targets = as_matrix(H, "H"), host_array(Y, "Y")
    columns = as_matrix(targets[:, None] if targets.ndim == 1 else targets, "Y")
    if len(columns) != len(rows):
        raise ValueError(f"Y must have {len(rows)} rows as H has, got {len(columns)}")
    if columns.shape[1] > rows.shape[1]:
        raise ValueError(
            f"Y must have at most {rows.shape[1]} targets, the features of H, "
            f"got {columns.shape[1]}"
        )
    weights = None if W is None else as_matrix(W, "W").astype(np.float64)
    shape = (columns.shape[1], rows.shape[1])
    if weights is not None and weights.shape != shape:
        raise ValueError(
            f"W must have shape (n_targets, n_features) = {shape}, got {weights.shape}"
        )
    data = RegressionData(rows, columns.astype(np.float64), weights)
    lacking = [n for n, one in REGRESSION_METRICS.items() if one.needs_weights and weights is None]
    values = {n: None if n in lacking else one.of(data) for n, one in REGRESSION_METRICS.items()}
    variances, _ = data.spectrum
    shares = variances / (variances.sum() or 1.0)
    missing = dict.fromkeys(lacking, _NO_WEIGHTS)
    return RegressionCollapse(**values, explained=shares[: shape[0] + 5], missing=missing)  # type: ignore[arg-type]
