"""NC1 as the ratio of two traces, and an absolute bound on its error, from those of the sums."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nc1fast.metrics.definitions import class_gram, within_trace
from nc1fast.metrics.frames import MeanFrame
from nc1fast.sums.moments import LEAST, sum_rows_error
from nc1fast.sums.rounding import UNIT_ROUNDOFF, outer, summation_error
from nc1fast.support.warnings import AccuracyWarning, warn

if TYPE_CHECKING:
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
    """The reason of a trace_between of 0, by its error bound `d_between` relative to `within`."""
    if d_between <= WORRYING * abs(within):
        return "the class means coincide"
    return _lost(d_between)


def _lost(d_between: float) -> str:
    return (
        f"known to +-{d_between:.2g} only, in which the class means are lost: "
        "centre or scale the features"
    )


def trace_bounds(sums: ClassSums, V: Array, means: MeanFrame) -> tuple[float, float]:
    """Absolute bounds on the errors of both traces, by the means where those are known."""
    if means.means is not None and sums.error.means is not None:
        return mean_errors(sums, V, means)
    if means.gram is None:
        means = MeanFrame(means.w, class_gram(sums))
    return trace_errors(sums, V, means)


_SAFETY = 1.01  # the bounds themselves are computed in float64


def trace_errors(sums: ClassSums, V: Array, means: MeanFrame) -> tuple[float, float]:
    """Absolute bounds on the errors of `trace_within` and `trace_between`, by the Gram matrix of
    the means.

    Notes
    -----
    The bounds of the sums go through the linear forms Tr Sigma_W = w.V and Tr Sigma_B = sum_cc'
    Omega_cc' M_cc', Omega = J^T diag(w) J, by absolute values; the rounding of the arithmetic here
    is added.
    Cost: O(C^2).
    """
    assert means.gram is not None
    u, s, w = UNIT_ROUNDOFF, summation_error(len(V)), means.w
    n = sums.sizes.astype(np.float64)
    g, absolute = w.mean, np.abs(means.gram)
    dV = sums.error.within / n + u * np.abs(V)
    dM = sums.error.block_sums / outer(n, n) + u * absolute
    rows = (absolute * g).sum(axis=1)  # (C,)
    norms = absolute.diagonal()
    d_within = (w.within * (dV + (s + 3) * u * np.abs(V))).sum()
    if w.convention == "released":
        excess = np.abs(w.within - w.between)
        d_within += (excess * dM.diagonal()).sum()
        d_within += (u * ((s + 3) * excess + w.within + w.between) * norms).sum()
        omega = np.diag(w.between) - outer(g, g)
        d_between = (np.abs(omega) * dM).sum() + (2 * s + 6) * u * (norms.mean() + (g * rows).sum())
        return float(d_within), float(d_between)
    mixed = outer(w.between, g)
    omega = -mixed
    omega.flat[:: len(g) + 1] += w.between
    omega -= mixed.T
    omega += outer(g, g)
    terms = norms + 2 * rows + (g * rows).sum()  # magnitudes that meet in Mc_cc
    d_between = (np.abs(omega) * dM).sum() + (2 * s + 6) * u * (w.between * terms).sum()
    d_between += (s + 3) * u * (w.between * np.abs(means.squares)).sum()
    return float(d_within), float(d_between)


def mean_errors(sums: ClassSums, V: Array, means: MeanFrame) -> tuple[float, float]:
    """The same for explicit features, from bounds on the errors of their class means: sharper where
    these are long.

    Notes
    -----
    z_c = mu_c - sum_c' g_c' mu_c' has an error of at most delta_c: the errors of both, and the
    roundings of the sum and of the difference. So that of |z_c|^2 is 2 |z_c| delta_c + delta_c^2,
    and its own roundings.
    Cost: O(C).
    """
    assert sums.error.means is not None
    assert means.means is not None
    u, (C, d), w = UNIT_ROUNDOFF, means.means.shape, means.w
    errors, lengths = sums.error.means, np.sqrt(means.origin.squares)
    dV = sums.error.within / sums.sizes + u * np.abs(V)
    s, summed = summation_error(C), summation_error(d) + 2
    d_within = (w.within * (dV + (s + 3) * u * np.abs(V))).sum()
    d_square = 2 * lengths * errors + errors**2 + summed * u * lengths**2 + 4 * d * LEAST
    d_center = (w.mean * (errors + (sum_rows_error(C) + 1) * u * lengths)).sum()
    if w.convention == "released":
        excess = np.abs(w.within - w.between)
        d_within += (excess * (d_square + (s + 3) * u * lengths**2)).sum()
        d_within += (u * (w.within + w.between) * lengths**2).sum()
        center = math.sqrt(means.center_square)
        d_between = d_square.mean() + (s + 3) * u * (lengths**2).mean()
        d_between += 2 * center * d_center + d_center**2 + (summed + 1) * u * center**2
        return _SAFETY * float(d_within), _SAFETY * float(d_between + 4 * d * LEAST)
    distances = np.sqrt(means.squares)
    delta = errors + d_center + u * distances
    terms = 2 * distances * delta + delta**2 + (summed + s + 3) * u * means.squares + 4 * d * LEAST
    return _SAFETY * float(d_within), _SAFETY * float((w.between * terms).sum())


def quotient_error(within: float, between: float, d_within: float, d_between: float) -> float:
    """Absolute bound on the error of within/between; infinite where between may be zero."""
    if not abs(between) > d_between:
        return math.inf
    ratio = abs(within / between)
    bound = (d_within + ratio * d_between) / (abs(between) - d_between) + UNIT_ROUNDOFF * ratio
    return _SAFETY * bound
