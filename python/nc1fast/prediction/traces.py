"""Traces by random vectors: log det(K + ridge I) by Lanczos quadrature between two bounds, and
`effective_dimension`, how many directions a ridge leaves to a kernel.

With P = F F^T + s I for the factor F of a low-rank approximation, det A = det P det M for M =
P^-1/2 A P^-1/2. The first is known; the second is tr log M, the mean of z^T log(M) z over random
signs z. Each of these is an integral of log over the spectrum of M, weighted by z: m steps of
Lanczos's recurrence give Gauss's rule for it, which is too large, since the even derivatives of log
are negative, and Radau's with a node at a lower bound of the spectrum, which is too small. What F
F^T leaves of K is positive semidefinite, so that ridge/s is such a bound.

s = ridge + Tr(K - F F^T)/n in place of the ridge brings log M to 0 where F has no part, too: its
entries off the diagonal, which alone make the terms differ, become up to 11 times smaller (500
rows, ridge 1e-6).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nc1fast.core.linear import UNIT_ROUNDOFF
from nc1fast.core.products import KernelMap, ProductSettings
from nc1fast.datasets.paths import reads_files
from nc1fast.kernels.classes import check_kernel
from nc1fast.prediction.conjugate import RidgeSystem, Stopping, lengths
from nc1fast.prediction.dense import Cholesky
from nc1fast.prediction.preconditioner import Preconditioner
from nc1fast.prediction.problem import SOLVERS, EffectiveDimension
from nc1fast.support.arguments import as_count, as_number, as_seed, check_choice, seed_of
from nc1fast.support.arithmetic import ieee
from nc1fast.support.extras import require
from nc1fast.support.progress import reporting

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    from nc1fast.kernels.classes import Kernel
    from nc1fast.support.progress import Report

    Array = NDArray[np.float64]

_LEAST = 1.0 - 1e-6  # of a lower bound of the spectrum of M: what rounding may take
_EVERY = 5  # steps between two looks at the rules, or a quarter of those before
_SMALL = 0.1  # of the standard error: what the rules may leave between them
_ROUNDING = 1e-12  # of the sum of |log| that the rules cannot resolve
_ENDED = 1e-13  # of the diagonal of T: where the recurrence has found an invariant space
_FEW_ROWS = 2000  # of which the inverse is cheap


@dataclass(frozen=True)
class Probing:
    """How a trace is estimated.

    Attributes
    ----------
    probes : int
        Vectors of random signs, 2 at least; 0 for no estimate, where `of` allows it.
    confidence : float
        Probability with which an interval covers the trace.
    """

    probes: int
    confidence: float

    @classmethod
    def of(cls, probes: Any, confidence: Any, *, none: bool = False) -> Probing:
        """The same, checked; `none` allows 0 probes.

        Raises
        ------
        TypeError, ValueError
            For a value that is not among those allowed.
        """
        least = 0 if none else 2
        count = as_count("probes", probes, least)
        if count == 1:
            raise ValueError("probes must be 0 or >= 2, got 1: one probe has no spread")
        return cls(count, as_number("confidence", confidence, above=0, below=1))

    def signs(self, n: int, seed: int | tuple[int, int]) -> Array:
        """The vectors, shape (n, probes)."""
        return np.random.default_rng(seed).choice([-1.0, 1.0], size=(n, self.probes))

    def standard_error(self, values: Array) -> float:
        """Of the mean of one value for each probe."""
        return float(values.std(ddof=1)) / math.sqrt(self.probes)

    def half_width(self, values: Array) -> float:
        """Half of Student's interval of that mean."""
        student = require("scipy.stats", "prediction").t
        quantile = float(student.ppf((1 + self.confidence) / 2, self.probes - 1))
        return quantile * self.standard_error(values)


class LogDeterminant(NamedTuple):
    """Log det A, estimated.

    Attributes
    ----------
    value : float
    half_width : float
        Of its interval: of the probes, and of the rules between which each lies.
    steps : int
        Products, each with as many columns as there are probes.
    """

    value: float
    half_width: float
    steps: int


def log_determinant(
    system: RidgeSystem, probing: Probing, seed: int, most: int, report: Report | None = None
) -> LogDeterminant | None:
    """The logarithm of det(K + ridge I), or None where rounding has made the matrix indefinite.

    Parameters
    ----------
    system : RidgeSystem
    probing : Probing
    seed : int
    most : int
        Steps at most.
    report : callable(done, total), optional

    Notes
    -----
    Cost: one product with `probes` columns for each step; about as many steps as conjugate
    gradients take for the digits that the probes give.
    Source: Bai, Fahey & Golub (1996); Ubaru, Chen & Saad (2017); Gardner et al. (2018) for the
    preconditioner; Golub & Meurant (2010), section 6.2, for the two rules.
    """
    n, factor = system.made.shape[1], system.preconditioner.factor
    kept = float(np.trace(factor.inner)) if factor.rank else 0.0  # |F|^2
    left = float(np.sum(system.made.diagonal)) - kept
    shift = system.ridge + max(left, 0.0) / n
    inner = Preconditioner(factor, shift)
    lanczos = _Lanczos(system, inner, probing.signs(n, (seed, 1)))
    rounding = inner.rank * UNIT_ROUNDOFF * kept / shift  # of the eigenvalues of F^T F
    known, least = inner.log_determinant(n), _LEAST * system.ridge / shift
    rounding += _ROUNDING * (abs(known) + n)
    while True:
        lanczos.advance(min(max(_EVERY, lanczos.steps // 4), most - lanczos.steps))
        if report is not None:
            report(lanczos.steps, most)
        rules = lanczos.rules(least)
        if rules is None:
            return None
        below, above = n * rules
        middle = (below + above) / 2
        between = float((above - below).mean()) / 2
        done = between <= _SMALL * probing.standard_error(middle) + rounding
        if done or lanczos.steps >= most or not lanczos.active.any():
            half_width = probing.half_width(middle) + between + rounding
            return LogDeterminant(known + float(middle.mean()), half_width, lanczos.steps)


@dataclass(eq=False)
class _Lanczos:
    """The recurrence M Q = Q T of every column of Z, shape (n, k), each by itself; Q is not kept.

    Ritz values that the lost orthogonality of Q repeats share their weight, which leaves the rules
    as they are.
    """

    system: RidgeSystem
    inner: Preconditioner
    now: Array

    def __post_init__(self) -> None:
        self.now = self.now / np.sqrt(np.square(self.now).sum(axis=0))
        self.before = np.zeros_like(self.now)
        self.alphas: list[Array] = []  # of each step, shape (k,)
        self.betas: list[Array] = []
        self.active = np.ones(self.now.shape[1], dtype=np.bool_)

    @property
    def steps(self) -> int:
        """How many steps were taken."""
        return len(self.alphas)

    def advance(self, steps: int) -> None:
        """Take some more steps, fewer where all columns have ended."""
        half = self.inner.half
        for _ in range(steps):
            if not self.active.any():
                return
            alpha, beta = np.ones(len(self.active)), np.zeros(len(self.active))
            here = np.flatnonzero(self.active)
            V, back = self.now[:, here], self.betas[-1][here] if self.betas else 0.0
            W = half(self.system.product(half(V))) - back * self.before[:, here]
            alpha[here] = np.einsum("ij,ij->j", V, W)
            W -= alpha[here] * V
            beta[here] = np.sqrt(np.einsum("ij,ij->j", W, W))
            self.active = beta > _ENDED * np.abs(alpha)
            beta[~self.active] = 0.0
            self.alphas.append(alpha)
            self.betas.append(beta)
            going = self.active[here]
            self.before[:, here] = V
            self.now[:, here[going]] = W[:, going] / beta[here[going]]

    def rules(self, least: float) -> Array | None:
        """Radau's rule of log with a node at `least`, and Gauss's, for each column: shape (2, k).

        None for a spectrum that is not above 0.
        """
        alphas, betas = np.array(self.alphas), np.array(self.betas)
        T = _tridiagonal(alphas, betas[:-1])
        gauss = _log_rule(T)
        if gauss is None:
            return None
        node = np.minimum(least, _LEAST * np.linalg.eigvalsh(T)[:, 0])
        delta = alphas[0] - node  # pivots of T - node I
        for alpha, beta in zip(alphas[1:], betas[:-1], strict=True):
            delta = alpha - node - np.square(beta) / delta
        last = node + np.square(betas[-1]) / delta
        radau = _log_rule(_tridiagonal(np.vstack([alphas, last]), betas))
        if radau is None:
            return None
        ended = betas[-1] == 0  # Gauss's rule is exact
        return np.stack([np.where(ended, gauss, np.minimum(radau, gauss)), gauss])


def _tridiagonal(diagonal: Array, beside: Array) -> Array:
    """Symmetric matrices of diagonals (m, k) and off-diagonals (m - 1, k): shape (k, m, m)."""
    m, k = diagonal.shape
    T = np.zeros((k, m, m))
    index = np.arange(m)
    T[:, index, index] = diagonal.T
    T[:, index[1:], index[:-1]] = T[:, index[:-1], index[1:]] = beside.T
    return T


def _log_rule(T: Array) -> Array | None:
    """The rule e_1^T log(T) e_1 of each matrix, shape (k,); None where one is not positive
    definite.
    """
    nodes, vectors = np.linalg.eigh(T)
    if nodes.min() <= 0:
        return None
    return np.asarray(np.einsum("ij,ij->i", np.square(vectors[:, 0]), np.log(nodes)))


@ieee
@reads_files("X")
def effective_dimension(
    kernel: Kernel,
    X: ArrayLike,
    *,
    ridge: float = 1e-3,
    solver: str = "auto",
    probes: int = 32,
    confidence: float = 0.95,
    tolerance: float = 1e-6,
    max_iterations: int = 1000,
    n_threads: int | None = None,
    memory_limit: float | None = None,
    seed: int = 0,
    progress: bool | Callable[[int, int], object] = False,
    rng: int | np.random.Generator | None = None,
) -> EffectiveDimension:
    """Tr K (K + ridge I)^-1, the degrees of freedom of a ridge regression.

    Parameters
    ----------
    kernel, X, n_threads, memory_limit, tolerance, max_iterations, progress
        As of `ridge`.
    ridge : float > 0, default 1e-3
    solver : {"auto", "cholesky", "cg"}, default "auto"
        "cholesky": exact, from the stored matrix; "cg": an estimate. "auto": exact up to 2,000
        rows.
    probes : int, default 32
        Random vectors of an estimate, at least 2.
    confidence : float, default 0.95
        Probability with which the interval covers the value.
    seed : int, default 0
    rng : None, int or numpy.random.Generator, optional
        What `seed` is, as SPEC 7 has it: an integer gives the bits of the same seed, a Generator
        its next integer.

    Returns
    -------
    EffectiveDimension

    Raises
    ------
    TypeError, ValueError, OSError, ImportError
        As `ridge`.

    Notes
    -----
    n - ridge E z^T (K + ridge I)^-1 z over vectors z of random signs; the interval is Student's
    over the probes, widened by what the residuals r leave: |z^T (x - x_exact)| <= |x| |r| +
    |r|^2/ridge.
    Cost: one solution with `probes` right-hand sides.
    Source: Hutchinson (1990); Avron & Toledo (2011).
    """
    check_kernel(kernel, X)
    level = as_number("ridge", ridge, above=0)
    check_choice("solver", solver, SOLVERS)
    probing = Probing.of(probes, confidence)
    stopping = Stopping.of(tolerance, max_iterations)
    first = as_seed(seed_of(rng, seed))
    made = KernelMap.of(kernel, X, None, ProductSettings("float64", n_threads, memory_limit))
    n = made.shape[1]
    if solver == "cholesky" or (solver == "auto" and n <= _FEW_ROWS):
        value = n - level * float(Cholesky(made.entries(), level).inverse_diagonal().sum())
        return EffectiveDimension(value, (value, value), 0)
    signs = probing.signs(n, first)
    system = RidgeSystem.of(made, level, None, first)
    with reporting(progress, "steps") as report:
        solved = system.solve(signs, stopping, report=report)
    traces = n - level * np.einsum("ij,ij->j", signs, solved.X)
    left = lengths(solved.residuals)
    solving = level * float((lengths(solved.X) * left + np.square(left) / level).max())
    mean, half = float(traces.mean()), probing.half_width(traces) + solving
    return EffectiveDimension(mean, (mean - half, mean + half), probing.probes)
