"""The collapse metrics as pure functions of the class sums.

Notation: M_cc' = <mu_c, mu_c'> is the Gram matrix of the class means, V_c the mean squared distance of the rows of class c
from their mean, p_c = n_c/N, u_c = 1/C, g the weights of the global mean, Mc = J M J^T with J = I - 1 g^T the Gram
matrix of the centred class means.
Sources: Papyan, Han & Donoho (2020) for NC1 and NC2; Zhu et al. (2021) for the pseudo-inverse and the nearest class
mean as coded; Galanti, Gyorgy & Hutter (2022) for CDNV.

Those of a classifier are in `classifiers`, ranks in `ranks`; the registry of all is in `registry`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nc1fast.core.linear import length

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nc1fast.metrics.conventions import Weights
    from nc1fast.metrics.rows import RowStatistics
    from nc1fast.sums.class_sums import ClassSums

    Array = NDArray[np.float64]

RANK_TOLERANCE = 1e-10  # eigenvalues of Sigma_B below this fraction of the largest count as zero
ROW_ROUNDING = 2.0**-45  # errors of <mu_c, h> relative to the longest mean squared: 256 roundoffs


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


def cosines(Mc: Array) -> Array:
    """Cosines between the centred class means, shape (C, C); one of zero norm counts as orthogonal to all."""
    r = centred_norms(Mc)
    norms = np.outer(r, r)
    return np.divide(Mc, norms, out=np.zeros_like(Mc), where=norms > 0)


def nc2_equiangle(Mc: Array) -> float:
    """Spread (std) of the cosines between different centred class means; one of zero norm counts as orthogonal."""
    return float(above_diagonal(cosines(Mc)).std())


def nc2_cosine_offset(Mc: Array) -> float:
    """Mean over c != c' of |cos_cc' + 1/(C - 1)|, in [0, C/(C - 1)].

    0 for a simplex equiangular tight frame; 1/(C - 1) for orthogonal directions. Papyan, Han & Donoho (2020).
    """
    return float(np.abs(above_diagonal(cosines(Mc)) + 1 / (len(Mc) - 1)).mean())


def nc2_etf(Mc: Array) -> float:
    """Frobenius distance of Mc/|Mc| from the simplex equiangular tight frame (I - 11^T/C)/sqrt(C - 1)."""
    C, size = len(Mc), length(Mc)
    simplex = (np.eye(C) - 1 / C) / math.sqrt(C - 1)
    return length((Mc / size if size > 0 else Mc) - simplex)


def nc2_orthogonal(M: Array) -> float:
    """Frobenius distance of M/|M| from the orthogonal frame I/sqrt(C), M not centred; in [0, 2].

    0 for orthogonal means of one length, to which non-negative features collapse (Tirer & Bruna, 2022);
    sqrt(2 - 2/sqrt(C)) when all means coincide.
    """
    C, size = len(M), length(M)
    return length((M / size if size > 0 else M) - np.eye(C) / math.sqrt(C))


def _direction_distances(Mc: Array) -> Array:
    """|z_c/|z_c| - z_c'/|z_c'||, c < c', of the centred class means z, shape (C (C - 1)/2,)."""
    return np.asarray(np.sqrt(np.maximum(2 - 2 * above_diagonal(cosines(Mc)), 0)))


def gnc2_log(Mc: Array) -> float:
    """Mean over c != c' of log(1/|u_c - u_c'|), u_c the directions of the centred class means; at least -log 2.

    Generalised NC2, which exists for C > d + 1 too (Liu et al., 2023; Wu & Papyan, 2024). Least, -log(2 C/(C - 1))/2, for a
    simplex equiangular tight frame; infinite when two directions coincide.
    """
    distances = _direction_distances(Mc)
    logarithms = np.log(distances, out=np.full_like(distances, -np.inf), where=distances > 0)
    return float(-logarithms.mean())


def gnc2_riesz(Mc: Array) -> float:
    """Mean over c != c' of 1/|u_c - u_c'|, the Riesz energy of exponent 1; at least 1/2.

    As `gnc2_log`; least, sqrt((C - 1)/(2 C)), for a simplex equiangular tight frame (Liu et al., 2023).
    """
    distances = _direction_distances(Mc)
    inverse = np.divide(1, distances, out=np.full_like(distances, np.inf), where=distances > 0)
    return float(inverse.mean())


def nc1_total(within: float, between: float) -> float:
    """Tr Sigma_W/(Tr Sigma_W + Tr Sigma_B); in [0, 1] except under "released".

    The share of the total variance that lies within classes where the convention is "sample". 0 when collapsed, 1 when the
    class means coincide; NaN when the sum is 0.
    """
    total = within + between
    return within / total if total else math.nan


def cdnv_by_pair(V: Array, M: Array) -> Array:
    """(V_c + V_c') / (2 |mu_c - mu_c'|^2), shape (C, C), 0 on the diagonal; infinite where two class means coincide.

    0 when collapsed (Galanti, Gyorgy & Hutter, 2022).
    """
    norms = M.diagonal()
    distance2 = norms[:, None] + norms - 2 * M
    within = (V[:, None] + V) / 2
    pairs = np.divide(within, distance2, out=np.full_like(within, np.inf), where=distance2 > 0)
    np.fill_diagonal(pairs, 0)
    return pairs


def cdnv(V: Array, M: Array) -> float:
    """Mean over c != c' of `cdnv_by_pair`; infinite when two class means coincide."""
    return float(above_diagonal(cdnv_by_pair(V, M)).mean())


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


def between_spectrum_of_means(Z: Array, w: Weights) -> BetweenSpectrum:
    """The same from the centred class means Z (C, d), by the d x d matrix Sigma_B = Z^T D^2 Z: cheaper where d < C."""
    d = np.sqrt(w.between)
    A = d[:, None] * Z
    values, U = np.linalg.eigh(A.T @ A)
    keep = values > max(RANK_TOLERANCE * values[-1], 0)
    values = values[keep]
    return BetweenSpectrum(values, d[:, None] * (A @ U[:, keep]) / np.sqrt(values))


def _scatter(rows: RowStatistics, w: Weights) -> Array:
    """The scatter of a convention, which the caller knows to be there."""
    scatter = rows.scatter_class if w.within_is_uniform else rows.scatter_sample
    assert scatter is not None
    return scatter


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
    G = centred(_scatter(rows, w), w.mean)
    values = np.ldexp(values, -rows.exponent)
    return float(((G @ vectors * vectors).sum(axis=0) / values**2).sum() / len(G))


def nc1_truncated(rows: RowStatistics, spectrum: BetweenSpectrum, w: Weights) -> float:
    """`nc1_pinv` with no more than the C - 1 largest eigenvalues of Sigma_B, as Papyan, Han & Donoho (2020) compute it.

    It differs where Sigma_B has rank C: about a global mean that is not that of the class means.
    """
    most = len(w.mean) - 1
    return nc1_pinv(rows, BetweenSpectrum(spectrum.values[-most:], spectrum.vectors[:, -most:]), w)


def within_spectrum(rows: RowStatistics, spectrum: BetweenSpectrum, w: Weights) -> Array:
    """Eigenvalues (r,), ascending, of Sigma_W restricted to the span of the centred class means, in units of `rows`.

    Notes
    -----
    What rounding of R leaves of rows that are equal, C (2^-45 |mu|^2)^2/lambda, is 0: nothing has no rank.
    The eigenvectors of Sigma_B are orthonormal Z D v/sqrt(lambda); in them Sigma_W is v^T D G D v'/sqrt(lambda lambda').
    """
    values, vectors = spectrum
    G = centred(_scatter(rows, w), w.mean)
    inverse = 1 / np.sqrt(np.ldexp(values, -rows.exponent))
    restricted = vectors.T @ G @ vectors * np.outer(inverse, inverse)
    found = np.linalg.eigvalsh((restricted + restricted.T) / 2)
    floor = len(G) * ROW_ROUNDING**2 * (inverse**2).max(initial=0.0)
    return np.where(found > floor, found, 0.0)
