"""`operator`: a Gram matrix as SciPy's iterative methods take it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.core.products import KernelMap, ProductSettings, as_columns
from nc1fast.datasets.paths import reads_files
from nc1fast.kernels.classes import check_kernel
from nc1fast.support.extras import require

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from nc1fast.kernels.classes import Kernel


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
    made = KernelMap.of(
        check_kernel(kernel, X), X, None, ProductSettings(dtype, n_threads, memory_limit)
    )
    return as_operator(made)


def as_operator(made: KernelMap) -> Any:
    """A symmetric map as SciPy's `LinearOperator`."""
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
