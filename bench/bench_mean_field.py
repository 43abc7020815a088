"""Claim: the mean field is the exact posterior of a network, to within what a sampler of that
posterior can tell.

Changes of log NC1 from the NNGP, on D1, for every width, activation, number of features and noise:
    mean field      `nc1fast.adaptive.mean_field`
    finite width    the same, corrected by whole networks (`nc1fast.adaptive.finite_width`)
    slices          the exact posterior by elliptical slice sampling (`bench/posterior.py`),
        independent of both
    gaussian        the adaptive kernel
"""

from __future__ import annotations

import itertools
import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np

import nc1fast as nc
from bench._session import Claim, Result
from bench.posterior import Posterior, posterior_log_nc1

if TYPE_CHECKING:
    from bench._session import Session

N, READOUT = 64, 1 / 128
GRID = {"activation": ("erf", "relu"), "d0": (2, 8), "width": (200, 500), "noise": (0.1, 0.01)}
CHAINS = 2
SECONDS = 20.0  # of each chain
ERRORS = 2.0  # standard errors that a difference may have
MISSES = 2  # cells of the 16 that may have more, by chance
APART = {"mean field": "mean field apart", "finite width": "finite width apart"}


def run(session: Session) -> Result:
    """Compare in every cell."""
    result = Result("mean_field")
    seconds = 0.3 if session.quick else SECONDS
    for cell in itertools.product(*GRID.values()):
        result.rows.append(_cell(dict(zip(GRID, cell, strict=True)), seconds))
    for model, apart in APART.items():
        scores = np.array([row[apart] for row in result.rows])
        few = float((scores > ERRORS).sum())
        result.claims += [
            Claim(f"{model}: cells more than {ERRORS:g} standard errors apart", few, "<=", MISSES),
            Claim(f"{model}: root mean square, in standard errors", _rms(scores), "<=", 1.4),
        ]
    moved = max(abs(row["finite width"] - row["mean field"]) for row in result.rows)
    result.claims.append(Claim("largest change by finite width", moved, "<=", 0.02))
    result.remarks += [
        (
            "changes of log NC1 from the NNGP to the posterior mean of the hidden layer's kernel; "
            "+- "
            "are standard errors"
        ),
        (
            "apart: distance from the slices, in joint standard errors; of 16 cells 0.7 exceed 2 "
            "by "
            "chance, more than 2 in one run of 30"
        ),
    ]
    return result


def _cell(cell: dict[str, Any], seconds: float) -> dict[str, Any]:
    """One row: all four changes in one cell."""
    X, y = nc.datasets.paper_d1(N, cell["d0"], seed=0)
    activation = cell["activation"]
    problem = {"noise": cell["noise"], "width": cell["width"], "readout_variance": READOUT}
    before = math.log(nc.collapse(X, y, nc.ConjugateKernel(activation)).nc1)
    gaussian = nc.adaptive.solve(X, y, activation=activation, **problem)
    field = nc.adaptive.mean_field(X, y, activation=activation, n_threads=1, **problem)
    corrected = nc.adaptive.finite_width(field, X, y, n_networks=3000)
    assert field.converged, field.reason
    slices, error = posterior_log_nc1(
        [_chain(X, y, activation, problem, seed, seconds) for seed in range(CHAINS)]
    )
    found = {"mean field": field.collapse(y), "finite width": corrected.collapse(y)}
    row = {
        **cell,
        "networks": corrected.effective_networks,
        "gaussian": math.log(nc.collapse(X, y, gaussian.kernel).nc1) - before,
        "slices": slices - before,
        "slices +-": error,
    }
    for model, answer in found.items():
        own = _relative_error(answer)
        row[model], row[f"{model} +-"] = math.log(answer.nc1) - before, own
        row[APART[model]] = abs(math.log(answer.nc1) - slices) / math.hypot(own, error)
    return row


def _chain(
    X: Any, y: Any, activation: str, problem: dict[str, Any], seed: int, seconds: float
) -> Any:
    """Traces of one chain, shape (steps, 2), of so many seconds of the processor."""
    posterior = Posterior(X, y, activation, **problem)
    end = time.process_time() + seconds
    steps = posterior.chain(np.random.default_rng(seed))
    return np.array(list(itertools.takewhile(lambda _: time.process_time() < end, steps)))


def _relative_error(result: nc.Collapse) -> float:
    """Standard error of log NC1."""
    assert result.standard_error is not None
    return result.standard_error / result.nc1


def _rms(values: Any) -> float:
    return math.sqrt(float(np.mean(np.square(values))))
