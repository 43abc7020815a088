"""Gradient flow on the mean squared error: predictions of a wide network at time t."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nc1fast.core.products import ProductSettings
from nc1fast.datasets.paths import reads_files
from nc1fast.prediction.conjugate import lengths
from nc1fast.prediction.dense import Eigen
from nc1fast.prediction.problem import MOST_DENSE, SOLVERS, Prediction, Regression
from nc1fast.support.arguments import as_number, check_choice
from nc1fast.support.arithmetic import ieee
from nc1fast.support.progress import reporting

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    from nc1fast.kernels.classes import Kernel
    from nc1fast.support.progress import Report

    Array = NDArray[np.float64]

_MOST_DEGREE = 1 << 14


@ieee
@reads_files("X", "Z", labels="targets")
def gradient_flow(
    kernel: Kernel,
    X: ArrayLike,
    targets: ArrayLike,
    Z: ArrayLike | None = None,
    *,
    time: float = 1.0,
    solver: str = "auto",
    tolerance: float = 1e-10,
    dtype: str = "float64",
    n_threads: int | None = None,
    memory_limit: float | None = None,
    progress: bool | Callable[[int, int], object] = False,
) -> Prediction:
    """Outputs at time t of gradient flow from f = 0 on |f - targets|^2/(2 N C), for N samples and C
    outputs.

    Parameters
    ----------
    kernel, X, targets, Z, dtype, n_threads, memory_limit
        As of `ridge`.
    time : float, default 1.0
        At least 0; in units of the learning rate times steps. "cholesky" takes infinity.
    solver : {"auto", "cholesky", "cg"}, default "auto"
        "cholesky": the eigenvectors of the stored K; "cg": a polynomial of K, by products alone.
        "auto": stored up to 5,000 rows.
    tolerance : float, default 1e-10
        Largest error of the polynomial on [0, Tr K], relative to its largest value.
    progress : bool or callable(done, total), default False
        Of "cg", in products.

    Returns
    -------
    Prediction

    Raises
    ------
    TypeError, ValueError, OSError, ImportError
        As `ridge`; for a time so long that the polynomial has more than 16,384 terms.

    Notes
    -----
    f_t(z) = k(z, X) K^-1 (I - exp(-K t/(N C))) Y, where K^-1 (1 - exp(-K s)) is the entire function
    (1 - e^(-l s))/l of K, with the value s at 0.
    Cost: 9 N^3 multiply-adds; or one product for each term of Chebyshev's series, some 3 sqrt(s Tr
    K log(1/tolerance)).
    Accuracy: `error_bound` for the polynomial, |df| <= sqrt(k_zz Tr K) |Y| times its largest error;
    1e-14 of |Y| stored.
    Source: Jacot, Gabriel & Hongler (2018), section 5; Lee et al. (2019), eq. 10.
    """
    end = math.inf if time == math.inf else as_number("time", time, least=0)
    check_choice("solver", solver, SOLVERS)
    least = as_number("tolerance", tolerance, above=0, below=1)
    problem = Regression.of(
        kernel, (X, targets, Z), ProductSettings(dtype, n_threads, memory_limit)
    )
    s = end / problem.Y.size
    stored = problem.n <= MOST_DENSE if solver == "auto" else solver == "cholesky"
    if stored:
        eigen = Eigen(problem.train)
        dual = eigen.U @ (_flow(eigen.values, s)[:, None] * (eigen.U.T @ problem.Y))
        used = _Polynomial(np.zeros(0), 0.0, 0.0)
    elif s == math.inf:
        raise ValueError("time must be finite with solver='cg'")
    else:
        used = _Polynomial.of(s, float(np.sum(problem.train.diagonal)), least)
        with reporting(progress, "products") as report:
            dual = used.applied(problem, report)
    largest = used.error * math.sqrt(used.end)
    bound = largest * np.sqrt(problem.at.result_diagonal)[:, None] * lengths(problem.Y)
    return Prediction(
        mean=problem.shaped(problem.at(dual)),
        dual=dual,
        variance=None,
        covariance=None,
        log_marginal_likelihood=None,
        log_marginal_likelihood_interval=None,
        leave_one_out=None,
        error_bound=problem.shaped(bound),
        residual=used.error * used.end,
        iterations=max(0, len(used.coefficients) - 1),
        converged=True,
        solver="cholesky" if stored else "cg",
        rank=0,
        kernel=kernel,
    )


def _flow(values: Array, s: float) -> Array:
    """(1 - exp(-l s))/l of each l >= 0; s at 0, and for s = inf the pseudo-inverse."""
    if s == math.inf:
        floor = len(values) * np.finfo(float).eps * values.max(initial=0.0)
        return np.where(values > floor, 1 / np.where(values > floor, values, 1.0), 0.0)
    small = values * s < 1e-300
    return np.where(small, s, -np.expm1(-values * s) / np.where(small, 1.0, values))


class _Polynomial(NamedTuple):
    """A series of Chebyshev's polynomials on [0, end]: sum_j c_j T_j(2 l/end - 1).

    Attributes
    ----------
    coefficients : ndarray of shape (degree + 1,)
    end : float
        At least the largest eigenvalue.
    error : float
        The largest error on the interval.
    """

    coefficients: Array
    end: float
    error: float

    @classmethod
    def of(cls, s: float, end: float, tolerance: float) -> _Polynomial:
        """The series of (1 - e^(-l s))/l, to `tolerance` s, its largest value.

        Raises
        ------
        ValueError
            If it has too many terms.
        """
        nodes = 64
        while nodes < 2 * math.sqrt(s * end):  # the first of them sees the rise to s at 0
            nodes *= 2
        while nodes <= 4 * _MOST_DEGREE:
            angles = (np.arange(nodes) + 0.5) * math.pi / nodes
            values = _flow(end * (1 + np.cos(angles)) / 2, s)
            c = _cosine_transform(values)
            tail = np.cumsum(np.abs(c[::-1]))[::-1]  # of all terms from j on
            kept = int(np.argmax(tail <= tolerance * s / 2)) if tail[-1] <= tolerance * s / 2 else 0
            if s == 0 or (0 < kept <= nodes // 2):
                degree = max(kept, 1)
                if degree > _MOST_DEGREE:
                    break
                return cls(c[:degree], end, 2 * float(tail[degree]))
            nodes *= 2
        raise ValueError(
            f"time is too long for solver='cg': s Tr K = {s * end:.1e} needs more than "
            f"{_MOST_DEGREE} products"
        )

    def applied(self, problem: Regression, report: Report | None) -> Array:
        """The polynomial of K times the targets: one product for each term."""
        c, K, half = self.coefficients, problem.train, self.end / 2
        last, now = problem.Y, K(problem.Y) / half - problem.Y
        out: Array = c[0] * last
        for j in range(1, len(c)):
            out += c[j] * now
            if j + 1 < len(c):
                last, now = now, 2 * (K(now) / half - now) - last
            if report is not None:
                report(j, len(c) - 1)
        return out


def _cosine_transform(values: Array) -> Array:
    """Chebyshev's coefficients of a function by its values at cos((j + 1/2) pi/n)."""
    n = len(values)
    spectrum = np.fft.rfft(np.concatenate([values, values[::-1]]))[:n]
    turned = np.real(spectrum * np.exp(-1j * math.pi * np.arange(n) / (2 * n))) / n
    turned[0] /= 2
    return np.asarray(turned)
