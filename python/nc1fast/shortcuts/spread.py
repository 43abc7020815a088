"""The spread within a class of points of the plane, under functions of the angle, without
cancellation.

Points are turned into one half plane (y = +-z, which changes no kernel value). With P the points of
the class whose breakpoint has passed, S the others, v the vectors that a form carries and q its row
at the angle phi,

    n sum_i |h_i - mean|^2 = n sum_i (q.(v_i - mean))^2 + 4 (q.sum_P v) (q.sum_S v)      at each
        phi,

integrated over the half circle in the first term and, in the second, whose size is that of the
angles of the class, between its breakpoints. Both come from v_i - mean v, angles against mean y,
and differences of angles, never from what large sums leave over.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nc1fast.sums.rounding import UNIT_ROUNDOFF, summation_error

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_SERIES = 0.5  # half-width below which x - sin x cos x is summed as a series
# Products of two q are integrated to rounding by `_QUADRATURE` Gauss nodes on an angle of `_PIECE`.
_PIECE, _QUADRATURE = 0.25, 6


def running_sums(A: Array) -> Array:
    """Inclusive running sums along the last axis, in two levels; error <= `running_error` times the
    sum of magnitudes.
    """
    n = A.shape[-1]
    width = max(1, math.isqrt(n))
    padded = np.zeros((*A.shape[:-1], -(-n // width), width))
    padded.reshape(*A.shape[:-1], -1)[..., :n] = A
    np.cumsum(padded, axis=-1, out=padded)
    padded[..., 1:, :] += np.cumsum(padded[..., :-1, -1], axis=-1)[..., None]
    return padded.reshape(*A.shape[:-1], -1)[..., :n]


def running_error(n: int) -> float:
    """Relative error of `running_sums` over n terms, in unit roundoffs."""
    return 2 * math.sqrt(n) + 4


class Half(NamedTuple):
    """Points turned into one half plane: their signs and themselves."""

    sign: Array  # (n,) +-1
    y: Array  # (2, n) sign z


def turn(z: Array, axis: tuple[float, float]) -> Half:
    """Turn points z (2, n) into the half plane about a direction; points on its border join those
    just inside.
    """
    along, across = z[0] * axis[0] + z[1] * axis[1], z[1] * axis[0] - z[0] * axis[1]
    sign = np.where((along < 0) | ((along == 0) & (across < 0)), -1.0, 1.0)
    return Half(sign, sign * z)


class PlanarClass(NamedTuple):
    """One class in a half plane of its own, sorted by the angle against its mean."""

    half: Half
    order: NDArray[np.intp]
    angle: Array  # (n,) sorted
    framed: Array  # (2, n) coordinates along and across the mean, sorted
    centre: Array  # (2,) mean y
    delta: Array  # (2, n) y - centre


def _chord(x: Array) -> Array:
    """Arc less chord, x - sin x cos x = sum_k (-1)^(k+1) (2x)^(2k+1) / (2 (2k+1)!), without
    cancellation.
    """
    small = np.minimum(x, _SERIES)
    series = np.zeros_like(x)
    for k in range(8, 0, -1):
        series = (2 * small) ** 2 * ((-1) ** (k + 1) / (2 * math.factorial(2 * k + 1)) + series)
    return np.where(x < _SERIES, 2 * small * series, x - np.sin(x) * np.cos(x))


def planar_class(z: Array) -> PlanarClass:
    """Turn the points z (2, n) of a class into the half plane about their principal axis, which few
    of them lie across.
    """
    difference = float((z[0] ** 2).sum() - (z[1] ** 2).sum())
    twist = 0.5 * math.atan2(2 * float((z[0] * z[1]).sum()), difference)
    half = turn(z, (math.cos(twist), math.sin(twist)))
    centre = half.y.mean(axis=1)
    norm = math.hypot(*centre) or 1.0
    delta = half.y - centre[:, None]
    along = (centre[0] * half.y[0] + centre[1] * half.y[1]) / norm
    across = (centre[0] * delta[1] - centre[1] * delta[0]) / norm
    angle = np.arctan2(across, along)
    order = np.argsort(angle)
    framed = np.array([along[order], across[order]])
    return PlanarClass(half, order, angle[order], framed, centre, delta)


def _variation(carried: Array) -> float:
    """sum_i |v_i - mean|^2 of vectors v_i, (m, n)."""
    centred = carried - carried.mean(axis=1)[:, None]
    centred -= centred.mean(axis=1)[:, None]
    return float((centred**2).sum())


def linear_within(vectors: Array) -> tuple[float, float]:
    """sum_i |v_i - mean|^2 of one class, and a bound on its error."""
    return _with_error(vectors.shape[1], _variation(vectors), 0.0, 0.0, 0.0)


def absolute_within(c: PlanarClass) -> tuple[float, float]:
    """sum_i |h_i - mean|^2 of one class for |e.z|, and a bound on its error."""
    n, gap = len(c.angle), np.diff(c.angle)
    passed = running_sums(c.framed)
    before, after = passed[:, :-1], passed[:, -1:] - passed[:, :-1]
    middle, x = c.angle[:-1] + gap / 2, gap / 2
    sine, cosine = np.sin(middle), np.cos(middle)
    wide, narrow = x + np.sin(x) * np.cos(x), _chord(x)
    p, P = (cosine * a[1] - sine * a[0] for a in (before, after))  # e.sum at the middle of a gap
    q, Q = (cosine * a[0] + sine * a[1] for a in (before, after))  # and its slope
    p_size, P_size = (np.abs(cosine * a[1]) + np.abs(sine * a[0]) for a in (before, after))
    mixed = 8 / n / math.pi * float((p * P * wide + q * Q * narrow).sum())
    size = 8 / n / math.pi * float((p_size * P_size * wide + np.abs(q * Q) * narrow).sum())
    return _with_error(n, _variation(c.half.y), mixed, size, 0.0)


def sign_within(c: PlanarClass, vectors: Array) -> tuple[float, float]:
    """sum_i |h_i - mean|^2 of one class for sign(e.z) v, and a bound on its error."""
    n, gap = len(c.angle), np.diff(c.angle)
    carried = c.half.sign * vectors
    passed = running_sums(carried[:, c.order])
    products = passed[:, :-1] * (passed[:, -1:] - passed[:, :-1])
    mixed = 4 / n / math.pi * float((products.sum(axis=0) * gap).sum())
    size = 4 / n / math.pi * float((np.abs(products).sum(axis=0) * gap).sum())
    # a breakpoint with error d changes the integral by d times the jump of the integrand
    lengths, radius = np.sqrt((vectors**2).sum(axis=0)), np.hypot(*c.half.y)
    off = (6 * np.hypot(*c.delta) / np.where(radius > 0, radius, 1.0))[c.order]
    jumps = float((lengths[c.order] * (off + 5 * np.abs(c.angle))).sum() * lengths.sum())
    slack = 8 / n / math.pi * jumps
    return _with_error(n, _variation(carried), mixed, size, slack)


def squares(y: Array) -> Array:
    """Vectors v with (e.y)^2 = q.v, q = (1, -sqrt2 cos 2phi, -sqrt2 sin 2phi)/2, int q q^T = pi/4
    over the half circle: (3, n).
    """
    x, y = y
    return np.array([x**2 + y**2, (x**2 - y**2) / math.sqrt(2), math.sqrt(2) * x * y])


def squares_within(c: PlanarClass, *, odd: bool) -> tuple[float, float]:
    """sum_i |h_i - mean|^2 of a class for (e.z)^2, or for (e.z)|e.z|, and a bound on its error."""
    n, (x, y), (dx, dy) = len(c.angle), c.centre, c.delta
    delta = squares(c.delta)  # v_i - v of the centre, from differences
    delta[0] += 2 * (x * dx + y * dy)
    delta[1:] += math.sqrt(2) * np.array([x * dx - y * dy, x * dy + y * dx])
    if not odd:
        return _with_error(n, _variation(delta), 0.0, 0.0, 0.0)
    sign = c.half.sign
    most = 1.0 if sign.sum() >= 0 else -1.0
    spread = _variation(sign * delta + (sign - most) * squares(c.centre)[:, None])
    passed = running_sums(sign[c.order] * squares(c.framed))
    before, after = passed[:, :-1], passed[:, -1:] - passed[:, :-1]
    pieces = np.maximum(np.ceil(np.diff(c.angle) / _PIECE), 1).astype(np.int64)
    gap = np.repeat(np.arange(n - 1), pieces)
    place = np.arange(len(gap)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    width = (np.diff(c.angle) / pieces)[gap]
    middle = c.angle[gap] + (place + 0.5) * width
    before, after = before[:, gap], after[:, gap]
    mixed = size = 0.0
    for node, weight in zip(*np.polynomial.legendre.leggauss(_QUADRATURE), strict=True):
        phi = 2 * middle + node * width
        root = -math.sqrt(0.5)
        q = np.array([np.full(len(phi), 0.5), root * np.cos(phi), root * np.sin(phi)])
        p, s = (q * before).sum(axis=0), (q * after).sum(axis=0)
        p_size, s_size = (np.abs(q * a).sum(axis=0) for a in (before, after))
        mixed += weight / 2 * float((width * p * s).sum())
        size += weight / 2 * float((width * (np.abs(p) * s_size + np.abs(s) * p_size)).sum())
    factor = 16 / n / math.pi
    return _with_error(n, spread, factor * mixed, factor * size, 0.0)


def _with_error(
    n: int, spread: float, mixed: float, size: float, slack: float
) -> tuple[float, float]:
    """The sum spread + mixed, and its error bound: `size` is the sum of magnitudes of `mixed`,
    `slack` an error in unit roundoffs.
    """
    adds = summation_error(n)
    error = (adds + 20) * spread + (4 * running_error(n) + adds + 60) * size + slack
    return max(spread + mixed, 0.0), UNIT_ROUNDOFF * error
