"""Kernels of the angle between points of the plane, summed by a sweep: O(N log N + N C).

    kappa_abs(z, z')  = E |w.z| |w.z'|           = (2/pi) int |e.z| |e.z'| dphi             e = (-sin phi, cos phi),
    kappa_sign(z, z') = E sign(w.z) sign(w.z')   = (1/pi) int sign(e.z) sign(e.z') dphi      phi over half a circle.

Each point changes the sign of e.z once, at its own angle. Between these breakpoints a class sum is A_c(phi) = sum of +-z_i with
fixed signs, so that integrals up to phi follow from running sums of z_i and of E(phi_i) z_i, E an antiderivative of e e^T.

The spread within a class is not left over from those sums. Points are turned into one half plane (y = +-z, which changes
no kernel value), and with P the points of the class whose breakpoint has passed, S the others,

    n sum_i |h_i - mean|^2 = n sum_i (e.(y_i - mean))^2 + 4 (e.sum_P y) (e.sum_S y)      at each phi,

the first term integrated over the half circle, the second, whose size is that of the angles of the class, between its breakpoints;
both from y_i - mean y, angles against mean y, and differences of angles.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nc1fast._errors import UNIT_ROUNDOFF, summation_error
from nc1fast.shortcuts.partial import PartialSums

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_SERIES = 0.5  # half-width below which x - sin x cos x is summed as a series


def running_sums(A: Array) -> Array:
    """Inclusive running sums along the last axis, in two levels: error <= `running_error` of the sum of magnitudes."""
    n = A.shape[-1]
    width = max(1, math.isqrt(n))
    padded = np.zeros((*A.shape[:-1], -(-n // width), width))
    padded.reshape(*A.shape[:-1], -1)[..., :n] = A
    np.cumsum(padded, axis=-1, out=padded)
    padded[..., 1:, :] += np.cumsum(padded[..., :-1, -1], axis=-1)[..., None]
    return padded.reshape(*A.shape[:-1], -1)[..., :n]


def running_error(n: int) -> float:
    """Of `running_sums`, in unit roundoffs."""
    return 2 * math.sqrt(n) + 4


class _Half(NamedTuple):
    """Points turned into one half plane."""

    sign: Array  # (n,) +-1
    y: Array  # (2, n) sign z


def _turn(z: Array, axis: tuple[float, float]) -> _Half:
    """Into the half plane about a direction; points on its border to the same side as those just inside."""
    along, across = z[0] * axis[0] + z[1] * axis[1], z[1] * axis[0] - z[0] * axis[1]
    sign = np.where((along < 0) | ((along == 0) & (across < 0)), -1.0, 1.0)
    return _Half(sign, sign * z)


class _Class(NamedTuple):
    """One class in its own half plane, by the angle against its mean."""

    half: _Half
    order: NDArray[np.intp]
    angle: Array  # (n,) sorted
    framed: Array  # (2, n) coordinates along and across the mean, sorted
    delta: Array  # (2, n) y - mean y


class Plane:
    """Points of the plane, sorted by angle as a whole and within their classes: what all sweeps share.

    Parameters
    ----------
    z : ndarray of shape (2, n_samples)
        Sorted by class.
    sizes : ndarray of shape (n_classes,)

    Notes
    -----
    Cost: two sorts.
    """

    def __init__(self, z: Array, sizes: NDArray[np.int64]) -> None:
        ends = np.cumsum(sizes)
        self.z = z
        self.slices = [slice(int(e - n), int(e)) for n, e in zip(sizes, ends, strict=True)]
        self._half = _turn(z, (1.0, 0.0))
        angle = np.arctan2(self._half.y[1], self._half.y[0])
        self._rank = np.argsort(angle)
        self._angle = angle[self._rank]
        self._members = np.repeat(np.arange(len(sizes)), sizes)[self._rank]
        self._classes = [_class(z[:, c]) for c in self.slices]

    def absolute(self, *, rows: bool) -> PartialSums:
        """Sums of kappa_abs(z, z') = E |w.z| |w.z'|; `rows` asks for the row-class sums.

        Notes
        -----
        Cost: some 40 operations per point and class.
        Accuracy: within_c to 2 sqrt(n_c) unit roundoffs in the worst case, some 10 in practice; block sums to
        16 sqrt(N) + 150 of the sum of norms, some 30 in practice.
        """
        metric = np.full(2, 2 / math.pi)
        spread = [_absolute_within(c, metric[0]) for c in self._classes]
        lengths = np.hypot(*self.z)
        antiderivative = _squares(self._angle)
        return self._sums(self._half.y, antiderivative, math.pi / 2, metric, lengths, spread, rows)

    def sign(self, vectors: Array, *, rows: bool) -> PartialSums:
        """Sums of <v, v'> kappa_sign(z, z'), kappa_sign = E sign(w.z) sign(w.z').

        Parameters
        ----------
        vectors : ndarray of shape (m, n_samples)
        rows : bool

        Notes
        -----
        As `absolute`. Points at the origin must have zero vectors: the sign there is not defined.
        """
        metric = np.full(len(vectors), 1 / math.pi)
        spread = [
            _sign_within(c, vectors[:, part])
            for c, part in zip(self._classes, self.slices, strict=True)
        ]
        lengths = np.sqrt((vectors**2).sum(axis=0))
        carried = self._half.sign * vectors
        return self._sums(carried, self._angle, math.pi, metric, lengths, spread, rows)

    def _sums(
        self,
        carried: Array,
        antiderivative: Array,
        half_circle: float,
        metric: Array,
        lengths: Array,
        spread: list[tuple[float, float]],
        rows: bool,
    ) -> PartialSums:
        """Block sums from the integrals of e (e.A_c), or of A_c, between the breakpoints."""
        N, C = len(lengths), len(self.slices)
        carried = carried[:, self._rank]
        turned = _apply(antiderivative, carried)
        block, out = np.empty((C, C)), np.empty((C, N)) if rows else None
        R = np.empty(N)
        for c in range(C):
            member = self._members == c
            passed = running_sums(carried * member)  # (m, N) sum of the points before each
            weighted = running_sums(turned * member)
            whole, whole_weighted = passed[:, -1:].copy(), weighted[:, -1:].copy()
            # 2 H(phi) - H(end), H the integral up to phi; H(end) without the antiderivative at its ends
            integral = _apply(antiderivative, whole - 2 * passed)
            integral += 2 * weighted
            integral *= 2
            integral += half_circle * whole - 2 * whole_weighted
            integral *= carried
            R[self._rank] = metric @ integral
            block[c] = [R[part].sum() for part in self.slices]
            if out is not None:
                out[c] = R
        total = np.array([lengths[part].sum() for part in self.slices])
        traces = np.array([(lengths[part] ** 2).sum() for part in self.slices])
        within, within_error = np.array(spread).T
        u = UNIT_ROUNDOFF
        return PartialSums(
            (block + block.T) / 2,
            within,
            traces,
            u * (8 * running_error(N) + 150) * np.outer(total, total),
            within_error,
            u * (summation_error(N) + 8) * traces,
            out,
        )


def _squares(angle: Array) -> Array:
    """An antiderivative of e e^T: (3, n) for the entries 11, 12, 22 of a symmetric matrix."""
    s, c = np.sin(2 * angle) / 4, np.cos(2 * angle) / 4
    return np.array([angle / 2 - s, c, angle / 2 + s])


def _apply(E: Array, v: Array) -> Array:
    """A number, or a symmetric 2 x 2 matrix, times each vector."""
    if E.ndim == 1:
        return E * v
    return np.array([E[0] * v[0] + E[1] * v[1], E[1] * v[0] + E[2] * v[1]])


def _chord(x: Array) -> Array:
    """Arc less chord, x - sin x cos x = sum_k (-1)^(k+1) (2x)^(2k+1) / (2 (2k+1)!), without cancellation."""
    small = np.minimum(x, _SERIES)
    series = np.zeros_like(x)
    for k in range(8, 0, -1):
        series = (2 * small) ** 2 * ((-1) ** (k + 1) / (2 * math.factorial(2 * k + 1)) + series)
    return np.where(x < _SERIES, 2 * small * series, x - np.sin(x) * np.cos(x))


def _class(z: Array) -> _Class:
    """The points of a class in the half plane about their principal axis: few of them lie across it."""
    twist = 0.5 * math.atan2(2 * float(z[0] @ z[1]), float(z[0] @ z[0] - z[1] @ z[1]))
    half = _turn(z, (math.cos(twist), math.sin(twist)))
    centre = half.y.mean(axis=1)
    norm = math.hypot(*centre) or 1.0
    delta = half.y - centre[:, None]
    along = centre @ half.y / norm
    across = (centre[0] * delta[1] - centre[1] * delta[0]) / norm
    angle = np.arctan2(across, along)
    order = np.argsort(angle)
    return _Class(half, order, angle[order], np.array([along[order], across[order]]), delta)


def _variation(carried: Array) -> float:
    """sum_i |v_i - mean|^2."""
    centred = carried - carried.mean(axis=1)[:, None]
    centred -= centred.mean(axis=1)[:, None]
    return float((centred**2).sum())


def _absolute_within(c: _Class, factor: float) -> tuple[float, float]:
    """sum_i |h_i - mean|^2 of one class for |e.z|, and a bound on its error."""
    n, gap = len(c.angle), np.diff(c.angle)
    spread = factor * math.pi / 2 * _variation(c.half.y)  # the integral of e e^T is pi/2
    passed = running_sums(c.framed)
    before, after = passed[:, :-1], passed[:, -1:] - passed[:, :-1]
    middle, x = c.angle[:-1] + gap / 2, gap / 2
    sine, cosine = np.sin(middle), np.cos(middle)
    wide, narrow = x + np.sin(x) * np.cos(x), _chord(x)
    p, P = (cosine * a[1] - sine * a[0] for a in (before, after))  # e.sum at the middle of a gap
    q, Q = (cosine * a[0] + sine * a[1] for a in (before, after))  # and its slope
    p_size, P_size = (np.abs(cosine * a[1]) + np.abs(sine * a[0]) for a in (before, after))
    mixed = 4 / n * factor * float((p * P * wide + q * Q * narrow).sum())
    size = 4 / n * factor * float((p_size * P_size * wide + np.abs(q * Q) * narrow).sum())
    return _with_error(n, spread, mixed, size, 0.0)


def _sign_within(c: _Class, vectors: Array) -> tuple[float, float]:
    """sum_i |h_i - mean|^2 of one class for sign(e.z) v, and a bound on its error."""
    n, gap = len(c.angle), np.diff(c.angle)
    carried = c.half.sign * vectors
    passed = running_sums(carried[:, c.order])
    products = passed[:, :-1] * (passed[:, -1:] - passed[:, :-1])
    mixed = 4 / n / math.pi * float(products.sum(axis=0) @ gap)
    size = 4 / n / math.pi * float(np.abs(products).sum(axis=0) @ gap)
    # a breakpoint that is off by d changes the integral by the jump of the integrand times d
    lengths, radius = np.sqrt((vectors**2).sum(axis=0)), np.hypot(*c.half.y)
    off = (6 * np.hypot(*c.delta) / np.where(radius > 0, radius, 1.0))[c.order]
    slack = 8 / n / math.pi * float(lengths[c.order] @ (off + 5 * np.abs(c.angle)) * lengths.sum())
    return _with_error(n, _variation(carried), mixed, size, slack)


def _with_error(
    n: int, spread: float, mixed: float, size: float, slack: float
) -> tuple[float, float]:
    adds = summation_error(n)
    error = (adds + 20) * spread + (4 * running_error(n) + adds + 60) * size + slack
    return max(spread + mixed, 0.0), UNIT_ROUNDOFF * error
