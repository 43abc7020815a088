"""Kernels of the angle between points of the plane, summed by a sweep: O(N log N + N C).

    kappa_abs(z, z')  = E |w.z| |w.z'|           = (2/pi) int |e.z| |e.z'| dphi             e =
        (-sin phi, cos phi),
    kappa_sign(z, z') = E sign(w.z) sign(w.z')   = (1/pi) int sign(e.z) sign(e.z') dphi      phi
        over half a circle.

The sign of e.z changes once for each point, at its own angle. Between these breakpoints a class sum
is A_c(phi) = sum of +-z_i with fixed signs, so that integrals up to phi follow from running sums of
z_i and of E(phi_i) z_i, E an antiderivative of e e^T.

The spread within a class does not come from those sums, which would cancel: see `spread`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nc1fast.shortcuts.partial import PartialSums, rows_by_class
from nc1fast.shortcuts.spread import (
    Half,
    absolute_within,
    linear_within,
    planar_class,
    running_error,
    running_sums,
    sign_within,
    squares,
    squares_within,
    turn,
)
from nc1fast.sums.rounding import UNIT_ROUNDOFF, summation_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from concurrent.futures import Executor

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_POINTS = 1 << 14  # points at a time


class Form(NamedTuple):
    """A kernel <v, v'>, or its product with a function of the angle that is 1 at angle 0; a term of
    `Plane.sums`.

    Attributes
    ----------
    vectors : ndarray of shape (m, N)
        The v, sorted by class.
    turned : callable(phi, v) or None
        E(phi) v; None for <v, v'> itself.
    half_circle : float
        Trace of the integral of E'.
    spread : iterable of (float, float)
        Of each class, sum_i |h_i - mean|^2 and a bound on its error.
    """

    vectors: Array
    turned: Callable[[Array, Array], Array] | None
    half_circle: float
    spread: Iterable[tuple[float, float]]


class Plane:
    """Points of the plane, sorted by angle, all together and within their classes; every sweep
    starts from here.

    Parameters
    ----------
    z : ndarray of shape (2, n_samples)
        Sorted by class.
    sizes : ndarray of shape (n_classes,)
    pool : Executor
        Runs tasks of a class or of some points; the bits do not depend on it.

    Notes
    -----
    Cost: two sorts of the points.
    """

    def __init__(self, z: Array, sizes: NDArray[np.int64], pool: Executor) -> None:
        self.slices = rows_by_class(sizes)
        self._pool = pool
        whole = pool.submit(_by_angle, z)
        classes = pool.map(lambda part: planar_class(z[:, part]), self.slices)
        self._half, self._rank, self._angle = whole.result()
        self._members = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)[self._rank]
        self._classes = list(classes)

    def absolute(self) -> Form:
        """kappa_abs(z, z') = E |w.z| |w.z'|."""
        spread = self._pool.map(absolute_within, self._classes)
        return Form(self._half.y, _squares, math.pi / 2, spread)

    def sign(self, vectors: Array) -> Form:
        """<v, v'> kappa_sign(z, z'), kappa_sign = E sign(w.z) sign(w.z').

        Parameters
        ----------
        vectors : ndarray of shape (m, n_samples)
            Must be zero for points at the origin, where the sign is not defined.
        """
        spread = self._pool.map(
            sign_within, self._classes, [vectors[:, part] for part in self.slices]
        )
        return Form(self._half.sign * vectors, np.multiply, math.pi, spread)

    def squares(self, *, odd: bool) -> Form:
        """E (w.z)^2 (w.z')^2 / 2 = <v, v'>, v = `squares`; odd: E (w.z)|w.z| (w.z')|w.z'| / 2."""
        spread = self._pool.map(lambda c: squares_within(c, odd=odd), self._classes)
        v = squares(self._half.y)
        return (
            Form(self._half.sign * v, _fourth, math.pi / 4, spread)
            if odd
            else Form(v, None, 1.0, spread)
        )

    def linear(self, vectors: Array) -> Form:
        """<v, v'> of vectors v, (m, n_samples)."""
        spread = self._pool.map(lambda part: linear_within(vectors[:, part]), self.slices)
        return Form(vectors, None, 1.0, spread)

    def sums(self, forms: Sequence[tuple[float, Form]], *, rows: bool) -> PartialSums:
        """Sums of a combination of forms with coefficients >= 0.

        With E the antiderivative, P_c the sum of the v_j of the class before phi_i, W_c that of the
        E(phi_j) v_j, A_c the sum of all, a form sums to

            R_ic = (2 (E_i v_i).(A_c - 2 P_c) + v_i.(4 W_c - 2 W_c(end) + half circle A_c)) / half
            circle,

        a product of the columns of a point with the row of a table of the class: the row for as
        many points of the class as come before it.

        Notes
        -----
        Cost: some 100 operations per point; 2 m multiply-adds and a search of the table per point,
        class and form.
        Accuracy: within_c to 2 sqrt(n_c) unit roundoffs in the worst case, some 10 in practice;
        block sums to 16 sqrt(n) + 150 of the sum of norms, n the largest class, some 30 in
        practice.
        """
        N, C = len(self._rank), len(self.slices)
        parts = [slice(start, start + _POINTS) for start in range(0, N, _POINTS)]
        turning = any(form.turned is not None for _, form in forms)
        points = np.concatenate(list(self._pool.map(lambda p: self._columns(forms, p), parts)))
        out = np.empty((C, N)) if rows else None

        def towards(c: int) -> list[float]:
            member = self._members == c
            table = _tables(forms, points[member])
            R = np.empty(N) if out is None else out[c]
            before = 0
            for part in parts:
                if not turning:
                    R[self._rank[part]] = np.einsum("ij,j->i", points[part], table[0])
                    continue
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


class Line(Plane):
    """Points of a line through the origin, where every kernel of the angle is a product and nothing
    is sorted.

    Parameters
    ----------
    x : ndarray of shape (1, n_samples)
        Sorted by class.
    sizes, pool
        As `Plane`.
    """

    def __init__(self, x: Array, sizes: NDArray[np.int64], pool: Executor) -> None:
        self.slices = rows_by_class(sizes)
        self._pool = pool
        self._sign = np.where(x[0] < 0, -1.0, 1.0)
        self._length = np.abs(x)
        self._rank = np.arange(x.shape[1])
        self._members = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)

    def absolute(self) -> Form:
        """kappa_abs(x, x') = |x| |x'|."""
        return self.linear(self._length)

    def sign(self, vectors: Array) -> Form:
        """<v, v'> sign(x) sign(x'), for vectors v (m, n_samples)."""
        return self.linear(self._sign * vectors)


def _by_angle(z: Array) -> tuple[Half, NDArray[np.intp], Array]:
    """The points in one half plane, their order by angle, and the sorted angles."""
    half = turn(z, (1.0, 0.0))
    angle = np.arctan2(half.y[1], half.y[0])
    rank = np.argsort(angle)
    return half, rank, angle[rank]


def _tables(forms: Sequence[tuple[float, Form]], points: Array) -> Array:
    """Rows that `Plane.sums` multiplies columns with after 0, 1, ... n points of a class, (n + 1,
    columns).

    Parameters
    ----------
    forms : sequence of (coefficient, Form)
    points : ndarray of shape (n, columns)
        The columns of the points of the class itself.
    """
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
    """The antiderivative E(phi) of e e^T, times each vector v (2, n)."""
    s, c = np.sin(2 * angle) / 4, np.cos(2 * angle) / 4
    half = angle / 2
    return np.array([(half - s) * v[0] + c * v[1], c * v[0] + (half + s) * v[1]])


def _fourth(angle: Array, v: Array) -> Array:
    """The antiderivative of q q^T of `squares`, times each vector v (3, n)."""
    # q q^T = (1, -root C, -root S; ., 1 + cos 4phi, sin 4phi; ., ., 1 - cos 4phi)/4, C = cos 2phi,
    # S = sin 2phi
    root = math.sqrt(2)
    C, S = -root * np.sin(2 * angle) / 2, root * np.cos(2 * angle) / 2  # of -root C and -root S
    CC, CS = np.sin(4 * angle) / 4, -np.cos(4 * angle) / 4
    rows = (
        angle * v[0] + C * v[1] + S * v[2],
        C * v[0] + (angle + CC) * v[1] + CS * v[2],
        S * v[0] + CS * v[1] + (angle - CC) * v[2],
    )
    return np.array(rows) / 4
