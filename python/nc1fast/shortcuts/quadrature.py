"""A class of rows as a quadrature rule for smooth kernels: sum_i f(x_i) = sum_a w_a f(node_a), f = k(., z).

The box of the class is cut into cells until a cell has a grid of Chebyshev nodes on which k(., z) is known to rounding, for all
z that occur, or no more rows than such a grid would have nodes; then its rows are its nodes. So a few rows far outside cost
no more than themselves.

How far the Chebyshev coefficients have fallen is looked at along lines, then the interpolant is compared with the kernel at rows
of the cell; the larger of the two is the error that the bounds count with.
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

_NODES = (6, 9, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48)  # of a cell along one feature
_TAIL = (
    5e-15  # coefficients that are left out, beside sqrt(k(x, x) k(z, z)): rounding of the kernel
)
_NEARLY = 1e-13  # the same where they fall no further, and of the error at rows
_FEW = 32  # rows not worth a grid
_ROWS = 2048  # of a cell at a time
_SAMPLE = 256  # rows of a cell from which the typical k(x, x) is taken
_PROBES = 24  # rows of a cell at which its interpolant is looked at
PAIRED = 576  # nodes of a class up to which its D2 are evaluated pair by pair. A class that needs more is so wide
#               that its D2 are of the size of k, and their difference will do
# Points about a box, in its coordinates, from which D2 is looked at.
_LOOKOUTS = {
    1: np.array([[1.0], [-1.0], [0.3]]),
    2: np.array([[1.0, 1.0], [-1.0, 1.0], [0.3, -1.0], [-0.4, 0.2]]),
}


class Cell(NamedTuple):
    """A box with a grid of nodes, and the rows in it."""

    middle: Array  # (d0,)
    half: Array  # (d0,) half widths; 0 where all rows have one value
    shape: tuple[int, ...]  # nodes of each feature
    rows: NDArray[np.intp]
    length: float  # sqrt of the largest k(x, x) looked at
    error: float  # of the interpolant of k(., z), beside length sqrt(k(z, z))

    def at(self, unit: Array) -> Array:
        """Points given in the coordinates of the box."""
        return self.middle + unit * self.half

    def nodes(self) -> Array:
        """Nodes of the grid, (product of shape, d0)."""
        return self.at(chebyshev.grid(self.shape))

    def unit(self, X: Array) -> Array:
        """Coordinates in the box of points in it."""
        return (X - self.middle) / np.where(self.half > 0, self.half, 1.0)

    def parts(self) -> list[NDArray[np.intp]]:
        """The rows, some at a time."""
        return [self.rows[start : start + _ROWS] for start in range(0, len(self.rows), _ROWS)]

    def probes(self) -> NDArray[np.intp]:
        """A few of the rows, evenly spaced."""
        return self.rows[:: -(-len(self.rows) // _PROBES)]

    def distances(self, kernel: Kernel, A: Array, B: Array) -> Array:
        """D2 of all pairs of points given in the coordinates of the box, where their differences are exact."""
        a, b = np.repeat(A, len(B), axis=0), np.tile(B, (len(A), 1))
        D2 = squared_distances(kernel, self.at(a), self.at(b), (a - b) * self.half)
        return D2.reshape(len(A), len(B))

    def interpolation(self, unit: Array) -> Array:
        """The matrix from values on the nodes to values at points in the coordinates of the box."""
        out = np.ones((len(unit), 1))
        for axis, n in enumerate(self.shape):
            basis = matmul(chebyshev.polynomials(unit[:, axis], n).T, chebyshev.nodes(n)[1])
            out = (out[:, :, None] * basis[:, None, :]).reshape(len(unit), -1)
        return out


def as_they_are(rows: Array) -> Cell:
    """The box whose coordinates are those of the rows."""
    d0 = rows.shape[1]
    return Cell(np.zeros(d0), np.ones(d0), (), np.arange(len(rows)), 0.0, 0.0)


class Cells(NamedTuple):
    """The cells of a class, and its rows that stand for themselves."""

    grids: list[Cell]
    rows: NDArray[np.intp]
    spread_error: (
        float | None
    )  # tail of D2 beside its largest; None where D2 is not evaluated pair by pair


class Budget:
    """Nodes that are left for the classes, which may be cut at the same time."""

    def __init__(self, nodes: int) -> None:
        self._left = nodes
        self._lock = Lock()

    def take(self, nodes: int) -> bool:
        """Whether there are so many."""
        with self._lock:
            self._left -= nodes
            return self._left >= 0


def _enough(values: Array, scale: Array, noise: float) -> tuple[int, float] | None:
    """Nodes that functions need which are given on the largest number of nodes, (n, m), and what they leave out.

    None if they need more. A tail that stays where it is, at most `_NEARLY`, is rounding.
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
    kernel: Kernel, cell: Cell, axis: int, witnesses: Array, *, spread: bool
) -> tuple[int, float] | None:
    """Nodes along an axis for k(., z), or for D2, and what they leave out; over some lines."""
    d0 = len(cell.half)
    if cell.half[axis] == 0:
        return 1, 0.0
    nodes, lookouts = chebyshev.nodes(_NODES[-1])[0], _LOOKOUTS[d0]
    columns, scale, noise = [], [], 0.0
    for across in (-1.0, 0.0, 1.0) if d0 > 1 else (0.0,):
        unit = np.where(np.arange(d0) == axis, nodes[:, None], across)
        if spread:
            values = cell.distances(kernel, unit, lookouts)
            scale.append(np.full(len(lookouts), np.abs(values).max()))
        else:
            values = kernel(cell.at(unit), witnesses, n_threads=1)
            scale.append(cell.length * np.sqrt(kernel.diag(witnesses)))
        columns.append(values)
    size = np.concatenate(scale)
    if spread:
        size[:] = size.max() or 1.0
        noise = 0.0 if stable(kernel) else 8 * UNIT_ROUNDOFF * cell.length**2 / float(size[0])
    return _enough(np.concatenate(columns, axis=1), np.where(size > 0, size, 1.0), noise)


def _probed(kernel: Kernel, cell: Cell, X: Array, witnesses: Array) -> float:
    """The largest error of the interpolant of k(., z) at some rows of the cell, beside length sqrt(k(z, z))."""
    points = X[cell.probes()]
    exact = kernel(points, witnesses, n_threads=1)
    on_nodes = kernel(cell.nodes(), witnesses, n_threads=1)
    interpolant = matmul(cell.interpolation(cell.unit(points)), on_nodes)
    size = cell.length * np.sqrt(kernel.diag(witnesses))
    return float((np.abs(interpolant - exact) / np.where(size > 0, size, 1.0)).max())


def cut(
    kernel: Kernel, X: Array, rows: NDArray[np.intp], witnesses: Array, budget: Budget
) -> Cells | None:
    """Cut the rows of a class into cells.

    Parameters
    ----------
    kernel : Kernel
    X : ndarray of shape (n_samples, 1 or 2)
    rows : ndarray of shape (n,)
        Those of the class.
    witnesses : ndarray of shape (m, n_features)
        The z at which k(., z) is looked at.
    budget : Budget
        Of the nodes of all classes.

    Returns
    -------
    Cells or None
        None where more nodes would be needed.
    """
    grids: list[Cell] = []
    alone: list[NDArray[np.intp]] = []
    waiting = [rows]
    while waiting:
        part = waiting.pop()
        fitted = _cell(kernel, X, part, witnesses)
        if isinstance(fitted, int):
            value = X[part, fitted]
            upper = value > value.min() / 2 + value.max() / 2
            if upper.any():
                waiting += [part[upper], part[~upper]]
                continue
            fitted = None  # neighbouring numbers
        if fitted is None:
            alone.append(part)
        else:
            grids.append(fitted)
        if not budget.take(len(part) if fitted is None else int(np.prod(fitted.shape))):
            return None
    if len(grids) == 1 and not alone:
        grids[0], spread_error = _with_spread(kernel, grids[0])
        return Cells(grids, rows[:0], spread_error)
    if not grids and len(rows) <= PAIRED:
        return Cells(grids, rows, 0.0)
    return Cells(grids, np.concatenate([rows[:0], *alone]), None)


def _cell(kernel: Kernel, X: Array, rows: NDArray[np.intp], witnesses: Array) -> Cell | int | None:
    """A cell of these rows; the feature along which they are to be cut; or None if they stand for themselves."""
    if len(rows) <= _FEW:
        return None
    low, high = X[rows].min(axis=0), X[rows].max(axis=0)
    middle, half = low / 2 + high / 2, high / 2 - low / 2
    lookouts = middle + _LOOKOUTS[len(half)] * half
    length = float(np.sqrt(kernel.diag(np.concatenate([lookouts, X[rows[:1]]])).max()))
    cell = Cell(middle, half, (1,) * len(half), rows, length, 0.0)
    shape, tails = [], []
    for axis in range(len(half)):
        fit = _fit(kernel, cell, axis, witnesses, spread=False)
        if fit is None:
            return None if len(rows) <= _NODES[-1] ** len(half) // 4 else axis
        shape.append(fit[0])
        tails.append(fit[1])
    cell = cell._replace(shape=tuple(shape))
    if len(rows) <= np.prod(shape):
        return None
    error = max(_probed(kernel, cell, X, witnesses), *tails)
    typical = float(np.sqrt(kernel.diag(X[rows[:: -(-len(rows) // _SAMPLE)]])).mean())
    if error > _NEARLY or error * length > _NEARLY * typical:
        return int(np.argmax(half))
    return cell._replace(error=error)


def _with_spread(kernel: Kernel, cell: Cell) -> tuple[Cell, float | None]:
    """The grid with enough nodes for D2 too, and the tail of D2; as it is, and None, if that would be many."""
    fits = [_fit(kernel, cell, axis, cell.middle, spread=True) for axis in range(len(cell.half))]
    if any(fit is None for fit in fits):
        return cell, None
    shape = tuple(max(n, fit[0]) for n, fit in zip(cell.shape, fits, strict=True) if fit)
    if np.prod(shape) > PAIRED:
        return cell, None
    return cell._replace(shape=shape), max(fit[1] for fit in fits if fit)
