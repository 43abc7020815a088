"""`solve`: checked arguments, several starts, and continuation in width; and the label-shuffled
control: a gain of the adaptive kernel that comes from the labels vanishes when they are permuted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.adaptive.equations import FreeEnergy, likelihood
from nc1fast.adaptive.search import grouped, search, starting_points
from nc1fast.adaptive.settings import SolverSettings
from nc1fast.adaptive.solution import HISTORY, AdaptiveSolution, Branch
from nc1fast.datasets.paths import reads_files
from nc1fast.inputs.arrays import as_rows
from nc1fast.inputs.labelled import Classes, LabelledData
from nc1fast.inputs.targets import as_numbers, encode
from nc1fast.kernels.adaptive import AdaptiveKernel
from nc1fast.kernels.fully_connected import ConjugateKernel
from nc1fast.metrics.result import collapse_from_sums
from nc1fast.sums.settings import Settings
from nc1fast.sums.streaming import kernel_sums
from nc1fast.support.arguments import as_seed, seed_of
from nc1fast.support.arithmetic import ieee
from nc1fast.support.progress import reporting, staged

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray

    from nc1fast.adaptive.equations import Likelihood
    from nc1fast.adaptive.search import Minimization, Trial
    from nc1fast.metrics.result import Collapse
    from nc1fast.support.progress import Progress

    Array = NDArray[np.float64]


@ieee
@reads_files("X", labels="targets", in_memory=True)
def solve(
    X: ArrayLike,
    targets: ArrayLike,
    *,
    noise: float,
    activation: str = "erf",
    weight_variance: float = 1.0,
    readout_variance: float = 1 / 128,
    width: float = 500,
    start: ArrayLike | None = None,
    widths: Sequence[float] | None = None,
    multistart: int = 2,
    tol: float = 1e-8,
    max_iter: int = 2000,
    seed: int = 0,
    n_threads: int | None = None,
    device: str = "cpu",
    progress: Progress = False,
    rng: int | np.random.Generator | None = None,
) -> AdaptiveSolution:
    """Covariance of the hidden weights of a wide network that has been trained on labelled data.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features), or path
    targets : array-like of shape (n_samples,) or (n_samples, n_outputs), path, or part of the file
    X
        Outputs that the network is trained towards; they are used as given, neither centred nor
        scaled.
    noise : float
        Variance of the observation noise (the temperature of the training). It decides the answer,
        so it has no default; 1e-6, as in the published study, is the limit in which the data
        outweigh the prior.
    activation : {"erf", "relu"}, default "erf"
    weight_variance : float, default 1.0
        sw2: hidden weights have the prior N(0, sw2/n_features).
    readout_variance : float, default 1/128
        sa2: readout weights have the prior N(0, sa2/width).
    width : float, default 500
        Hidden units h.
    start : array-like of shape (n_features, n_features), optional
        Sigma to start from first, before the others.
    widths : sequence of float, optional
        Widths to pass through on the way to `width`: `AdaptiveSolution.stages`. At each, the first
        start is the solution at the width before; with `multistart=1` the only one.
    multistart : int, default 2
        Number of starts at each width. F is not convex: the lowest is kept, and all minima are
        listed in `branches`. In order: the prior (sw2/n_features) I; 8 times the prior; the path of
        widths, from 64, 16 and 4 times `width`; an eighth of the prior; 64 times the prior; then
        random ones. With 1, the descent from the prior (or `start`) alone.
    tol : float, default 1e-8
        Residual at which the solver stops.
    max_iter : int, default 2000
        Most evaluations of F, per start and width.
    seed : int, default 0
        Seed of the random starts.
    n_threads : int, optional
        Threads for the tiles, as in `nc1fast.collapse`; the Cholesky factorizations use LAPACK's
        own.
    device : {"cpu", "cuda", "cuda:INDEX"}, default "cpu"
        Where tiles are computed and matrices factored; on a CUDA device CuPy factors them.
    progress : bool or callable(done, total), default False
        Counts evaluations against the most there can be; a descent that ends early jumps ahead.
    rng : None, int or numpy.random.Generator, optional
        What `seed` is, as SPEC 7 has it: an integer gives the bits of the same seed, a Generator
        its next integer.

    Returns
    -------
    AdaptiveSolution
        Returned also if the solver did not converge: see `converged`, `reason` and `residual`.

    Raises
    ------
    TypeError, ValueError
        For data that are not finite numbers or whose shapes do not match; for variances, noise or
        widths that are not positive; for a start that is not positive definite; for noise so small
        that Q + noise I is not positive definite in float64.
    ImportError
        Without scipy (extra "adaptive") or, on a device, CuPy (extra "cuda").
    DeviceError
        If the device does not exist.

    Notes
    -----
    Minimises F(Sigma) of `nc1fast.adaptive.equations`, which is bounded below: a solution exists
    for any data. The lowest of several minima need not be the lowest there is; more starts are the
    only check. On two classes all starts ended at one minimum, on four classes in 8 or 32 features
    at up to seven.
    Cost: 10 to 100 evaluations of N^3 + 4 N^2 r flops for each start, r = rank of X; memory: one N
    x N matrix (8 N^2 bytes), on a device three.
    Accuracy: float64; residuals of 1e-9 and below are usual, rounding of F does not limit them.
    Source: Seroussi, Naveh & Ringel (2023), equations of state of a two-layer network.

    Examples
    --------
    >>> X, y = nc.datasets.paper_d1(128, 8, seed=0)
    >>> solution = nc.adaptive.solve(X, y, noise=1e-6)
    >>> nc.collapse(X, y, solution.kernel).nc1 < nc.collapse(X, y, nc.NNGP("erf")).nc1
    True
    """
    settings = SolverSettings(
        noise=noise,
        activation=activation,
        weight_variance=weight_variance,
        readout_variance=readout_variance,
        width=width,
        widths=widths,
        multistart=multistart,
        tol=tol,
        max_iter=max_iter,
        seed=seed_of(rng, seed),
        n_threads=n_threads,
        device=device,
    )
    return solve_equations(X, targets, settings, start=start, progress=progress)


def solve_equations(
    X: ArrayLike,
    targets: ArrayLike,
    settings: SolverSettings,
    *,
    data_term: Likelihood = likelihood,
    start: ArrayLike | None = None,
    progress: Progress = False,
) -> AdaptiveSolution:
    """Solve the equations of state that belong to a data term; all else as `solve`.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
    targets : array-like of shape (n_samples,) or (n_samples, n_outputs)
    settings : SolverSettings
    data_term : Likelihood
        By default that of Gaussian noise.
    start : array-like of shape (n_features, n_features), optional
    progress : bool or callable(done, total), default False
    """
    rows = np.ascontiguousarray(as_rows(X, "X"), dtype=np.float64)
    energy = FreeEnergy(rows, as_numbers(targets, len(rows), None), settings, data_term)
    given = None if start is None else energy.coordinates(_start(start, rows.shape[1]))
    with reporting(progress, "evaluations") as report:
        stages = _stages(energy, given, report)
    if settings.widths is None:
        return stages[0]
    history = {name: np.concatenate([s.history[name] for s in stages]) for name in HISTORY}
    evaluations = sum(stage.evaluations for stage in stages)
    return replace(stages[-1], history=history, evaluations=evaluations, stages=tuple(stages))


def _stages(
    energy: FreeEnergy, given: Array | None, report: Callable[[int, int], object] | None
) -> list[AdaptiveSolution]:
    """Solutions at each width, each the lowest of several descents, one of them from the solution
    at the width before.

    Parameters
    ----------
    energy : FreeEnergy
    given : ndarray of shape (r, r) or None
        L of the caller's start.
    report : callable or None
    """
    settings = energy.settings
    rng = np.random.default_rng(settings.seed)
    stages: list[AdaptiveSolution] = []
    before: Array | None = None
    reports = staged(report, len(settings.path))
    for stage, (width, of_stage) in enumerate(zip(settings.path, reports, strict=True)):
        starts = starting_points(settings.multistart, energy.rank, rng, given=given, before=before)
        n_descents = sum(1 + len(start.wider) for start in starts)
        ends = search(energy, width, starts, iter(staged(of_stage, n_descents)))
        before = ends[0].last.L
        stages.append(_solution(energy, stage, ends))
    return stages


def _solution(energy: FreeEnergy, stage: int, ends: Sequence[Trial]) -> AdaptiveSolution:
    """The solution of one width from the ends of its descents, the winner first."""
    settings, best = energy.settings, ends[0]
    sigma = energy.sigma(best.last.L)
    return AdaptiveSolution(
        sigma=sigma,
        free_energy=best.free_energy,
        residual=best.last.best.residual,
        smallest_eigenvalue=float(np.linalg.eigvalsh(sigma)[0] / energy.prior),
        converged=best.last.best.residual <= settings.tol,
        reason=_reason(best.last),
        predictions=energy.predictions(best.last.best.T),
        history=_history(stage, [*ends[1:], best]),
        evaluations=sum(one.evaluations for end in ends for one in end.descents),
        start=best.start.name,
        branches=tuple(_branch(energy, branch) for branch in grouped(energy, ends)),
        noise=settings.noise,
        width=best.last.width,
        weight_variance=settings.weight_variance,
        readout_variance=settings.readout_variance,
        activation=settings.activation,
    )


def _branch(energy: FreeEnergy, ends: Sequence[Trial]) -> Branch:
    """The branch of some ends, known by the first of them."""
    best = ends[0]
    return Branch(
        sigma=energy.sigma(best.last.L),
        free_energy=best.free_energy,
        residual=best.last.best.residual,
        starts=tuple(end.start.name for end in sorted(ends, key=lambda end: end.index)),
        activation=energy.settings.activation,
    )


def _history(stage: int, ends: Sequence[Trial]) -> dict[str, Array]:
    """The improvements of the descents of one width, as columns."""
    rows = [
        (stage, end.index, descent.width, *improvement)
        for end in ends
        for descent in end.descents
        for improvement in descent.history
    ]
    return dict(zip(HISTORY, map(np.array, zip(*rows, strict=True)), strict=True))


def _reason(descent: Minimization) -> str:
    """Why a descent ended, in words."""
    settings = descent.energy.settings
    residual = descent.best.residual
    if residual <= settings.tol:
        return f"residual {residual:.2g} <= tol {settings.tol:g}"
    if descent.spent:
        return f"max_iter = {settings.max_iter} evaluations"
    return f"no step improves F or the residual, {residual:.2g} > tol {settings.tol:g}"


def _start(start: ArrayLike, n_features: int) -> Array:
    """The covariance to start from, checked: positive definite, shape (n_features, n_features)."""
    try:
        sigma = AdaptiveKernel(np.asarray(start, dtype=np.float64)).sigma
    except ValueError as error:
        raise ValueError(f"start: {error}") from None
    if len(sigma) != n_features:
        raise ValueError(f"start must have shape ({n_features}, {n_features}), got {sigma.shape}")
    return sigma


@dataclass(frozen=True, eq=False)
class ShuffledControl:
    """The adaptive kernel of true and of permuted targets, both measured with the true labels.

    Attributes
    ----------
    solution, shuffled : AdaptiveSolution
        Solutions for the targets as given, and for permuted ones.
    collapse, shuffled_collapse : Collapse
        Collapse of the two kernels.
    nngp : Collapse
        Collapse of the kernel before training, for comparison.
    """

    solution: AdaptiveSolution
    shuffled: AdaptiveSolution
    collapse: Collapse
    shuffled_collapse: Collapse
    nngp: Collapse


@ieee
@reads_files("X", labels="y", in_memory=True)
def shuffled_control(
    X: ArrayLike,
    y: ArrayLike,
    *,
    noise: float,
    targets: str | ArrayLike = "scalar",
    convention: str | None = None,
    seed: int = 0,
    rng: int | np.random.Generator | None = None,
    **options: Any,
) -> ShuffledControl:
    """Solve for the adaptive kernel with true and with permuted labels.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features), or path
    y : array-like of shape (n_samples,), path, or part of the file X
    noise : float
        As in `solve`.
    targets : {"scalar", "one-hot"} or array-like of shape (n_samples,) or (n_samples, n_outputs),
    default "scalar"
        "scalar": class c of C has the target 2c - (C - 1); "one-hot": one output per class.
    convention : str, optional
        As in `nc1fast.collapse`.
    seed : int, default 0
        Seed of the permutation and of random starts.
    rng : None, int or numpy.random.Generator, optional
        What `seed` is, as SPEC 7 has it: an integer gives the bits of the same seed, a Generator
        its next integer.
    **options
        Options of `solve`; `progress` covers both solves.

    Returns
    -------
    ShuffledControl

    Raises
    ------
    TypeError, ValueError
        As `solve` and `nc1fast.collapse`.

    Notes
    -----
    Cost: two calls of `solve` and one pass for three kernels.
    """
    rows = as_rows(X, "X")
    classes = Classes.of(y, len(rows))
    values = encode(targets, classes.of_row, len(classes)).values
    first = as_seed(seed_of(rng, seed))
    permuted = values[np.random.default_rng(first).permutation(len(values))]
    with reporting(options.pop("progress", False), "evaluations") as report:
        true, shuffled = (
            solve(rows, Y, noise=noise, seed=first, progress=half or False, **options)
            for Y, half in zip((values, permuted), staged(report, 2), strict=True)
        )
    before = ConjugateKernel(true.activation, weight_variance=true.weight_variance)
    sums = kernel_sums(
        LabelledData(rows, classes), [true.kernel, shuffled.kernel, before], Settings()
    )
    results = [collapse_from_sums(one, convention, keep_rows=False) for one in sums]
    return ShuffledControl(true, shuffled, *results)
