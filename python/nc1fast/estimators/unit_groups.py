"""Independent groups of random hidden units: their mean is the estimate, and their spread measures
its error, unless too few of them matter.

In an NTK of the ReLU family phi' jumps at 0, so that distances within a class come from the units
that have its rows on both sides of the jump. A unit is such a unit with the probability (angle
between the rows)/pi: in collapsed classes there may be none among those drawn, and the spread of
the units then says nothing about what has been missed. The angles between rows do (`SignChanges`).
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.core.linear import matmul
from nc1fast.core.machine import thread_count
from nc1fast.estimators.accuracy import Sample
from nc1fast.estimators.class_moments import row_ranges
from nc1fast.estimators.estimate import Estimate, class_weights
from nc1fast.estimators.statistics import N_POWERS, central_moments
from nc1fast.sums.settings import check_memory

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nc1fast.estimators.accuracy import Accuracy
    from nc1fast.estimators.class_moments import Segments
    from nc1fast.estimators.estimate import TraceForms
    from nc1fast.inputs.labelled import Classes, LabelledData
    from nc1fast.sums.settings import Settings

    Array = NDArray[np.float64]

_MARGIN = 1.2  # times the units that the tolerance requires: one more sample usually meets it
_MOST = 2.0**20  # times the size of the last sample, at most
_ALIKE = 1e-10  # variance of what units add, relative to its mean square, below which all are alike
_TINY = 1e-300
_STATE_BYTES = 1 << 27  # of the moments kept during a pass over X, where there is no memory limit


def unit_dtype(settings: Settings) -> np.dtype[Any]:
    """Precision of hidden units: float32 if requested, else float64 ("mixed" is one of
    pairs of rows).
    """
    return np.dtype("float32" if settings.dtype == "float32" else "float64")


class SignChanges:
    """Angles between some pairs of rows of each class, and the products of their norms.

    Medians over the pairs are used: they describe most rows of a class, however far away a few
    others are.
    """

    def __init__(self, n_classes: int) -> None:
        self._pairs: list[list[Array]] = [[] for _ in range(n_classes)]  # (2, k): angle, product

    def add(self, z: Array, parts: Segments) -> None:
        """Add rows (n, d) sorted by class, as the weights meet them; each row is paired with the
        next of its class.
        """
        norms = np.linalg.norm(z, axis=1)
        u = z / np.where(norms > 0, norms, 1.0)[:, None]
        difference, total = np.diff(u, axis=0), u[1:] + u[:-1]
        angles = 2 * np.arctan2(*(np.linalg.norm(v, axis=1) for v in (difference, total)))
        found = np.array([angles, norms[:-1] * norms[1:]])
        for c, rows in parts.slices():
            if rows.stop - rows.start > 1:
                self._pairs[c].append(found[:, rows.start : rows.stop - 1])

    def effective_units(self, n_units: int, within: Array) -> float:
        """Effective number of units, of `n_units`, that Tr Sigma_W = within.V comes from.

        A class contributes the expected number of sign changes, each of the size of its products of
        norms; the effective number is (sum of sizes)^2/(sum of squared sizes) over all of them. It
        is infinite if no class has two rows.
        """
        seen = [c for c, found in enumerate(self._pairs) if found]
        if not seen:
            return math.inf
        angle, scale = np.array([np.median(np.hstack(self._pairs[c]), axis=1) for c in seen]).T
        events, size = n_units * angle / math.pi, within[seen] * scale
        noise = float((size**2 * events).sum())
        return float((size * events).sum()) ** 2 / noise if noise > 0 else math.inf


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
        # Sums over units of the powers of what each adds to P V.
        self._powers = np.zeros((N_POWERS, 2))

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
            Where the estimate depends on how many units differ in sign between rows of a class.
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
    varied = moments.variance > _ALIKE * moments.square
    few = powers[0, counted] * squared / np.maximum(moments.fourth - squared, _TINY)
    by_kurtosis = float(few[varied].min(initial=math.inf))
    return min(by_size, 2 * by_kurtosis if smooth else by_kurtosis)


class UnitSample(Sample):
    """Random hidden units in independent groups, drawn for passes over X; a plan is their number.

    Parameters
    ----------
    data : LabelledData
    kernel : Kernel
    chunk : int
        Rows that are read at a time.
    settings : Settings

    Attributes
    ----------
    group_units, pass_groups : int
        Hidden units of a group, and groups of a pass over X; set by the subclass.
    fewest_groups : int
        Of a draw.
    """

    group_units: int
    pass_groups: int
    fewest_groups = 2

    def __init__(self, data: LabelledData, kernel: Any, chunk: int, settings: Settings) -> None:
        self._data, self._kernel = data, kernel
        self._ranges = row_ranges(data.n_samples, chunk)
        self._threads = min(thread_count(settings.n_threads), len(self._ranges))
        self._limit = settings.memory_limit
        self._groups, self._drawn = UnitGroups(data.classes, kernel), 0

    def _states(self, needed: dict[str, int], state: int) -> int:
        """States of `state` bytes, at least one, that the memory has room for beside what is needed
        in any case, one state included.
        """
        check_memory(self._limit, needed)
        room = _STATE_BYTES if self._limit is None else self._limit - sum(needed.values())
        return 1 + max(0, int(room // state))

    @abstractmethod
    def add(self, groups: range) -> None:
        """Make one pass over X for these groups."""

    @property
    def size(self) -> int:
        """Hidden units that the estimate is made of."""
        return len(self._groups) * self.group_units

    @property
    def spent(self) -> int:
        """Hidden units drawn since the sample was made."""
        return self._drawn * self.group_units

    def draw(self, plan: int) -> None:
        """Replace the units by about `plan` new ones, `fewest_groups` groups at least."""
        first, count = self._drawn, max(self.fewest_groups, round(plan / self.group_units))
        self._drawn += count
        self._groups = UnitGroups(self._data.classes, self._kernel)
        for start in range(first, first + count, self.pass_groups):
            self.add(range(start, min(start + self.pass_groups, first + count)))

    def cost(self, plan: int) -> int:
        """Units that a plan draws: the plan itself."""
        return plan

    def plan(self, size: int, _convention: str) -> int:
        """Plan of a sample of `size` units: the number itself."""
        return size

    def required(self, accuracy: Accuracy) -> int:
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
