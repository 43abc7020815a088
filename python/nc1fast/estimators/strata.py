"""Strata of pairs of rows, one for each two classes: how pairs are drawn from them, and the errors
of estimates from them.

Of each stratum, all pairs of the few heavy rows, which would be drawn more often than they have
partners, are summed with certainty; the others are sampled with replacement, in proportion to the
bound b of their remainder (`nc1fast.estimators.centred_rows`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from nc1fast.estimators.centred_rows import CentredRows
    from nc1fast.estimators.estimate import TraceForms

    Array = NDArray[np.float64]
    Counts = NDArray[np.int64]
    Positions = NDArray[np.intp]

PILOT_PAIRS = 64  # drawn pairs of a stratum, at least; of the first sample, all
_ROUNDING = 1e-13  # relative, of a mean of squared distances


class Strata:
    """Pairs of rows of every two classes, a class with itself included: S = C (C + 1)/2 strata.

    Parameters
    ----------
    rows : CentredRows

    Attributes
    ----------
    rows : CentredRows
    first, second : ndarray of int of shape (S,)
        The two classes of each stratum, first <= second.
    within : ndarray of bool of shape (S,)
        Whether they are the same.
    total : ndarray of int of shape (S,)
        Number of pairs, of different rows.
    gaps : ndarray of shape (S,)
        Distances rho of the centres.
    heavy : ndarray of int of shape (2, S)
        Heavy rows of either class: their pairs are summed with certainty.
    bound : ndarray of shape (S,)
        Sum of b over the other pairs, which are sampled.
    """

    def __init__(self, rows: CentredRows) -> None:
        self.rows = rows
        self.first, self.second = np.triu_indices(len(rows.sizes))
        self.within = self.first == self.second
        a, b = rows.sizes[self.first], rows.sizes[self.second]
        self.total = np.where(self.within, a * (a - 1) // 2, a * b)
        self.gaps = rows.gaps(self.first, self.second)
        self.heavy = np.zeros((2, len(a)), dtype=np.int64)
        self.bound = np.zeros(len(a))

    def __len__(self) -> int:
        return len(self.total)

    def certain_pairs(self) -> Counts:
        """Pairs of each stratum that have a heavy row, shape (S,)."""
        h, g = self.heavy
        a, b = self.rows.sizes[self.first], self.rows.sizes[self.second]
        within = h * (2 * a - h - 1) // 2
        return np.where(self.within, within, a * b - (a - h) * (b - g))

    def share_out(self, k: int, n: int) -> bool:
        """Choose the heavy rows of stratum k for a sample of n pairs; whether they leave no pair
        out.
        """
        c, e = int(self.first[k]), int(self.second[k])
        a, b = int(self.rows.sizes[c]), int(self.rows.sizes[e])
        found = None
        if self.total[k] > n and c == e:
            found = self._heavy_within(c, n)
        elif self.total[k] > n:
            found = self._heavy_between(c, e, float(self.gaps[k]), n)
        h, g, self.bound[k] = found or (a, b, 0.0)
        self.heavy[:, k] = h, g
        return h == a

    def _heavy_within(self, c: int, n: int) -> tuple[int, int, float] | None:
        """Numbers of heavy rows at the head of a class, as the first and the second of its pairs,
        and the sum of b over the pairs without them; None if no more than `PILOT_PAIRS` are left.
        """
        a, start = int(self.rows.sizes[c]), int(self.rows.starts[c])
        r, tails, room, h = self.rows.distances, self.rows.tails, n // 2, 0
        while room >= a - h - 1 > 0 and (
            2 * n * r[start + h] >= (a - h) * tails[start + h]
            or 2 * r[start + h] > tails[start + h]
        ):
            room -= a - h - 1
            h += 1
        if (a - h) * (a - h - 1) // 2 <= PILOT_PAIRS:
            return None
        rest = r[start + h : start + a]
        return h, h, float(tails[start + h] ** 2 - np.square(rest).sum()) / 2

    def _heavy_between(self, c: int, e: int, gap: float, n: int) -> tuple[int, int, float] | None:
        """The same for the pairs of two classes."""
        a, b = int(self.rows.sizes[c]), int(self.rows.sizes[e])
        start, other = int(self.rows.starts[c]), int(self.rows.starts[e])
        r, tails, room = self.rows.distances, self.rows.tails, n // 2
        h = g = 0
        while True:
            R, Q = float(tails[start + h]), float(tails[other + g])
            m, l = a - h, b - g
            bound = gap * (R * l + m * Q) + R * Q
            if m * l <= PILOT_PAIRS:
                return None
            if room >= l and n * (r[start + h] * (gap * l + Q) + gap * Q) >= l * bound > 0:
                h, room = h + 1, room - l
            elif room >= m and n * (r[other + g] * (gap * m + R) + gap * R) >= m * bound > 0:
                g, room = g + 1, room - m
            else:
                return h, g, bound

    def certain(self, k: int) -> Iterator[tuple[int, Positions, Positions]]:
        """Positions of the pairs of stratum k that have a heavy row: (k, i, j) in batches."""
        c, e = int(self.first[k]), int(self.second[k])
        start, other = int(self.rows.starts[c]), int(self.rows.starts[e])
        a, b = int(self.rows.sizes[c]), int(self.rows.sizes[e])
        h, g = (int(n) for n in self.heavy[:, k])
        batch = self.rows.batch
        for rows, columns in ((range(h), range(b)), (range(h, a if c != e else h), range(g))):
            whole = len(rows) * len(columns)
            for done in range(0, whole, batch):
                place = np.arange(done, min(done + batch, whole))
                i, j = np.divmod(place, len(columns))
                i, j = i + rows.start, j + columns.start
                if c == e:
                    i, j = i[i < j], j[i < j]
                if len(i):
                    yield k, start + i, other + j

    def draw(self, k: Counts, rng: np.random.Generator) -> tuple[Positions, Positions]:
        """Positions (i, j) of one pair without heavy rows from each of the strata k, shape (n,), in
        proportion to b.

        b = rho r_i 1 + 1 rho r_j + r_i r_j is a mixture of products, so that i and j are drawn
        apart; within a class, where rho = 0, pairs of a row with itself are drawn again.
        """
        rows, c, e = self.rows, self.first[k], self.second[k]
        (h, g), gap = self.heavy[:, k], self.gaps[k]
        R, Q = rows.tails[rows.starts[c] + h], rows.tails[rows.starts[e] + g]
        left = gap * R * (rows.sizes[e] - g)
        right = gap * Q * (rows.sizes[c] - h)
        u, v, part = rng.random((3, len(k)))
        part = np.where(self.within[k], np.inf, part * (left + right + R * Q))
        flat_i, flat_j = (part >= left) & (part < left + right), part < left
        i = np.where(flat_i, rows.uniform(c, h, u), rows.by_distance(c, h, u))
        j = np.where(flat_j, rows.uniform(e, g, v), rows.by_distance(e, g, v))
        again = np.flatnonzero(i == j)  # no row is most of its class: a few rounds
        while len(again):
            u, v = rng.random((2, len(again)))
            i[again] = rows.by_distance(c[again], h[again], u)
            j[again] = rows.by_distance(e[again], g[again], v)
            again = again[i[again] == j[again]]
        return i, j


@dataclass(frozen=True, eq=False)
class PairSpread:
    """`Uncertainty` of mean squared distances that are sampled independently in each of S strata.

    Attributes
    ----------
    sizes : ndarray of int of shape (n_classes,)
    first, second : ndarray of int of shape (S,)
        The two classes of each stratum.
    distances : ndarray of shape (S,)
        Estimated mean of D2.
    scales : ndarray of shape (S,)
        Its derivative by the mean of the sampled terms y/b.
    draws : ndarray of shape (S,)
        Number of the sampled terms.
    variances, freedom : ndarray of shape (S,)
        Variance of the terms, and its degrees of freedom, which follow from their kurtosis.
    noise : ndarray of shape (S,)
        Standard error of the mean of D2 by rounding, where D2 is a difference of values of the
        kernel; else 0.
    """

    sizes: NDArray[np.int64]
    first: NDArray[np.intp]
    second: NDArray[np.intp]
    distances: Array
    scales: Array
    draws: Array
    variances: Array
    freedom: Array
    noise: Array

    def slopes(self, f: TraceForms, ratio: float) -> Array:
        """Derivatives (S,) of Tr Sigma_W - ratio Tr Sigma_B by the mean D2 of each stratum."""
        own = (1 - 1 / self.sizes) / 2 * (f.within - f.norms + ratio * np.diag(f.between))
        others = ratio * f.between[self.first, self.second]
        return np.where(self.first == self.second, own[self.first], others)

    def weights(self, f: TraceForms, ratio: float) -> tuple[Array, Array]:
        """Standard deviation and bound of what a pair of each stratum adds to Tr Sigma_W - ratio Tr
        Sigma_B; (S,) each.
        """
        bound = np.abs(self.slopes(f, ratio)) * self.scales
        return bound * np.sqrt(self.variances), bound

    def variance(self, f: TraceForms, ratio: float) -> tuple[float, float]:
        """Variance of Tr Sigma_W - ratio Tr Sigma_B, and its degrees of freedom by Welch and
        Satterthwaite.
        """
        slopes = self.slopes(f, ratio) ** 2
        terms = slopes * self.scales**2 * self.variances / np.maximum(self.draws, 1)
        total, freedom = float(terms.sum()), math.inf
        if total > 0:
            freedom = total**2 / float((terms**2 / self.freedom).sum())
        return total + float((slopes * self.noise**2).sum()), freedom

    def terms(self, f: TraceForms, ratio: float) -> float:
        """Effective number of pairs: n rare ones of equal size would give the variance 2 n degrees
        of freedom.
        """
        return self.variance(f, ratio)[1] / 2

    def rounding(self, f: TraceForms, ratio: float) -> float:
        """Bound on the rounding error of Tr Sigma_W - ratio Tr Sigma_B."""
        return _ROUNDING * float((np.abs(self.slopes(f, ratio)) * self.distances).sum())
