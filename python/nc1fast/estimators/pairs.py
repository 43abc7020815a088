"""NC1 from sampled pairs of rows: strata, one for each two classes, with pairs drawn by how much they may matter.

    V_c = (1 - 1/n_c) E D2 / 2         over pairs i != j of class c,
    |mu_c - mu_c'|^2 = E D2 - V_c - V_c'   over pairs of two classes,

with D2 from `nc1fast.kernels.pairwise`, which does not cancel, as squares about the centres of the classes, which are summed exactly, and a
bounded remainder (`nc1fast.estimators.centred`). The traces of the kernel are exact, so that class means of feature space have no
error of their own. Of each stratum, all pairs of the few rows that would be drawn more often than they have partners are summed
exactly, and the others sampled with replacement, in proportion to the bound of their remainder (Hansen & Hurwitz 1943).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nc1fast.estimators.centred import CentredRows, bytes_of
from nc1fast.estimators.estimate import Estimate, Forms, forms, student_quantile
from nc1fast.kernels.pairwise import stable
from nc1fast.sums.memory import check_memory
from nc1fast.sums.rounding import UNIT_ROUNDOFF
from nc1fast.support.threads import workers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from nc1fast.kernels.classes import Kernel

    Array = NDArray[np.float64]
    Counts = NDArray[np.int64]

PILOT = 64  # pairs of each stratum before anything is known of their spread
# Share of a fixed number of pairs that goes by bounds, not by the spread seen so far.
_DEFENSIVE = 0.25
# Of the standard error that is wanted: what any single pair, seen or not, may add to the estimate.
_LARGEST_TERM = 0.125
# More pairs than the tolerance asks for, so that the sample rarely has to be drawn again; times as many, where nothing is told.
_MARGIN, _MORE = 1.2, 8
_ROUNDING = 1e-13  # relative, of a mean of squared distances


class _Heavy(NamedTuple):
    """Rows at the head of both classes of a stratum, all of whose pairs are summed; and the bound over the other pairs."""

    first: int
    second: int
    bound: float


class PairSample:
    """Pairs of every two classes, in samples that are independent of those before, each planned by the last.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    classes, labels
        As `as_labels` gives them.
    kernel : Kernel
    seed : int
    n_threads : int, default 1
    memory_limit : float, optional
        Bytes beside X and y. The bits depend on neither.

    Raises
    ------
    ValueError
        If the limit is too low.

    Notes
    -----
    Cost: 10 d0 + 60 depth flops a pair; as many for each row, its kernel value on the diagonal, and a sort.
    Accuracy: the interval says. What is sampled is at most the square of the mean distance from the centres, and not the mean
    square: heavy tails are in the exact part.
    Source: Hoeffding (1948) for U-statistics; Neyman (1934) for the allocation; Hansen & Hurwitz (1943).
    """

    def __init__(
        self,
        X: Any,
        classes: NDArray[np.int32],
        labels: NDArray[Any],
        kernel: Kernel,
        seed: int,
        *,
        n_threads: int = 1,
        memory_limit: float | None = None,
    ) -> None:
        n_strata = len(labels) * (len(labels) + 1) // 2
        needed = bytes_of(len(classes), X.shape[1], len(labels), n_threads)
        check_memory(memory_limit, {**needed, "class pairs": 320 * n_strata})
        self._labels, self._kernel, self._seed, self._threads = labels, kernel, seed, n_threads
        self._rows = CentredRows(X, classes, len(labels), kernel, seed, n_threads)
        self._sizes = self._rows.sizes
        self._first, self._second = np.triu_indices(len(labels))
        same = self._first == self._second
        a, b = self._sizes[self._first], self._sizes[self._second]
        self._total = np.where(same, a * (a - 1) // 2, a * b)  # pairs that there are
        self._gaps = self._rows.gaps(self._first, self._second)
        self._round = 0
        self.spent = len(classes)  # squared distances so far
        self._whole = self._total == 0  # strata of which every pair has been summed
        self._summed = np.zeros(len(a))  # remainders of the pairs taken with certainty
        self._heavy = np.zeros((2, len(a)), dtype=np.int64)
        self._bound = np.zeros(len(a))  # sum of b over the pairs that are sampled
        self._powers = np.zeros((5, len(a)))  # sums of powers of y/b about `_shift`
        self._shift = np.zeros(len(a))

    @property
    def size(self) -> int:
        """Pairs that the estimate is made of."""
        return int(self._powers[0].sum() + self._certain_pairs().sum())

    @property
    def exhausted(self) -> bool:
        """Whether every pair of rows has been evaluated: the result is exact."""
        return bool(self._whole.all())

    def _certain_pairs(self) -> Counts:
        h, g = self._heavy
        a, b = self._sizes[self._first], self._sizes[self._second]
        within = h * (2 * a - h - 1) // 2
        return np.where(self._first == self._second, within, a * b - (a - h) * (b - g))

    def draw(self, plan: Counts) -> None:
        """A sample of about so many pairs of each stratum, and at least `PILOT` or all of them."""
        self._round += 1
        self._shift = self._shift + self._moments()[0]
        self._powers = np.zeros_like(self._powers)
        draws = np.zeros(len(plan), dtype=np.int64)
        certain = []
        for k in np.flatnonzero(~self._whole):
            n = max(PILOT, int(plan[k]))
            heavy = self._taken(int(k), n)
            self._heavy[:, k], self._bound[k] = heavy[:2], heavy.bound
            self._summed[k] = 0.0
            if heavy.first or heavy.second:
                certain.append(int(k))
            self._whole[k] = heavy.first == self._sizes[self._first[k]]
            if heavy.bound > 0:
                draws[k] = n
        draws = np.where(draws > 0, np.maximum(PILOT, draws - self._certain_pairs()), 0)
        batches = (pair for k in certain for pair in self._certain(k))
        with workers(self._threads) as in_order:
            for k, total in in_order(self._sum_of, batches):
                self._summed[k] += total
            for first, powers in in_order(self._powers_of, self._drawn(draws)):
                self._powers[:, first : first + powers.shape[1]] += powers
        fresh = np.isin(np.arange(len(draws)), certain)
        self.spent += int(draws.sum() + self._certain_pairs()[fresh].sum())

    def pilot(self) -> Counts:
        """The plan of the first sample."""
        return np.full(len(self._total), PILOT)

    def _taken(self, k: int, n: int) -> _Heavy:
        """The rows that n draws would take more often than they have partners; all, where that is no more than n pairs."""
        c, e, rho = int(self._first[k]), int(self._second[k]), float(self._gaps[k])
        a, b = int(self._sizes[c]), int(self._sizes[e])
        everything = _Heavy(a, b, 0.0)
        if self._total[k] <= n:
            return everything
        at, to = int(self._rows.starts[c]), int(self._rows.starts[e])
        r, q = self._rows.distances, self._rows.distances
        rest, room = self._rows.tails, n // 2
        h = g = 0
        if c == e:
            while room >= a - h - 1 > 0 and (
                2 * n * r[at + h] >= (a - h) * rest[at + h] or 2 * r[at + h] > rest[at + h]
            ):
                room -= a - h - 1
                h += 1
            if (a - h) * (a - h - 1) // 2 <= PILOT:
                return everything
            tail = r[at + h : at + a]
            return _Heavy(h, h, float(rest[at + h] ** 2 - np.square(tail).sum()) / 2)
        while True:
            R, Q = float(rest[at + h]), float(rest[to + g])
            m, l = a - h, b - g
            bound = rho * (R * l + m * Q) + R * Q
            if m * l <= PILOT:
                return everything
            if room >= l and n * (r[at + h] * (rho * l + Q) + rho * Q) >= l * bound > 0:
                h, room = h + 1, room - l
            elif room >= m and n * (q[to + g] * (rho * m + R) + rho * R) >= m * bound > 0:
                g, room = g + 1, room - m
            else:
                return _Heavy(h, g, bound)

    def _certain(self, k: int) -> Iterator[tuple[int, Any, Any]]:
        """Positions of the pairs of a stratum that have a heavy row, in batches."""
        c, e = int(self._first[k]), int(self._second[k])
        at, to = int(self._rows.starts[c]), int(self._rows.starts[e])
        a, b = int(self._sizes[c]), int(self._sizes[e])
        h, g = (int(n) for n in self._heavy[:, k])
        for rows, columns in ((range(h), range(b)), (range(h, a if c != e else h), range(g))):
            whole = len(rows) * len(columns)
            for start in range(0, whole, self._rows.batch):
                place = np.arange(start, min(start + self._rows.batch, whole))
                i, j = np.divmod(place, len(columns))
                i, j = i + rows.start, j + columns.start
                if c == e:
                    i, j = i[i < j], j[i < j]
                if len(i):
                    yield k, at + i, to + j

    def _sum_of(self, pairs: tuple[int, Any, Any]) -> tuple[int, float]:
        k, i, j = pairs
        return k, float(self._rows.remainders(i, j, self._gaps[k])[0].sum())

    def _drawn(self, draws: Counts) -> Iterator[tuple[int, Counts]]:
        """Batches of draws: their number, and the stratum of each."""
        ends = np.cumsum(draws)
        for number, start in enumerate(range(0, int(ends[-1]), self._rows.batch)):
            place = np.arange(start, min(start + self._rows.batch, int(ends[-1])))
            yield number, np.searchsorted(ends, place, side="right")

    def _powers_of(self, batch: tuple[int, Counts]) -> tuple[int, Array]:
        """The first stratum of a batch, and sums of powers 0 to 4 of y/b over its strata, (5, n)."""
        number, k = batch
        rng = np.random.default_rng([self._seed, self._round, number])
        i, j = self._positions(k, rng)
        y, b = self._rows.remainders(i, j, self._gaps[k])
        terms = np.divide(y, b, out=np.zeros_like(y), where=b > 0) - self._shift[k]
        first, power, sums = int(k[0]), np.ones_like(terms), []
        for _ in range(5):
            sums.append(np.bincount(k - first, weights=power))
            power *= terms
        return first, np.array(sums)

    def _positions(self, k: Counts, rng: np.random.Generator) -> tuple[Any, Any]:
        """Pairs of these strata in proportion to b = rho r_i 1 + 1 rho r_j + r_i r_j: a mixture of products."""
        rows, c, e = self._rows, self._first[k], self._second[k]
        (h, g), gap = self._heavy[:, k], self._gaps[k]
        R, Q = rows.tails[rows.starts[c] + h], rows.tails[rows.starts[e] + g]
        left = gap * R * (self._sizes[e] - g)
        right = gap * Q * (self._sizes[c] - h)
        within = c == e
        u, v, part = rng.random((3, len(k)))
        part = np.where(within, np.inf, part * (left + right + R * Q))
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

    def _moments(self) -> tuple[Array, Array, Array]:
        """Of y/b in each stratum: mean, less `_shift`; variance; and the degrees of freedom of that, by its kurtosis."""
        n = self._powers[0]
        one, two, three, four = self._powers[1:] / np.maximum(n, 1)
        spread = np.maximum(two - one**2, 0.0)
        fourth = four - 4 * one * three + 6 * one**2 * two - 3 * one**4
        kurtosis = np.divide(fourth, spread**2, out=np.full_like(n, 3.0), where=spread > 1e-150)
        # Var s^2 = sigma^4 (kurtosis - (n - 3)/(n - 1))/n, and 2 sigma^4/(n - 1) of normal terms
        relative = np.maximum(kurtosis - 1, 0.0) / np.maximum(n, 1) + 2 / np.maximum(n, 2) ** 2
        return one, spread * n / np.maximum(n - 1, 1), 2 / relative

    def _scales(self) -> Array:
        """How far mean D2 of each stratum moves with the mean of y/b."""
        return np.divide(
            2 * self._bound, self._total, out=np.zeros_like(self._bound), where=~self._whole
        )

    def _weights(self, f: Forms, ratio: float) -> tuple[Array, Array]:
        """Of each stratum: standard deviation, and bound, of what a pair of it adds to Tr Sigma_W - ratio Tr Sigma_B."""
        bound = np.abs(self._slopes(f, ratio)) * self._scales()
        return bound * np.sqrt(self._moments()[1]), bound

    def cost(self, plan: Counts) -> int:
        """Pairs of a plan."""
        return int(plan.sum())

    def plan(self, size: int, convention: str) -> Counts:
        """How many pairs of each stratum lower the error of nc1 most, of so many."""
        f = forms(convention, self._sizes)
        spread, bound = self._weights(f, self.estimate().nc1(convention))
        share = np.zeros(len(spread))
        for weight, of in ((1 - _DEFENSIVE, spread), (_DEFENSIVE, bound)):
            share += weight * (of / of.sum() if of.sum() > 0 else 0.0)
        return np.asarray(np.ceil(size * share), dtype=np.int64)

    def wanted(self, tolerance: float, confidence: float, convention: str) -> Counts:
        """How many pairs of each stratum an interval so narrow is expected to need."""
        f, now = forms(convention, self._sizes), self.estimate()
        between, nc1 = now.between(convention), now.nc1(convention)
        error = tolerance * abs(nc1) * between / student_quantile(confidence, math.inf)
        if not (between > 6 * now.between_error(convention) and error > 0):
            return np.maximum(self.pilot(), self.plan(_MORE * self.size, convention))
        spread, bound = self._weights(f, nc1)
        total = _MARGIN * spread.sum() / error
        counts = np.maximum(total * spread / error, bound / (_LARGEST_TERM * error))
        counts = np.minimum(np.maximum(np.ceil(counts), PILOT), np.maximum(self._total, PILOT))
        return np.asarray(counts, dtype=np.int64)

    def _slopes(self, f: Forms, ratio: float) -> Array:
        """Derivatives of Tr Sigma_W - ratio Tr Sigma_B by the mean D2 of each stratum."""
        own = (1 - 1 / self._sizes) / 2 * (f.within - f.norms + ratio * np.diag(f.between))
        apart = ratio * f.between[self._first, self._second]
        return np.where(self._first == self._second, own[self._first], apart)

    def _variance(self, f: Forms, ratio: float) -> tuple[float, float]:
        """Of Tr Sigma_W - ratio Tr Sigma_B; strata are independent; degrees of freedom after Welch and Satterthwaite."""
        _, spread, freedom = self._moments()
        slopes = self._slopes(f, ratio) ** 2
        terms = slopes * self._scales() ** 2 * spread / np.maximum(self._powers[0], 1)
        total, of_total = float(terms.sum()), math.inf
        if total > 0:
            of_total = total**2 / float((terms**2 / freedom).sum())
        if not stable(self._kernel):  # D2 is a difference of numbers of the size of k
            norms = self._rows.norms
            noise = 4 * UNIT_ROUNDOFF * (norms[self._first] + norms[self._second])
            total += float((slopes * noise**2).sum())
        return total, of_total

    def estimate(self) -> Estimate:
        """The estimate of the last sample."""
        rows, C = self._rows, len(self._sizes)
        remainder = self._summed + self._bound * (self._shift + self._moments()[0])
        mean = self._gaps**2 + rows.squares[self._first] + rows.squares[self._second]
        mean += 2 * np.divide(
            remainder, self._total, out=np.zeros_like(mean), where=self._total > 0
        )
        distance = np.zeros((C, C))
        distance[self._first, self._second] = mean
        distance[self._second, self._first] = mean
        V = np.maximum((1 - 1 / self._sizes) * np.diag(distance) / 2, 0.0)
        M = (rows.norms[:, None] + rows.norms - distance) / 2
        np.fill_diagonal(M, rows.norms - V)
        reason = f"{self.size:,} pairs of rows"
        if not self.exhausted and (certain := int(self._certain_pairs().sum())):
            reason += f", {certain:,} of them with certainty"
        return Estimate(
            *(V, M, self._sizes, self._labels, self._kernel, self._variance, self._terms),
            lambda f, ratio: _ROUNDING * float((np.abs(self._slopes(f, ratio)) * mean).sum()),
            "pairs",
            reason,
        )

    def _terms(self, f: Forms, ratio: float) -> float:
        """Of rare terms, of equal size, the degrees of freedom of the variance are twice as many."""
        return self._variance(f, ratio)[1] / 2
