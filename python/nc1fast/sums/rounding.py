"""Bounds on the rounding errors of the compiled pass, from sums that it keeps for this purpose.

Derivation: docs/accuracy.md. For every row the core knows how far an error moves a kernel
(cpp/growth.hpp), and how far the packed row may be off: lambda^2 is the slope of k_ii in the
correlation of the inputs, nu^2 what the roundings of the recursion add up to, mu^2 the slope in the
angle where a kernel has a root at rho = +-1. By Cauchy-Schwarz

    |dk_ij| <= noise (|u_i|^2 + |u_j|^2)/2 lambda_i lambda_j + u nu_i nu_j

plus the sensitivity of a root, pair by pair.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nc1fast.core.linear import UNIT_ROUNDOFF
from nc1fast.core.rounding import packed_rounding
from nc1fast.support.lazy import lazy

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

__all__ = ["PER_CLASS", "UNIT_ROUNDOFF", "SumsError", "moved", "outer", "sums_error"]

outer = np.multiply.outer  # of vectors: np.outer without its reshaping

# Sums over the rows of a class that the bounds need, by the names that the core gives them: of
# k_ii, sqrt k_ii, mu_i, mu_i displaced_i, lambda_i, lambda_i^2, lambda_i |delta_i|^2, (lambda_i
# displaced_i)^2, nu_i, the error of a row by itself, what vanishes, and the error of k_ii.
PER_CLASS = (
    *("traces", "roots", "moves", "spread_moves", "slopes", "slope_squares", "spread_slopes"),
    *("displacements", "noises", "shifts", "floors", "trace_noises"),
)
# Roundings of a D2 that does not cancel, its sum over a unit included.
_DISTANCE, _PER_LAYER = 24.0, 16.0
_OBTUSE, _PRODUCT = 4.0, 12.0  # roundings of a D2 of products that does cancel
_FIELD = 3.0  # roundings of what is known of a row, as in cpp/growth.hpp
_PANEL = 6  # rows of a panel at least


@lazy("block_sums")
@dataclass(frozen=True, eq=False)
class SumsError:
    """Absolute bounds on the rounding error of each entry of a `ClassSums`, and on the lengths of
    those of its means.
    """

    block_sums: Array  # (C, C)
    traces: Array  # (C,)
    within: Array  # (C,)
    means: Array | None = None  # (C,)


def summation_error(n: int) -> float:
    """Bound on the error of NumPy's pairwise sum of n terms, in unit roundoffs of the sum of their
    magnitudes.
    """
    return min(n, 25 + math.log2(max(n, 1)))


def moved(within: Array, squares: Array) -> Array:
    """Bound on the change of `within` where row i moves by at most m_i in feature space; squares =
    sum of m_i^2.

    sqrt(D2_ij) changes by m_i + m_j at most; Cauchy-Schwarz over the pairs.
    """
    return np.asarray(np.sqrt(8.0 * np.maximum(within, 0.0)) * np.sqrt(squares) + 2.0 * squares)


@dataclass(frozen=True)
class TileRounding:
    """How the values of a kernel are rounded.

    Attributes
    ----------
    n_features, depth : int
        Length of a row of X, and of a packed row: one more where there is a bias.
    n_duals : int
        Hidden layers.
    unit_within, unit_between : float
        Unit roundoff of the tiles within and between classes.
    stable : bool
        Whether D2 is evaluated without cancellation.
    cancels : bool
        Whether it is, but for a term of Theta^0 that is subtracted.
    mapping : float
        Relative error of the rows in units of 2^-53, where they are products (an adaptive kernel's
        X L).
    degree : int
        Factors of the longest product in an expression.
    lifted : bool
        Whether biases are added to the angles of rows without them.
    """

    n_features: int
    depth: int
    n_duals: int
    unit_within: float
    unit_between: float
    stable: bool
    cancels: bool
    mapping: float = 0.0
    degree: int = 1
    lifted: bool = False


class PairSums(NamedTuple):
    """Sums over the pairs of each two classes, shape (n_classes, n_classes) each.

    Attributes
    ----------
    block : ndarray
        Within a class of D2 over ordered pairs, between two classes of k.
    sensitivity : ndarray
        How far an error moves kernels with a root at rho = +-1; shape (0, 0) for others.
    quantum : ndarray
        The block sums are multiples of it.
    """

    block: Array
    sensitivity: Array
    quantum: Array


def sums_error(
    raw: dict[str, Array], sizes: Array, within: Array, pairs: PairSums, tiles: TileRounding
) -> SumsError:
    """Absolute bounds on block sums, traces and within.

    Parameters
    ----------
    raw : dict of ndarray of shape (n_classes,)
        The sums of `PER_CLASS`.
    sizes, within : ndarray of shape (n_classes,)
        As of `ClassSums`.
    pairs : PairSums
    tiles : TileRounding
    """
    sensitivity, quantum = pairs.sensitivity, pairs.quantum
    n_features, depth, mapping = tiles.n_features, tiles.depth, tiles.mapping
    unit_within, unit_between = tiles.unit_within, tiles.unit_between
    slopes, noises, roots = raw["slopes"], raw["noises"], raw["roots"]
    packed = packed_rounding(single=unit_within > UNIT_ROUNDOFF, n_features=n_features, depth=depth)
    product = packed.noise / unit_within  # in unit roundoffs, as between classes
    units = sizes / _PANEL + 2  # one rounding to a quantum for each pair of panels
    quantized = quantum * outer(units, units)
    traces = UNIT_ROUNDOFF * raw["trace_noises"]
    shifted = UNIT_ROUNDOFF * outer(raw["shifts"], raw["shifts"])
    between = unit_between * (product * outer(slopes, slopes) + outer(noises, noises))
    between += shifted + quantized

    inside = unit_within * product * slopes * raw["spread_slopes"] / sizes
    inside += quantized.diagonal() / (2 * sizes)
    inside += 4 * packed.noise * packed.least * (slopes**2 / sizes + raw["floors"])
    if tiles.stable:
        rounds = unit_within * (_DISTANCE + _PER_LAYER * tiles.n_duals)
        inside += rounds * (within + 3 * tiles.cancels * raw["displacements"])
        inside += 2 * rounds * raw["moves"] * raw["spread_moves"] / sizes
        if tiles.degree > 1:  # both factors of obtuse pairs are negative, and D2 a difference
            inside += _OBTUSE * rounds * slopes * raw["spread_slopes"] / sizes
    else:
        rounds = 2 + _PRODUCT * (tiles.degree - 1)
        inside += unit_within * (rounds * raw["traces"] + noises**2 / sizes) + traces
        inside += shifted.diagonal() / sizes
        # Saturated rows: (nu_i - nu_j)^2 beside o acts as an error in rho, however near the rows
        # are.
        inside += 2 * (_FIELD * unit_within * slopes) ** 2 / sizes
    if sensitivity.size:
        between += 2 * product * unit_between * sensitivity
        inside += 2 * product * unit_within * sensitivity.diagonal() / sizes
    shift = UNIT_ROUNDOFF * mapping
    # Differences of diagonals (products), and of lengths with a bias, are rounded beside those of
    # the rows.
    displacement = packed.displacement * (1 + 2 * (tiles.degree > 1) + 2 * tiles.lifted)
    squares = displacement**2 * raw["displacements"] + shift**2 * raw["slope_squares"]
    inside += moved(within + inside, 2 * squares if mapping else squares)
    if mapping:
        between += shift * outer(slopes + roots, slopes + roots)
        between += 2 * shift * outer(raw["moves"], raw["moves"])
        inside += 2 * shift * raw["moves"] ** 2 / sizes
        traces = traces + shift * raw["slope_squares"]
    # Whatever the errors are: |k_ij| <= sqrt(k_ii k_jj), and 0 <= within <= the trace.
    between = np.minimum(between, 2.02 * outer(roots, roots))
    inside = np.minimum(inside, 1.01 * raw["traces"] + np.abs(within))
    own = sizes * (raw["traces"] - within)  # block sums of a class with itself
    between.flat[:: len(sizes) + 1] = sizes * (traces + inside) + 2.0**-52 * np.abs(own)
    return SumsError(between, traces, inside)
