"""The result of the mean-field equations: weighted draws of the hidden weights, their kernel, and a
certificate.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from nc1fast.activations import of_arrays
from nc1fast.datasets.paths import reads_files
from nc1fast.estimators.statistics import student_quantile
from nc1fast.inputs.arrays import as_rows
from nc1fast.inputs.labelled import Classes
from nc1fast.metrics.result import collapse_from_sums
from nc1fast.sums.given import precomputed, tile_sums
from nc1fast.support.arithmetic import ieee

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from nc1fast.activations import Activation
    from nc1fast.metrics.result import Collapse

    Array = NDArray[np.float64]

_CONFIDENCE = 0.95


@dataclass(frozen=True, eq=False, repr=False)
class MeanFieldSolution:
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
        C of `nc1fast.adaptive.hidden_draws`: `gram` is the weighted sum of C phi phi^T C, and C is
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
        |Q' - Q|/|Q| (Frobenius): Q' by one more iteration over fresh draws, which had no part in finding Q.
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
        return gram_collapse(self, y, "mean field", convention)

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
                f"Z must have {self.hidden.shape[1]} features, as the training rows, got {rows.shape[1]}"
            )
        values: Array = of_arrays(self.activation)[0](rows @ self.hidden.T)
        values *= np.sqrt(self.weights)
        return values

    def __repr__(self) -> str:
        state = "converged" if self.converged else "NOT converged"
        return (
            f"MeanFieldSolution({state}: {self.reason}; F = {self.free_energy:.10g}, "
            f"standard error of Q {self.gram_error:.2g}, noise {self.noise:g}, width {self.width:g})"
        )


class _Sampled(Protocol):
    """A kernel matrix from batches of draws: of the whole and of each batch."""

    @property
    def gram(self) -> Array: ...

    @property
    def batch_grams(self) -> Array: ...

    @property
    def reason(self) -> str: ...


def gram_collapse(sampled: _Sampled, y: ArrayLike, method: str, convention: str | None) -> Collapse:
    """Collapse of a kernel matrix, with the standard error that its batches give and Student's
    interval of 95 %.
    """
    classes = Classes.of(y, len(sampled.gram))

    def measured(K: Array) -> Collapse:
        sums = tile_sums(precomputed(K), classes, "precomputed", row_sums=False)
        return collapse_from_sums(sums, convention, keep_rows=False)

    whole = measured(sampled.gram)
    nc1 = np.array([measured(K).nc1 for K in sampled.batch_grams])
    error = float(np.std(nc1, ddof=1) / np.sqrt(len(nc1)))
    reach = student_quantile(_CONFIDENCE, len(nc1) - 1) * error
    return replace(
        whole,
        method=method,
        reason=sampled.reason,
        standard_error=error,
        interval=(max(0.0, whole.nc1 - reach), whole.nc1 + reach),
        _again=lambda other: gram_collapse(sampled, y, method, other),
    )
