"""Tables of Hermite coefficients: any activation as the compiled core takes it.

For z ~ N(0, 1) and a standard deviation s of the pre-activations, h_k(s) = E[phi(s z)
He_k(z)]/sqrt(k!). Then (Mehler) E[phi(u) phi(v)] = sum_k h_k(s) h_k(s') rho^k. The h_k are smooth
functions of log s, whatever phi is, and are tabulated as Chebyshev interpolants, an interval for
each power of two. Kinks of phi are looked for and become ends of intervals of the quadrature.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.polynomial import chebyshev, legendre

from nc1fast.core.activations import Activation, GeneralActivation, of_arrays, traits
from nc1fast.support.arithmetic import ieee

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Function = Callable[[Array], Array]

FIRST, INTERVALS = -14, 26  # s from 2^-14 to 2^12
_NODES = (
    16  # of an interval; twice as many where there are kinks, whose coefficients oscillate in log s
)
_POINTS = 20  # of the quadrature, on each of its own intervals
_REACH = 13.0  # |z| that counts: e^-84
_FAR = 32  # |u| up to which phi is looked at in steps of 1; beyond in powers of two
_FINEST = 2.0**-44  # relative width of an interval that holds a kink
_RESOLVED = 1e-11  # share of the last coefficients of a smooth function on an interval,
_ROUNDING = 1e-14  # beside the rounding of phi
_STEP = 2.0**-10  # of differences, relative to max(1, |u|)
_MOST = 500  # intervals to be halved at a time


@dataclass(frozen=True, eq=False)
class SeriesTable:
    """Hermite coefficients of an activation as functions of the standard deviation.

    Attributes
    ----------
    values : ndarray of shape (n_intervals, n_nodes, n_terms + 2)
        Chebyshev coefficients in log2 s of h_k, of E phi^2 and of s^2 E phi'^2.
    first : int
        log2 of the least s.
    accuracy : float
        Largest error found, relative to the length of (h_k).
    jump : bool
        Whether phi jumps somewhere: its NTK is infinite then.
    """

    values: Array
    first: int
    accuracy: float
    jump: bool

    @property
    def n_terms(self) -> int:
        """How many coefficients a row has."""
        return int(self.values.shape[2]) - 2

    def as_dict(self) -> dict[str, Any]:
        """The table in the words of the core (`as_table` in cpp/border_kernels.cpp)."""
        return {"values": self.values, "first": self.first, "accuracy": self.accuracy}


def table_of(activation: Activation) -> SeriesTable | None:
    """The table of an activation that is given by its series; None for one with a formula.

    Notes
    -----
    Cost: about a second, once for each activation of a process; 0.3 MiB for 64 terms.
    """
    series = traits(activation).series
    return None if series is None else _tabulated(activation, series.kinks, series.n_terms)


def jumps(activation: Activation) -> bool:
    """Whether an activation that is given by a series jumps, which the others are known to do or
    not.
    """
    return isinstance(activation, GeneralActivation) and table_of(activation).jump  # type: ignore[union-attr]


@cache
@ieee
def _tabulated(activation: Activation, kinks: tuple[float, ...], n_terms: int) -> SeriesTable:
    """The table, and how well it does between its nodes."""
    phi, slope = of_arrays(activation)
    ends = _ends(phi, kinks)
    found_kinks = np.setdiff1d(np.union1d(ends, kinks), _grid())
    if slope is None or isinstance(activation, GeneralActivation):
        slope = _differences(phi, found_kinks)
    n_nodes = 2 * _NODES if found_kinks.size or kinks else _NODES
    nodes = np.cos(np.pi * (np.arange(n_nodes) + 0.5) / n_nodes)
    fit = 2 / n_nodes * chebyshev.chebvander(nodes, n_nodes - 1).T  # orthogonal on these nodes
    fit[0] /= 2
    between = np.array([-0.93, 0.02, 0.71])
    values, accuracy = [], 0.0
    for k in range(FIRST, FIRST + INTERVALS):
        spread = 2.0 ** (k + (nodes + 1) / 2)
        found = np.array([_coefficients((phi, slope), ends, s, n_terms) for s in spread])
        series = np.einsum("ij,jk->ik", fit, found)
        values.append(series)
        for t in between:
            s = 2.0 ** (k + (t + 1) / 2)
            true = _coefficients((phi, slope), ends, s, n_terms, finer=True)
            error = np.abs(chebyshev.chebval(t, series) - true)
            lengths = (true[-2] ** 0.5, 2 * true[-2], 2 * true[-1])
            errors = ((error[:-2] ** 2).sum() ** 0.5, error[-2], error[-1])
            shares = (e / of for e, of in zip(errors, lengths, strict=True) if of > 0)
            accuracy = max(accuracy, *shares, 0.0)
    return SeriesTable(np.array(values), FIRST, 2 * float(accuracy), _jumps(phi, ends))


def _panels(ends: Array) -> tuple[Array, Array]:
    """Nodes and weights of Gauss and Legendre on the intervals between some ends, shape
    (n_intervals, _POINTS) each.
    """
    x, w = legendre.leggauss(_POINTS)
    middle, half = (ends[1:] + ends[:-1]) / 2, (ends[1:] - ends[:-1]) / 2
    return middle[:, None] + half[:, None] * x, half[:, None] * w


@cache
def _legendre_fit() -> Array:
    """Values at the nodes of an interval -> Legendre coefficients, of which the nodes are the
    quadrature.
    """
    x, w = legendre.leggauss(_POINTS)
    powers = legendre.legvander(x, _POINTS - 1)
    return np.asarray((np.arange(_POINTS)[:, None] + 0.5) * (powers * w[:, None]).T)


def _grid() -> Array:
    """The ends of the intervals of u that are tried first."""
    far = _FAR * 2.0 ** np.arange(1, 12)
    return np.concatenate([-far[::-1], np.arange(-_FAR, _FAR + 1.0), far])


def _differences(phi: Function, kinks: Array) -> Function:
    """Phi' by central differences of fourth order, which stay on one side of the kinks."""
    ends = np.concatenate([[-np.inf], kinks, [np.inf]])

    def slope(u: Array) -> Array:
        after = np.searchsorted(ends, u, side="right")
        distance = np.minimum(u - ends[after - 1], ends[after] - u)
        step = np.minimum(_STEP * np.maximum(1.0, np.abs(u)), distance / 3)
        near, far = (phi(u + k * step) - phi(u - k * step) for k in (1, 2))
        return np.asarray((8 * near - far) / np.where(step > 0, 12 * step, np.inf))

    return slope


def _ends(phi: Function, kinks: tuple[float, ...]) -> Array:
    """Ends of intervals of u on which phi is smooth: those given, and others found by halving."""
    ends = np.union1d(_grid(), kinks)
    lengths = np.unique(np.abs(ends))
    sizes = np.maximum.accumulate(np.abs(phi(lengths)) + np.abs(phi(-lengths)))  # of phi up to |u|
    done = [ends]
    left, right = ends[:-1], ends[1:]
    x, _ = legendre.leggauss(_POINTS)
    while left.size:
        middle, half = (left + right) / 2, (right - left) / 2
        values = np.asarray(phi(middle[:, None] + half[:, None] * x), dtype=np.float64)
        series = np.abs(np.einsum("ij,kj->ki", _legendre_fit(), values))
        size = np.interp(np.abs(middle) + half, lengths, sizes)
        rough = series[:, -4:].max(axis=1) > _RESOLVED * series.max(axis=1) + _ROUNDING * size
        rough &= half > _FINEST * np.maximum(np.abs(middle), 1.0)
        middle, left, right = middle[rough], left[rough], right[rough]
        if middle.size > _MOST:
            raise ValueError("function is rough in too many places to be integrated")
        done.append(middle)
        left, right = np.concatenate([left, middle]), np.concatenate([middle, right])
    return np.unique(np.concatenate(done))


def _jumps(phi: Function, ends: Array) -> bool:
    """Whether phi has different values on the two sides of an end."""
    step = 2.0**-40 * np.maximum(np.abs(ends), 1.0)
    below, above = (np.asarray(phi(ends + sign * step)) for sign in (-1, 1))
    scale = np.maximum(1.0, np.maximum(np.abs(below), np.abs(above)))
    return bool((np.abs(above - below) > 1e-8 * scale).any())


def _coefficients(
    functions: tuple[Function, Function],
    ends: Array,
    s: float,
    n_terms: int,
    *,
    finer: bool = False,
) -> Array:
    """h_k(s) for k < n_terms, E phi^2 and s^2 E phi'^2, by quadrature of (phi, phi') between the
    ends of smooth pieces.
    """
    phi, slope = functions
    own = ends / s
    steps = np.arange(-_REACH, _REACH + 0.25, 0.5 if finer else 1.0)
    all_ends = np.unique(np.concatenate([steps, own[np.abs(own) < _REACH]]))
    all_ends = all_ends[np.concatenate([[True], np.diff(all_ends) > 1e-15])]
    z, weights = _panels(all_ends)
    values = np.asarray(phi(s * z), dtype=np.float64)
    slopes = np.asarray(slope(s * z), dtype=np.float64) * s  # d phi(s z)/dz
    weights = weights * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    out = np.empty(n_terms + 2)
    before, hermite = np.zeros_like(z), np.ones_like(z)
    for k in range(n_terms):
        out[k] = (weights * values * hermite).sum()
        before, hermite = hermite, (z * hermite - np.sqrt(k) * before) / np.sqrt(k + 1)
    out[-2] = (weights * values**2).sum()
    out[-1] = (weights * slopes**2).sum()
    return out
