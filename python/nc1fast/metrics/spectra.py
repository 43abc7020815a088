"""Spectra and ranks of Sigma_B, and of Sigma_W on the span of the centred class means, by whichever
of C x C and d x d is smaller.

Sources: Papyan, Han & Donoho (2020) for NC1; Zhu et al. (2021) for its pseudo-inverse as coded.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from nc1fast.core.linear import column_gram, matmul
from nc1fast.metrics.definitions import centred
from nc1fast.metrics.frames import WHOLE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nc1fast.metrics.frames import MeanFrame
    from nc1fast.metrics.rows import RowStatistics

    Array = NDArray[np.float64]

RANK_TOLERANCE = 1e-10  # eigenvalues of Sigma_B below this fraction of the largest count as zero
ROW_ROUNDING = 2.0**-45  # errors of <mu_c, h> relative to the longest mean squared: 256 roundoffs


@dataclass(frozen=True, eq=False)
class BetweenSpectrum:
    """Eigenvalues of Sigma_B above 1e-10 of the largest, ascending, and their eigenvectors.

    Attributes
    ----------
    values : ndarray of shape (r,)
    weight : ndarray of shape (n_classes,)
        D = diag(sqrt w).
    axes : ndarray of shape (n_classes, r) or (n_features, r), or None
        Eigenvectors v of D Mc D, whose eigenvalues are the same; where there are no more features
        than classes, those of Sigma_B = Z^T D D Z itself.
    scaled : ndarray of shape (n_classes, n_features) or None
        D Z, in which case.
    """

    values: Array
    weight: Array
    axes: Array | None = None
    scaled: Array | None = None

    @cached_property
    def vectors(self) -> Array:
        """D v, shape (n_classes, r)."""
        assert self.axes is not None
        v = self.axes
        if self.scaled is not None:
            v = matmul(self.scaled, v) / np.sqrt(self.values)
        return np.asarray(self.weight[:, None] * v)


def between_spectrum(means: MeanFrame, *, vectors: bool = True) -> BetweenSpectrum:
    """The spectrum of Sigma_B; `between_rank` counts its eigenvalues. O(C^3), or O(C d^2) for fewer
    features than classes.

    Without `vectors` a third of the work, and nothing but the values.
    """
    weight, scaled = np.sqrt(means.w.between), None
    if means.by_features:
        scaled = weight[:, None] * means.Z
        gram = column_gram(scaled)
    else:
        gram = means.products(WHOLE, WHOLE)
        gram *= np.outer(weight, weight)
    if not vectors:
        values = np.asarray(np.linalg.eigvalsh(gram))
        return BetweenSpectrum(values[_kept(values)], weight)
    values, axes = np.linalg.eigh(gram)
    keep = _kept(values)
    return BetweenSpectrum(values[keep], weight, axes[:, keep], scaled)


def _kept(values: Array) -> NDArray[np.bool_]:
    return np.asarray(values > max(RANK_TOLERANCE * values[-1], 0))


@dataclass(frozen=True, eq=False)
class WithinSpan:
    """Sigma_W on the eigenvectors of Sigma_B, in units of 2^exponent of the rows.

    Attributes
    ----------
    matrix : ndarray of shape (r, r)
    between : ndarray of shape (r,)
        The eigenvalues of Sigma_B.
    floor : float
        The level of rounding errors: the value for equal rows.
    n_classes : int
    """

    matrix: Array
    between: Array
    floor: float
    n_classes: int

    @classmethod
    def of(cls, rows: RowStatistics, spectrum: BetweenSpectrum, means: MeanFrame) -> WithinSpan:
        """That of rows and means.

        Notes
        -----
        The eigenvectors of Sigma_B are orthonormal Z D v/sqrt(lambda); in them Sigma_W is v^T D G D
        v'/sqrt(lambda lambda'), G = Z^T Sigma_W Z the scatter of rows of kernels. What rounding
        leaves is (2^-45 |mu|^2)^2 C/lambda, and for deviations in features (2^-45 |mu|)^2.
        """
        scatter = rows.scatter_class if means.w.within_is_uniform else rows.scatter_sample
        assert scatter is not None
        values = np.ldexp(spectrum.values, -rows.exponent)
        if rows.by_features:
            assert spectrum.axes is not None
            found = matmul(matmul(spectrum.axes.T, scatter), spectrum.axes)
            return cls(np.ldexp(found, -rows.exponent), values, ROW_ROUNDING**2, len(means))
        inverse = 1 / np.sqrt(values)
        G, vectors = centred(scatter, means.w.mean), spectrum.vectors
        found = matmul(matmul(vectors.T, G), vectors) * np.outer(inverse, inverse)
        floor = len(means) * ROW_ROUNDING**2 * (inverse**2).max(initial=0.0)
        return cls(found, values, float(floor), len(means))

    def nc1_pinv(self) -> float:
        """Tr(Sigma_W pinv(Sigma_B))/C; infinite when Sigma_B is zero."""
        return self._trace(len(self.between))

    def nc1_truncated(self) -> float:
        """`nc1_pinv` with no more than the C - 1 largest eigenvalues of Sigma_B, as Papyan, Han &
        Donoho (2020) compute it.

        The same in exact arithmetic: the global mean has sum g_c z_c = 0, so that there are no
        more.
        """
        return self._trace(self.n_classes - 1)

    def _trace(self, most: int) -> float:
        if not len(self.between):
            return math.inf
        ratios = self.matrix.diagonal() / self.between
        return float(ratios[-most:].sum() / self.n_classes)

    @cached_property
    def values(self) -> Array:
        """Eigenvalues (r,), ascending; 0 below the level of rounding errors."""
        found = np.linalg.eigvalsh((self.matrix + self.matrix.T) / 2)
        return np.where(found > self.floor, found, 0.0)


def effective_rank(values: Array) -> float:
    """Exponential of the entropy of p = lambda/sum(lambda); in [1, r], r when all are equal, and 0
    when all are zero.

    Source: Roy & Vetterli (2007).
    """
    positive = values[values > 0]
    if not len(positive):
        return 0.0
    p = positive / positive.sum()
    return math.exp(-float((p * np.log(p)).sum()))


def stable_rank(values: Array) -> float:
    """sum(lambda)/max(lambda), which is |A|_F^2/|A|_2^2 for Sigma = A A^T; in [1, r], and 0 when
    all are zero.

    Source: Rudelson & Vershynin (2007).
    """
    positive = values[values > 0]
    return float(positive.sum() / positive.max()) if len(positive) else 0.0


def numerical_rank(values: Array, tolerance: float) -> int:
    """Eigenvalues above `tolerance` of the largest."""
    return int((values > max(tolerance * values.max(initial=0.0), 0)).sum())
