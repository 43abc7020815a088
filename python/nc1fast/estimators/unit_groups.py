"""Independent groups of random hidden units: their mean is the estimate, and their spread measures
its error.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.core.linear import matmul
from nc1fast.estimators.estimate import Estimate
from nc1fast.estimators.power_sums import N_POWERS, central_moments
from nc1fast.estimators.traces import class_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nc1fast.estimators.accuracy import Accuracy
    from nc1fast.estimators.sign_changes import SignChanges
    from nc1fast.estimators.traces import TraceForms
    from nc1fast.inputs.labelled import Classes
    from nc1fast.sums.settings import Settings

    Array = NDArray[np.float64]

_MARGIN = (
    1.2  # times the units that the tolerance asks for, so that one more sample usually meets it
)
_MOST = 2.0**20  # times the size of the last sample, at most
_ALIKE = 1e-10  # variance of what units add, relative to its mean square, below which all are alike
_TINY = 1e-300


def unit_dtype(settings: Settings) -> np.dtype[Any]:
    """Precision of hidden units: float32 if that is asked for, else float64 ("mixed" is one of
    pairs of rows).
    """
    return np.dtype("float32" if settings.dtype == "float32" else "float64")


class UnitGroups:
    """V and M of each group, reduced to what the conventions need.

    Parameters
    ----------
    classes : Classes
    kernel : Kernel
    """

    def __init__(self, classes: Classes, kernel: Any) -> None:
        self._classes, self._kernel = classes, kernel
        self._weights = class_weights(classes.sizes)
        self._V: list[Array] = []
        self._norms: list[Array] = []  # diagonals of M
        self._mixed: list[Array] = []  # P M P^T with P = `class_weights`
        self._M = np.zeros((len(classes), len(classes)))  # sum over groups
        self._powers = np.zeros(
            (N_POWERS, 2)
        )  # sums over units of the powers of what each adds to P V

    def __len__(self) -> int:
        return len(self._V)

    def add(self, V: Array, M: Array, units: Array) -> None:
        """Add a group of m units.

        Parameters
        ----------
        V : ndarray of shape (n_classes,)
            Within-class variances.
        M : ndarray of shape (n_classes, n_classes)
            Inner products of the class means.
        units : ndarray of shape (n_classes, m)
            What each unit adds to V.
        """
        self._V.append(V)
        self._norms.append(np.diag(M).copy())
        self._mixed.append(matmul(matmul(self._weights, M), self._weights.T))
        self._M += M
        added = matmul(self._weights, units)
        self._powers += [(added**p).sum(axis=1) for p in range(N_POWERS)]

    def estimate(
        self, reason: str, n_units: int, changes: SignChanges | None, *, biased: bool = False
    ) -> Estimate:
        """Mean over the groups.

        Parameters
        ----------
        reason : str
            Number of units, in words.
        n_units : int
            Units of one layer.
        changes : SignChanges, optional
            Where the estimate depends on how many units tell rows of a class apart.
        biased : bool, default False
            Whether each group is biased by its own finite size; see `Estimate`.
        """
        V, norms, mixed = (np.array(of) for of in (self._V, self._norms, self._mixed))
        groups = len(V)
        whole = (self._weights * V.sum(axis=0)).sum(axis=1)
        units = _effective_units(whole, self._powers, smooth=changes is None)
        spread = _GroupSpread(V, norms, mixed, units, n_units, changes)
        return Estimate(
            V.mean(axis=0),
            self._M / groups,
            self._classes,
            self._kernel,
            spread,
            "features",
            f"{reason} in {groups} groups",
            groups if biased else 0,
        )


@dataclass(frozen=True, eq=False)
class _GroupSpread:
    """`Uncertainty` of the mean over g independent groups."""

    V: Array  # (g, C)
    norms: Array  # (g, C), diagonals of M
    mixed: Array  # (g, 2, 2), P M P^T
    units: float  # effective number, by what each adds to V
    n_units: int
    changes: SignChanges | None

    def variance(self, f: TraceForms, ratio: float) -> tuple[float, float]:
        between = (self.norms * f.spread).sum(axis=1) + np.einsum("gab,ab->g", self.mixed, f.mixed)
        rest = (self.V * f.within).sum(axis=1) + (self.norms * f.norms).sum(axis=1)
        rest = rest - ratio * between
        return float(rest.var(ddof=1)) / len(rest), len(rest) - 1

    def terms(self, f: TraceForms, _ratio: float) -> float:
        if self.changes is None:
            return self.units
        return min(self.units, self.changes.effective_units(self.n_units, f.within))

    def rounding(self, _f: TraceForms, _ratio: float) -> float:
        return 0.0


def _effective_units(whole: Array, powers: Array, *, smooth: bool) -> float:
    """Effective number of units that Tr Sigma_W, or its spread, comes from.

    The lesser of two measures: (sum v)^2/sum v^2 of what the units add (Kish 1965), small where a
    few hold all of it; and n/(kurtosis - 1), which is the number of the units that matter where
    they are few and alike.

    Parameters
    ----------
    whole : ndarray of shape (2,)
        sum v, under each weighting of `class_weights`.
    powers : ndarray of shape (5, 2)
        Sums of the powers 0 to 4 of v.
    smooth : bool
        Whether units vary smoothly with their weights: half as many by the second measure then
        suffice.
    """
    counted = powers[2] > 0
    by_size = float((whole[counted] ** 2 / powers[2][counted]).min(initial=math.inf))
    moments = central_moments(powers[:, counted])
    squared = moments.variance**2
    told = moments.variance > _ALIKE * moments.square
    few = powers[0, counted] * squared / np.maximum(moments.fourth - squared, _TINY)
    by_kurtosis = float(few[told].min(initial=math.inf))
    return min(by_size, 2 * by_kurtosis if smooth else by_kurtosis)


class UnitSample(ABC):
    """Random hidden units in independent groups; a plan is their number."""

    exhausted = False

    @property
    @abstractmethod
    def size(self) -> int:
        """Hidden units that the estimate is made of."""

    @abstractmethod
    def estimate(self) -> Estimate:
        """Estimate from the units drawn last."""

    def cost(self, plan: int) -> int:
        """Units that a plan draws: the plan itself."""
        return plan

    def plan(self, size: int, _convention: str) -> int:
        """Plan of a sample of `size` units: the number itself."""
        return size

    def wanted(self, accuracy: Accuracy) -> int:
        """Units that are expected to meet the tolerance; as many as now where there is no interval
        yet.
        """
        now = self.estimate().interval(accuracy.name, accuracy.confidence)
        if now.doubt:
            return self.size
        more = math.inf
        if now.nc1:
            more = _MARGIN * (now.half / (accuracy.half_width * abs(now.nc1))) ** 2
        return math.ceil(self.size * min(more, _MOST))
