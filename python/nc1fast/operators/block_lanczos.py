"""Leading eigenpairs of a symmetric matrix that is known by its products with blocks of columns.

A product with thirty columns costs little more than one with a single column, and the spectra of
kernels come in clusters (one for each degree of a polynomial where rows point everywhere), which a
single vector tells apart slowly. So the basis grows by a block: what is missing of the leading Ritz
vectors, K v - theta v, made orthogonal to the basis. In exact arithmetic that spans Krylov's space
of the first block; restarts keep the leading Ritz vectors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nc1fast.core.linear import matmul
from nc1fast.core.machine import thread_count

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nc1fast.core.products import KernelMap

    Array = NDArray[np.float64]

_MORE = (
    8  # columns of a block beyond the eigenvalues wanted: the last of these then converge as fast
)
_BLOCKS = 4  # of a basis, at most
_STEPS = 200
_DEPENDENT = 1e-14  # of the largest eigenvalue of a block's Gram matrix: columns near others, which rounding would decide
_FLOOR = 1e-14  # of the largest eigenvalue: the residual that rounding leaves


@dataclass(eq=False)
class _Basis:
    """Orthonormal columns Q (n, m) and their products K Q."""

    Q: Array
    KQ: Array
    threads: int

    def extend(self, made: KernelMap, block: Array) -> None:
        """Add orthonormal columns, with their products."""
        self.Q = np.hstack([self.Q, block])
        self.KQ = np.hstack([self.KQ, made(block)])

    def ritz(self) -> tuple[Array, Array]:
        """Eigenvalues, descending, and vectors (m, m) of Q^T K Q."""
        T = matmul(self.Q.T, self.KQ, self.threads)
        values, Y = np.linalg.eigh((T + T.T) / 2)
        return values[::-1], np.ascontiguousarray(Y[:, ::-1])

    def turn(self, Y: Array) -> None:
        """Keep the columns Q Y."""
        self.Q, self.KQ = (matmul(A, Y, self.threads) for A in (self.Q, self.KQ))

    def orthonormal(self, block: Array) -> Array:
        """An orthonormal basis of the columns of a block, orthogonal to Q: twice, since the first
        time leaves what rounding makes.
        """
        for _ in range(2):
            block = block - matmul(self.Q, matmul(self.Q.T, block, self.threads), self.threads)
            block = _orthonormal(block, self.threads)
        return block


def leading(
    made: KernelMap, k: int, tolerance: float, random: np.random.Generator
) -> tuple[Array, Array, int]:
    """The k largest eigenvalues, their vectors (n, k), and how many columns the matrix was
    multiplied with.

    Parameters
    ----------
    made : KernelMap
        A symmetric matrix of n >= 16 k rows.
    k : int
    tolerance : float
        A pair has converged where |K v - theta v| <= tolerance theta, or 1e-14 of the largest
        theta.
    random : numpy Generator
        Of the first block.

    Raises
    ------
    RuntimeError
        If some pairs have not converged after 200 steps.

    Notes
    -----
    Cost: a product with at most k + 8 columns per step, and 64 n (k + 8) bytes.
    Source: Golub & Underwood (1977); Wu & Simon (2000) for the restarts.
    """
    n, width, threads = made.shape[1], k + _MORE, thread_count(made.settings.n_threads)
    basis, products = _Basis(np.empty((n, 0)), np.empty((n, 0)), threads), 0
    block = _orthonormal(random.normal(size=(n, width)), threads)
    for _ in range(_STEPS):
        block = basis.orthonormal(block)
        basis.extend(made, block)
        products += block.shape[1]
        values, Y = basis.ritz()
        if basis.Q.shape[1] + width > _BLOCKS * width:
            basis.turn(Y[:, : 2 * width])
            values, Y = values[: 2 * width], np.eye(2 * width)
        best = Y[:, :width]
        missing = matmul(basis.KQ, best, threads) - values[:width] * matmul(basis.Q, best, threads)
        lengths = np.sqrt(np.square(missing).sum(axis=0))
        going = lengths > np.maximum(tolerance * np.abs(values[:width]), _FLOOR * values[0])
        if not going[:k].any():
            return values[:k], matmul(basis.Q, best[:, :k], threads), products
        block = missing[:, going] / lengths[going]
    raise RuntimeError(f"{k - int(going[:k].sum())} of k={k} eigenvalues converged")


def _orthonormal(block: Array, threads: int) -> Array:
    """An orthonormal basis of the space of some columns, of which those that depend on others are
    dropped.
    """
    values, U = np.linalg.eigh(matmul(block.T, block, threads))
    kept = values > _DEPENDENT * values[-1]
    return matmul(block, np.ascontiguousarray(U[:, kept] / np.sqrt(values[kept])), threads)
