"""The results: of the equations of state with the Gaussian closure, and without it; each with its
certificate.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from nc1fast.core.activations import of_arrays
from nc1fast.datasets.paths import reads_files
from nc1fast.estimators.statistics import student_quantile
from nc1fast.inputs.arrays import as_rows
from nc1fast.inputs.labelled import Classes
from nc1fast.kernels.adaptive import AdaptiveKernel
from nc1fast.metrics.result import collapse_from_sums
from nc1fast.sums.given import precomputed, tile_sums
from nc1fast.support.arithmetic import ieee

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import ArrayLike, NDArray

    from nc1fast.core.activations import Activation
    from nc1fast.metrics.result import Collapse

    Array = NDArray[np.float64]

HISTORY = ("stage", "start", "width", "evaluation", "free_energy", "residual")
_CONFIDENCE = 0.95


@dataclass(frozen=True, eq=False)
class Branch:
    """A minimum of the free energy, and the starts whose descents ended there.

    Attributes
    ----------
    sigma : ndarray of shape (n_features, n_features)
        Covariance of the hidden weights.
    free_energy : float
        F(sigma).
    residual : float
        Relative error of the equation of state. A branch that was not kept is known to about 1e-4
        only, which gives F to about 1e-8.
    starts : tuple of str
        Names of the starts, in the order in which they were tried.
    activation : str
    """

    sigma: Array
    free_energy: float
    residual: float
    starts: tuple[str, ...]
    activation: str

    @property
    def kernel(self) -> AdaptiveKernel:
        """The kernel of this covariance."""
        return AdaptiveKernel(self.sigma, self.activation)

    def __repr__(self) -> str:
        return (
            f"Branch(F = {self.free_energy:.10g}, residual {self.residual:.2g}, "
            f"Tr Sigma {np.trace(self.sigma):.6g}, from {', '.join(self.starts)})"
        )


@dataclass(frozen=True, eq=False)
class AdaptiveSolution:
    """The lowest stationary point of the free energy that was found, or the best point on the way
    to one.

    Attributes
    ----------
    sigma : ndarray of shape (n_features, n_features)
        Covariance of the hidden weights.
    free_energy : float
        F(sigma).
    residual : float
        |L^T (Sigma^-1's equation) L - I|_F / sqrt(rank), Sigma = L L^T: relative error of the
        equation of state.
    smallest_eigenvalue : float
        The smallest eigenvalue of sigma, in units of the prior variance weight_variance/n_features.
    converged : bool
        Whether residual <= tol.
    reason : str
        Why the solver ended.
    predictions : ndarray of shape (n_samples, n_outputs)
        Mean outputs Q (Q + noise I)^-1 Y on the training rows.
    history : dict of str to ndarray
        Columns stage, start, width, evaluation, free_energy, residual: every improvement, those of
        the start that won last.
    evaluations : int
        Evaluations of F, of all starts and widths.
    start : str
        Name of the start that won.
    branches : tuple of Branch
        The minima at which descents ended, distinct in F or in the kernel, lowest F first: the
        first one is this solution.
    noise, width, weight_variance, readout_variance, activation
        The problem that was solved, as the arguments of `solve`.
    stages : tuple of AdaptiveSolution
        One per width of a continuation, this one last; empty without one.
    """

    sigma: Array
    free_energy: float
    residual: float
    smallest_eigenvalue: float
    converged: bool
    reason: str
    predictions: Array
    history: dict[str, NDArray[Any]]
    evaluations: int
    start: str
    branches: tuple[Branch, ...] = field(repr=False)
    noise: float
    width: float
    weight_variance: float
    readout_variance: float
    activation: str
    stages: tuple[AdaptiveSolution, ...] = field(default=(), repr=False)

    @property
    def n_starts(self) -> int:
        """Number of descents at this width."""
        return sum(len(branch.starts) for branch in self.branches)

    @property
    def kernel(self) -> AdaptiveKernel:
        """The adaptive kernel: Q without the readout variance, which only scales it."""
        return AdaptiveKernel(self.sigma, self.activation)

    def __repr__(self) -> str:
        state = "converged" if self.converged else "NOT converged"
        n = len(self.branches)
        lowest = f", lowest of {n} branch{'es' * (n > 1)} from {self.n_starts} starts"
        return (
            f"AdaptiveSolution({state}: {self.reason}; F = {self.free_energy:.10g}"
            f"{lowest if self.n_starts > 1 else ''}, found from {self.start}, "
            f"residual {self.residual:.2g}, Tr Sigma {np.trace(self.sigma):.6g}, "
            f"smallest eigenvalue {self.smallest_eigenvalue:.3g} of the prior's, "
            f"noise {self.noise:g}, width {self.width:g})"
        )


class SampledGram:
    """Base of results whose kernel matrix is a mean over draws: `gram`, and of each batch of draws,
    `batch_grams`.
    """

    gram: Array
    batch_grams: Array
    reason: str
    _method: ClassVar[str] = "mean field"

    @ieee
    def collapse(self, y: ArrayLike, *, convention: str | None = None) -> Collapse:
        """Collapse of the training rows under Q, with a standard error.

        Parameters
        ----------
        y : array-like of shape (n_samples,)
            Labels of the training rows.
        convention : str, optional
            As in `nc1fast.collapse`.

        Returns
        -------
        Collapse
            `standard_error` is that of nc1 by the draws, from the eight batches, and `interval`
            Student's of 95 %; the effect of each batch on its own solution is part of it.
            `error_bound` is that of rounding.

        Raises
        ------
        TypeError, ValueError
            For labels that do not fit, as in `nc1fast.collapse`.

        Notes
        -----
        Cost: nine passes over N x N numbers.
        """
        classes = Classes.of(y, len(self.gram))

        def measured(K: Array) -> Collapse:
            sums = tile_sums(precomputed(K), classes, "precomputed", row_sums=False)
            return collapse_from_sums(sums, convention, keep_rows=False)

        whole = measured(self.gram)
        nc1 = np.array([measured(K).nc1 for K in self.batch_grams])
        error = float(np.std(nc1, ddof=1) / np.sqrt(len(nc1)))
        reach = student_quantile(_CONFIDENCE, len(nc1) - 1) * error
        return replace(
            whole,
            method=self._method,
            reason=self.reason,
            standard_error=error,
            interval=(max(0.0, whole.nc1 - reach), whole.nc1 + reach),
            _again=lambda other: self.collapse(y, convention=other),
        )


@dataclass(frozen=True, eq=False, repr=False)
class MeanFieldSolution(SampledGram):
    """The law of the hidden weights of a wide network that has seen the data, as weighted draws of
    their prior.

    Attributes
    ----------
    gram : ndarray of shape (n_samples, n_samples)
        Q = E_p phi phi^T, the kernel of the hidden layer on the training rows, without the readout
        variance.
    hidden : ndarray of shape (n_draws, n_features)
        Hidden weights.
    weights : ndarray of shape (n_draws,)
        Their probabilities, which sum to 1.
    prior_weights : ndarray of shape (n_draws,)
        Their probabilities under the prior: equal, unless the law lies in the prior's tails.
    map : ndarray of shape (n_samples, n_samples)
        C of `nc1fast.adaptive.hidden`: `gram` is the weighted sum of C phi phi^T C, and C is
        I but for errors of the draws.
    second_moment : ndarray of shape (n_features, n_features)
        E_p w w^T; beside it stands `AdaptiveSolution.sigma`.
    free_energy : float
        F[p], on the scale of `AdaptiveSolution.free_energy`: the Gaussian laws are among all laws,
        so that it lies below theirs but for errors of the draws.
    predictions : ndarray of shape (n_samples, n_outputs)
        Mean outputs sa2 Q Qt^-1 Y on the training rows.
    effective_sample_size : float
        1/sum of weights^2: the draws are worth that many of equal weight.
    residual : float
        |Q' - Q|/|Q| (Frobenius): Q' by one more iteration over fresh draws, which had no part in
        finding Q.
    gram_error : float
        Standard error of Q, relative: that of |Q - true Q|/|Q|, from the spread of `batch_grams`.
    change : float
        The last iteration's change of log p, its standard deviation under p.
    steps : int
        Iterations.
    converged : bool
        Whether the iteration came to rest, residual <= tol, the effective sample size is at least
        200 and no draw has more than 0.005 of the weight.
    reason : str
        Why so, in words.
    batch_grams : ndarray of shape (8, n_samples, n_samples)
        Q of each eighth of the draws, which solved the equations for itself: their spread measures
        the error.
    noise, width, weight_variance, readout_variance, activation
        The problem that was solved, as the arguments of `mean_field`.
    """

    gram: Array
    hidden: Array = field(repr=False)
    weights: Array = field(repr=False)
    prior_weights: Array = field(repr=False)
    map: Array = field(repr=False)
    second_moment: Array
    free_energy: float
    predictions: Array
    effective_sample_size: float
    residual: float
    gram_error: float
    change: float
    steps: int
    converged: bool
    reason: str
    batch_grams: Array = field(repr=False)
    noise: float
    width: float
    weight_variance: float
    readout_variance: float
    activation: Activation

    @ieee
    @reads_files("Z", in_memory=True)
    def features(self, Z: ArrayLike) -> Array:
        """Explicit features of any rows: their inner products are E_p phi(w x) phi(w z) over the
        draws.

        Parameters
        ----------
        Z : array-like of shape (n_rows, n_features), or path

        Returns
        -------
        ndarray of shape (n_rows, n_draws)
            sqrt(p) phi(Z w). On the training rows their Gram matrix is `gram` less the correction
            of the draws by the known kernel of the prior: noisier, and it needs no N x N matrix.

        Raises
        ------
        TypeError, ValueError
            For rows that are not finite numbers, or have another number of features.
        """
        rows = np.asarray(as_rows(Z, "Z"), dtype=np.float64)
        if rows.shape[1] != self.hidden.shape[1]:
            raise ValueError(
                f"Z must have {self.hidden.shape[1]} features, as the training rows, got "
                f"{rows.shape[1]}"
            )
        values: Array = of_arrays(self.activation)[0](rows @ self.hidden.T)
        values *= np.sqrt(self.weights)
        return values

    def __repr__(self) -> str:
        state = "converged" if self.converged else "NOT converged"
        return (
            f"MeanFieldSolution({state}: {self.reason}; F = {self.free_energy:.10g}, "
            f"standard error of Q {self.gram_error:.2g}, noise {self.noise:g}, "
            f"width {self.width:g})"
        )
