"""`mean_field`: the equations of state without a Gaussian closure, by importance sampling.

checked arguments  ->  draws of the prior, in eight batches  ->  descent of F over all of them  ->
one step over fresh draws, the residual  ->  a descent in each batch, whose spread is the standard
error
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nc1fast.adaptive.hidden import HiddenDraws, Prior
from nc1fast.adaptive.settings import MeanFieldSettings
from nc1fast.adaptive.solution import MeanFieldSolution
from nc1fast.adaptive.tilting import StateEquations, TiltDescent
from nc1fast.datasets.paths import reads_files
from nc1fast.inputs.arrays import as_rows
from nc1fast.inputs.targets import as_numbers
from nc1fast.support.arguments import seed_of
from nc1fast.support.arithmetic import ieee
from nc1fast.support.progress import reporting, staged

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray

    from nc1fast.adaptive.hidden import Stretch
    from nc1fast.adaptive.tilting import TiltedLaw
    from nc1fast.core.activations import Activation

    Array = NDArray[np.float64]

N_BATCHES = 8
_ROUNDS = 3  # of stretched draws, at most
_FEWEST = 1 << 15  # draws
_PER_ROW = 64  # draws for each row: a batch, an eighth of them, has to resolve the directions of Q
_RESTS = 1e-6  # change of log p at which a descent is over
_BATCH_RESTS = 0.05  # the same in a batch, relative to the first, which is an error of draws
_EFFECTIVE = 200  # effective sample size below which no result counts as converged
_LARGEST = 0.005  # weight of one draw above which the law reaches to where draws are rare
# Variance and density of a law, relative to the prior's, from which its tails are looked at.
_WIDE, _DENSE = 1.1, 2.0


@ieee
@reads_files("X", labels="targets", in_memory=True)
def mean_field(
    X: ArrayLike,
    targets: ArrayLike,
    *,
    noise: float,
    activation: Activation = "erf",
    weight_variance: float = 1.0,
    readout_variance: float = 1 / 128,
    width: float = 500,
    n_samples: int | None = None,
    tol: float = 0.02,
    max_iter: int = 200,
    seed: int = 0,
    n_threads: int | None = None,
    progress: bool | Callable[[int, int], object] = False,
    rng: int | np.random.Generator | None = None,
) -> MeanFieldSolution:
    """Law of the hidden weights of a wide network that has been trained on labelled data, of any
    shape.

    `solve` takes the hidden weights to be Gaussian; here only the h units are taken to be
    independent.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features), or path
    targets : array-like of shape (n_samples,) or (n_samples, n_outputs), path, or part of the file
    X
        Outputs that the network is trained towards; they are used as given, neither centred nor
        scaled.
    noise : float
        Variance s2 of the observation noise (the temperature of the training). It decides the
        answer, so it has no default.
    activation : str or LeakyReLU, default "erf"
        Any activation of the library.
    weight_variance : float, default 1.0
        sw2: hidden weights have the prior N(0, sw2/n_features).
    readout_variance : float, default 1/128
        sa2: readout weights have the prior N(0, sa2/width).
    width : float, default 500
        Hidden units h.
    n_samples : int, optional
        Draws of the hidden weights, rounded up to eight times a power of two. Default: 32,768 or 64
        for each row, whichever is more.
    tol : float, default 0.02
        Residual on fresh draws up to which the result counts as converged. The iteration itself
        goes on until it no longer changes.
    max_iter : int, default 200
        Most iterations.
    seed : int, default 0
        Seed of the draws.
    n_threads : int, optional
        Threads for tiles of draws, as in `nc1fast.collapse`; products and factorizations use BLAS's
        and LAPACK's own.
    progress : bool or callable(done, total), default False
        Counts iterations against the most there can be; a descent that ends early jumps ahead.
    rng : None, int or numpy.random.Generator, optional
        What `seed` is, as SPEC 7 has it: an integer gives the bits of the same seed, a Generator
        its next integer.

    Returns
    -------
    MeanFieldSolution
        Returned also if it did not converge: see `converged` and `reason`.

    Raises
    ------
    TypeError, ValueError
        For data that are not finite numbers or whose shapes do not match; for variances, noise or a
        width that are not positive; for noise so small that Q + noise I is not positive definite in
        float64.
    ImportError
        Without scipy (extra "adaptive").

    Notes
    -----
    A network f(x) = a^T phi(W x) with a ~ N(0, sa2/h) integrated out has the posterior

        prod_k N(w_k; 0, sw2/d0) exp(-U(Q_h)),   U(Q) = (1/2) [Tr Y^T Qt^-1 Y + P log det Qt],   Qt
            = sa2 Q + s2 I,

    Q_h = (1/h) sum_k phi_k phi_k^T. By Sanov's theorem the h weights have, up to the constant of
    the prior, the log-density -(h KL(p | prior) + U(E_p phi phi^T)) for their empirical law p;
    where it is stationary,

        p(w) ~ N(w; 0, sw2/d0) exp(-(sa2/(2h)) phi(w)^T A phi(w)),   A = P Qt^-1 - T T^T,   T =
            Qt^-1 Y.

    `solve` restricts p to N(0, Sigma). What is left out are fluctuations of Q_h: on data on which
    Qt hardly depends on which h units were drawn, the mean field is the posterior (within 0.007 of
    log NC1 on two classes at width 200, 0.003 at 500; `finite_width` corrects it). The descent
    starts from the prior. Other starts end in the same F, also where that of the Gaussian laws has
    several minima (tests/test_mean_field.py).
    Cost: 3 n N^2 flops in an iteration over n draws, 5 to 30 iterations, and about five times as
    much for batches and residual. Memory: 8 n N bytes up to 256 MiB, tiles beyond; twenty N x N
    matrices; 32 n d0 bytes. Draws come from the prior and, where the law lies in its tails, half of
    them from a law that is wider (or narrower) in up to three directions.
    Accuracy: the draws are a scrambled Sobol sequence in up to 64 directions, corrected by the
    known kernel of the prior. Standard errors of log NC1 of 1e-4 to 1e-3 are usual; they grow as
    the effective sample size falls.
    Source: Seroussi, Naveh & Ringel (2023), equations of state before the Gaussian ansatz.

    Examples
    --------
    >>> X, y = nc.datasets.paper_d1(64, 8, seed=0)
    >>> solution = nc.adaptive.mean_field(X, y, noise=1e-2)
    >>> result = solution.collapse(y)
    >>> result.nc1 < nc.collapse(X, y, nc.NNGP("erf")).nc1
    True
    >>> result.standard_error < 0.01 * result.nc1
    True
    """
    settings = MeanFieldSettings(
        noise=noise,
        activation=activation,
        weight_variance=weight_variance,
        readout_variance=readout_variance,
        width=width,
        n_samples=n_samples,
        tol=tol,
        max_iter=max_iter,
        seed=seed_of(rng, seed),
        n_threads=n_threads,
    )
    rows = np.ascontiguousarray(as_rows(X, "X"), dtype=np.float64)
    Y = as_numbers(targets, len(rows), None)
    prior = Prior(rows, settings)
    with reporting(progress, "iterations") as report:
        best = _descended(prior, Y, staged(report, 1 + _ROUNDS))
        return _solution(best, _batch_grams(best.descent))


@dataclass(frozen=True, eq=False)
class Judged:
    """A descent, its residual on fresh draws, whether it stands, and the numbers that say so."""

    descent: TiltDescent
    residual: float
    converged: bool
    reason: str

    @property
    def rank(self) -> tuple[bool, float]:
        """Orders results: those that stand, then by effective sample size."""
        return self.converged, self.descent.law.effective_sample_size


def _descended(
    prior: Prior, Y: Array, reports: Sequence[Callable[[int, int], object] | None]
) -> Judged:
    """The descent over draws of the prior or, where they miss a part of the law, the best of some
    over stretched draws.
    """
    best: Judged | None = None
    stretch: Stretch | None = None
    for which, report in enumerate(reports):
        draws, fresh = (_draws(prior, stretch, 2 * which + k) for k in (0, 1))
        equations = StateEquations(draws, Y, prior.settings)
        start = np.zeros(len(draws)) if best is None else equations.action(best.descent.law, draws)
        found = _judged(TiltDescent(equations, start, _RESTS, report=report).run(), fresh)
        law = found.descent.law
        if found.converged and (stretch is not None or not _tailed(draws, law.weights)):
            return found
        if best is None or found.rank > best.rank:
            best = found
        stretch = prior.stretch(draws.weights, law.weights)
    assert best is not None
    return best


def _tailed(draws: HiddenDraws, p: Array) -> bool:
    """Whether the density p/prior grows towards the tails in the main direction of the rows, as for
    ReLU.

    Draws of the prior alone would miss the part beyond the farthest of them, without a trace in
    their spread.
    """
    variance = draws.prior.main_variance(draws.weights, p)
    return variance > _WIDE and float((p / draws.base).max()) > _DENSE


def _draws(prior: Prior, stretch: Stretch | None, which: int) -> HiddenDraws:
    """All batches of one set of draws; sets with different numbers are independent."""
    settings = prior.settings
    requested = settings.n_samples or max(_FEWEST, _PER_ROW * len(prior.X))
    size = 1 << math.ceil(math.log2(max(1.0, requested / N_BATCHES)))
    seeds = np.random.SeedSequence((settings.seed, which)).spawn(N_BATCHES)
    batches = [prior.draw(size, np.random.default_rng(seed), stretch) for seed in seeds]
    weights, base = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    return HiddenDraws(prior, weights, base / N_BATCHES)


def _batch_grams(descent: TiltDescent) -> Array:
    """Q of each batch, which solves the equations from the action of the whole, shape (batches, N,
    N).
    """
    equations = descent.equations
    grams = []
    for draws, start in zip(
        equations.draws.split(N_BATCHES), np.split(descent.law.action, N_BATCHES), strict=True
    ):
        batch = StateEquations(draws, equations.Y, equations.settings)
        grams.append(TiltDescent(batch, start, _RESTS, _BATCH_RESTS).run().law.gram)
    return np.array(grams)


def _solution(judged: Judged, batch_grams: Array) -> MeanFieldSolution:
    """The result with its certificate."""
    descent = judged.descent
    equations, law = descent.equations, descent.law
    settings, draws = equations.settings, equations.draws
    norm = float(np.linalg.norm(law.gram))
    spread = float(np.linalg.norm(np.std(batch_grams, axis=0, ddof=1)))
    n_features = draws.weights.shape[1]
    constant = 1 + math.log(n_features / settings.weight_variance)  # in F of N(0, Sigma)
    return MeanFieldSolution(
        gram=law.gram,
        hidden=draws.weights,
        weights=law.weights,
        prior_weights=draws.base,
        map=draws.map,
        second_moment=draws.second_moment(law.weights),
        free_energy=law.free_energy + settings.width * n_features / 2 * constant,
        predictions=equations.Y - settings.noise * law.T,
        effective_sample_size=law.effective_sample_size,
        residual=judged.residual,
        gram_error=spread / math.sqrt(N_BATCHES) / norm,
        change=descent.change,
        steps=descent.steps,
        converged=judged.converged,
        reason=judged.reason,
        batch_grams=batch_grams,
        noise=settings.noise,
        width=settings.width,
        weight_variance=settings.weight_variance,
        readout_variance=settings.readout_variance,
        activation=settings.activation,
    )


def _residual(equations: StateEquations, law: TiltedLaw, fresh: HiddenDraws) -> float:
    """|Q' - Q|/|Q|, Q' what the equations make of Q over draws that had no part in it."""
    action = equations.action(law, fresh)
    found = StateEquations(fresh, equations.Y, equations.settings).law(action)
    if found is None:
        return math.inf
    return float(np.linalg.norm(found.gram - law.gram) / np.linalg.norm(law.gram))


def _judged(descent: TiltDescent, fresh: HiddenDraws) -> Judged:
    """The verdict on a descent."""
    residual = _residual(descent.equations, descent.law, fresh)
    tol, worth = descent.equations.settings.tol, descent.law.effective_sample_size
    largest = float(descent.law.weights.max())
    failure = ""
    if worth < _EFFECTIVE:
        failure = f"effective sample size {worth:.3g} < {_EFFECTIVE}: too far from the prior"
    elif largest > _LARGEST:
        failure = (
            f"one draw has {largest:.2g} > {_LARGEST:g} of the weight: draws are too few there"
        )
    elif descent.change > _RESTS:
        change = f"{descent.change:.2g} > {_RESTS:g}"
        failure = f"after {descent.steps} steps one more changes log p by {change}"
    elif residual > tol:
        failure = f"residual {residual:.2g} on fresh draws > tol {tol:g}"
    success = f"residual {residual:.2g} <= tol {tol:g}, effective sample size {worth:.3g}"
    return Judged(descent, residual, not failure, failure or success)
