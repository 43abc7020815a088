"""Gram matrices as estimators need them: of sparse rows, normalised to a unit diagonal, or times
columns; and the callable that SVC, KernelPCA and others take.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.gaussian_process.kernels import Kernel as Covariance

from nc1fast.inputs.arrays import host_array
from nc1fast.kernels.classes import check_kernel
from nc1fast.sklearn.parameters import KernelParameters
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


class Gram(KernelParameters, BaseEstimator, Covariance):  # type: ignore[misc]
    """The callable of `gram`, with the parameters of the kernel: kernel__kernel__depth in a grid
    over an SVC.

    It is a covariance of scikit-learn without hyperparameters, too: whatever goes through
    `pairwise_kernels` then asks for whole matrices, and not for one number per pair of rows.

    Parameters
    ----------
    kernel : Kernel
    normalize : bool, default False
    n_threads : int, optional
    """

    def __init__(self, kernel: Any, normalize: bool = False, n_threads: int | None = None) -> None:
        self.kernel = kernel
        self.normalize = normalize
        self.n_threads = n_threads

    @property
    def hyperparameters(self) -> list[Any]:
        """There are none: a Gaussian process learns the variances of a `GPKernel`."""
        return []

    @property
    def _matrices(self) -> KernelMatrices:
        return KernelMatrices(self.kernel, self.normalize, self.n_threads)

    def __call__(self, X: Any, Y: Any = None, eval_gradient: bool = False) -> Any:
        """Gram matrix of rows X (n, d) and Y (m, d), dense or sparse; of X with itself where Y is
        left out or is X. The number k(x, y) of two single rows X (d,) and Y (d,).

        With `eval_gradient` also the derivatives with respect to its hyperparameters, of which
        there are none: an array of shape (n, m, 0).
        """
        other = None if Y is X else Y
        if Y is not None and np.ndim(X) == np.ndim(Y) == 1:
            x, y = host_array(X, "X")[None], None if other is None else host_array(Y, "Y")[None]
            return float(self._matrices.between(x, y)[0, 0])
        K = self._matrices.between(X, other)
        return (K, np.empty((*K.shape, 0))) if eval_gradient else K

    def diag(self, X: Any) -> Array:
        """k(x_i, x_i), shape (n_samples,), from the norms alone."""
        return self._matrices.diagonal(X)

    def is_stationary(self) -> bool:
        """False: k(x, z) is no function of x - z."""
        return False


def gram(kernel: Kernel, normalize: bool = False, n_threads: int | None = None) -> Gram:
    """A kernel as a callable, for whatever in scikit-learn takes one: SVC, SVR, KernelRidge,
    KernelPCA, Nystroem, SpectralClustering (`affinity`).

    Parameters
    ----------
    kernel : Kernel
    normalize : bool, default False
        Whether to divide k(x, z) by sqrt(k(x, x) k(z, z)). The diagonal of a kernel depends on
        depth, variances and |x|^2/d0, and so does what C = 1 means; normalised kernels have a
        diagonal of ones as RBF has.
    n_threads : int, optional
        Default: as `collapse`.

    Returns
    -------
    Gram
        A callable(X, Y=None) of two arrays of rows or of two single rows, which can be cloned,
        pickled and searched over.

    Raises
    ------
    TypeError
        For what is no kernel object, and a `normalize` that is no bool.

    Notes
    -----
    Cost: that of `kernel(X, Y)`. Sparse rows are made dense by panels of 32 MiB.

    Examples
    --------
    >>> import nc1fast as nc
    >>> from sklearn.svm import SVC
    >>> X, y = nc.datasets.paper_d1(200, 8, seed=0)
    >>> SVC(kernel=nc.sklearn.gram(nc.NTK("relu", depth=3), normalize=True)).fit(X, y).score(X, y)
    1.0
    """
    return Gram(check_kernel(kernel), as_flag("normalize", normalize), n_threads)
