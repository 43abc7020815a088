"""NC1 as the ratio of two traces, with a bound on its error, and what is said where it is not to be
relied on.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from nc1fast.metrics.bounds import mean_errors, quotient_error, trace_errors
from nc1fast.metrics.definitions import class_gram, within_trace
from nc1fast.metrics.frames import MeanFrame
from nc1fast.support.warnings import AccuracyWarning, warn

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nc1fast.sums.class_sums import ClassSums

    Array = NDArray[np.float64]

WORRYING = 0.01  # relative error bound that draws an AccuracyWarning,
NEGLIGIBLE = 2.0**-100  # and an absolute one that never does: an NC1 of 0 need not be proven


class Ratio(NamedTuple):
    """NC1 and its parts, as `Collapse` has them."""

    nc1: float
    trace_within: float
    trace_between: float
    error_bound: float


def nc1_of(sums: ClassSums, V: Array, means: MeanFrame) -> Ratio:
    """NC1 of class sums, with variances V (C,) within classes, under the convention of `means`.

    Raises
    ------
    ValueError
        If both traces are 0, or lost in rounding.

    Warns
    -----
    AccuracyWarning
        As `collapse_from_sums`.
    """
    within, between = within_trace(V, means.origin.squares, means.w), means.trace_between()
    d_within, d_between = trace_bounds(sums, V, means)
    if between < 0 and -between <= d_between and means.w.convention != "released":
        between = 0.0  # a sum of squares that rounding made negative
    if within == 0 and abs(between) <= d_between:
        raise ValueError(
            "NC1 is 0/0: trace_within and trace_between are both zero, or lost in rounding "
            f"(+-{d_within:.4g} and +-{d_between:.4g}); are all rows equal?"
        )
    nc1 = within / between if between else math.copysign(math.inf, within)
    bound = quotient_error(within, between, d_within, d_between)
    if not between:
        warn(f"trace_between is 0 ({_zero(within, d_between)}): nc1 is infinite", AccuracyWarning)
    elif bound > max(WORRYING * abs(nc1), NEGLIGIBLE):
        lost = "" if math.isfinite(bound) else f": trace_between is {_lost(d_between)}"
        warn(f"nc1 = {nc1:.3g} has an error bound of {bound:.1g}{lost}", AccuracyWarning)
    return Ratio(nc1, within, between, bound)


def _zero(within: float, d_between: float) -> str:
    """Reason of a trace_between of 0, which is known to `d_between`: beside `within` that may be
    little or much.
    """
    if d_between <= WORRYING * abs(within):
        return "the class means coincide"
    return _lost(d_between)


def _lost(d_between: float) -> str:
    return f"known to +-{d_between:.2g} only, in which the class means are lost: centre or scale the features"


def trace_bounds(sums: ClassSums, V: Array, means: MeanFrame) -> tuple[float, float]:
    """Absolute bounds on the errors of both traces, by the means where those are known."""
    if means.means is not None and sums.error.means is not None:
        return mean_errors(sums, V, means)
    if means.gram is None:
        means = MeanFrame(means.w, class_gram(sums))
    return trace_errors(sums, V, means)
