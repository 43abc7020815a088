"""Smooth kernels of one or two features, summed through interpolation nodes: O(N p^d0), p nodes a feature.

On a small enough box a smooth kernel is its Chebyshev interpolant to rounding, k(x, z) = sum_a L_a(x) k(node_a, z). So a class,
cut into such cells, is a quadrature rule with the weights sum_i L_a(x_i), whatever the number of its rows:

    block_sums[c, c'] = weights_c . k(nodes_c, nodes_c') . weights_c'
    within[c]         = weights_c . D2(nodes_c, nodes_c) . weights_c / (2 n_c)

The weights come from the Chebyshev moments sum_i T_k(x_i) T_l(y_i), a matrix product. Nodes are added, and cells cut, until the
Chebyshev coefficients of k and of D2, which is small where the class is, have fallen to rounding.
Source: Trefethen, Approximation Theory and Approximation Practice (2013), chapters 4 and 8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nc1fast._errors import UNIT_ROUNDOFF, summation_error
from nc1fast.pairwise import squared_distances, stable
from nc1fast.shortcuts.partial import PartialSums

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from nc1fast.kernels import Kernel

    Array = NDArray[np.float64]

_NODES = (6, 9, 12, 16, 20, 24, 28, 32)  # of a cell along one feature, as many as it takes
_CUTS = 4  # of a box into halves, one within the other
_MOST = 8192  # nodes of a class
_PAIRED = 1024  # nodes of a class of one cell: its D2 is evaluated pair by pair. A class that needs more cells is so wide
#                 that its D2 are of the size of k, and their difference will do
_TAIL = 1e-15  # the last coefficients beside the largest value: rounding
_NEARLY = 1e-13  # where more nodes that bring less than half are no use any more
_ROWS = 4096  # rows of X at a time
_BLOCK = 1 << 20  # kernel values at a time
# Points about a box, in its coordinates, from which D2 is looked at.
_LOOKOUTS = {
    1: np.array([[1.0], [-1.0], [0.3]]),
    2: np.array([[1.0, 1.0], [-1.0, 1.0], [0.3, -1.0], [-0.4, 0.2]]),
}


class _Cell(NamedTuple):
    """A box with its nodes, and the rows in it."""

    middle: Array  # (d0,)
    half: Array  # (d0,) half widths; 0 where all rows have one value
    shape: tuple[int, ...]  # nodes of each feature
    rows: NDArray[np.intp]

    @property
    def unit_nodes(self) -> Array:
        """Nodes in the coordinates of the box, (p^d0, d0), first feature slowest."""
        axes = [_chebyshev(n)[0] for n in self.shape]
        return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))


class _Rule(NamedTuple):
    """A class as a quadrature rule."""

    cells: list[_Cell]
    nodes: Array  # (M, d0)
    weights: Array  # (M,)
    tails: Array  # (2,) of k and of D2, relative to their largest values


def _polynomials(x: Array, n: int) -> Array:
    """T_0 ... T_{n-1}: (n, len(x))."""
    T = np.ones((n, len(x)))
    if n > 1:
        T[1] = x
    for k in range(2, n):
        T[k] = 2 * x * T[k - 1] - T[k - 2]
    return T


def _chebyshev(n: int) -> tuple[Array, Array]:
    """Nodes in (-1, 1), and the matrix that turns values there into coefficients of T_k."""
    angle = (np.arange(n) + 0.5) * np.pi / n
    to_coefficients = 2 / n * np.cos(np.outer(np.arange(n), angle))
    to_coefficients[0] /= 2
    return np.cos(angle), to_coefficients


def _transformed(values: Array, shape: tuple[int, ...], *, transposed: bool = False) -> Array:
    """Values on the nodes to Chebyshev coefficients along each feature, or its transpose."""
    out = values.reshape(shape)
    for axis, n in enumerate(shape):
        matrix = _chebyshev(n)[1]
        out = np.moveaxis(np.tensordot(matrix.T if transposed else matrix, out, (1, axis)), 0, axis)
    return out


def _distances(kernel: Kernel, cell: _Cell, A: Array, B: Array) -> Array:
    """D2 of all pairs of points given in the coordinates of the box, where their differences are exact."""
    a, b = np.repeat(A, len(B), axis=0), np.tile(B, (len(A), 1))
    difference = (a - b) * cell.half
    a, b = cell.middle + a * cell.half, cell.middle + b * cell.half
    return squared_distances(kernel, a, b, difference).reshape(len(A), len(B))


def _tails(kernel: Kernel, cell: _Cell, axis: int, anchors: Array) -> Array:
    """Last two coefficients along an axis, of k and of D2, beside their largest values; the largest over some lines."""
    d0, n = len(cell.half), cell.shape[axis]
    nodes, to_coefficients = _chebyshev(n)
    lookouts = _LOOKOUTS[d0]
    own = float(kernel.diag(cell.middle + lookouts * cell.half).max())
    largest = np.sqrt(own * float(kernel.diag(anchors).max()))
    noise = 0.0 if stable(kernel) else 8 * UNIT_ROUNDOFF * own
    tails = np.zeros(2)
    for across in (-1.0, 0.0, 1.0) if d0 > 1 else (0.0,):
        unit = np.where(np.arange(d0) == axis, nodes[:, None], across)
        values = kernel(cell.middle + unit * cell.half, anchors)
        distances = _distances(kernel, cell, unit, lookouts)
        last = [float(np.abs((to_coefficients @ v)[-2:]).max()) for v in (values, distances)]
        furthest = float(np.abs(distances).max()) or 1.0
        tails = np.maximum(tails, [last[0] / largest, max(last[1] - noise, 0.0) / furthest])
    return tails


def _fitted(
    kernel: Kernel, X: Array, rows: NDArray[np.intp], anchors: Array, cuts: int = _CUTS
) -> list[tuple[_Cell, Array]] | None:
    """Cells of these rows, each with enough nodes, and their tails; None if the box would have to be cut too often."""
    low, high = X[rows].min(axis=0), X[rows].max(axis=0)
    d0 = X.shape[1]
    cell = _Cell((low + high) / 2, (high - low) / 2, (1,) * d0, rows)
    tails = np.zeros(2)
    for axis in range(d0):
        if cell.half[axis] == 0:
            continue
        before = np.full(2, np.inf)
        for n in _NODES:
            cell = cell._replace(shape=(*cell.shape[:axis], n, *cell.shape[axis + 1 :]))
            tail = _tails(kernel, cell, axis, anchors)
            if ((tail <= _TAIL) | ((tail <= _NEARLY) & (tail > before / 2))).all():
                tails = np.maximum(tails, tail)
                break
            before = tail
        else:
            if cuts == 0:
                return None
            upper = X[rows, axis] > cell.middle[axis]
            first = _fitted(kernel, X, rows[~upper], anchors, cuts - 1)
            second = first and _fitted(kernel, X, rows[upper], anchors, cuts - 1)
            return first + second if first and second else None
    return [(cell, tails)]


def _scaled(cell: _Cell, X: NDArray[Any]) -> Iterator[list[Array]]:
    """T_k of each feature, by chunks of the rows of the cell."""
    width = np.where(cell.half > 0, cell.half, 1.0)
    for start in range(0, len(cell.rows), _ROWS):
        unit = (X[cell.rows[start : start + _ROWS]] - cell.middle) / width
        yield [_polynomials(unit[:, a], n) for a, n in enumerate(cell.shape)]


def _rule(kernel: Kernel, X: Array, rows: NDArray[np.intp], anchors: Array) -> _Rule | None:
    """The quadrature rule of a class; None if it would need too many nodes."""
    fitted = _fitted(kernel, X, rows, anchors)
    if fitted is None or sum(int(np.prod(cell.shape)) for cell, _ in fitted) > _MOST:
        return None
    nodes, weights = [], []
    for cell, _ in fitted:
        moments = np.zeros(cell.shape)
        for T in _scaled(cell, X):
            moments += T[0].sum(axis=1) if len(T) == 1 else T[0] @ T[1].T
        weights.append(_transformed(moments, cell.shape, transposed=True).ravel())
        nodes.append(cell.middle + cell.unit_nodes * cell.half)
    tails = np.max([tail for _, tail in fitted], axis=0)
    return _Rule([c for c, _ in fitted], np.concatenate(nodes), np.concatenate(weights), tails)


def interpolated_sums(
    kernel: Kernel, X: Array, sizes: NDArray[np.int64], *, rows: bool
) -> PartialSums | None:
    """Class sums of a smooth kernel of one or two features; None where the rows spread too far for it.

    Parameters
    ----------
    kernel : Kernel
        Analytic in the rows: any depth of an activation that is.
    X : ndarray of shape (n_samples, 1 or 2)
        Sorted by class.
    sizes : ndarray of shape (n_classes,)
    rows : bool
        Whether to keep the row-class sums.

    Notes
    -----
    Cost: 2 N p^d0 flops and, for each two classes, as many kernel values as pairs of their nodes; with rows 2 N C p^d0
    more. A class has some 10 nodes a feature where it is narrow beside the scale of the activation.
    Accuracy: as the bounds say: about 1e-14 of each block sum; within_c 1e-13 relative where D2 is stable and no row is far
    outside of its class (a row at r standard deviations costs r^2), else that of a difference of such sums.
    """
    ends = np.cumsum(sizes)
    classes = [np.arange(end - n, end) for n, end in zip(sizes, ends, strict=True)]
    corners = [limit for rows in classes for limit in (X[rows].min(axis=0), X[rows].max(axis=0))]
    anchors = np.unique(corners, axis=0)
    anchors = anchors[:: max(1, len(anchors) // 16)]
    rules: list[_Rule] = []
    for members in classes:
        rule = _rule(kernel, X, members, anchors)
        if rule is None:
            return None
        rules.append(rule)
    most = max(n for rule in rules for cell in rule.cells for n in cell.shape)
    rounding = UNIT_ROUNDOFF * (60 + 4 * most + summation_error(int(sizes.max())))

    C = len(sizes)
    block, block_error = np.zeros((C, C)), np.zeros((C, C))
    out = np.empty((C, len(X))) if rows else None
    for c, rule in enumerate(rules):
        for e in range(0 if rows else c, C):
            towards = np.empty(len(rule.nodes))
            block[c, e], block_error[c, e] = _between(kernel, rule, rules[e], rounding, towards)
            if out is not None:
                _evaluate(rule, towards, X, out[e])
    block, block_error = np.triu(block), np.triu(block_error)
    block, block_error = block + np.triu(block, 1).T, block_error + np.triu(block_error, 1).T
    spread = [_within(kernel, r, int(n), rounding) for r, n in zip(rules, sizes, strict=True)]
    within, within_error = np.array(spread).T
    traces = np.array([kernel.diag(X[members]).sum() for members in classes])
    traces_error = UNIT_ROUNDOFF * (summation_error(len(X)) + 30) * traces
    return PartialSums(block, within, traces, block_error, within_error, traces_error, out)


def _parts(n: int, other: int) -> Iterator[slice]:
    """Slices of n such that a slice times `other` is a block of kernel values."""
    step = max(1, _BLOCK // other)
    return (slice(start, start + step) for start in range(0, n, step))


def _between(
    kernel: Kernel, rule: _Rule, other: _Rule, rounding: float, towards: Array
) -> tuple[float, float]:
    """The block sum of two classes and a bound on its error; `towards` becomes k(nodes, .) summed over the other."""
    size, largest = 0.0, 0.0
    magnitude, others = np.abs(rule.weights), np.abs(other.weights)
    for part in _parts(len(rule.nodes), len(other.nodes)):
        K = kernel(rule.nodes[part], other.nodes)
        towards[part] = K @ other.weights
        np.abs(K, out=K)
        size += float(magnitude[part] @ (K @ others))
        largest = max(largest, float(K.max()))
    tail = 8 * max(rule.tails[0], other.tails[0]) * magnitude.sum() * others.sum() * largest
    return float(rule.weights @ towards), rounding * size + float(tail)


def _within(kernel: Kernel, rule: _Rule, n: int, rounding: float) -> tuple[float, float]:
    """The double sum of D2 over 2 n, and a bound on its error."""
    cell, weights = rule.cells[0], rule.weights
    paired = stable(kernel) and len(rule.cells) == 1 and len(weights) <= _PAIRED
    unit, diagonal = cell.unit_nodes, kernel.diag(rule.nodes)
    total, size, furthest = 0.0, 0.0, 0.0
    magnitude = np.abs(weights)
    for part in _parts(len(weights), len(weights)):
        if paired:
            D2 = _distances(kernel, cell, unit[part], unit)
        else:
            D2 = diagonal[part, None] + diagonal - 2 * kernel(rule.nodes[part], rule.nodes)
        total += float(weights[part] @ D2 @ weights)
        size += float(magnitude[part] @ np.abs(D2) @ magnitude)
        furthest = max(furthest, float(D2.max()))
    mass = float(magnitude.sum())
    error = rounding * size + 8 * float(rule.tails[1]) * mass**2 * furthest
    if not paired:
        error += 32 * UNIT_ROUNDOFF * mass * float(magnitude @ diagonal)
    return max(total, 0.0) / (2 * n), error / (2 * n)


def _evaluate(rule: _Rule, values: Array, X: Array, out: Array) -> None:
    """The interpolant of values on the nodes, at the rows of the class, into their places."""
    start = 0
    for cell in rule.cells:
        stop = start + int(np.prod(cell.shape))
        coefficients = _transformed(values[start:stop], cell.shape)
        parts = []
        for T in _scaled(cell, X):
            last = coefficients @ T[-1]  # (p, n) or (n,)
            parts.append(last if len(T) == 1 else np.einsum("kn,kn->n", T[0], last))
        out[cell.rows] = np.concatenate(parts)
        start = stop
