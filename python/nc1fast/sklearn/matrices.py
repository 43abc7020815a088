"""Gram matrices as estimators need them: of sparse rows, normalised to a unit diagonal, or times
columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import issparse

from nc1fast.inputs.arrays import host_array
from nc1fast.kernels.classes import check_kernel
from nc1fast.support.arguments import as_flag
from nc1fast.support.arithmetic import ieee

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from nc1fast.kernels.classes import Kernel

    Array = NDArray[np.float64]

_NUMBERS = 1 << 22  # of a panel of rows made dense, or of its Gram matrix: 32 MiB


def dense(X: Any) -> Any:
    """Rows as an array, where they are sparse; others as they are."""
    return X.toarray() if issparse(X) else X


def _rows(X: Any) -> Any:
    """Rows that can be sliced: sparse ones, or an array."""
    return X.tocsr() if issparse(X) else host_array(X, "X")


def panels(n_rows: int, row: int) -> Iterator[slice]:
    """Ranges of rows such that `row` numbers for each make no more than 32 MiB."""
    step = max(1, _NUMBERS // max(1, row))
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))


@dataclass(frozen=True)
class KernelMatrices:
    """The Gram matrices of a kernel.

    Attributes
    ----------
    kernel : Kernel
    normalize : bool
        k(x, z)/sqrt(k(x, x) k(z, z)) in place of k: cosines of features. A row with k(x, x) = 0 has
        0 with every row.
    n_threads : int or None
    """

    kernel: Kernel
    normalize: bool = False
    n_threads: int | None = None

    def __post_init__(self) -> None:
        check_kernel(self.kernel)
        as_flag("normalize", self.normalize)

    @ieee
    def between(self, X: Any, Z: Any = None) -> Array:
        """k(x_i, z_j), shape (n, m), float64; without Z exactly symmetric, with the exact diagonal.

        Sparse rows are made dense by panels of 32 MiB.
        """
        X, Z = _rows(X), None if Z is None else _rows(Z)
        K = self._plain(X, Z)
        if not self.normalize:
            return K
        if Z is None:
            return cosines(K)
        left, right = (inverse_roots(self._diagonal(rows)) for rows in (X, Z))
        K *= left[:, None]
        K *= right
        return K

    @ieee
    def diagonal(self, X: Any) -> Array:
        """k(x_i, x_i), shape (n,), of the normalised kernel where it is one."""
        found = self._diagonal(_rows(X))
        return (found > 0).astype(np.float64) if self.normalize else found

    def product(self, Z: Any, X: Any, V: Array) -> Array:
        """K(Z, X) V, shape (m, k), without K; of sparse rows and normalised kernels a panel of it
        at a time.
        """
        if not (self.normalize or issparse(X) or issparse(Z)):
            return self.kernel.matvec(X, V, Z, n_threads=self.n_threads)
        out = np.empty((Z.shape[0], V.shape[1]))
        for part in panels(Z.shape[0], X.shape[0]):
            out[part] = self.between(Z[part], X) @ V
        return out

    def _plain(self, X: Any, Z: Any) -> Array:
        """The Gram matrix before it is normalised."""
        if not (issparse(X) or issparse(Z)):
            return self.kernel(X, Z, n_threads=self.n_threads)
        other = X if Z is None else Z
        K = np.empty((X.shape[0], other.shape[0]))
        for rows in panels(X.shape[0], X.shape[1]):
            x = dense(X[rows])
            for columns in panels(other.shape[0], other.shape[1]):
                if Z is None and columns.start == rows.start:
                    K[rows, rows] = self.kernel(x, n_threads=self.n_threads)
                    break
                K[rows, columns] = self.kernel(x, dense(other[columns]), n_threads=self.n_threads)
                if Z is None:
                    K[columns, rows] = K[rows, columns].T
        return K

    def _diagonal(self, X: Any) -> Array:
        """The diagonal before it is normalised."""
        if not issparse(X):
            return self.kernel.diag(X)
        parts = [self.kernel.diag(dense(X[rows])) for rows in panels(X.shape[0], X.shape[1])]
        return np.concatenate(parts)


def inverse_roots(diagonal: Array) -> Array:
    """1/sqrt(k_ii), and 0 where k_ii is 0."""
    roots = np.sqrt(diagonal)
    return np.divide(1.0, roots, out=np.zeros_like(roots), where=roots > 0)


def cosines(K: Array) -> Array:
    """k_ij/sqrt(k_ii k_jj), with ones on the diagonal; rows with k_ii = 0 stay zero."""
    scale = inverse_roots(K.diagonal())
    K = K * np.outer(scale, scale)  # exactly symmetric
    np.fill_diagonal(K, scale > 0)
    return K
