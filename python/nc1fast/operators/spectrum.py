"""`spectrum`: eigenvalues and eigenvectors of a Gram matrix, with the norm of each residual."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nc1fast.core.products import KernelMap, ProductSettings
from nc1fast.datasets.paths import reads_files
from nc1fast.kernels.classes import check_kernel
from nc1fast.operators.block_lanczos import leading
from nc1fast.support.arguments import as_count, as_number, as_seed, check_choice
from nc1fast.support.arithmetic import ieee
from nc1fast.support.extras import require

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from nc1fast.kernels.classes import Kernel

    Array = NDArray[np.float64]

MOST_DENSE = 20_000  # rows of a Gram matrix that is stored for its smallest eigenvalues
_FEW_ROWS = 1024  # up to which a stored matrix is the faster way to the largest ones, too
_ROWS_PER_VALUE = (
    16  # for each eigenvalue: below, a basis of products would be a large part of the matrix
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
    Accuracy: `residuals` are those of the product itself, which is off by some 1e-16 of the largest
    eigenvalue.
    Source: Lanczos's method with blocks, Golub & Underwood (1977), and thick restarts, Wu & Simon
    (2000).
    """
    settings = ProductSettings("float64", n_threads, memory_limit)
    made = KernelMap.of(check_kernel(kernel, X), X, None, settings)
    n = made.shape[1]
    count = as_count("k", k, 1, n)
    check_choice("which", which, ("largest", "smallest"))
    least = as_number("tolerance", tolerance, least=0, below=1)
    random = np.random.default_rng(as_seed(seed))
    if which == "smallest" and n > MOST_DENSE:
        raise ValueError(
            f"which='smallest' stores the Gram matrix, of at most {MOST_DENSE} rows, but X has {n}"
        )
    if which == "smallest" or n <= max(_FEW_ROWS, _ROWS_PER_VALUE * count):
        values, vectors, products = *_stored(made, count, which), 0
    else:
        values, vectors, products = leading(made, count, least, random)
    order = np.argsort(-values, kind="stable")
    values, vectors = values[order], _oriented(vectors[:, order])
    residuals = np.sqrt(np.square(made(vectors) - vectors * values).sum(axis=0))
    return Spectrum(values, vectors, residuals, float(np.sum(made.diagonal)), products)


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
