"""A Gram matrix as a linear map that is never stored: `operator`, as SciPy's iterative methods take
it, and `spectrum`, its eigenvalues and eigenvectors with the norm of each residual.

The leading eigenpairs come from products with blocks of columns. A product with thirty columns
costs little more than one with a single column, and the spectra of kernels come in clusters (one
for each degree of a polynomial where rows point everywhere), which a single vector separates
slowly. So the basis grows by a block: the residuals K v - theta v of the leading Ritz vectors that
have not converged, made orthogonal to the basis. In exact arithmetic that spans Krylov's space of
the first block; restarts keep the leading Ritz vectors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.core.linear import matmul
from nc1fast.core.machine import thread_count
from nc1fast.core.products import KernelMap, ProductSettings, as_columns
from nc1fast.datasets.paths import reads_files
from nc1fast.kernels.classes import check_kernel
from nc1fast.support.arguments import as_count, as_number, as_seed, check_choice, seed_of
from nc1fast.support.arithmetic import ieee
from nc1fast.support.extras import require

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from nc1fast.kernels.classes import Kernel

    Array = NDArray[np.float64]

MOST_DENSE = 20_000  # rows of a Gram matrix that is stored for its smallest eigenvalues
_FEW_ROWS = 1024  # up to which a stored matrix is the faster way to the largest ones, too
_ROWS_PER_VALUE = 16  # fewer rows for each eigenvalue: a basis would be a large part of the matrix
_MORE = 8  # columns of a block beyond the eigenvalues requested: the last of these converge as fast
_BLOCKS = 4  # of a basis, at most
_STEPS = 200
_DEPENDENT = 1e-14  # of a block's largest Gram eigenvalue: columns that rounding would decide
_FLOOR = 1e-14  # of the largest eigenvalue: the residual that rounding leaves


@reads_files("X")
def operator(
    kernel: Kernel,
    X: ArrayLike,
    *,
    dtype: str = "float64",
    n_threads: int | None = None,
    memory_limit: float | None = None,
) -> Any:
    """The Gram matrix of a kernel as a `scipy.sparse.linalg.LinearOperator`, symmetric, of dtype
    float64.

    Parameters
    ----------
    kernel : Kernel
    X : array-like of shape (n_samples, n_features), or path
    dtype, n_threads, memory_limit
        As of `Kernel.matvec`.

    Returns
    -------
    scipy.sparse.linalg.LinearOperator of shape (n_samples, n_samples)

    Raises
    ------
    TypeError, ValueError, OSError
        As `Kernel.matvec`; ValueError also by a product with NaN or Inf.
    ImportError
        If SciPy is not installed (extra "prediction").

    Notes
    -----
    Cost and accuracy: those of `Kernel.matvec` for every product.
    """
    settings = ProductSettings(dtype, n_threads, memory_limit)
    made = KernelMap.of(check_kernel(kernel, X), X, None, settings)
    linalg = require("scipy.sparse.linalg", "prediction")

    def product(V: NDArray[Any]) -> NDArray[np.float64]:
        out = made(as_columns(V, made.shape[1]))
        return out if V.ndim == 2 and V.shape[1] == out.shape[1] else out[:, 0]

    return linalg.LinearOperator(
        made.shape,
        matvec=product,
        rmatvec=product,
        matmat=product,
        rmatmat=product,
        dtype=np.float64,
    )


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Some eigenvalues and eigenvectors of a Gram matrix.

    Attributes
    ----------
    eigenvalues : ndarray of shape (k,)
        Descending.
    vectors : ndarray of shape (n_samples, k)
        Orthonormal, one column each; the sign of a column is that of its largest entry made
        positive.
    residuals : ndarray of shape (k,)
        |K v - lambda v|: an eigenvalue of K lies within this of lambda.
    trace : float
        Of K: the sum of all eigenvalues.
    products : int
        Columns that K was multiplied with; 0 where it was stored.
    """

    eigenvalues: Array
    vectors: Array
    residuals: Array
    trace: float
    products: int


@ieee
@reads_files("X")
def spectrum(
    X: ArrayLike,
    kernel: Kernel,
    k: int = 20,
    which: str = "largest",
    *,
    tolerance: float = 1e-10,
    seed: int = 0,
    n_threads: int | None = None,
    memory_limit: float | None = None,
    rng: int | np.random.Generator | None = None,
) -> Spectrum:
    """The k largest, or smallest, eigenvalues of the Gram matrix K(X, X), and their vectors.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features), or path
    kernel : Kernel
    k : int, default 20
    which : {"largest", "smallest"}, default "largest"
        "smallest" stores the matrix: n_samples <= 20,000.
    tolerance : float, default 1e-10
        Residual at which an eigenvalue of Lanczos's method counts as found, relative to it.
    seed : int, default 0
        Of the vectors that Lanczos's method starts with.
    n_threads, memory_limit
        As of `Kernel.matvec`.
    rng : None, int or numpy.random.Generator, optional
        What `seed` is, as SPEC 7 has it: an integer gives the bits of the same seed, a Generator
        its next integer.

    Returns
    -------
    Spectrum

    Raises
    ------
    TypeError, ValueError, OSError
        As `Kernel.matvec`; for k beyond n_samples, and "smallest" of more rows than are stored.
    ImportError
        If SciPy is not installed (extra "prediction").
    RuntimeError
        If Lanczos's method does not converge.

    Notes
    -----
    Cost: "largest" a product of `Kernel.matvec` with k + 8 columns per step, some five to ten steps
    where the spectrum falls, and 64 N (k + 8) bytes; at most 1,024 or 16 k rows, and "smallest",
    N^3 steps and 16 N^2 bytes.
    Accuracy: `residuals` are those of the product itself, whose error is some 1e-16 of the
    largest eigenvalue.
    Source: Lanczos's method with blocks, Golub & Underwood (1977), and thick restarts, Wu & Simon
    (2000).
    """
    settings = ProductSettings("float64", n_threads, memory_limit)
    made = KernelMap.of(check_kernel(kernel, X), X, None, settings)
    n = made.shape[1]
    count = as_count("k", k, 1, n)
    check_choice("which", which, ("largest", "smallest"))
    least = as_number("tolerance", tolerance, least=0, below=1)
    random = np.random.default_rng(as_seed(seed_of(rng, seed)))
    if which == "smallest" and n > MOST_DENSE:
        raise ValueError(
            f"which='smallest' stores the Gram matrix, of at most {MOST_DENSE} rows, but X has {n}"
        )
    if which == "smallest" or n <= max(_FEW_ROWS, _ROWS_PER_VALUE * count):
        values, vectors, products = *_stored(made, count, which), 0
    else:
        values, vectors, products = _leading(made, count, least, random)
    order = np.argsort(-values, kind="stable")
    values, vectors = values[order], _oriented(vectors[:, order])
    residuals = np.sqrt(np.square(made(vectors) - vectors * values).sum(axis=0))
    return Spectrum(values, vectors, residuals, float(np.sum(made.diagonal)), products)


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


def _leading(
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
        residual = matmul(basis.KQ, best, threads) - values[:width] * matmul(basis.Q, best, threads)
        lengths = np.sqrt(np.square(residual).sum(axis=0))
        going = lengths > np.maximum(tolerance * np.abs(values[:width]), _FLOOR * values[0])
        if not going[:k].any():
            return values[:k], matmul(basis.Q, best[:, :k], threads), products
        block = residual[:, going] / lengths[going]
    raise RuntimeError(f"{k - int(going[:k].sum())} of k={k} eigenvalues converged")


def _orthonormal(block: Array, threads: int) -> Array:
    """An orthonormal basis of the space of some columns, of which those that depend on others are
    dropped.
    """
    values, U = np.linalg.eigh(matmul(block.T, block, threads))
    kept = values > _DEPENDENT * values[-1]
    return matmul(block, np.ascontiguousarray(U[:, kept] / np.sqrt(values[kept])), threads)


def _stored(made: KernelMap, k: int, which: str) -> tuple[Array, Array]:
    """Eigenvalues and vectors of the stored matrix."""
    linalg = require("scipy.linalg", "prediction")
    n = made.shape[1]
    span = (n - k, n - 1) if which == "largest" else (0, k - 1)
    K = made.entries()
    values, vectors = linalg.eigh(K, subset_by_index=span, overwrite_a=True, check_finite=False)
    return values, vectors


def _oriented(vectors: Array) -> Array:
    """The same columns, the largest entry of each positive."""
    largest = np.abs(vectors).argmax(axis=0)
    return vectors * np.where(vectors[largest, np.arange(vectors.shape[1])] < 0, -1.0, 1.0)
