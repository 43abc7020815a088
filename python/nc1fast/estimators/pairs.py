"""NC1 from sampled pairs of rows: a U-statistic in strata, one for each two classes.

    V_c = (1 - 1/n_c) E D2 / 2         over pairs i != j of class c,
    |mu_c - mu_c'|^2 = E D2 - V_c - V_c'   over pairs of two classes,

with D2 from `nc1fast.pairwise`, which does not cancel. The traces of the kernel are exact, so that class means of feature space
have no error of their own.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast._errors import UNIT_ROUNDOFF
from nc1fast.estimators.estimate import Estimate, Forms
from nc1fast.pairwise import squared_distances, stable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nc1fast.kernels import Kernel

    Array = NDArray[np.float64]

_PILOT = 64  # pairs of each stratum before anything is known of their spread
_CHUNK = 1 << 20  # numbers of rows gathered at a time


class PairSample:
    """Pairs of every two classes, added in rounds where they lower the error of nc1 most.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    classes, labels
        As `as_labels` gives them.
    kernel : Kernel
    seed : int

    Notes
    -----
    Cost: 10 d0 + 60 depth flops a pair, whatever N; N kernel values on the diagonal, and a sort.
    Accuracy: the interval says; relative error of nc1 about 0.4/sqrt(pairs per class) for collapse of order one.
    Source: Hoeffding (1948) for U-statistics; Neyman (1934) for the allocation.
    """

    def __init__(
        self,
        X: NDArray[Any],
        classes: NDArray[np.int32],
        labels: NDArray[Any],
        kernel: Kernel,
        seed: int,
    ) -> None:
        self._X, self._labels, self._kernel, self._seed = X, labels, kernel, seed
        self._order = np.argsort(classes, kind="stable")
        self._sizes = np.bincount(classes, minlength=len(labels)).astype(np.int64)
        self._starts = np.cumsum(self._sizes) - self._sizes
        diagonal = kernel.diag(X)[self._order]
        self._norms = np.add.reduceat(diagonal, self._starts) / self._sizes  # of traces
        self._first, self._second = np.triu_indices(len(labels))
        same = self._first == self._second
        a, b = self._sizes[self._first], self._sizes[self._second]
        self._total = np.where(same, a * (a - 1) // 2, a * b)  # pairs that there are
        self._count = np.zeros(len(a), dtype=np.int64)
        self._mean, self._squares = np.zeros(len(a)), np.zeros(len(a))
        self._round = 0

    @property
    def n_pairs(self) -> int:
        """Pairs sampled so far."""
        return int(self._count.sum())

    @property
    def exhausted(self) -> bool:
        """Whether every pair of rows has been evaluated: the result is exact."""
        return bool((self._count >= self._total).all())

    def grow(self, n_pairs: int, convention_forms: Forms) -> None:
        """Add about `n_pairs` pairs; a stratum that would get all of its pairs is evaluated whole."""
        want = np.full(len(self._count), _PILOT)
        if self._round:
            estimate = self.estimate()
            between = (convention_forms.between * estimate.M).sum()
            within = convention_forms.within @ estimate.V
            within += convention_forms.norms @ np.diag(estimate.M)
            ratio = within / between if between > 0 else 0.0
            weight = np.abs(self._slopes(convention_forms, ratio)) * np.sqrt(self._variances())
            weight = np.where(self._count < self._total, weight, 0.0)
            if weight.sum() > 0:
                share = (
                    (n_pairs + self.n_pairs) * weight / weight.sum()
                )  # of all pairs so far and now
                want = np.maximum(np.ceil(share).astype(np.int64) - self._count, 0)
                want = np.ceil(want * min(1.0, n_pairs / max(1, want.sum()))).astype(np.int64)
        for k in np.flatnonzero((want > 0) & (self._count < self._total)):
            self._sample(int(k), int(want[k]))
        self._round += 1

    def _sample(self, k: int, n: int) -> None:
        c, e = int(self._first[k]), int(self._second[k])
        if self._count[k] + n >= self._total[k]:
            i, j = self._all_pairs(c, e)
            self._count[k], self._squares[k] = 0, 0.0
        else:
            rng = np.random.default_rng([self._seed, self._round, k])
            i = rng.integers(self._sizes[c], size=n)
            j = rng.integers(self._sizes[e] - (c == e), size=n)
            if c == e:
                j += j >= i
        D2 = self._distances(self._order[self._starts[c] + i], self._order[self._starts[e] + j])
        mean, squares, m = float(D2.mean()), float(((D2 - D2.mean()) ** 2).sum()), len(D2)
        old = int(self._count[k])
        step = mean - self._mean[k]
        self._count[k] = old + m
        self._mean[k] = self._mean[k] + step * m / (old + m) if old else mean
        self._squares[k] += squares + (step**2 * old * m / (old + m) if old else 0.0)

    def _all_pairs(self, c: int, e: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        if c == e:
            return np.triu_indices(int(self._sizes[c]), 1)
        i, j = np.divmod(np.arange(self._sizes[c] * self._sizes[e]), self._sizes[e])
        return i, j

    def _distances(self, i: NDArray[np.intp], j: NDArray[np.intp]) -> Array:
        step = max(1, _CHUNK // self._X.shape[1])
        parts = [slice(s, s + step) for s in range(0, len(i), step)]
        return np.concatenate(
            [squared_distances(self._kernel, self._X[i[p]], self._X[j[p]]) for p in parts]
        )

    def _variances(self) -> Array:
        """Of D2 in each stratum."""
        return self._squares / np.maximum(self._count - 1, 1)

    def _slopes(self, f: Forms, ratio: float) -> Array:
        """Derivatives of Tr Sigma_W - ratio Tr Sigma_B by the mean D2 of each stratum."""
        own = (1 - 1 / self._sizes) / 2 * (f.within - f.norms + ratio * np.diag(f.between))
        apart = ratio * f.between[self._first, self._second]
        return np.where(self._first == self._second, own[self._first], apart)

    def estimate(self) -> Estimate:
        """The estimate of the pairs so far."""
        C = len(self._sizes)
        distance = np.zeros((C, C))
        distance[self._first, self._second] = self._mean
        distance[self._second, self._first] = self._mean
        V = np.maximum((1 - 1 / self._sizes) * np.diag(distance) / 2, 0.0)
        M = (self._norms[:, None] + self._norms - distance) / 2
        np.fill_diagonal(M, self._norms - V)
        sampled = self._count < self._total
        per_mean = np.where(sampled, self._variances() / np.maximum(self._count, 1), 0.0)
        noise = np.zeros(len(per_mean))
        if not stable(self._kernel):  # D2 is a difference of numbers of the size of k
            noise += (
                4 * UNIT_ROUNDOFF * (self._norms[self._first] + self._norms[self._second])
            ) ** 2
        count = self._count.copy()

        def variance(f: Forms, ratio: float) -> tuple[float, float]:
            """Strata are independent; degrees of freedom after Welch and Satterthwaite."""
            slopes = self._slopes(f, ratio) ** 2
            terms = slopes * per_mean
            total = float(terms.sum())
            freedom = math.inf
            if total > 0:
                freedom = total**2 / float((terms**2 / np.maximum(count - 1, 1)).sum())
            return total + float(slopes @ noise), freedom

        n = self.n_pairs
        return Estimate(
            V, M, self._sizes, self._labels, self._kernel, variance, "pairs", f"{n:,} pairs of rows"
        )
