"""Kernels of one hidden layer with a piecewise polynomial activation, as combinations of kernels of
the angle, which are summed by a sweep: O(N log N + N C).

The points are z = (x, sqrt(bias/weight)), Sigma = weight <z, z'>. phi is `Homogeneous`; of degree
1, phi(u) = odd u + even |u|, as the mixed terms are odd in w and vanish:

    kappa = odd^2 Sigma + even^2 weight kappa_abs(z, z'),   kdot = odd^2 + even^2 kappa_sign(z, z').

With e = (-sin phi, cos phi) and phi over half a circle,

    kappa_abs(z, z')  = E |w.z| |w.z'|           = (2/pi) int |e.z| |e.z'| dphi,
    kappa_sign(z, z') = E sign(w.z) sign(w.z')   = (1/pi) int sign(e.z) sign(e.z') dphi.

The sign of e.z changes once for each point, at its own angle. Between these breakpoints a class sum
is A_c(phi) = sum of +-z_i with fixed signs, so that integrals up to phi follow from running sums of
z_i and of E(phi_i) z_i, E an antiderivative of e e^T.

The spread within a class does not come from those sums, which would cancel: see `spread`.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nc1fast.core.activations import traits
from nc1fast.shortcuts import spread
from nc1fast.shortcuts.partial import PartialSums, ShortcutUnavailable, rows_by_class
from nc1fast.sums.rounding import UNIT_ROUNDOFF, summation_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from concurrent.futures import Executor

    from numpy.typing import NDArray

    from nc1fast.core.activations import Homogeneous
    from nc1fast.kernels.classes import OneLayer

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
    within : iterable of (float, float)
        Of each class, sum_i |h_i - mean|^2 and a bound on its error.
    """

    vectors: Array
    turned: Callable[[Array, Array], Array] | None
    half_circle: float
    within: Iterable[tuple[float, float]]


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
        classes = pool.map(lambda part: spread.planar_class(z[:, part]), self.slices)
        self._half, self._rank, self._angle = whole.result()
        self._members = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)[self._rank]
        self._classes = list(classes)

    def absolute(self) -> Form:
        """kappa_abs(z, z') = E |w.z| |w.z'|."""
        within = self._pool.map(spread.absolute_within, self._classes)
        return Form(self._half.y, _squares, math.pi / 2, within)

    def sign(self, vectors: Array) -> Form:
        """<v, v'> kappa_sign(z, z'), kappa_sign = E sign(w.z) sign(w.z').

        Parameters
        ----------
        vectors : ndarray of shape (m, n_samples)
            Must be zero for points at the origin, where the sign is not defined.
        """
        of_classes = [vectors[:, part] for part in self.slices]
        within = self._pool.map(spread.sign_within, self._classes, of_classes)
        return Form(self._half.sign * vectors, np.multiply, math.pi, within)

    def squares(self, *, odd: bool) -> Form:
        """E (w.z)^2 (w.z')^2 / 2 = <v, v'>, v = `squares`; odd: E (w.z)|w.z| (w.z')|w.z'| / 2."""
        within = self._pool.map(lambda c: spread.squares_within(c, odd=odd), self._classes)
        v = spread.squares(self._half.y)
        if not odd:
            return Form(v, None, 1.0, within)
        return Form(self._half.sign * v, _fourth, math.pi / 4, within)

    def linear(self, vectors: Array) -> Form:
        """<v, v'> of vectors v, (m, n_samples)."""
        within = self._pool.map(lambda part: spread.linear_within(vectors[:, part]), self.slices)
        return Form(vectors, None, 1.0, within)

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
            fields += coefficient * np.array(list(form.within)).T
        u, largest = UNIT_ROUNDOFF, max(part.stop - part.start for part in self.slices)
        return PartialSums(
            (block + block.T) / 2,
            fields[0],
            traces,
            u * (8 * spread.running_error(largest) + 150) * total,
            fields[1] + u * (len(forms) + 1) * fields[0],
            u * (summation_error(N) + 8) * traces,
            out,
        )

    def _columns(self, forms: Sequence[tuple[float, Form]], part: slice) -> Array:
        """E(phi) v and v of the forms for some points in the order of angles: (n, columns)."""
        columns: list[Array] = []
        for _, form in forms:
            v = form.vectors[:, self._rank[part]]
            columns += [v] if form.turned is None else [form.turned(self._angle[part], v), v]
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


def _by_angle(z: Array) -> tuple[spread.Half, NDArray[np.intp], Array]:
    """The points in one half plane, their order by angle, and the sorted angles."""
    half = spread.turn(z, (1.0, 0.0))
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
    sums = spread.running_sums(np.ascontiguousarray(points.T))
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


def angular_sums(
    layer: OneLayer, X: Array, sizes: NDArray[np.int64], pool: Executor, *, row_sums: bool
) -> PartialSums:
    """Sums of a kernel of the angle, by a sweep.

    Parameters
    ----------
    layer : OneLayer
        Without input biases for two features.
    X : ndarray of shape (n_samples, 1 or 2)
        Sorted by class.
    sizes : ndarray of shape (n_classes,)
    pool : Executor
        The bits do not depend on it.
    row_sums : bool
        Whether the row-class sums are kept.

    Raises
    ------
    ShortcutUnavailable
        For zero rows where the activation, or a derivative that the kernel needs, has no single
        value.
    """
    x = np.ascontiguousarray(X.T)
    second = np.full(len(X), math.sqrt(layer.bias / layer.weight)) if len(x) == 1 else x[1]
    points = np.array([x[0], second])
    form = traits(layer.activation).homogeneous
    assert form is not None
    directed = form.degree == 0 or layer.tangent * layer.theta_bias > 0
    if directed and not points.any(axis=0).all():
        raise ShortcutUnavailable("X has zero rows, where the activation or its derivative jumps")
    line = len(x) == 1 and layer.bias == 0 and form.degree < 2
    plane = Line(x, sizes, pool) if line else Plane(points, sizes, pool)
    base, forms = _forms(layer, form, plane, x)
    if base > 0 or not forms:
        forms.append((base, plane.linear(np.ones((1, len(X))))))
    return plane.sums(forms, rows=row_sums)


def _forms(
    layer: OneLayer, form: Homogeneous, plane: Plane, x: Array
) -> tuple[float, list[tuple[float, Form]]]:
    """The constant and the forms, with their coefficients, that add up to the kernel."""
    base, ones = layer.constant, np.ones((1, x.shape[1]))
    odd, even = form.odd**2, form.even**2
    if form.degree == 2:  # odd u|u| + even u^2
        scale = 2 * layer.value * layer.weight**2
        of_even, of_odd = plane.squares(odd=False), plane.squares(odd=True)
        return base, [(even * scale, of_even), (odd * scale, of_odd)]
    if form.degree == 0:  # odd sign(u) + even
        return base + even * layer.value, [(odd * layer.value, plane.sign(ones))]
    base += odd * (layer.value * layer.bias + layer.tangent * layer.theta_bias)
    linear = odd * (layer.value * layer.weight + layer.tangent * layer.theta_weight)
    found: list[tuple[float, Callable[[], Form]]] = [
        (even * layer.value * layer.weight, plane.absolute),
        (even * layer.tangent * layer.theta_weight, partial(plane.sign, x)),
        (even * layer.tangent * layer.theta_bias, partial(plane.sign, ones)),
        (linear, partial(plane.linear, x)),
    ]
    return base, [(coefficient, form()) for coefficient, form in found if coefficient > 0]
