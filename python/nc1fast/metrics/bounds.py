"""Error bounds of the collapse metrics: absolute, propagated from those of the class sums."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from nc1fast.sums.moments import LEAST, sum_rows_error
from nc1fast.sums.rounding import UNIT_ROUNDOFF, outer, summation_error

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nc1fast.metrics.frames import MeanFrame
    from nc1fast.sums.class_sums import ClassSums

    Array = NDArray[np.float64]

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
    z_c = mu_c - sum_c' g_c' mu_c' is off by delta_c at most: the errors of both, and the roundings
    of the sum and of the difference. So |z_c|^2 is off by 2 |z_c| delta_c + delta_c^2, and its own
    roundings.
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
    apart = np.sqrt(means.squares)
    delta = errors + d_center + u * apart
    terms = 2 * apart * delta + delta**2 + (summed + s + 3) * u * means.squares + 4 * d * LEAST
    return _SAFETY * float(d_within), _SAFETY * float((w.between * terms).sum())


def quotient_error(within: float, between: float, d_within: float, d_between: float) -> float:
    """Absolute bound on the error of within/between; infinite where between may be zero."""
    if not abs(between) > d_between:
        return math.inf
    ratio = abs(within / between)
    bound = (d_within + ratio * d_between) / (abs(between) - d_between) + UNIT_ROUNDOFF * ratio
    return _SAFETY * bound
