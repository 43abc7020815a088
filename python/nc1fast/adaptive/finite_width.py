"""The exact posterior of a network of finite width, by importance sampling of whole networks from
the mean field.

Networks of h hidden units, each drawn from the mean-field law p on its own, have the density prod
p(w_k); the posterior is prod prior(w_k) exp(-U(Q_h)), U and Q_h as in `mean_field`. A network's
weight is their quotient,

    log weight = -U(Q_h) - sum_k log (p/prior)(w_k),

whose spread is what the mean field neglects, the fluctuations of Q_h, to all orders. The mean of
phi phi^T over units that are drawn from p is known: it is taken off, so that the error is that of
the correction alone. As in the mean field the draws' activations are mapped by C, so that both have
the same prior and differ by the fluctuations alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from nc1fast.adaptive.solution import SampledGram
from nc1fast.core.activations import of_arrays
from nc1fast.datasets.paths import reads_files
from nc1fast.inputs.arrays import as_rows
from nc1fast.inputs.targets import as_numbers
from nc1fast.support.arguments import as_count, as_seed, seed_of
from nc1fast.support.arithmetic import ieee

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from nc1fast.adaptive.solution import MeanFieldSolution

    Array = NDArray[np.float64]

_EFFECTIVE = 100  # effective number of networks below which no result stands


@dataclass(frozen=True, eq=False, repr=False)
class FiniteWidth(SampledGram):
    """Kernel of the hidden layer in the exact posterior of a network.

    Attributes
    ----------
    gram : ndarray of shape (n_samples, n_samples)
        Posterior mean of Phi Phi^T/h on the training rows.
    effective_networks : float
        1/sum of squared weights: the networks are worth that many of equal weight.
    log_weight_variance : float
        Variance of the networks' log weight: 0 where the mean field is the posterior.
    n_networks : int
    converged : bool
        Whether the mean field converged and the effective number of networks is at least 100.
    reason : str
        Why so, in words.
    batch_grams : ndarray of shape (8, n_samples, n_samples)
        The same from an eighth of the networks and of the mean field's draws: their spread measures
        the error.
    """

    gram: Array
    effective_networks: float
    log_weight_variance: float
    n_networks: int
    converged: bool
    reason: str
    batch_grams: Array = field(repr=False)
    _method: ClassVar[str] = "finite width"

    def __repr__(self) -> str:
        state = "converged" if self.converged else "NOT converged"
        return f"FiniteWidth({state}: {self.reason}; {self.n_networks} networks)"


@ieee
@reads_files("X", labels="targets", in_memory=True)
def finite_width(
    solution: MeanFieldSolution,
    X: ArrayLike,
    targets: ArrayLike,
    *,
    n_networks: int = 2000,
    seed: int = 0,
    rng: int | np.random.Generator | None = None,
) -> FiniteWidth:
    """Correct a mean field to the exact posterior of a network of its width.

    Parameters
    ----------
    solution : MeanFieldSolution
    X : array-like of shape (n_samples, n_features), or path
        The training rows of the solution.
    targets : array-like of shape (n_samples,) or (n_samples, n_outputs), path, or part of the file
    X
        Its targets.
    n_networks : int, default 2000
        Networks to draw, rounded up to a multiple of 8.
    seed : int, default 0
    rng : None, int or numpy.random.Generator, optional
        What `seed` is, as SPEC 7 has it: an integer gives the bits of the same seed, a Generator
        its next integer.

    Returns
    -------
    FiniteWidth
        Returned also where the weights of the networks collapse onto few: see `converged`.

    Raises
    ------
    TypeError, ValueError
        For rows or targets that do not fit, or a width that is no integer.

    Notes
    -----
    Cost: n_networks (3 h N^2 + N^3/3) flops and h N activations; memory: 8 h N bytes, and twenty N
    x N matrices.
    Accuracy: that of importance sampling; the weights' variance grows with the number of directions
    of Q that the noise resolves, squared, over h. Where their effective number is low the mean
    field is not the posterior either.
    Source: the posterior as in `mean_field`; Owen (2013), chapter 9, for self-normalised weights.

    Examples
    --------
    >>> X, y = nc.datasets.paper_d1(64, 2, seed=0)
    >>> field = nc.adaptive.mean_field(X, y, noise=1e-2, width=200)
    >>> exact = nc.adaptive.finite_width(field, X, y, n_networks=800)
    >>> abs(exact.collapse(y).nc1 / field.collapse(y).nc1 - 1) < 0.02
    True
    """
    rows = np.asarray(as_rows(X, "X"), dtype=np.float64)
    expected = (len(solution.gram), solution.hidden.shape[1])
    if rows.shape != expected:
        raise ValueError(
            f"X must be the training rows, of shape {expected}, got shape {rows.shape}"
        )
    Y = as_numbers(targets, len(rows), None)
    if solution.width != int(solution.width):
        raise ValueError(f"the solution's width must be an integer, got {solution.width:g}")
    n_batches = len(solution.batch_grams)
    size = -(-as_count("n_networks", n_networks) // n_batches)
    seeds = np.random.SeedSequence(as_seed(seed_of(rng, seed))).spawn(n_batches)
    networks = _Networks(solution, rows, Y)
    batches = [networks.batch(size, np.random.default_rng(one)) for one in seeds]
    log_weights = np.concatenate([batch.log_weights for batch in batches])
    weights = _normalised(log_weights)
    shares = weights.reshape(n_batches, size).sum(axis=1)  # of the batches in the weighted mean
    weighted = sum(share * batch.weighted for share, batch in zip(shares, batches, strict=True))
    plain = sum(batch.plain for batch in batches) / n_batches
    effective = float(1 / np.square(weights).sum())
    enough = effective >= _EFFECTIVE
    reason = f"effective number of networks {effective:.3g} {'>=' if enough else '<'} {_EFFECTIVE}"
    if not solution.converged:
        reason = f"the mean field did not converge: {solution.reason}"
    return FiniteWidth(
        gram=solution.gram + (weighted - plain),
        effective_networks=effective,
        log_weight_variance=float(log_weights.var()),
        n_networks=len(weights),
        converged=enough and solution.converged,
        reason=reason,
        batch_grams=np.array(
            [
                gram + (batch.weighted - batch.plain)
                for gram, batch in zip(solution.batch_grams, batches, strict=True)
            ]
        ),
    )


@dataclass(frozen=True, eq=False)
class _Batch:
    """Log weights (m,) of some networks, and the weighted and the plain mean of their kernels (N,
    N).
    """

    log_weights: Array
    weighted: Array
    plain: Array


class _Networks:
    """Draws networks from the mean field and weighs them."""

    def __init__(self, solution: MeanFieldSolution, X: Array, Y: Array) -> None:
        self.solution, self.X, self.Y = solution, X, Y
        self.width = int(solution.width)
        self.phi, _ = of_arrays(solution.activation)
        p, prior = solution.weights, solution.prior_weights
        with np.errstate(divide="ignore"):  # draws of weight 0 are never taken
            self.log_density = np.log(p / prior)

    def batch(self, n_networks: int, rng: np.random.Generator) -> _Batch:
        """Some networks; their weighted mean is kept relative to the largest weight so far."""
        log_weights = np.empty(n_networks)
        weighted, plain = np.zeros_like(self.solution.gram), np.zeros_like(self.solution.gram)
        largest, total = -math.inf, 0.0
        for k in range(n_networks):
            log_weights[k], gram = self._network(rng)
            if log_weights[k] > largest:
                shrink = math.exp(largest - log_weights[k])
                weighted, total, largest = weighted * shrink, total * shrink, log_weights[k]
            weight = math.exp(log_weights[k] - largest)
            weighted += weight * gram
            plain += gram
            total += weight
        return _Batch(log_weights, weighted / total, plain / n_networks)

    def _network(self, rng: np.random.Generator) -> tuple[float, Array]:
        """The log weight of one network, up to a constant, and its kernel."""
        s = self.solution
        units = rng.choice(len(s.weights), size=self.width, p=s.weights)
        F = self.phi(s.hidden[units] @ self.X.T) @ s.map  # (h, N)
        gram = F.T @ F / self.width
        Qt = s.readout_variance * gram
        Qt[np.diag_indices_from(Qt)] += s.noise
        L = np.linalg.cholesky(Qt)
        half = np.linalg.solve(L, self.Y)
        fit = 0.5 * float(np.square(half).sum())
        volume = self.Y.shape[1] * float(np.log(np.diag(L)).sum())
        return -fit - volume - float(self.log_density[units].sum()), gram


def _normalised(log_weights: Array) -> Array:
    """Weights that sum to 1."""
    raw = np.exp(log_weights - log_weights.max())
    normalised: Array = raw / raw.sum()
    return normalised
