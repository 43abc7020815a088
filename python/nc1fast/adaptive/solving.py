"""`solve`: checked arguments, several starts, and continuation in width."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from nc1fast.adaptive.descent import Minimization
from nc1fast.adaptive.equations import FreeEnergy, likelihood
from nc1fast.adaptive.settings import SolverSettings
from nc1fast.adaptive.solution import HISTORY, AdaptiveSolution
from nc1fast.inputs.arrays import as_rows
from nc1fast.inputs.targets import as_numbers
from nc1fast.kernels.adaptive import AdaptiveKernel
from nc1fast.support.arithmetic import ieee
from nc1fast.support.progress import reporting, staged

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray

    from nc1fast.adaptive.equations import Evaluation, Likelihood

    Array = NDArray[np.float64]
    Progress = bool | Callable[[int, int], object]

_SPREAD = 2.0  # random starts: log eigenvalues of S lie within +- this


@ieee
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
    multistart: int = 1,
    tol: float = 1e-8,
    max_iter: int = 2000,
    seed: int = 0,
    n_threads: int | None = None,
    device: str = "cpu",
    progress: Progress = False,
) -> AdaptiveSolution:
    """Covariance of the hidden weights of a wide network that has been trained on labelled data.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
    targets : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Outputs that the network is trained towards; they are used as given, neither centred nor scaled.
    noise : float
        Variance of the observation noise (the temperature of the training). It decides the answer, so it has no default;
        1e-6, as in the published study, is the limit in which the data outweigh the prior.
    activation : {"erf", "relu"}, default "erf"
    weight_variance : float, default 1.0
        sw2: hidden weights have the prior N(0, sw2/n_features).
    readout_variance : float, default 1/128
        sa2: readout weights have the prior N(0, sa2/width).
    width : float, default 500
        Hidden units h.
    start : array-like of shape (n_features, n_features), optional
        Sigma to start from. Default: the prior (sw2/n_features) I.
    widths : sequence of float, optional
        Widths to pass through on the way to `width`, each solved from the one before: `AdaptiveSolution.stages`.
    multistart : int, default 1
        Number of starts: `start`, then random ones. The result with the lowest free energy is kept; F is not convex.
    tol : float, default 1e-8
        Residual at which the solver stops.
    max_iter : int, default 2000
        Most evaluations of F, per start and width.
    seed : int, default 0
        Seed of the random starts.
    n_threads : int, optional
        Threads for the tiles, as in `nc1fast.collapse`; the Cholesky factorizations use LAPACK's own.
    device : {"cpu", "cuda", "cuda:INDEX"}, default "cpu"
        Where tiles are computed and matrices factored; on a CUDA device CuPy factors them.
    progress : bool or callable(done, total), default False
        Counts evaluations against the most there can be; a descent that ends early jumps ahead.

    Returns
    -------
    AdaptiveSolution
        Returned also if the solver did not converge: see `converged`, `reason` and `residual`.

    Raises
    ------
    TypeError, ValueError
        For data that are not finite numbers or whose shapes do not match; for variances, noise or widths that are not
        positive; for a start that is not positive definite; for noise so small that Q + noise I is not positive definite
        in float64.
    ImportError
        Without scipy (extra "adaptive") or, on a device, CuPy (extra "cuda").
    DeviceError
        If the device does not exist.

    Notes
    -----
    Minimises F(Sigma) of `nc1fast.adaptive.equations`, which is bounded below: a solution exists for any data.
    Cost: 10 to 150 evaluations of N^3 + 4 N^2 r flops, r = rank of X; memory: one N x N matrix (8 N^2 bytes),
    on a device three.
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
        seed=seed,
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
    begin = np.eye(energy.rank)
    if start is not None:
        begin = energy.coordinates(_start(start, rows.shape[1]))
    with reporting(progress, "evaluations") as report:
        reports = staged(report, len(settings.path) * settings.multistart)
        stages = _stages(energy, begin, reports)
    if settings.widths is None:
        return stages[0]
    history = {name: np.concatenate([s.history[name] for s in stages]) for name in HISTORY}
    return replace(stages[-1], history=history, stages=tuple(stages))


def _stages(
    energy: FreeEnergy, begin: Array, reports: Sequence[Callable[[int, int], object] | None]
) -> list[AdaptiveSolution]:
    """Solutions at each width, the best of several descents, the first from the solution at the width before.

    Parameters
    ----------
    energy : FreeEnergy
    begin : ndarray of shape (r, r)
        L from which the first descent starts.
    reports : sequence
        The progress report of each descent.
    """
    settings, waiting = energy.settings, iter(reports)
    rng = np.random.default_rng(settings.seed)
    stages: list[AdaptiveSolution] = []
    for width in settings.path:
        starts = [begin, *(_random(energy.rank, rng) for _ in range(1, settings.multistart))]
        descents = [Minimization(energy, width, next(waiting)) for _ in starts]
        ends = [descent.run(L) for descent, L in zip(descents, starts, strict=True)]
        best = min(range(len(ends)), key=lambda k: ends[k][1].value)
        begin, found = ends[best]
        stages.append(
            AdaptiveSolution(
                sigma=energy.sigma(begin),
                free_energy=found.value,
                residual=found.residual,
                smallest_eigenvalue=_smallest_eigenvalue(energy, begin),
                converged=found.residual <= settings.tol,
                reason=_reason(found, descents[best]),
                predictions=energy.predictions(found.T),
                history=_history(len(stages), descents),
                noise=settings.noise,
                width=width,
                weight_variance=settings.weight_variance,
                readout_variance=settings.readout_variance,
                activation=settings.activation,
            )
        )
    return stages


def _smallest_eigenvalue(energy: FreeEnergy, L: Array) -> float:
    """The smallest eigenvalue of Sigma, in units of the prior variance sw2/d0."""
    return float(np.linalg.eigvalsh(energy.sigma(L))[0] / energy.prior)


def _history(stage: int, descents: Sequence[Minimization]) -> dict[str, Array]:
    """The improvements of the descents of one width, as columns."""
    rows = [
        (stage, start, descent.width, *improvement)
        for start, descent in enumerate(descents)
        for improvement in descent.history
    ]
    return dict(zip(HISTORY, map(np.array, zip(*rows, strict=True)), strict=True))


def _reason(found: Evaluation, descent: Minimization) -> str:
    """Why a descent ended, in words."""
    settings = descent.energy.settings
    if found.residual <= settings.tol:
        return f"residual {found.residual:.2g} <= tol {settings.tol:g}"
    if descent.spent:
        return f"max_iter = {settings.max_iter} evaluations"
    return f"no step improves F or the residual, {found.residual:.2g} > tol {settings.tol:g}"


def _start(start: ArrayLike, n_features: int) -> Array:
    """The covariance to start from, checked: positive definite, shape (n_features, n_features)."""
    try:
        sigma = AdaptiveKernel(np.asarray(start, dtype=np.float64)).sigma
    except ValueError as error:
        raise ValueError(f"start: {error}") from None
    if len(sigma) != n_features:
        raise ValueError(f"start must have shape ({n_features}, {n_features}), got {sigma.shape}")
    return sigma


def _random(rank: int, rng: np.random.Generator) -> Array:
    """The lower triangular factor (rank, rank) of a random S: eigenvalues from e^-2 to e^2, in a random basis."""
    basis, _ = np.linalg.qr(rng.standard_normal((rank, rank)))
    eigenvalues = np.exp(rng.uniform(-_SPREAD, _SPREAD, rank))
    factor: Array = np.linalg.cholesky((basis * eigenvalues) @ basis.T)
    return factor
