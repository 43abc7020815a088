"""Bounds on the rounding errors of the compiled pass, from the sums it keeps for the purpose.

A product of unit rows of depth d carries an error of at most about d u (u: unit roundoff of the tile), rows and root
included; a kernel moves by at most lambda_i lambda_j per unit of the half-chord t (Mehler: lambda^2 is the slope at
rho = 1), or, where it has a root there, by mu_i mu_j per unit of the angle, whose error is that of t over sin(angle).
`slopes`, `spread_slopes` and `sensitivity` are the sums of those factors over the pairs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

# Sums over the rows of a class that the bounds need, by the names that the core gives them.
PER_CLASS = ("traces", "slopes", "slope_squares", "spread_slopes")
PER_LAYER = 4.0  # roundings of one dual activation
OVERHEAD = 12.0  # of packing, of the chord, and of sums over a unit


@dataclass(frozen=True)
class SumsError:
    """Absolute bounds on the rounding error of each entry of a `ClassSums`."""

    block_sums: Array  # (C, C)
    traces: Array  # (C,)
    within: Array  # (C,)


def sums_error(
    raw: dict[str, Any],
    sizes: Array,
    block: Array,
    within: Array,
    sensitivity: Array,
    *,
    depth: int,
    n_duals: int,
    unit_within: float,
    unit_between: float,
    stable: bool,
    mapping: float = 0.0,
) -> SumsError:
    """Absolute bounds on block sums, traces and within.

    Parameters
    ----------
    raw : dict
        The sums of `PER_CLASS`, (C,) each.
    sizes, block, within, sensitivity : ndarray of shape (C,), (C, C), (C,), (C, C)
    depth : int
        Length of a packed row.
    n_duals : int
        Hidden layers.
    unit_within, unit_between : float
        Unit roundoff of the tiles within and between classes.
    stable : bool
        Whether D2 was evaluated without cancellation.
    mapping : float
        Relative error of the rows themselves, in units of 2^-53, where they are products (an adaptive kernel's X L).
    """
    layers = PER_LAYER * max(1, n_duals)
    slopes = raw["slopes"]
    relative = depth + OVERHEAD + layers
    traces = 2.0**-53 * relative * raw["slope_squares"]
    between = unit_between * relative * np.outer(slopes, slopes)
    inside = unit_within * relative * (2 * within + slopes * raw["spread_slopes"] / sizes)
    if not stable:
        inside += unit_within * 2 * layers * slopes**2 / sizes
    if mapping:  # k_ii, k_jj and k_ij move by as much: what they leave within a class is not spared
        between += 2.0**-53 * mapping * np.outer(slopes, slopes)
        inside += 2.0**-53 * 2 * mapping * slopes**2 / sizes
        traces += 2.0**-53 * mapping * raw["slope_squares"]
    if sensitivity.size:
        between += 2 * unit_between * relative * sensitivity
        inside += 2 * unit_within * relative * np.diag(sensitivity) / sizes
    np.fill_diagonal(between, sizes * (traces + inside) + 2.0**-52 * np.abs(np.diag(block)))
    return SumsError(between, traces, inside)
