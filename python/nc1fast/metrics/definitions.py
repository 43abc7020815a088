"""The collapse metrics: pure functions of the class sums, and their registry.

Notation: M_cc' = <mu_c, mu_c'> is the Gram matrix of the class means, V_c the mean squared distance of the rows of class c
from their mean, p_c = n_c/N, u_c = 1/C, g the weights of the global mean, Mc = J M J^T with J = I - 1 g^T the Gram
matrix of the centred class means.
Sources: Papyan, Han & Donoho (2020) for NC1 and NC2; Zhu et al. (2021) for the pseudo-inverse and the nearest class
mean as coded; Galanti, Gyorgy & Hutter (2022) for CDNV.

A new metric is a function here and a line of `METRICS`: results, tables and the traces of trainings then have it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nc1fast.core.linear import length

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from nc1fast.metrics.conventions import Weights
    from nc1fast.metrics.rows import RowStatistics
    from nc1fast.sums.class_sums import ClassSums

    Array = NDArray[np.float64]

RANK_TOLERANCE = 1e-10  # eigenvalues of Sigma_B below this fraction of the largest count as zero


def class_gram(sums: ClassSums) -> Array:
    """M_cc' = <mu_c, mu_c'> = block_sums_cc' / (n_c n_c'), shape (C, C)."""
    n = sums.sizes.astype(np.float64)
    return sums.block_sums / np.outer(n, n)


def within_by_class(sums: ClassSums) -> Array:
    """V_c = within_c / n_c, shape (C,)."""
    return sums.within / sums.sizes


def centred(M: Array, g: Array) -> Array:
    """J M J^T with J = I - 1 g^T, shape (C, C)."""
    rows: Array = (M * g).sum(axis=1)  # along memory, where NumPy sums pairwise
    return M - rows[:, None] - rows[None, :] + float((g * rows).sum())


def centred_norms(Mc: Array) -> Array:
    """r_c = sqrt(Mc_cc), shape (C,): norms of the centred class means; 0 where rounding made the square negative."""
    return np.asarray(np.sqrt(np.maximum(Mc.diagonal(), 0)))


def above_diagonal(A: Array) -> Array:
    """A_cc' for c < c', row by row, shape (C (C - 1)/2,)."""
    return A[~np.tri(len(A), dtype=bool)]  # type: ignore[no-any-return]


def trace_within(V: Array, M: Array, w: Weights) -> float:
    """Tr Sigma_W = sum_c w_c V_c; released: sum_i k_ii/N - sum_c M_cc/C = p.V + (p - u).diag M, not a variance."""
    within = (w.within * V).sum()
    if w.convention == "released":
        within += ((w.within - w.between) * M.diagonal()).sum()
    return float(within)


def trace_between(M: Array, w: Weights) -> float:
    """Tr Sigma_B = sum_c w_c Mc_cc; released: sum_c M_cc/C - p^T M p."""
    if w.convention == "released":
        return float(M.diagonal().mean() - (w.mean * (M * w.mean).sum(axis=1)).sum())
    return float((w.between * centred(M, w.mean).diagonal()).sum())


def nc1_by_class(V: Array, Mc: Array) -> Array:
    """V_c / Mc_cc, shape (C,); infinite for a class whose mean is the global mean."""
    squares = Mc.diagonal()
    out = np.full(len(V), np.inf)
    np.divide(V, squares, out=out, where=squares > 0)
    return out


def nc2_equinorm(Mc: Array) -> float:
    """std(r)/mean(r) of the norms r_c of the centred class means; 0 when all are zero."""
    r = centred_norms(Mc)
    return float(r.std() / r.mean()) if r.any() else 0.0


def nc2_equiangle(Mc: Array) -> float:
    """Spread (std) of the cosines between different centred class means; one of zero norm counts as orthogonal."""
    r = centred_norms(Mc)
    norms = np.outer(r, r)
    cosines = np.divide(Mc, norms, out=np.zeros_like(Mc), where=norms > 0)
    return float(above_diagonal(cosines).std())


def nc2_etf(Mc: Array) -> float:
    """Frobenius distance of Mc/|Mc| from the simplex equiangular tight frame (I - 11^T/C)/sqrt(C - 1)."""
    C, size = len(Mc), length(Mc)
    simplex = (np.eye(C) - 1 / C) / math.sqrt(C - 1)
    return length((Mc / size if size > 0 else Mc) - simplex)


def cdnv(V: Array, M: Array) -> float:
    """Mean over c != c' of (V_c + V_c') / (2 |mu_c - mu_c'|^2); infinite when two class means coincide."""
    norms = M.diagonal()
    distance2 = above_diagonal(norms[:, None] + norms - 2 * M)
    within = above_diagonal(V[:, None] + V) / 2
    pairs = np.divide(within, distance2, out=np.full_like(within, np.inf), where=distance2 > 0)
    return float(pairs.mean())


class BetweenSpectrum(NamedTuple):
    """Nonzero eigenvalues (r,) of Sigma_B, and D v (C, r) for the eigenvectors v of D Mc D, D = diag(sqrt w)."""

    values: Array
    vectors: Array


def between_spectrum(Mc: Array, w: Weights) -> BetweenSpectrum:
    """Eigenvalues of Sigma_B above 1e-10 of the largest, which are those of D Mc D; `between_rank` counts them."""
    d = np.sqrt(w.between)
    values, vectors = np.linalg.eigh(Mc * np.outer(d, d))
    keep = values > max(RANK_TOLERANCE * values[-1], 0)
    return BetweenSpectrum(values[keep], d[:, None] * vectors[:, keep])


def nc1_pinv(rows: RowStatistics, spectrum: BetweenSpectrum, w: Weights) -> float:
    """Tr(Sigma_W pinv(Sigma_B))/C; infinite when Sigma_B is zero.

    Notes
    -----
    The eigenvectors of Sigma_B are Z D v/sqrt(lambda), Z the centred means; so the trace is the sum of
    v^T D G D v / lambda^2, G = Z^T Sigma_W Z the scatter of `rows`, both in the units of `rows`.
    """
    values, vectors = spectrum
    if not len(values):
        return math.inf
    G = centred(rows.scatter_class if w.within_is_uniform else rows.scatter_sample, w.mean)
    values = np.ldexp(values, -rows.exponent)
    return float(((G @ vectors * vectors).sum(axis=0) / values**2).sum() / len(G))


@dataclass(frozen=True, eq=False)
class ClassGeometry:
    """The arguments of the metrics.

    Attributes
    ----------
    V : ndarray of shape (n_classes,)
    M, Mc : ndarray of shape (n_classes, n_classes)
    w : Weights
    rows : RowStatistics or None
        What the row-class sums add, where they are kept.
    """

    V: Array
    M: Array
    Mc: Array
    w: Weights
    rows: RowStatistics | None

    @cached_property
    def spectrum(self) -> BetweenSpectrum:
        """Eigenvalues and eigenvectors of Sigma_B, computed once: O(C^3)."""
        return between_spectrum(self.Mc, self.w)


class Metric(NamedTuple):
    """A metric of the registry.

    Attributes
    ----------
    of : callable
        Its value, a function of `ClassGeometry`.
    column : type or None
        float or int: it is a column of tables. None: an array, in results alone.
    """

    of: Callable[[ClassGeometry], Any]
    column: type | None = float


def _of_rows(function: Callable[[ClassGeometry, RowStatistics], Any]) -> Callable[..., Any]:
    """A metric that is None where the row-class sums were not kept."""
    return lambda g: None if g.rows is None else function(g, g.rows)


# What a result has beside nc1 and its traces, by name and in the order of tables.
METRICS: dict[str, Metric] = {
    "nc1_pinv": Metric(_of_rows(lambda g, rows: nc1_pinv(rows, g.spectrum, g.w))),
    "between_rank": Metric(lambda g: len(g.spectrum.values), int),
    "nc2_equinorm": Metric(lambda g: nc2_equinorm(g.Mc)),
    "nc2_equiangle": Metric(lambda g: nc2_equiangle(g.Mc)),
    "nc2_etf": Metric(lambda g: nc2_etf(g.Mc)),
    "cdnv": Metric(lambda g: cdnv(g.V, g.M)),
    "ncc_accuracy": Metric(_of_rows(lambda g, rows: rows.ncc_accuracy)),
    "within_by_class": Metric(lambda g: g.V, None),
    "nc1_by_class": Metric(lambda g: nc1_by_class(g.V, g.Mc), None),
    "class_gram": Metric(lambda g: g.M, None),
    "nearest_center": Metric(_of_rows(lambda g, rows: rows.nearest_center), None),
}


def columns(*types: type) -> list[str]:
    """Names of the metrics that are columns of tables, of these types, in order."""
    return [name for name, metric in METRICS.items() if metric.column in types]
