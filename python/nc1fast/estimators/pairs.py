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
from nc1fast._inputs import rows_at
from nc1fast._memory import check_memory
from nc1fast._workers import workers
from nc1fast.estimators.estimate import Estimate, Forms
from nc1fast.pairwise import squared_distances, stable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from nc1fast.kernels import Kernel

    Array = NDArray[np.float64]
    _Rows = tuple[NDArray[np.intp], NDArray[np.intp]]  # both sides of some pairs

_PILOT = 64  # pairs of each stratum before anything is known of their spread
_CHUNK = 1 << 18  # numbers of rows gathered at a time
_COPIES = 16  # of them, while their distances are computed


class PairSample:
    """Pairs of every two classes, added in rounds where they lower the error of nc1 most.

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
    Cost: 10 d0 + 60 depth flops a pair, whatever N; N kernel values on the diagonal, and a sort.
    Accuracy: the interval says; relative error of nc1 about 0.4/sqrt(pairs per class) for collapse of order one.
    Source: Hoeffding (1948) for U-statistics; Neyman (1934) for the allocation.
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
        self._X, self._labels, self._kernel, self._seed = X, labels, kernel, seed
        self._threads = n_threads
        self._batch = max(1, _CHUNK // X.shape[1])
        n_strata = len(labels) * (len(labels) + 1) // 2
        check_memory(
            memory_limit,
            {
                "the labels and their order": 24 * len(classes),
                "rows": (n_threads + 1) * _COPIES * 8 * max(_CHUNK, X.shape[1]),
                "class pairs": 192 * n_strata,
            },
        )
        self._order = np.argsort(classes, kind="stable")
        self._sizes = np.bincount(classes, minlength=len(labels)).astype(np.int64)
        self._starts = np.cumsum(self._sizes) - self._sizes
        self._norms = self._traces(classes) / self._sizes
        self._first, self._second = np.triu_indices(len(labels))
        same = self._first == self._second
        a, b = self._sizes[self._first], self._sizes[self._second]
        self._total = np.where(same, a * (a - 1) // 2, a * b)  # pairs that there are
        self._count = np.zeros(len(a), dtype=np.int64)
        self._mean, self._squares = np.zeros(len(a)), np.zeros(len(a))
        self._round = 0

    def _traces(self, classes: NDArray[np.int32]) -> Array:
        """Sums of k(x, x) over each class; a file is searched for NaN and Inf on the way."""
        total = np.zeros(len(self._labels))
        for start in range(0, len(classes), self._batch):
            part = slice(start, start + self._batch)
            diagonal = self._kernel.diag(rows_at(self._X, part))
            total += np.bincount(classes[part], weights=diagonal, minlength=len(total))
        return total

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
            within = (convention_forms.within * estimate.V).sum()
            within += (convention_forms.norms * np.diag(estimate.M)).sum()
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
            batches = self._all_pairs(c, e)
            self._count[k], self._squares[k] = 0, 0.0
        else:
            rng = np.random.default_rng([self._seed, self._round, k])
            batches = self._drawn(c, e, n, rng)
        with workers(self._threads) as in_order:
            for m, mean, squares in in_order(self._moments, batches):
                self._join(k, m, mean, squares)

    def _join(self, k: int, m: int, mean: float, squares: float) -> None:
        """Add the mean of D2 over m pairs and its sum of squared deviations (Chan's merge)."""
        old = int(self._count[k])
        step = mean - self._mean[k]
        self._count[k] = old + m
        self._mean[k] = self._mean[k] + step * m / (old + m) if old else mean
        self._squares[k] += squares + (step**2 * old * m / (old + m) if old else 0.0)

    def _drawn(self, c: int, e: int, n: int, rng: np.random.Generator) -> Iterator[_Rows]:
        """Random pairs of rows of two classes, in batches."""
        for start in range(0, n, self._batch):
            size = min(self._batch, n - start)
            i = rng.integers(self._sizes[c], size=size)
            j = rng.integers(self._sizes[e] - (c == e), size=size)
            if c == e:
                j += j >= i
            yield self._order[self._starts[c] + i], self._order[self._starts[e] + j]

    def _all_pairs(self, c: int, e: int) -> Iterator[_Rows]:
        whole = int(self._sizes[c] * self._sizes[e])
        for start in range(0, whole, self._batch):
            i, j = np.divmod(np.arange(start, min(start + self._batch, whole)), self._sizes[e])
            if c == e:
                i, j = i[i < j], j[i < j]
            if len(i):
                yield self._order[self._starts[c] + i], self._order[self._starts[e] + j]

    def _moments(self, rows: _Rows) -> tuple[int, float, float]:
        """Number of pairs, mean of D2, sum of squared deviations."""
        x, z = (rows_at(self._X, side) for side in rows)
        D2 = squared_distances(self._kernel, x, z)
        mean = float(D2.mean())
        return len(D2), mean, float(((D2 - mean) ** 2).sum())

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
            return total + float((slopes * noise).sum()), freedom

        n = self.n_pairs
        return Estimate(
            V, M, self._sizes, self._labels, self._kernel, variance, "pairs", f"{n:,} pairs of rows"
        )
