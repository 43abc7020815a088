"""`solve`: checked arguments, several starts, continuation in width."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.adaptive.descent import Descent
from nc1fast.adaptive.equations import ROW_SLOPES, FreeEnergy, Likelihood, likelihood
from nc1fast.adaptive.solution import AdaptiveSolution
from nc1fast.core.backend import thread_count
from nc1fast.inputs.arrays import as_rows
from nc1fast.inputs.targets import as_numbers
from nc1fast.kernels.classes import AdaptiveKernel
from nc1fast.support.arguments import as_count, as_items, as_number, as_seed, check_choice
from nc1fast.support.arithmetic import ieee
from nc1fast.support.progress import reporting, staged

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray

    Array = NDArray[np.float64]

_MOST_STARTS = 1_000_000
_SPREAD = 2.0  # random starts: log eigenvalues of S within +- this


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
    progress: bool | Callable[[int, int], object] = False,
) -> AdaptiveSolution:
    """Covariance of the hidden weights of a wide network that has been trained on labelled data.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
    targets : array-like of shape (n_samples,) or (n_samples, n_outputs)
        What the network is trained towards, as it is: neither centred nor scaled.
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
        Starts, of which the lowest free energy is kept: `start`, then random ones. F is not convex.
    tol : float, default 1e-8
        Residual at which the solver ends.
    max_iter : int, default 2000
        Evaluations of F, per start and width.
    seed : int, default 0
        Of the random starts.
    n_threads : int, optional
        Of the tiles, as `nc1fast.collapse`; the Cholesky factorizations have those of LAPACK.
    device : {"cpu", "cuda", "cuda:INDEX"}, default "cpu"
        Where tiles are computed and matrices factored; a CUDA device by CuPy.
    progress : bool or callable(done, total), default False
        In evaluations, of all that there may be; a descent that ends early jumps ahead.

    Returns
    -------
    AdaptiveSolution
        Also where it did not converge: `converged`, `reason` and `residual` say so.

    Raises
    ------
    TypeError, ValueError
        For data that are no finite numbers or do not fit, variances, noise or widths that are not positive, a start that
        is not positive definite, or noise so small that Q + noise I is not positive definite in float64.
    ImportError
        Without scipy (extra "adaptive"), or on a device CuPy (extra "cuda").
    DeviceError
        If there is no such device.

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
    return solve_equations(
        X,
        targets,
        likelihood,
        noise=noise,
        activation=activation,
        weight_variance=weight_variance,
        readout_variance=readout_variance,
        width=width,
        start=start,
        widths=widths,
        multistart=multistart,
        tol=tol,
        max_iter=max_iter,
        seed=seed,
        n_threads=n_threads,
        device=device,
        progress=progress,
    )


def solve_equations(
    X: ArrayLike,
    targets: ArrayLike,
    data_term: Likelihood,
    *,
    noise: float,
    activation: str,
    weight_variance: float,
    readout_variance: float,
    width: float,
    start: ArrayLike | None,
    widths: Sequence[float] | None,
    multistart: int,
    tol: float,
    max_iter: int,
    seed: int,
    n_threads: int | None,
    device: str,
    progress: bool | Callable[[int, int], object],
) -> AdaptiveSolution:
    """`solve` for any data term of the equations."""
    rows = np.ascontiguousarray(as_rows(X, "X"), dtype=np.float64)
    Y = as_numbers(targets, len(rows), None)
    check_choice("activation", activation, ROW_SLOPES)
    visited = [*_checked_widths(widths), as_number("width", width, above=0)]
    if len(visited) > 1 and visited[-2] == visited[-1]:
        visited.pop()
    noise = as_number("noise", noise, above=0)
    weight_variance = as_number("weight_variance", weight_variance, above=0)
    readout_variance = as_number("readout_variance", readout_variance, above=0)
    tol = as_number("tol", tol, above=0)
    multistart = as_count("multistart", multistart, 1, _MOST_STARTS)
    max_iter = as_count("max_iter", max_iter)
    seed = as_seed(seed)
    thread_count(n_threads)
    energy = FreeEnergy(
        rows,
        Y,
        noise=noise,
        weight_variance=weight_variance,
        readout_variance=readout_variance,
        width=visited[0],
        activation=activation,
        n_threads=n_threads,
        device=device,
        data_term=data_term,
        potential=data_term is likelihood,
    )
    begin = (
        np.eye(energy.rank) if start is None else energy.coordinates(_start(start, rows.shape[1]))
    )
    rng = np.random.default_rng(seed)
    with reporting(progress, "evaluations") as report:
        reports = staged(report, len(visited) * multistart)
        stages = _solved(energy, begin, visited, multistart, (tol, max_iter), reports, rng)
    if widths is None:
        return stages[0]
    history = {
        name: np.concatenate([s.history[name] for s in stages]) for name in stages[0].history
    }
    return replace(stages[-1], history=history, stages=tuple(stages))


def _solved(
    energy: FreeEnergy,
    begin: Array,
    widths: Sequence[float],
    multistart: int,
    settings: tuple[float, int],
    reports: Sequence[Callable[[int, int], object] | None],
    rng: np.random.Generator,
) -> list[AdaptiveSolution]:
    """The best of several descents at each width, from the best at the one before; `reports`: one for each descent."""
    (tol, max_iter), waiting = settings, iter(reports)
    stages: list[AdaptiveSolution] = []
    for stage, h in enumerate(widths):
        energy.width = h
        starts = [begin, *(_random(energy.rank, rng) for _ in range(1, multistart))]
        descents = [Descent(energy, tol, max_iter, next(waiting)) for _ in starts]
        ends = [d.run(L) for d, L in zip(descents, starts, strict=True)]
        best = min(range(len(ends)), key=lambda k: ends[k][1].value)
        begin, found = ends[best]
        sigma = energy.sigma(begin)
        columns = [
            (stage, number, h, *entry)
            for number, descent in enumerate(descents)
            for entry in descent.history
        ]
        names = ("stage", "start", "width", "evaluation", "free_energy", "residual")
        converged = found.residual <= tol
        spent = descents[best].evaluations >= max_iter
        stages.append(
            AdaptiveSolution(
                sigma=sigma,
                free_energy=found.value,
                residual=found.residual,
                smallest_eigenvalue=float(np.linalg.eigvalsh(sigma)[0]) / energy.prior,
                converged=converged,
                reason=_reason(found.residual, tol, max_iter if spent else None),
                predictions=energy.Y - energy.noise * found.T,
                history=dict(zip(names, map(np.array, zip(*columns, strict=True)), strict=True)),
                noise=energy.noise,
                width=energy.width,
                weight_variance=energy.weight_variance,
                readout_variance=energy.readout_variance,
                activation=energy.activation,
            )
        )
    return stages


def _reason(residual: float, tol: float, spent: int | None) -> str:
    if residual <= tol:
        return f"residual {residual:.2g} <= tol {tol:g}"
    if spent is not None:
        return f"max_iter = {spent} evaluations"
    return f"no step improves F or the residual, {residual:.2g} > tol {tol:g}"


def _checked_widths(widths: Any) -> list[float]:
    if widths is None:
        return []
    given = as_items("widths", widths, "a sequence of numbers")
    return [as_number("widths", width, above=0) for width in given]


def _start(start: ArrayLike, n_features: int) -> Array:
    try:
        sigma = AdaptiveKernel(np.asarray(start, dtype=np.float64)).sigma
    except ValueError as error:
        raise ValueError(f"start: {error}") from None
    if len(sigma) != n_features:
        raise ValueError(f"start must have shape ({n_features}, {n_features}), got {sigma.shape}")
    return sigma


def _random(rank: int, rng: np.random.Generator) -> Array:
    """A lower triangular factor of a random S, eigenvalues e^-2 to e^2 in a random basis."""
    basis, _ = np.linalg.qr(rng.standard_normal((rank, rank)))
    eigenvalues = np.exp(rng.uniform(-_SPREAD, _SPREAD, rank))
    factor: Array = np.linalg.cholesky((basis * eigenvalues) @ basis.T)
    return factor
