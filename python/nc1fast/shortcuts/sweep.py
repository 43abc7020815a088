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
    from collections.abc import Callable, Iterable, Sequence
    from concurrent.futures import Executor

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_POINTS = 1 << 14  # at a time
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


class Form(NamedTuple):
    """A kernel <v, v'>, or its product with a function of the angle that is 1 at 0, as `Plane.sums` takes it."""

    vectors: Array  # (m, N) v, by class
    turned: Callable[[Array, Array], Array] | None  # (phi, v) -> E(phi) v; None: <v, v'> itself
    half_circle: float  # trace of the integral of E'
    spread: Iterable[tuple[float, float]]  # of each class: sum_i |h_i - mean|^2, its error


class Plane:
    """Points of the plane, sorted by angle as a whole and within their classes: what all sweeps share.

    Parameters
    ----------
    z : ndarray of shape (2, n_samples)
        Sorted by class.
    sizes : ndarray of shape (n_classes,)
    pool : Executor
        Takes a class, or some points, at a time; the bits do not depend on it.

    Notes
    -----
    Cost: two sorts.
    """

    def __init__(self, z: Array, sizes: NDArray[np.int64], pool: Executor) -> None:
        ends = np.cumsum(sizes)
        self.slices = [slice(int(e - n), int(e)) for n, e in zip(sizes, ends, strict=True)]
        self._pool = pool
        whole = pool.submit(_by_angle, z)
        classes = pool.map(lambda part: _class(z[:, part]), self.slices)
        self._half, self._rank, self._angle = whole.result()
        self._members = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)[self._rank]
        self._classes = list(classes)

    def absolute(self) -> Form:
        """kappa_abs(z, z') = E |w.z| |w.z'|."""
        spread = self._pool.map(_absolute_within, self._classes)
        return Form(self._half.y, _squares, math.pi / 2, spread)

    def sign(self, vectors: Array) -> Form:
        """<v, v'> kappa_sign(z, z'), kappa_sign = E sign(w.z) sign(w.z').

        Parameters
        ----------
        vectors : ndarray of shape (m, n_samples)
            Zero for points at the origin: the sign there is not defined.
        """
        spread = self._pool.map(
            _sign_within, self._classes, [vectors[:, part] for part in self.slices]
        )
        return Form(self._half.sign * vectors, np.multiply, math.pi, spread)

    def linear(self, vectors: Array) -> Form:
        """<v, v'> of vectors, (m, n_samples)."""
        spread = self._pool.map(lambda part: _linear_within(vectors[:, part]), self.slices)
        return Form(vectors, None, 1.0, spread)

    def sums(self, forms: Sequence[tuple[float, Form]], *, rows: bool) -> PartialSums:
        """Sums of a combination of forms with coefficients >= 0.

        With E the antiderivative, P_c the sum of the v_j of the class before phi_i, W_c that of the E(phi_j) v_j, A_c the sum of
        all, a form sums to

            R_ic = (2 (E_i v_i).(A_c - 2 P_c) + v_i.(4 W_c - 2 W_c(end) + half circle A_c)) / half circle,

        a product of what a point has and what a table says of a class, by the number of its points before.

        Notes
        -----
        Cost: some 100 operations per point; 2 m multiply-adds and a search of the table per point, class and form.
        Accuracy: within_c to 2 sqrt(n_c) unit roundoffs in the worst case, some 10 in practice; block sums to
        16 sqrt(n) + 150 of the sum of norms, n the largest class, some 30 in practice.
        """
        N, C = len(self._rank), len(self.slices)
        parts = [slice(start, start + _POINTS) for start in range(0, N, _POINTS)]
        points = np.concatenate(list(self._pool.map(lambda p: self._columns(forms, p), parts)))
        out = np.empty((C, N)) if rows else None

        def towards(c: int) -> list[float]:
            member = self._members == c
            table = _tables(forms, points[member])
            R = np.empty(N) if out is None else out[c]
            before = 0
            for part in parts:
                index = np.cumsum(member[part], dtype=np.intp)
                index += before
                before = int(index[-1])
                R[self._rank[part]] = np.einsum("ij,ij->i", points[part], table[index])
            return [float(R[members].sum()) for members in self.slices]

        block = np.array(list(self._pool.map(towards, range(C))))
        traces, total, fields = np.zeros(C), np.zeros((C, C)), np.zeros((2, C))
        for coefficient, form in forms:
            squares = (form.vectors**2).sum(axis=0)
            lengths = np.sqrt(squares)
            length = np.array([lengths[members].sum() for members in self.slices])
            square = np.array([squares[members].sum() for members in self.slices])
            traces += coefficient * square
            total += coefficient * np.outer(length, length)
            fields += coefficient * np.array(list(form.spread)).T
        u, largest = UNIT_ROUNDOFF, max(part.stop - part.start for part in self.slices)
        return PartialSums(
            (block + block.T) / 2,
            fields[0],
            traces,
            u * (8 * running_error(largest) + 150) * total,
            fields[1] + u * (len(forms) + 1) * fields[0],
            u * (summation_error(N) + 8) * traces,
            out,
        )

    def _columns(self, forms: Sequence[tuple[float, Form]], part: slice) -> Array:
        """E(phi) v and v of the forms for some points in the order of their angles: (n, columns)."""
        columns: list[Array] = []
        for _, form in forms:
            v = form.vectors[:, self._rank[part]]
            if form.turned is not None:
                columns += [form.turned(self._angle[part], v)]
            columns += [v]
        return np.ascontiguousarray(np.concatenate(columns).T)


def _by_angle(z: Array) -> tuple[_Half, NDArray[np.intp], Array]:
    """The points in one half plane, their order by angle, and the sorted angles."""
    half = _turn(z, (1.0, 0.0))
    angle = np.arctan2(half.y[1], half.y[0])
    rank = np.argsort(angle)
    return half, rank, angle[rank]


def _tables(forms: Sequence[tuple[float, Form]], points: Array) -> Array:
    """What `Plane.sums` multiplies the columns with after 0, 1, ... n points of a class, (n + 1, columns); from its own columns."""
    sums = running_sums(np.ascontiguousarray(points.T))
    out = np.empty((len(points) + 1, points.shape[1]))
    start = 0
    for coefficient, form in forms:
        m, scale = len(form.vectors), coefficient / form.half_circle
        if form.turned is None:
            out[:, start : start + m] = scale * sums[start : start + m, -1]
            start += m
            continue
        W, P = sums[start : start + m], sums[start + m : start + 2 * m]
        whole = P[:, -1:].copy()
        final = form.half_circle * whole - 2 * W[:, -1:]
        first, second = out[:, start : start + m], out[:, start + m : start + 2 * m]
        first[0], second[0] = (2 * scale * whole).T, (scale * final).T
        first[1:] = (2 * scale * (whole - 2 * P)).T
        second[1:] = (scale * (final + 4 * W)).T
        start += 2 * m
    return out


def _squares(angle: Array, v: Array) -> Array:
    """An antiderivative of e e^T, times each vector."""
    s, c = np.sin(2 * angle) / 4, np.cos(2 * angle) / 4
    half = angle / 2
    return np.array([(half - s) * v[0] + c * v[1], c * v[0] + (half + s) * v[1]])


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


def _linear_within(vectors: Array) -> tuple[float, float]:
    """sum_i |v_i - mean|^2 of one class, and a bound on its error."""
    return _with_error(vectors.shape[1], _variation(vectors), 0.0, 0.0, 0.0)


def _absolute_within(c: _Class) -> tuple[float, float]:
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
