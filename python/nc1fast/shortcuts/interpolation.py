"""Smooth kernels of one or two features, summed through interpolation nodes: O(N p^d0), p nodes a
feature.

On a small enough box a smooth kernel is its Chebyshev interpolant to rounding, k(x, z) = sum_a
L_a(x) k(node_a, z). So a class, cut into such boxes, is a quadrature rule with the weights sum_i
L_a(x_i), whatever the number of its rows:

    block_sums[c, c'] = weights_c . k(nodes_c, nodes_c') . weights_c'
    within[c]         = weights_c . D2(nodes_c, nodes_c) . weights_c / (2 n_c)

and R, the sums of rows and classes, are the interpolants of k(nodes_c, nodes_c') . weights_c' at
the rows. The weights come from the moments sum_i T_k(x_i) T_l(y_i), a matrix product.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nc1fast.core.linear import matmul
from nc1fast.core.rounding import row_errors
from nc1fast.kernels.pairwise import stable
from nc1fast.shortcuts import chebyshev
from nc1fast.shortcuts.partial import PartialSums, ShortcutUnavailable, rows_by_class
from nc1fast.shortcuts.quadrature import Box, Boxes, Budget, as_they_are, cut
from nc1fast.sums.rounding import UNIT_ROUNDOFF, moved, summation_error

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from numpy.typing import NDArray

    from nc1fast.kernels.classes import Kernel

    Array = NDArray[np.float64]

_MOST = 1 << 16  # nodes of all classes
_FEWER = 3  # rows per node at least, with `only_if_quicker`
_TILE = 512  # nodes of a side of a tile
_ROWS = 1 << 16  # rows whose k(x, x) are evaluated at a time
_TAILS = 16.0  # safety factor on the observed errors of interpolants
_COORDINATES = 8.0  # errors of a row, and of a node, in the coordinates of its box: unit roundoffs
_WITNESSES = 48  # rows z at which k(., z) is examined
_NARROWEST = 2.0**-480  # extent of a class below which squares of distances lose digits


class _Rule(NamedTuple):
    """A class as a quadrature rule: nodes, weights, and what bounds its errors."""

    boxes: Boxes
    nodes: Array  # (M, d0)
    weights: Array  # (M,)
    size: float  # sum of |weight| sqrt(k(node, node))
    error: float  # of the sum over the class of k(., z), beside sqrt(k(z, z))
    # Sum of |weight| sqrt(entry) of the nodes: roundings of the kernel and of the coordinates.
    noise: float
    moved: float  # sum of |weight| moved


def interpolated_sums(
    kernel: Kernel,
    X: Array,
    sizes: NDArray[np.int64],
    pool: Executor,
    *,
    rows: bool,
    only_if_quicker: bool = False,
) -> PartialSums:
    """Class sums of a smooth kernel of one or two features.

    Parameters
    ----------
    kernel : Kernel
        Analytic in the rows: any depth of an activation that is.
    X : ndarray of shape (n_samples, 1 or 2)
        Sorted by class.
    sizes : ndarray of shape (n_classes,)
    pool : Executor
        Runs tasks of some rows or nodes; the bits do not depend on it.
    rows : bool
        Whether to keep the row-class sums.
    only_if_quicker : bool
        Whether to refuse rows for which the pass over pairs would cost less.

    Raises
    ------
    ShortcutUnavailable
        If X spreads so far that a class needs too many nodes.

    Notes
    -----
    Cost: 2 N p^d0 flops, half of M^2 kernel values for M nodes of all classes, and with rows 2 N C
    p^d0 flops more. A class has some 10 nodes a feature where it is narrow beside the scale of the
    activation, some thousands in the plane where it is wide.
    Accuracy: as the bounds say: about 1e-14 of each block sum; within_c 1e-13 relative where D2 is
    stable and no row is far outside of its class (a row at r standard deviations costs r^2), else
    that of a difference of such sums.
    """
    slices = rows_by_class(sizes)
    witnesses = _witnesses(X, slices)
    budget = Budget(min(_MOST, len(X) // _FEWER) if only_if_quicker else _MOST)
    rows_of = [np.arange(members.start, members.stop) for members in slices]
    boxes: list[Boxes] = []
    for one in pool.map(lambda index: cut(kernel, X, index, witnesses, budget), rows_of):
        if one is None:
            raise ShortcutUnavailable(
                f"the shortcut for {kernel!r} needs too many nodes: "
                "X spreads too far for this activation"
            )
        boxes.append(one)
    rules = [_rule(kernel, X, one, pool) for one in boxes]
    towards = _products(kernel, rules, pool)
    spread = [_pairs(kernel, rule, X, pool) for rule in rules]
    out = _rows(rules, towards, X, pool) if rows else None
    traces, off = np.array([_trace(kernel, X[members], pool) for members in slices]).T

    largest = int(sizes.max())
    longest = max((max(box.shape) for rule in rules for box in rule.boxes.grids), default=1)
    rounding = UNIT_ROUNDOFF * (208 + 4 * longest + summation_error(largest))
    sums = [(of * rule.weights).sum(axis=1) for of, rule in zip(towards, rules, strict=True)]
    block = np.array(sums)  # (C, C)
    size, error, noise, shifts = np.array([rule[3:] for rule in rules]).T
    tail = np.outer(error, size)
    block_error = rounding * np.outer(size, size) + _TAILS * (tail + tail.T)
    block_error += UNIT_ROUNDOFF * np.outer(noise, noise)
    block_error = np.minimum(block_error, 2.02 * np.outer(size, size))
    traces_error = UNIT_ROUNDOFF * ((summation_error(largest) + 40) * traces + off)
    within, within_error = traces - np.diag(block) / sizes, np.diag(block_error) / sizes
    within_error = within_error + traces_error
    for c, pairs in enumerate(spread):
        if pairs is not None:
            total, magnitude, tail_error = pairs
            within[c] = total / (2 * sizes[c])
            within_error[c] = (rounding * magnitude + tail_error) / (2 * sizes[c])
            within_error[c] += moved(within[c] + within_error[c], UNIT_ROUNDOFF**2 * shifts[c])
    within, block = np.maximum(within, 0.0), (block + block.T) / 2
    return PartialSums(block, within, traces, block_error, within_error, traces_error, out)


def _witnesses(X: Array, slices: list[slice]) -> Array:
    """Rows at the ends of the data and of the classes, and evenly spaced ones between: (m, d0)."""
    ends = [X.argmin(axis=0), X.argmax(axis=0)]
    for part in slices:
        ends += [part.start + X[part].argmin(axis=0), part.start + X[part].argmax(axis=0)]
    whole, of_classes = np.concatenate(ends[:2]), np.concatenate(ends[2:])
    index = np.arange(0, len(X), -(-len(X) // (_WITNESSES // 2)))
    thinned = of_classes[:: -(-len(of_classes) // (_WITNESSES // 2))]
    return np.asarray(X[np.unique(np.concatenate([whole, thinned, index]))])


def _rule(kernel: Kernel, X: Array, boxes: Boxes, pool: Executor) -> _Rule:
    """Nodes and weights of a class, from its boxes."""
    nodes, weights, error = [], [], 0.0
    for box in boxes.grids:
        tasks = pool.map(lambda r, c=box: chebyshev.moments(c.unit(X[r]), c.shape), box.parts())
        parts = list(tasks)
        together = np.ascontiguousarray(np.array(parts).reshape(len(parts), -1).T)
        moments = together.sum(axis=1).reshape(box.shape)  # pairwise, along the contiguous axis
        nodes.append(box.nodes())
        weights.append(chebyshev.weights_of(moments))
        error += box.error * box.length * len(box.rows)
    nodes.append(X[boxes.rows])
    weights.append(np.ones(len(boxes.rows)))
    points, w = np.concatenate(nodes), np.concatenate(weights)
    middle = points.min(axis=0) / 2 + points.max(axis=0) / 2
    off, magnitude = row_errors(kernel, points, _COORDINATES, middle), np.abs(w)
    size, noise = ((magnitude * np.sqrt(v)).sum() for v in (off.k, off.entry))
    shifts = float((magnitude * off.moved).sum())
    return _Rule(boxes, points, w, float(size), error, float(noise), shifts)


def _products(kernel: Kernel, rules: list[_Rule], pool: Executor) -> list[Array]:
    """k(nodes_c, nodes_e) . weights_e of each class c: (C, M_c)."""
    out = [np.zeros((len(rules), len(rule.nodes))) for rule in rules]
    tiles = [
        (c, slice(start, start + _TILE))
        for c, rule in enumerate(rules)
        for start in range(0, len(rule.nodes), _TILE)
    ]

    def both(pair: tuple[tuple[int, slice], tuple[int, slice]]) -> tuple[Array, Array]:
        (c, a), (e, b) = pair
        K = kernel(rules[c].nodes[a], rules[e].nodes[b], n_threads=1)
        # not by BLAS, whose threads would compete with those of the pool
        left = np.einsum("ij,j->i", K, rules[e].weights[b])
        return left, np.einsum("ij,i->j", K, rules[c].weights[a])

    pairs = [(tile, other) for t, tile in enumerate(tiles) for other in tiles[t:]]
    for (tile, other), (left, right) in zip(pairs, pool.map(both, pairs), strict=True):
        (c, a), (e, b) = tile, other
        out[c][e, a] += left
        if tile != other:
            out[e][c, b] += right
    return out


def _pairs(
    kernel: Kernel, rule: _Rule, X: Array, pool: Executor
) -> tuple[float, float, float] | None:
    """The double sum of D2 over all pairs of nodes, the sum of the magnitudes of its terms, and its
    error beside their rounding. None if the nodes are many, or so close that squares underflow.
    """
    tail = rule.boxes.spread_error
    if tail is None or 0 < np.ptp(rule.nodes, axis=0).max() < _NARROWEST:
        return None
    grid = rule.boxes.grids[0] if rule.boxes.grids else None
    box = grid or as_they_are(rule.nodes)
    unit = chebyshev.grid(grid.shape) if grid else rule.nodes
    D2 = _distances(kernel, box, unit, pool)
    furthest, noise = float(D2.max()), 0.0
    if not stable(kernel, rule.nodes.shape[1]):
        noise = 4 * UNIT_ROUNDOFF * float(row_errors(kernel, rule.nodes).entry.max())
    if grid and furthest > 0:
        points = X[grid.probes()]
        L = grid.interpolation(grid.unit(points))
        exact = _distances(kernel, as_they_are(points), points, pool)
        off = float(np.abs(matmul(matmul(L, D2), L.T) - exact).max())
        tail = max(tail, (off - noise) / furthest)
    weights, magnitude = rule.weights, np.abs(rule.weights)
    mass = float(magnitude.sum())
    error = _TAILS * tail * mass**2 * furthest + 4 * noise * mass**2
    total = float(np.einsum("i,ij,j->", weights, D2, weights))
    return total, float(np.einsum("i,ij,j->", magnitude, np.abs(D2), magnitude)), error


def _distances(kernel: Kernel, box: Box, unit: Array, pool: Executor) -> Array:
    """D2 (m, m) of all pairs of m points, given in the coordinates of a box."""
    parts = [slice(start, start + 64) for start in range(0, len(unit), 64)]
    if stable(kernel, unit.shape[1]):
        D2 = pool.map(lambda part: box.distances(kernel, unit[part], unit), parts)
        return np.concatenate(list(D2))
    points = box.at(unit)
    diagonal = kernel.diag(points)
    D2 = diagonal[:, None] + diagonal - 2 * kernel(points, points, n_threads=1)
    return np.asarray(D2)


def _rows(rules: list[_Rule], towards: list[Array], X: Array, pool: Executor) -> Array:
    """The row-class sums (C, N): the interpolants of `towards`, at the rows."""
    out = np.empty((len(rules), len(X)))
    for rule, values in zip(rules, towards, strict=True):
        start = 0
        for box in rule.boxes.grids:
            stop = start + int(np.prod(box.shape))
            functions = chebyshev.coefficients_of(values[:, start:stop], box.shape)
            functions = chebyshev.trimmed(functions, 2 * UNIT_ROUNDOFF)

            def evaluate(
                rows: NDArray[np.intp], box: Box = box, functions: Array = functions
            ) -> None:
                out[:, rows] = chebyshev.evaluated(box.unit(X[rows]), functions)

            for _ in pool.map(evaluate, box.parts()):
                pass
            start = stop
        out[:, rule.boxes.rows] = values[:, start:]
    return out


def _trace(kernel: Kernel, X: Array, pool: Executor) -> tuple[float, float]:
    """The sum of k(x, x), and the sum of the errors of its terms in unit roundoffs."""
    parts = [X[start : start + _ROWS] for start in range(0, len(X), _ROWS)]

    def sums(part: Array) -> tuple[float, float]:
        rows = row_errors(kernel, part)
        return float(rows.k.sum()), float(rows.diagonal.sum())

    total, off = np.sum(list(pool.map(sums, parts)), axis=0)
    return float(total), float(off)
