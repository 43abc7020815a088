"""Samples that meet a tolerance: each is planned from the one before and drawn afresh.

A sample that grew step by step until its own spread looked small would have intervals that cover
too rarely, since the spread would be small by chance. So the sample that is reported was planned
before it was drawn, and shares no term with those before it, of which pairs also take it whether Tr
Sigma_B is told from 0 (`nc1fast.estimators.estimate`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from nc1fast.estimators.estimate import RefusedError
from nc1fast.support.warnings import AccuracyWarning, warn

if TYPE_CHECKING:
    from nc1fast.estimators.accuracy import Accuracy
    from nc1fast.estimators.estimate import Estimate, RatioInterval
    from nc1fast.metrics import Collapse

_MORE = 4  # times the last sample, where that says nothing about its error
_MARGIN = 1.2  # times the size that would give an interval, where that is known
WASTE = (
    0.15  # share of the time of the exact value that may be lost on an estimate that is given up
)
_WORTHWHILE = 0.4  # share of that time within which an estimate must be expected to end


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

    def draw(self, plan: Any) -> None:
        """Replace the terms by new ones, independent of those before."""

    def plan(self, size: int, convention: str) -> Any:
        """Plan of a sample of `size` terms."""

    def wanted(self, accuracy: Accuracy) -> Any:
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

    @property
    def committed(self) -> float:
        """Terms beyond which a sample is no longer given up."""
        return WASTE * self.exact

    def allow(self, spent: int, cost: int, *, sure: bool) -> bool:
        """Whether `cost` more terms may be drawn after `spent`; `sure` if they are expected to be
        the last.
        """
        if spent > self.committed:
            return spent + cost <= self.exact
        return spent + cost <= (_WORTHWHILE if sure else WASTE) * self.exact


def of_size(sample: Sample, size: int, accuracy: Accuracy) -> Collapse:
    """Estimate from one sample of a given size.

    Raises
    ------
    RefusedError
        If no interval could be believed.
    """
    sample.draw(sample.plan(size, accuracy.name))
    return sample.estimate().collapse(accuracy.convention, accuracy.confidence)


def within_tolerance(sample: Sample, accuracy: Accuracy, limits: SizeLimits) -> Collapse:
    """Estimate from a sample that meets the tolerance, or is as large as it may be.

    Parameters
    ----------
    sample : Sample
        With its pilot drawn.
    accuracy : Accuracy
        With a tolerance.
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
    planned = False
    while True:
        now = sample.estimate()
        interval = now.interval(accuracy.name, accuracy.confidence)
        met = _meets(interval, accuracy)
        if sample.exhausted or (planned and met):
            break
        plan = _next_plan(sample, interval, accuracy, limits, planned=planned)
        if plan is None:
            break
        if not limits.allow(sample.spent, sample.cost(plan), sure=not interval.doubt):
            if sample.spent > limits.committed:
                break
            raise RefusedError(
                f"an estimate by {now.method!r} needs about {sample.cost(plan):,} more of its terms after {now.reason}, "
                "which may take longer than the exact value",
                sample.spent,
            )
        sample.draw(plan)
        planned = True
    if interval.doubt:
        raise RefusedError(now.refusal(interval), sample.spent)
    if not met and not sample.exhausted:
        warn(
            f"the interval of nc1 is {interval.nc1:.3g} +- {interval.half:.1g}, wider than the tolerance of "
            f"{accuracy.tolerance:.1%}, after {now.reason}",
            AccuracyWarning,
        )
    return now.collapse(accuracy.convention, accuracy.confidence)


def _meets(interval: RatioInterval, accuracy: Accuracy) -> bool:
    """Whether an interval is as narrow as the tolerance asks."""
    return not interval.doubt and interval.half <= accuracy.half_width * abs(interval.nc1)


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
    plan, least = sample.wanted(accuracy), limits.first
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
