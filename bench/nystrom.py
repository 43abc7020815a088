"""Ridge regression on few rows, the centres, as a competent user writes it: an approximation, whose
error falls with their number.

f(z) = K_zm b with (K_mn K_nm + ridge K_mm) b = K_mn Y for m centres drawn at random.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nc1fast.kernels import Kernel

    Array = NDArray[np.float64]

JITTER, TOLERANCE, STEPS = 1e-10, 1e-6, 200  # of the diagonal of K_mm; of the equations; at most


def falkon(
    kernel: Kernel, X: Array, Y: Array, Z: Array, ridge: float, m: int, n_threads: int
) -> Array:
    """Falkon (Rudi, Carratino & Rosasco, 2017): conjugate gradients, preconditioned by the centres,
    on products with K_nm.

    With T^T T = K_mm and A^T A = n T T^T/m + ridge I the unknowns are c = A T b.
    """
    from scipy.linalg import cholesky, solve_triangular

    C = X[np.random.default_rng(1).choice(len(X), m, replace=False)]
    K = kernel(C, n_threads=n_threads)
    K[np.diag_indices(m)] += JITTER * K.diagonal().mean()
    T = cholesky(K, check_finite=False)
    A = len(X) / m * (T @ T.T)
    A[np.diag_indices(m)] += ridge
    A = cholesky(A, overwrite_a=True, check_finite=False)

    def solved(U: Array, V: Array, transposed: int) -> Array:
        return np.asarray(solve_triangular(U, V, trans=transposed, check_finite=False))

    def centred(V: Array) -> Array:  # K_mn V
        return np.asarray(kernel.matvec(X, V, Z=C, n_threads=n_threads))

    def product(V: Array) -> Array:
        within = solved(A, V, 0)
        b = solved(T, within, 0)
        along = centred(np.asarray(kernel.matvec(C, b, Z=X, n_threads=n_threads)))
        return solved(A, solved(T, along, 1) + ridge * within, 1)

    R = solved(A, solved(T, centred(Y), 1), 1)
    solution, D, rho = np.zeros_like(R), R, np.square(R).sum(axis=0)
    goal = TOLERANCE**2 * rho
    for _ in range(STEPS):
        Q = product(D)
        alpha = rho / (D * Q).sum(axis=0)
        solution, R = solution + alpha * D, R - alpha * Q
        now = np.square(R).sum(axis=0)
        if (now <= goal).all():
            break
        D, rho = R + now / rho * D, now
    dual = solved(T, solved(A, solution, 0), 0)
    return np.asarray(kernel.matvec(C, dual, Z=Z, n_threads=n_threads))


def nystroem(
    kernel: Kernel, X: Array, Y: Array, Z: Array, ridge: float, m: int, n_threads: int
) -> Array:
    """scikit-learn's features of the centres, and its ridge regression on them."""
    from sklearn.kernel_approximation import Nystroem
    from sklearn.linear_model import Ridge

    def gram(A: Any, B: Any) -> Array:  # scikit-learn would call a kernel for each two rows
        return np.asarray(kernel(A, B, n_threads=n_threads))

    C = X[np.random.default_rng(1).choice(len(X), m, replace=False)]
    scaled = Nystroem(kernel="precomputed", n_components=m, random_state=0).fit(gram(C, C))
    fitted = Ridge(alpha=ridge, fit_intercept=False, solver="cholesky")
    fitted.fit(scaled.transform(gram(X, C)), Y)
    return np.asarray(fitted.predict(scaled.transform(gram(Z, C))))
