"""A class of rows as a quadrature rule for smooth kernels: sum_i f(x_i) = sum_a w_a f(node_a), f =
k(., z).

The class is cut into boxes until each box has a grid of Chebyshev nodes which resolves k(., z) to
rounding for every z that occurs, or fewer rows than such a grid would have nodes; then the rows
themselves are the nodes. So a few outliers cost no more than their own number.

The decay of the Chebyshev coefficients is measured along lines, and the interpolant is compared
with the kernel at rows of the box; the larger of the two errors enters the bounds.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nc1fast.core.linear import matmul
from nc1fast.kernels.pairwise import squared_distances, stable
from nc1fast.shortcuts import chebyshev
from nc1fast.sums.rounding import UNIT_ROUNDOFF

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nc1fast.kernels.classes import Kernel

    Array = NDArray[np.float64]

_NODES = (6, 9, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48)  # nodes of a box along one feature
# Largest coefficients left out, relative to sqrt(k(x, x) k(z, z)): the rounding of the kernel;
_TAIL = 5e-15
_NEARLY = 1e-13  # and where the coefficients stop falling earlier; also the largest error at rows.
_FEW = 32  # rows that are not worth a grid
_ROWS = 2048  # rows of a box at a time
_SAMPLE = 256  # rows of a box from which the typical k(x, x) is taken
_PROBES = 24  # rows of a box at which its interpolant is tested
# Most nodes of a class whose D2 are evaluated pair by pair. A class that needs more is so wide that
# its D2 are of the size of k, and a difference of sums will do.
PAIRED = 576
# Points z in the coordinates of a box, for which D2(., z) is examined.
_LOOKOUTS = {
    1: np.array([[1.0], [-1.0], [0.3]]),
    2: np.array([[1.0, 1.0], [-1.0, 1.0], [0.3, -1.0], [-0.4, 0.2]]),
}


class Box(NamedTuple):
    """A box with a grid of nodes, and the rows in it.

    Attributes
    ----------
    middle, half : ndarray of shape (d0,)
        Centre and half widths; a half width is 0 where all rows have the same value.
    shape : tuple of int
        Number of nodes along each feature.
    rows : ndarray of intp
        Indices of the rows.
    length : float
        sqrt of the largest k(x, x) found in the box.
    error : float
        Error of the interpolant of k(., z), relative to length sqrt(k(z, z)).
    """

    middle: Array
    half: Array
    shape: tuple[int, ...]
    rows: NDArray[np.intp]
    length: float
    error: float

    def at(self, unit: Array) -> Array:
        """Points (n, d0) from their coordinates in the box."""
        return self.middle + unit * self.half

    def nodes(self) -> Array:
        """The nodes of the grid, (product of shape, d0)."""
        return self.at(chebyshev.grid(self.shape))

    def unit(self, X: Array) -> Array:
        """Coordinates in the box, in [-1, 1], of points (n, d0) in it."""
        return (X - self.middle) / np.where(self.half > 0, self.half, 1.0)

    def parts(self) -> list[NDArray[np.intp]]:
        """The indices of the rows, at most `_ROWS` at a time."""
        return [self.rows[start : start + _ROWS] for start in range(0, len(self.rows), _ROWS)]

    def probes(self) -> NDArray[np.intp]:
        """Indices of at most `_PROBES` rows, evenly spaced."""
        return self.rows[:: -(-len(self.rows) // _PROBES)]

    def distances(self, kernel: Kernel, A: Array, B: Array) -> Array:
        """D2 (m, n) of points A (m, d0) and B (n, d0) in the coordinates of the box, where their
        differences are exact.
        """
        a, b = np.repeat(A, len(B), axis=0), np.tile(B, (len(A), 1))
        D2 = squared_distances(kernel, self.at(a), self.at(b), (a - b) * self.half)
        return D2.reshape(len(A), len(B))

    def interpolation(self, unit: Array) -> Array:
        """The matrix (n, nodes) that takes values on the nodes to n points in the coordinates of
        the box.
        """
        out = np.ones((len(unit), 1))
        for axis, n in enumerate(self.shape):
            basis = matmul(chebyshev.polynomials(unit[:, axis], n).T, chebyshev.nodes(n)[1])
            out = (out[:, :, None] * basis[:, None, :]).reshape(len(unit), -1)
        return out


def as_they_are(rows: Array) -> Box:
    """A box without a grid whose coordinates are those of the rows themselves."""
    d0 = rows.shape[1]
    return Box(np.zeros(d0), np.ones(d0), (), np.arange(len(rows)), 0.0, 0.0)


class Boxes(NamedTuple):
    """The boxes of a class, and its rows that are nodes themselves.

    Attributes
    ----------
    grids : list of Box
    rows : ndarray of intp
        Indices of rows that are in no box.
    spread_error : float or None
        Error of the interpolant of D2, relative to the largest D2; None where D2 is not evaluated
        pair by pair.
    """

    grids: list[Box]
    rows: NDArray[np.intp]
    spread_error: float | None


class Budget:
    """The number of nodes that are left; classes that are cut at the same time share it."""

    def __init__(self, nodes: int) -> None:
        self._left = nodes
        self._lock = Lock()

    def take(self, nodes: int) -> bool:
        """Take nodes, and say whether there were enough."""
        with self._lock:
            self._left -= nodes
            return self._left >= 0


def _enough(values: Array, scale: Array, noise: float) -> tuple[int, float] | None:
    """The number of nodes that m functions need, and the largest coefficient left out; None if they
    need more.

    Parameters
    ----------
    values : ndarray of shape (n, m)
        The functions on the largest number of nodes.
    scale : ndarray of shape (m,)
    noise : float
        Rounding of the values, relative to `scale`. Coefficients of at most `_NEARLY` that fall no
        further are rounding too.
    """
    coefficients = matmul(chebyshev.nodes(_NODES[-1])[1], values)
    size = (np.abs(coefficients) / scale).max(axis=1)
    tails = np.maximum.accumulate(size[::-1])[::-1]
    tails = np.maximum(tails - noise, 0.0)
    last, before = float(tails[-4]), float(tails[-12])
    allowed = _TAIL
    if last > _TAIL:
        if last > _NEARLY or before > 2 * last:
            return None
        allowed = 2 * last
    n = next((n for n in _NODES if n < len(tails) and tails[n] <= allowed), _NODES[-1])
    return n, float(tails[min(n, len(tails) - 1)])


def _fit(
    kernel: Kernel, box: Box, axis: int, witnesses: Array, *, spread: bool
) -> tuple[int, float] | None:
    """The number of nodes along an axis for k(., z), or with `spread` for D2, and the error, from
    some lines; None for too many.
    """
    d0 = len(box.half)
    if box.half[axis] == 0:
        return 1, 0.0
    nodes, lookouts = chebyshev.nodes(_NODES[-1])[0], _LOOKOUTS[d0]
    columns, scale, noise = [], [], 0.0
    for across in (-1.0, 0.0, 1.0) if d0 > 1 else (0.0,):
        unit = np.where(np.arange(d0) == axis, nodes[:, None], across)
        if spread:
            values = box.distances(kernel, unit, lookouts)
            scale.append(np.full(len(lookouts), np.abs(values).max()))
        else:
            values = kernel(box.at(unit), witnesses, n_threads=1)
            scale.append(box.length * np.sqrt(kernel.diag(witnesses)))
        columns.append(values)
    size = np.concatenate(scale)
    if spread:
        size[:] = size.max() or 1.0
        if not stable(kernel, d0):
            noise = 8 * UNIT_ROUNDOFF * box.length**2 / float(size[0])
    return _enough(np.concatenate(columns, axis=1), np.where(size > 0, size, 1.0), noise)


def _probed(kernel: Kernel, box: Box, X: Array, witnesses: Array) -> float:
    """The largest error of the interpolant of k(., z) at some rows of the box, relative to length
    sqrt(k(z, z)).
    """
    points = X[box.probes()]
    exact = kernel(points, witnesses, n_threads=1)
    on_nodes = kernel(box.nodes(), witnesses, n_threads=1)
    interpolant = matmul(box.interpolation(box.unit(points)), on_nodes)
    size = box.length * np.sqrt(kernel.diag(witnesses))
    return float((np.abs(interpolant - exact) / np.where(size > 0, size, 1.0)).max())


def cut(
    kernel: Kernel, X: Array, rows: NDArray[np.intp], witnesses: Array, budget: Budget
) -> Boxes | None:
    """Cut the rows of a class into boxes.

    Parameters
    ----------
    kernel : Kernel
    X : ndarray of shape (n_samples, 1 or 2)
    rows : ndarray of shape (n,)
        Indices of the rows of the class.
    witnesses : ndarray of shape (m, n_features)
        The z for which k(., z) is examined.
    budget : Budget
        Nodes left for all classes.

    Returns
    -------
    Boxes or None
        None if the budget is exceeded.
    """
    grids: list[Box] = []
    alone: list[NDArray[np.intp]] = []
    waiting = [rows]
    while waiting:
        part = waiting.pop()
        fitted = _box(kernel, X, part, witnesses)
        if isinstance(fitted, int):
            value = X[part, fitted]
            upper = value > value.min() / 2 + value.max() / 2
            if upper.any():
                waiting += [part[upper], part[~upper]]
                continue
            fitted = None  # neighbouring floats cannot be cut
        if fitted is None:
            alone.append(part)
        else:
            grids.append(fitted)
        if not budget.take(len(part) if fitted is None else int(np.prod(fitted.shape))):
            return None
    if len(grids) == 1 and not alone:
        grids[0], spread_error = _with_spread(kernel, grids[0])
        return Boxes(grids, rows[:0], spread_error)
    if not grids and len(rows) <= PAIRED:
        return Boxes(grids, rows, 0.0)
    return Boxes(grids, np.concatenate([rows[:0], *alone]), None)


def _box(kernel: Kernel, X: Array, rows: NDArray[np.intp], witnesses: Array) -> Box | int | None:
    """A box of these rows; or the feature along which to cut them; or None if they are better nodes
    themselves.
    """
    if len(rows) <= _FEW:
        return None
    low, high = X[rows].min(axis=0), X[rows].max(axis=0)
    middle, half = low / 2 + high / 2, high / 2 - low / 2
    lookouts = middle + _LOOKOUTS[len(half)] * half
    length = float(np.sqrt(kernel.diag(np.concatenate([lookouts, X[rows[:1]]])).max()))
    box = Box(middle, half, (1,) * len(half), rows, length, 0.0)
    shape, tails = [], []
    for axis in range(len(half)):
        fit = _fit(kernel, box, axis, witnesses, spread=False)
        if fit is None:
            return None if len(rows) <= _NODES[-1] ** len(half) // 4 else axis
        shape.append(fit[0])
        tails.append(fit[1])
    box = box._replace(shape=tuple(shape))
    if len(rows) <= np.prod(shape):
        return None
    error = max(_probed(kernel, box, X, witnesses), *tails)
    typical = float(np.sqrt(kernel.diag(X[rows[:: -(-len(rows) // _SAMPLE)]])).mean())
    if error > _NEARLY or error * length > _NEARLY * typical:
        return int(np.argmax(half))
    return box._replace(error=error)


def _with_spread(kernel: Kernel, box: Box) -> tuple[Box, float | None]:
    """The box with enough nodes for D2 too, and the error of D2; or the box as it is and None, if
    that takes too many.
    """
    fits = [_fit(kernel, box, axis, box.middle, spread=True) for axis in range(len(box.half))]
    if any(fit is None for fit in fits):
        return box, None
    shape = tuple(max(n, fit[0]) for n, fit in zip(box.shape, fits, strict=True) if fit)
    if np.prod(shape) > PAIRED:
        return box, None
    return box._replace(shape=shape), max(fit[1] for fit in fits if fit)
