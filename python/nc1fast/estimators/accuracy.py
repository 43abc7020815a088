"""The accuracy that is requested of an estimate, and samples that reach it.

Each sample is planned from the one before and drawn afresh. A sample that grew step by step until
its own spread looked small would have intervals that cover too rarely, since the spread would be
small by chance. So the sample that is reported was planned before it was drawn, and shares no term
with those before it, of which pairs also take whether Tr Sigma_B differs from 0
(`nc1fast.estimators.estimate`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from nc1fast.estimators.directions import check_sampling
from nc1fast.estimators.estimate import RefusedError
from nc1fast.metrics import CONVENTIONS, DEFAULT_CONVENTION
from nc1fast.support.arguments import as_number, as_seed, check_choice
from nc1fast.support.warnings import AccuracyWarning, warn

if TYPE_CHECKING:
    from nc1fast.estimators.estimate import Estimate, RatioInterval
    from nc1fast.metrics import Collapse

_MORE = 4  # times the last sample, where that says nothing about its error
_MARGIN = 1.2  # times the size that would give an interval, where that is known
WASTE = 0.15  # share of the time of the exact value that may be lost on an abandoned estimate
_WORTHWHILE = 0.4  # share of that time within which an estimate must be expected to end


@dataclass(frozen=True)
class Accuracy:
    """The confidence interval of nc1 that is requested, checked when it is made.

    Attributes
    ----------
    tolerance : float, optional
        Half the width of the interval, relative to nc1. None: one sample of a fixed size.
    confidence : float, default 0.95
        Probability with which the interval covers the exact nc1 of the given rows.
    convention : str, optional
        As `nc1fast.collapse`.

    Raises
    ------
    TypeError, ValueError
        For a tolerance that is not positive, a confidence outside (0, 1), or an unknown convention.
    """

    tolerance: float | None = None
    confidence: float = 0.95
    convention: str | None = None

    def __post_init__(self) -> None:
        if self.convention is not None:
            check_choice("convention", self.convention, CONVENTIONS)
        if self.tolerance is not None:
            tolerance = as_number("tolerance", self.tolerance, above=0)
            object.__setattr__(self, "tolerance", tolerance)
        confidence = as_number("confidence", self.confidence, above=0, below=1)
        object.__setattr__(self, "confidence", confidence)

    @property
    def half_width(self) -> float:
        """The tolerance; infinite where there is none."""
        return math.inf if self.tolerance is None else self.tolerance

    @property
    def name(self) -> str:
        """Name of the convention, the default one filled in."""
        return self.convention or DEFAULT_CONVENTION


@dataclass(frozen=True)
class Sampling:
    """How many random terms are drawn, and how: a term is a hidden unit or a pair of rows.

    Attributes
    ----------
    seed : int, default 0
    n_terms : int, optional
        Size of the sample; with a tolerance, the largest size it may grow to. None: the default of
        the estimator.
    scheme : {"stratified", "orthogonal", "plain"}, default "stratified"
        Distribution of hidden weights, see `nc1fast.estimators.directions`. Pairs do not use it.
    exact_terms : float, default inf
        Number of terms that take as long to draw as the exact value to compute. Infinite: the exact
        value is no alternative.

    Raises
    ------
    TypeError, ValueError
        For a negative seed, or an unknown sampling.
    """

    seed: int = 0
    n_terms: int | None = None
    scheme: str = "stratified"
    exact_terms: float = math.inf

    def __post_init__(self) -> None:
        object.__setattr__(self, "seed", as_seed(self.seed))
        check_sampling(self.scheme)


class Sample(Protocol):
    """Random terms, and the estimate made of them. A plan is whatever a sample is drawn by."""

    @property
    def size(self) -> int:
        """Terms that the estimate is made of."""

    @property
    def spent(self) -> int:
        """Terms drawn since the sample was made, those of earlier draws included."""

    @property
    def exhausted(self) -> bool:
        """Whether all terms there are have been taken: the estimate is exact."""
        return False

    def draw(self, plan: Any) -> None:
        """Replace the terms by new ones, independent of those before."""

    def plan(self, size: int, convention: str) -> Any:
        """Plan of a sample of `size` terms."""

    def required(self, accuracy: Accuracy) -> Any:
        """Plan of a sample that is expected to meet the tolerance."""

    def cost(self, plan: Any) -> int:
        """Terms that a plan draws."""

    def estimate(self) -> Estimate:
        """Estimate from the terms drawn last."""


@dataclass(frozen=True)
class SizeLimits:
    """Limits on the size of a sample.

    Attributes
    ----------
    first, most : int
        Terms of the first planned sample, at least, and of any sample, at most.
    exact : float, default inf
        Terms that take the time of the exact value; infinite if that is no alternative. A sample is
        given up only while it has cost little of that time, and begun only where it is expected to
        cost clearly less.
    """

    first: int
    most: int
    exact: float = math.inf

    def committed(self, spent: int) -> bool:
        """Whether so many terms have been drawn that a sample is no longer given up."""
        return spent > WASTE * self.exact

    def allow(self, spent: int, cost: int, *, final: bool) -> bool:
        """Whether `cost` more terms may be drawn after `spent`; `final` if they are expected to be
        the last.
        """
        share = _WORTHWHILE if final else WASTE
        return spent + cost <= (1.0 if self.committed(spent) else share) * self.exact


def within_tolerance(sample: Sample, accuracy: Accuracy, limits: SizeLimits) -> Collapse:
    """Estimate from a sample that meets the tolerance, or is as large as it may be.

    Parameters
    ----------
    sample : Sample
        With its pilot drawn, if there is a tolerance.
    accuracy : Accuracy
        Without a tolerance, the sample is one of `limits.first` terms.
    limits : SizeLimits

    Raises
    ------
    RefusedError
        If the exact value is the better choice, or no interval could be believed.

    Warns
    -----
    AccuracyWarning
        If the tolerance is not met.
    """
    if accuracy.tolerance is None:
        sample.draw(sample.plan(limits.first, accuracy.name))
        return sample.estimate().collapse(accuracy.convention, accuracy.confidence)
    planned = False
    while True:
        now = sample.estimate()
        interval = now.interval(accuracy.name, accuracy.confidence)
        met = not interval.doubt and interval.half <= accuracy.half_width * abs(interval.nc1)
        if sample.exhausted or (planned and met):
            break
        plan = _next_plan(sample, interval, accuracy, limits, planned=planned)
        if plan is None:
            break
        cost = sample.cost(plan)
        if not limits.allow(sample.spent, cost, final=not interval.doubt):
            if limits.committed(sample.spent):
                break
            raise RefusedError(
                f"an estimate by {now.method!r} needs about {cost:,} more of its terms after "
                f"{now.reason}, which may take longer than the exact value",
                sample.spent,
            )
        sample.draw(plan)
        planned = True
    if interval.doubt:
        raise RefusedError(now.refusal(interval), sample.spent)
    if not met and not sample.exhausted:
        warn(
            f"the interval of nc1 is {interval.nc1:.3g} +- {interval.half:.1g}, wider than the "
            f"tolerance of {accuracy.tolerance:.1%}, after {now.reason}",
            AccuracyWarning,
        )
    return now.collapse(accuracy.convention, accuracy.confidence)


def _next_plan(
    sample: Sample,
    interval: RatioInterval,
    accuracy: Accuracy,
    limits: SizeLimits,
    *,
    planned: bool,
) -> Any | None:
    """Plan of the next sample; None if no larger one is allowed, or the largest would hardly be
    larger.
    """
    if (planned or interval.short > 1) and sample.size * interval.short > limits.most:
        return None  # a pilot is not reported, even if it is larger than any planned sample may be
    plan, least = sample.required(accuracy), limits.first
    if interval.doubt and (planned or interval.short > 1):
        times = _MARGIN * interval.short if interval.short > 1 else _MORE
        least = max(least, math.ceil(times * sample.size))
    if sample.cost(plan) < least:
        plan = sample.plan(least, accuracy.name)
    if sample.cost(plan) <= limits.most:
        return plan
    if planned and 2 * sample.size > limits.most:
        return None
    return sample.plan(limits.most, accuracy.name)
