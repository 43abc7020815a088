"""NC1 from sampled pairs of rows: a stratum for each two classes, with pairs drawn by how much they
may matter.

    V_c = (1 - 1/n_c) E D2 / 2                over pairs i != j of class c,
    |mu_c - mu_c'|^2 = E D2 - V_c - V_c'      over pairs of two classes,

with D2 from `nc1fast.kernels.pairwise`, free of cancellation where the kernel allows it, as squares
about the centres of the classes, which are summed exactly, and a bounded remainder, which is
sampled (`nc1fast.estimators.centred_rows`). The traces of the kernel are exact too, so that the
class means of feature space have no error of their own.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.core.machine import thread_count
from nc1fast.estimators.centred_rows import CentredRows, bytes_of
from nc1fast.estimators.estimate import Estimate, trace_forms
from nc1fast.estimators.statistics import N_POWERS, central_moments, student_quantile
from nc1fast.estimators.strata import PILOT_PAIRS, PairSpread, Strata
from nc1fast.sums.rounding import UNIT_ROUNDOFF
from nc1fast.sums.settings import check_memory
from nc1fast.support.threads import workers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from nc1fast.estimators.accuracy import Accuracy
    from nc1fast.inputs.labelled import LabelledData
    from nc1fast.kernels.classes import Kernel
    from nc1fast.sums.settings import Settings

    Array = NDArray[np.float64]
    Counts = NDArray[np.int64]

_STRATUM_BYTES = 320
# Share of a fixed number of pairs that goes by bounds, not by the spread seen so far.
_DEFENSIVE = 0.25
# Largest contribution of any single pair, seen or not, to the estimate, relative to the requested
# standard error.
_LARGEST_TERM = 0.125
_MARGIN = 1.2  # times the pairs that the tolerance requires: one more sample usually meets it
_MORE = 8  # times the last sample, where Tr Sigma_B is not significantly above 0 by it
_SIGNIFICANT = 6  # standard errors above 0 from which Tr Sigma_B is significant
_SPREAD = 1e-150  # variance of terms below which their kurtosis is not known


class PairSample:
    """Sampled pairs of rows of every two classes; each draw is independent of those before.

    A plan is the number of pairs of each stratum, shape (S,).

    Parameters
    ----------
    data : LabelledData
    kernel : Kernel
    seed : int
    settings : Settings
        memory_limit: bytes beside X and y. The bits depend neither on it nor on the threads.

    Raises
    ------
    ValueError
        If the memory limit is too low.

    Notes
    -----
    Cost: 10 d0 + 60 depth flops for each pair and, once, for each row; the diagonal of the kernel,
    and a sort of the rows.
    Accuracy: the interval measures it. The sampled terms are of the size of the squared mean
    distance from the centres, not of the mean squared distance: heavy tails are in the exact part.
    Source: Hoeffding (1948) for U-statistics; Neyman (1934) for the allocation; Hansen & Hurwitz
    (1943) for unequal probabilities.
    """

    def __init__(self, data: LabelledData, kernel: Kernel, seed: int, settings: Settings) -> None:
        n_classes, self._threads = len(data.classes), thread_count(settings.n_threads)
        needed = bytes_of(data.n_samples, data.n_features, n_classes, self._threads)
        needed["class pairs"] = _STRATUM_BYTES * (n_classes * (n_classes + 1) // 2)
        check_memory(settings.memory_limit, needed)
        self._classes, self._kernel, self._seed = data.classes, kernel, seed
        self._rows = CentredRows(data, kernel, seed, self._threads)
        self._strata = Strata(self._rows)
        n_strata = len(self._strata)
        self._round = 0
        self._before: Estimate | None = None  # from the sample before the last
        self.spent = data.n_samples  # squared distances so far
        self._whole = self._strata.total == 0  # strata of which every pair has been summed
        self._summed = np.zeros(n_strata)  # remainders of the pairs taken with certainty
        self._powers = np.zeros((N_POWERS, n_strata))  # sums of powers of y/b about `_shift`
        self._shift = np.zeros(n_strata)

    @property
    def size(self) -> int:
        """Pairs that the estimate is made of."""
        return int(self._powers[0].sum() + self._strata.certain_pairs().sum())

    @property
    def exhausted(self) -> bool:
        """Whether every pair of rows has been evaluated: the estimate is exact."""
        return bool(self._whole.all())

    def pilot(self) -> Counts:
        """Plan of the first sample: the same few pairs of each stratum."""
        return np.full(len(self._strata), PILOT_PAIRS)

    def draw(self, plan: Counts) -> None:
        """Replace the pairs by new ones: about as many of each stratum as planned, at least
        `PILOT_PAIRS` or all.
        """
        strata = self._strata
        if self._round:
            self._before = dataclasses.replace(self.estimate(), pilot=None)
        self._round += 1
        self._shift = self._shift + self._moments()[0]
        self._powers = np.zeros_like(self._powers)
        draws = np.zeros(len(plan), dtype=np.int64)
        certain = []
        for k in map(int, np.flatnonzero(~self._whole)):
            n = max(PILOT_PAIRS, int(plan[k]))
            self._whole[k] = strata.share_out(k, n)
            self._summed[k] = 0.0
            if strata.heavy[:, k].any():
                certain.append(k)
            if strata.bound[k] > 0:
                draws[k] = n
        draws = np.where(draws > 0, np.maximum(PILOT_PAIRS, draws - strata.certain_pairs()), 0)
        batches = (pairs for k in certain for pairs in strata.certain(k))
        with workers(self._threads) as in_order:
            for k, total in in_order(self._sum_of, batches):
                self._summed[k] += total
            for first, powers in in_order(self._powers_of, self._batches(draws)):
                self._powers[:, first : first + powers.shape[1]] += powers
        self.spent += int(draws.sum() + strata.certain_pairs()[certain].sum())

    def _sum_of(self, pairs: tuple[int, Any, Any]) -> tuple[int, float]:
        """The stratum of some pairs, and the sum of their remainders."""
        k, i, j = pairs
        return k, float(self._rows.remainders(i, j, self._strata.gaps[k])[0].sum())

    def _batches(self, draws: Counts) -> Iterator[tuple[int, Counts]]:
        """Batches of draws: the number of the batch, and the stratum of each draw."""
        ends = np.cumsum(draws)
        for number, start in enumerate(range(0, int(ends[-1]), self._rows.batch)):
            place = np.arange(start, min(start + self._rows.batch, int(ends[-1])))
            yield number, np.searchsorted(ends, place, side="right")

    def _powers_of(self, batch: tuple[int, Counts]) -> tuple[int, Array]:
        """The first stratum of a batch, and sums (5, n) of powers 0 to 4 of y/b over its strata."""
        number, k = batch
        rng = np.random.default_rng([self._seed, self._round, number])
        i, j = self._strata.draw(k, rng)
        y, b = self._rows.remainders(i, j, self._strata.gaps[k])
        terms = np.divide(y, b, out=np.zeros_like(y), where=b > 0) - self._shift[k]
        first, power, sums = int(k[0]), np.ones_like(terms), []
        for _ in range(N_POWERS):
            sums.append(np.bincount(k - first, weights=power))
            power *= terms
        return first, np.array(sums)

    def _moments(self) -> tuple[Array, Array, Array]:
        """Mean of y/b in each stratum, less `_shift`; variance; and degrees of freedom of the
        variance: (S,) each.
        """
        n, found = self._powers[0], central_moments(self._powers)
        spread = np.maximum(found.variance, 0.0)
        known = spread > _SPREAD
        kurtosis = np.divide(found.fourth, spread**2, out=np.full_like(n, 3.0), where=known)
        # Var s^2 = sigma^4 (kurtosis - (n - 3)/(n - 1))/n, and 2 sigma^4/(n - 1) of normal terms
        relative = np.maximum(kurtosis - 1, 0.0) / np.maximum(n, 1) + 2 / np.maximum(n, 2) ** 2
        return found.mean, spread * n / np.maximum(n - 1, 1), 2 / relative

    def _spread(self) -> PairSpread:
        """Mean squared distances of the strata, and their errors."""
        strata, rows = self._strata, self._rows
        first, second, total, bound = strata.first, strata.second, strata.total, strata.bound
        mean, variances, freedom = self._moments()
        remainder = self._summed + bound * (self._shift + mean)
        distances = strata.gaps**2 + rows.squares[first] + rows.squares[second]
        distances += 2 * np.divide(remainder, total, out=np.zeros_like(distances), where=total > 0)
        noise = np.zeros(len(strata))
        if not rows.exact:  # D2 is a difference of numbers of the size of k
            noise = 4 * UNIT_ROUNDOFF * (rows.norms[first] + rows.norms[second])
        scales = np.divide(2 * bound, total, out=np.zeros_like(bound), where=~self._whole)
        return PairSpread(
            rows.sizes, first, second, distances, scales, self._powers[0], variances, freedom, noise
        )

    def estimate(self) -> Estimate:
        """Estimate from the pairs drawn last."""
        norms, sizes, spread = self._rows.norms, self._rows.sizes, self._spread()
        distance = np.zeros((len(sizes), len(sizes)))
        distance[spread.first, spread.second] = spread.distances
        distance[spread.second, spread.first] = spread.distances
        V = np.maximum((1 - 1 / sizes) * np.diag(distance) / 2, 0.0)
        M = (norms[:, None] + norms - distance) / 2
        np.fill_diagonal(M, norms - V)
        reason = f"{self.size:,} pairs of rows"
        if not self.exhausted and (certain := int(self._strata.certain_pairs().sum())):
            reason += f", {certain:,} of them with certainty"
        pilot = None if self.exhausted else self._before
        return Estimate(V, M, self._classes, self._kernel, spread, "pairs", reason, pilot=pilot)

    def cost(self, plan: Counts) -> int:
        """Pairs that a plan draws."""
        return int(plan.sum())

    def plan(self, size: int, convention: str) -> Counts:
        """Allocation of `size` pairs to the strata that lowers the error of nc1 most."""
        f = trace_forms(convention, self._rows.sizes)
        spread, bound = self._spread().weights(f, self.estimate().nc1(convention))
        share = np.zeros(len(spread))
        for weight, of in ((1 - _DEFENSIVE, spread), (_DEFENSIVE, bound)):
            share += weight * (of / of.sum() if of.sum() > 0 else 0.0)
        return np.asarray(np.ceil(size * share), dtype=np.int64)

    def required(self, accuracy: Accuracy) -> Counts:
        """Allocation that is expected to meet the tolerance."""
        convention, now = accuracy.name, self.estimate()
        between, nc1 = now.between(convention), now.nc1(convention)
        quantile = student_quantile(accuracy.confidence, math.inf)
        error = accuracy.half_width * abs(nc1) * between / quantile
        if not (between > _SIGNIFICANT * now.between_error(convention) and error > 0):
            return np.maximum(self.pilot(), self.plan(_MORE * self.size, convention))
        f = trace_forms(convention, self._rows.sizes)
        spread, bound = self._spread().weights(f, nc1)
        total = _MARGIN * spread.sum() / error
        counts = np.maximum(total * spread / error, bound / (_LARGEST_TERM * error))
        counts = np.maximum(np.ceil(counts), PILOT_PAIRS)
        counts = np.minimum(counts, np.maximum(self._strata.total, PILOT_PAIRS))
        return np.asarray(counts, dtype=np.int64)
