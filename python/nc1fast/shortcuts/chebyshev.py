"""Chebyshev interpolation on a box of one or two coordinates in [-1, 1].

Source: Trefethen, Approximation Theory and Approximation Practice (2013), chapters 3, 4 and 8.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from nc1fast.core.linear import matmul

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_FUNCTIONS = 4  # evaluated at a time


@cache
def nodes(n: int) -> tuple[Array, Array]:
    """The n nodes in (-1, 1), and the matrix (n, n) from values there to the coefficients of T_0
    ... T_{n-1}.
    """
    angle = (np.arange(n) + 0.5) * np.pi / n
    # cos of k angle = k (2 i + 1) pi/(2 n), reduced in integers
    multiple = np.outer(np.arange(n), 2 * np.arange(n) + 1) % (4 * n)
    to_coefficients = 2 / n * np.cos(multiple * (np.pi / (2 * n)))
    to_coefficients[0] /= 2
    return np.cos(angle), to_coefficients


def grid(shape: tuple[int, ...]) -> Array:
    """The nodes of the box [-1, 1]^d0, (product of shape, d0), the first coordinate slowest."""
    axes = np.meshgrid(*(nodes(n)[0] for n in shape), indexing="ij")
    return np.stack(axes, axis=-1).reshape(-1, len(shape))


def coefficients_of(values: Array, shape: tuple[int, ...]) -> Array:
    """Coefficients (m, *shape) of m functions given on the grid, (m, product of shape)."""
    return _along_axes(values, shape, transposed=False)


def weights_of(moments: Array) -> Array:
    """Weights w on the grid with sum_i f(x_i) = sum_a w_a f(node_a), from the moments sum_i
    T_k(x_i) T_l(y_i).
    """
    return _along_axes(moments, moments.shape, transposed=True).ravel()


def _along_axes(values: Array, shape: tuple[int, ...], *, transposed: bool) -> Array:
    """Multiply values (m, *shape) along each axis by the matrix of `nodes`, or by its transpose."""
    out = values.reshape(-1, *shape)
    for axis, n in enumerate(shape, start=1):
        matrix = nodes(n)[1]
        along = np.moveaxis(out, axis, 0)
        found = matmul(matrix.T if transposed else matrix, along.reshape(n, -1))
        out = np.moveaxis(found.reshape(along.shape), 0, axis)
    return out


def polynomials(x: Array, n: int) -> Array:
    """T_0 ... T_{n-1} at x, shape (n, *x.shape), by T_{m+j} = 2 T_m T_j - T_{m-j}.

    Notes
    -----
    Accuracy: T_k to 20 k^2 unit roundoffs, some 10 in the mean over [-1, 1].
    """
    T = np.empty((n, *x.shape))
    T[0] = 1
    T[1:2] = x
    m = 1
    while m + 1 < n:
        j = min(m, n - 1 - m)
        np.multiply(T[1 : j + 1], 2 * T[m], out=T[m + 1 : m + 1 + j])
        T[m + 1 : m + 1 + j] -= T[m - j : m][::-1]
        m *= 2
    return T


def moments(x: Array, shape: tuple[int, ...]) -> Array:
    """The sums over i of T_k(x_i) T_l(y_i), of the given shape, for a few thousand rows (n, d0)."""
    T = [polynomials(axis, n) for axis, n in zip(x.T, shape, strict=True)]
    return matmul(T[0], T[1].T) if len(T) == 2 else np.asarray(T[0].sum(axis=1))


def evaluated(x: Array, functions: Array) -> Array:
    """The values (m, n) of m functions with coefficients (m, *shape), at a few thousand rows x (n,
    d0).
    """
    shape = functions.shape[1:]
    if len(shape) == 2 and shape[0] > shape[1]:  # the longer sum by the matrix product
        return evaluated(x[:, ::-1], functions.swapaxes(1, 2))
    T = [polynomials(axis, n) for axis, n in zip(x.T, shape, strict=True)]
    out = []
    for start in range(0, len(functions), _FUNCTIONS):
        some = functions[start : start + _FUNCTIONS]
        last = matmul(some.reshape(-1, shape[-1]), T[-1])  # (m p, n)
        if len(T) == 2:
            last = np.einsum("mkn,kn->mn", last.reshape(len(some), *T[0].shape), T[0])
        out.append(last)
    return np.concatenate(out)


def trimmed(coefficients: Array, tolerance: float) -> Array:
    """Drop trailing rows and columns whose entries are all below `tolerance` times the largest of
    their function.
    """
    size = np.abs(coefficients)
    largest = size.max(axis=tuple(range(1, size.ndim)), keepdims=True)
    matter = (size > tolerance * largest).any(axis=0)
    ends = [int(index.max()) + 1 if len(index) else 1 for index in np.nonzero(matter)]
    kept = (slice(None), *(slice(end) for end in ends))
    return coefficients[kept]
