"""Linear algebra whose bits depend neither on a BLAS nor on threads: products and sums of rows by
the compiled core, and factorisations.

Sums that are no products of matrices stay with NumPy (`np.sum`, `np.einsum`), whose order is fixed;
`@`, `np.dot`, the norm of a vector and `np.linalg` call a BLAS, whose rounding depends on its
threads and on the processor.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nc1fast import _core

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

_BLOCK = 128  # of the inner dimension: cpp/nc1fast/matmul.hpp
_INLINE = 1 << 20  # multiply-adds below which threads cost more than they save
SCRATCH = 1 << 20  # bytes that a thread of a product takes, at most
_PANEL = 32  # rows at a time
_COLUMNS = 128  # of a block of a Gram matrix, of which the blocks below the diagonal are copied
_SWEEPS = 12  # of Jacobi's rotations: they converge quadratically
UNIT_ROUNDOFF = 2.0**-53  # of float64


def matmul(A: Array, B: Array, n_threads: int = 1) -> Array:
    """A B, shape (n, m), of A (n, k) and B (k, m), both float64 or both float32, of any strides.

    An entry depends on its row of A and its column of B alone, to the bit (and on the instruction
    set): on no other row, and on no thread. Its error is at most `matmul_error(k)` unit roundoffs
    of sum_k |a_ik b_kj|.
    """
    few = A.size * B.shape[-1] < _INLINE
    return _core.matmul(A, B, 0 if few or n_threads == 1 else n_threads)


def matmul_error(n: int) -> int:
    """Bound on the error of `matmul` over an inner dimension n, in unit roundoffs of the sum of
    magnitudes (to first order).

    A block of 128 is one chain of multiply-adds, each term of which meets at most as many
    roundings; the blocks are added one after the other, the first without one.
    """
    return min(n, _BLOCK) + max(0, -(-n // _BLOCK) - 1)


def column_gram(A: Array) -> Array:
    """A^T A, shape (k, k), of float64 or float32 A (n, k): symmetric to the bit, and 0.6 of the
    work of `matmul` for many columns.
    """
    k = A.shape[1]
    out = np.empty((k, k), dtype=A.dtype)
    for start in range(0, k, _COLUMNS):
        some = slice(start, start + _COLUMNS)
        out[some, start:] = matmul(A[:, some].T, A[:, start:])
        out[start:, some] = out[some, start:].T
    return out


def length(A: Array) -> float:
    """Euclidean norm of all entries."""
    _, exponent = math.frexp(float(np.abs(A).max(initial=0.0)))  # squares stay in range
    return math.ldexp(math.sqrt(float(np.square(np.ldexp(A, -exponent)).sum())), exponent)


def cholesky(A: Array) -> Array:
    """Lower triangular L (n, n) with L L^T = A, of which the lower triangle is read; each entry is
    rounded once.

    Raises
    ------
    ValueError
        If A is not positive definite.

    Notes
    -----
    Cost: n^3/6 multiply-adds in pairs of doubles, on one thread: half a second at n = 784.
    Accuracy: |dL| <= (u + n cond(A) 2^-98) |L|, where ordinary elimination leaves |L L^T - A| <= (n
    + 1) u |L| |L^T|.
    """
    _, exponent = math.frexp(float(np.abs(np.diag(A)).max()))
    half = exponent // 2  # squares stay in range
    return np.ldexp(_core.cholesky(np.ldexp(np.tril(A), -2 * half)), half)


def orthonormal(rows: Array) -> Array:
    """Gram and Schmidt's orthonormal rows, shape (k, d), of k <= d independent rows; of Gaussian
    ones, uniformly oriented.

    Each is made orthogonal to those before it twice, since the first time leaves what rounding
    makes of the part that is taken away (Kahan's "twice is enough").
    """
    out = np.array(rows, dtype=np.float64)
    for start in range(0, len(out), _PANEL):
        done, panel = out[:start], out[start : start + _PANEL]
        for _ in range(2 if start else 0):
            panel -= matmul(matmul(panel, done.T), done)
        for k in range(len(panel)):
            before, row = panel[:k], panel[k : k + 1]
            for _ in range(2 if k else 0):
                row -= matmul(matmul(row, before.T), before)
            row /= length(row)
    return out


def eigen(G: Array) -> tuple[Array, Array]:
    """Eigenvalues (r,), descending, and eigenvectors as rows (r, r) of a small symmetric matrix, by
    Jacobi's rotations.

    Notes
    -----
    Cost: some 10 r^2 steps of Python.
    """
    G, V = np.array(G, dtype=np.float64), np.eye(len(G))
    for _ in range(_SWEEPS):
        for i in range(len(G) - 1):
            for j in range(i + 1, len(G)):
                if G[i, j] ** 2 <= UNIT_ROUNDOFF**2 * abs(G[i, i] * G[j, j]):
                    continue
                angle = 0.5 * math.atan2(2 * G[i, j], G[i, i] - G[j, j])
                c, s = math.cos(angle), math.sin(angle)
                for of in (G, G.T, V):
                    of[i], of[j] = c * of[i] + s * of[j], c * of[j] - s * of[i]
    order = np.argsort(-np.diag(G), kind="stable")
    return np.diag(G)[order], V[order]


def principal(A: Array, most: int, flat: float) -> Array:
    """Orthonormal rows (s, d) along which the rows of A (n, d) lie, the longest first: about A's
    first right singular vectors.

    At most `most`, none of whose singular values is below `flat` of the largest. They lie in the
    span of the longest 2 `most` rows, each after those before it are taken away: exact for no more
    rows than that, and nearly so for others.
    """
    rest = np.array(A, dtype=np.float64)
    found: list[Array] = []
    for _ in range(min(2 * most, *rest.shape)):
        size = np.einsum("ij,ij->i", rest, rest)
        row = rest[size.argmax()]
        if not length(row) > flat * (length(found[0]) if found else 0.0):
            break
        found.append(row.copy())
        unit = row / length(row)
        rest -= np.outer(np.einsum("ij,j->i", rest, unit), unit)
    if not found:
        return np.zeros((0, rest.shape[1]))
    basis = orthonormal(np.array(found))
    along = matmul(basis, np.ascontiguousarray(A, dtype=np.float64).T)  # (r, n)
    squares, turned = eigen(matmul(along, along.T))
    kept = int((squares > flat**2 * squares[0]).sum())
    return matmul(turned[: min(most, kept)], basis)


FOLD = 64  # rows of a class between two foldings of low into high: cpp/moments.hpp
_FEW_NUMBERS = 1 << 22  # below which threads cost more than they save


class RawMoments(NamedTuple):
    """Sums about a shift, each as high + low, contiguous.

    Attributes
    ----------
    sizes, longest : ndarray of shape (n_classes,) and (1,)
        Rows of each class; most of one class whose deviations were added to low before it was
        folded.
    squares : ndarray of shape (2, n_classes)
        Sum of |h - shift|^2: high and low.
    shift : ndarray of float32 or float64 of shape (n_classes, n_features)
        The first row of each class. float32 takes float32 rows alone.
    high, low : ndarray of shape (n_classes, n_features)
        Sum of h - shift.
    """

    sizes: Array
    longest: Array
    squares: Array
    shift: NDArray[Any]
    high: Array
    low: Array


def add_rows(
    rows: NDArray[Any], classes: NDArray[np.int64], sums: RawMoments, n_threads: int
) -> None:
    """Add rows (n, n_features) of float32 or float64, numbers of a row side by side, to the moments
    of their classes.

    Notes
    -----
    Memory decides: the rows are read once, the sums of the classes that are there once and written
    once.
    Accuracy: the error of a sum of deviations is longest + 2 unit roundoffs of that of their
    magnitudes, whatever the number of rows. The bits depend on no thread.
    """
    few = rows.size < _FEW_NUMBERS or n_threads == 1
    _core.add_rows(rows, classes, sums, 0 if few else n_threads)
