"""Samples that grow until an interval is narrow enough: each is planned by the one before, and drawn afresh.

An interval whose sample had grown step by step until its own spread looked small would cover too rarely: the spread would be small
by chance. So no sample is reported that a plan did not come before, and none is kept when the next is drawn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from nc1fast.estimators.estimate import RefusedError
from nc1fast.support.warnings import AccuracyWarning, warn

if TYPE_CHECKING:
    from nc1fast.estimators.estimate import Estimate
    from nc1fast.metrics.result import Collapse

# Times as large a sample, where the last says nothing about its error; or says how large.
_MORE, _MARGIN = 4, 1.2
LITTLE, _LESS = (
    0.15,
    0.4,
)  # of the time of the exact value: that may be lost; that an estimate may take


class Sample(Protocol):
    """What `until` asks of a sample; a plan is whatever it draws by."""

    @property
    def size(self) -> int:
        """Terms that the estimate is made of."""

    @property
    def spent(self) -> int:
        """Terms drawn so far."""

    @property
    def exhausted(self) -> bool:
        """Whether the estimate is exact."""

    def draw(self, plan: Any) -> None:
        """Draw afresh."""

    def plan(self, size: int, convention: str) -> Any:
        """For a sample of a size."""

    def wanted(self, tolerance: float, confidence: float, convention: str) -> Any:
        """For a sample that is expected to meet the tolerance."""

    def cost(self, plan: Any) -> int:
        """Terms of a plan."""

    def estimate(self) -> Estimate:
        """Of the last sample."""


@dataclass(frozen=True)
class Limits:
    """Terms of a sample: that it begins with and may have.

    `exact` are as many terms as take the time of the exact value, infinite if the exact value is no choice: a sample is then given up
    while it has cost little, and not begun unless it costs clearly less.
    """

    first: int
    most: int
    exact: float = math.inf

    def allow(self, spent: int, cost: int, *, sure: bool) -> bool:
        """Whether a plan may be followed; `sure` if it is expected to be the last."""
        if spent > LITTLE * self.exact:  # too late to give up
            return spent + cost <= self.exact
        return spent + cost <= (_LESS if sure else LITTLE) * self.exact


def once(sample: Sample, size: int, confidence: float, convention: str | None) -> Collapse:
    """From one sample of a size."""
    sample.draw(sample.plan(size, convention or "papyan"))
    return sample.estimate().collapse(convention, confidence)


def until(
    sample: Sample, tolerance: float, confidence: float, convention: str | None, limits: Limits
) -> Collapse:
    """From a sample that meets the tolerance, or is as large as it may be.

    Parameters
    ----------
    sample : Sample
        Of which the pilot has been drawn.
    tolerance, confidence, convention
        As `nc1fast.collapse`.
    limits : Limits

    Raises
    ------
    RefusedError
        If the exact value is the better choice, or there is no interval that could be believed.

    Warns
    -----
    AccuracyWarning
        If the tolerance is not met.
    """
    name, planned = convention or "papyan", False
    while True:
        now = sample.estimate()
        spread = now.spread(name, confidence)
        met = not spread.doubt and spread.half <= tolerance * abs(spread.nc1)
        if sample.exhausted or (planned and met):
            break
        if sample.size * spread.short > limits.most:
            break
        plan, least = sample.wanted(tolerance, confidence, name), limits.first
        if spread.doubt and (planned or spread.short > 1):
            times = _MARGIN * spread.short if spread.short > 1 else _MORE
            least = max(least, math.ceil(times * sample.size))
        if sample.cost(plan) < least:
            plan = sample.plan(least, name)
        if sample.cost(plan) > limits.most:
            if planned and 2 * sample.size > limits.most:
                break
            plan = sample.plan(limits.most, name)
        if not limits.allow(sample.spent, sample.cost(plan), sure=not spread.doubt):
            if sample.spent > LITTLE * limits.exact:
                break
            raise RefusedError(
                f"an estimate by {now.method!r} needs about {sample.cost(plan):,} more of its terms after {now.reason}, "
                "which may take longer than the exact value",
                sample.spent,
            )
        sample.draw(plan)
        planned = True
    if spread.doubt:
        raise RefusedError(now.refusal(spread), sample.spent)
    if not met and not sample.exhausted:
        warn(
            f"the interval of nc1 is {spread.nc1:.3g} +- {spread.half:.1g}, wider than the tolerance of {tolerance:.1%}, "
            f"after {now.reason}",
            AccuracyWarning,
        )
    return now.collapse(convention, confidence)
