"""A kernel as the callable that SVC, SVR, KernelPCA and others take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sklearn.base import BaseEstimator

from nc1fast.kernels.classes import check_kernel
from nc1fast.sklearn.matrices import KernelMatrices
from nc1fast.sklearn.parameters import KernelParameters
from nc1fast.support.arguments import as_flag

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nc1fast.kernels.classes import Kernel


class Gram(KernelParameters, BaseEstimator):  # type: ignore[misc]
    """The callable of `gram`, with the parameters of the kernel: kernel__kernel__depth in a grid
    over an SVC.

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

    def __call__(self, X: Any, Y: Any = None) -> NDArray[np.float64]:
        """Gram matrix of rows X (n, d) and Y (m, d), dense or sparse; of X with itself where Y is
        left out or is X.
        """
        matrices = KernelMatrices(self.kernel, self.normalize, self.n_threads)
        return matrices.between(X, None if Y is X else Y)


def gram(kernel: Kernel, normalize: bool = False, n_threads: int | None = None) -> Gram:
    """A kernel as a callable for `SVC(kernel=...)` and whatever else takes a function of two arrays
    of rows.

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
        A callable(X, Y=None) that can be cloned, pickled and searched over.

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
