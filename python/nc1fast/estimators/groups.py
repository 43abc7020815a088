"""Independent groups of random features: their mean, and their spread as the measure of its error."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.core.linear import matmul
from nc1fast.estimators.estimate import Estimate, Forms, pooling

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nc1fast.estimators.kinks import Separations

    Array = NDArray[np.float64]


# More units than the tolerance asks for, so that the sample rarely has to be drawn again; times as many at most.
_MARGIN, _MOST = 1.2, 2.0**20


class Groups:
    """V and M of each group, as far as any convention asks for them.

    Parameters
    ----------
    sizes : ndarray of shape (n_classes,)
        Rows of each class.
    """

    def __init__(self, sizes: NDArray[np.int64]) -> None:
        self._sizes, self._pooling = sizes, pooling(sizes)
        self._V: list[Array] = []
        self._norms: list[Array] = []  # diagonals of M
        self._pooled: list[Array] = []  # P M P^T, P the weights of a convention
        self._M = np.zeros((len(sizes), len(sizes)))  # sum over groups
        self._powers = np.zeros((5, 2))  # sums of powers of what units add to P V

    def __len__(self) -> int:
        return len(self._V)

    def add(self, V: Array, M: Array, units: Array) -> None:
        """Within-class variances (C,), of which units add (C, m), and inner products of class means (C, C) of one more."""
        self._V.append(V)
        self._norms.append(np.diag(M).copy())
        self._pooled.append(matmul(matmul(self._pooling, M), self._pooling.T))
        self._M += M
        added = matmul(self._pooling, units)
        self._powers += [(added**p).sum(axis=1) for p in range(5)]

    def estimate(
        self,
        labels: NDArray[Any],
        kernel: Any,
        reason: str,
        n_units: int,
        kinks: Separations | None,
        *,
        biased: bool = False,
    ) -> Estimate:
        """The mean over groups; `biased` if that of a group is not what is estimated, see `Estimate`.

        `n_units` of a layer meet the rows; `kinks` where it matters how many of them tell rows of a class apart.
        """
        V, norms, pooled = (np.array(of) for of in (self._V, self._norms, self._pooled))
        groups, powers = len(V), self._powers
        whole = (self._pooling * V.sum(axis=0)).sum(axis=1)  # (2,)

        def variance(f: Forms, ratio: float) -> tuple[float, float]:
            """Of the mean over independent groups."""
            between = (norms * f.spread).sum(axis=1) + np.einsum("gab,ab->g", pooled, f.mixed)
            rest = (V * f.within).sum(axis=1) + (norms * f.norms).sum(axis=1) - ratio * between
            return float(rest.var(ddof=1)) / groups, groups - 1

        def terms(f: Forms, _ratio: float) -> float:
            """Effective number of units that Tr Sigma_W comes from, or that its spread does.

            (sum v)^2/sum v^2 of what the units add (Kish 1965), some of which may hold all of it; and n/(kurtosis - 1), which is the
            number of the units that matter where they are few and alike.
            """
            counted = powers[2] > 0
            found = float((whole[counted] ** 2 / powers[2][counted]).min(initial=math.inf))
            few = _from_few(powers[:, counted])
            if kinks is None:  # units vary smoothly: half as many will do
                return min(found, 2 * few)
            return min(found, few, kinks.terms(n_units, f.within))

        return Estimate(
            V.mean(axis=0),
            self._M / groups,
            self._sizes,
            labels,
            kernel,
            variance,
            terms,
            lambda _f, _ratio: 0.0,
            "features",
            f"{reason} in {groups} groups",
            groups if biased else 0,
        )


def _from_few(powers: Array) -> float:
    """The least n/(kurtosis - 1) of some columns of sums of powers 0 to 4."""
    n = powers[0]
    one, two, three, four = powers[1:] / n
    spread = two - one**2
    fourth = four - 4 * one * three + 6 * one**2 * two - 3 * one**4
    told = spread > 1e-10 * two  # otherwise they are all alike
    return float(
        (n * spread**2 / np.maximum(fourth - spread**2, 1e-300))[told].min(initial=math.inf)
    )


class UnitSample(ABC):
    """Samples of hidden units, in independent groups: what a plan for them is."""

    exhausted = False

    @property
    @abstractmethod
    def size(self) -> int:
        """Hidden units that the estimate is made of."""

    @abstractmethod
    def estimate(self) -> Estimate:
        """The estimate of the last units drawn."""

    def cost(self, plan: int) -> int:
        """Units of a plan."""
        return plan

    def plan(self, size: int, _convention: str) -> int:
        """A number of units is all the plan there is."""
        return size

    def wanted(self, tolerance: float, confidence: float, convention: str) -> int:
        """Units that an interval so narrow is expected to need."""
        now = self.estimate().spread(convention, confidence)
        if now.doubt:
            return self.size
        more = _MARGIN * (now.half / (tolerance * abs(now.nc1))) ** 2 if now.nc1 else math.inf
        return math.ceil(self.size * min(more, _MOST))
