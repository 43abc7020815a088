"""Claim: the mean field is the exact posterior of a network, to within what a sampler of that posterior can tell.

Changes of log NC1 from the NNGP, on D1, for every width, activation, number of features and noise:
    mean field      `nc1fast.adaptive.mean_field`
    finite width    the same, corrected by whole networks (`nc1fast.adaptive.finite_width`)
    slices          the exact posterior by elliptical slice sampling (`bench/posterior.py`), independent of both
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
ERRORS = 2.0  # standard errors that a difference may have,
EXPECTED_MISSES = 0.0455  # and the share of differences that have more by chance


def run(session: Session) -> Result:
    """Compare in every cell."""
    result = Result("mean_field")
    seconds = 0.3 if session.quick else SECONDS
    for cell in itertools.product(*GRID.values()):
        result.rows.append(_cell(dict(zip(GRID, cell, strict=True)), seconds))
    scores = np.array([row["errors apart"] for row in result.rows])
    result.claims += [
        Claim("cells more than 2 standard errors apart", float((scores > ERRORS).sum()), "<=", 2),
        Claim("root mean square of the differences, in standard errors", _rms(scores), "<=", 1.4),
        Claim(
            "largest |finite width - mean field| of log NC1, resolved",
            max(abs(row["finite width"] - row["mean field"]) for row in result.rows),
            "<=",
            0.02,
        ),
    ]
    result.remarks += [
        "changes of log NC1 from the NNGP to the posterior mean of the hidden layer's kernel; +- are standard errors",
        f"errors apart: |mean field - slices| over their joint standard error; of 16 about {16 * EXPECTED_MISSES:.1f} exceed 2 by chance",
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
    corrected = nc.adaptive.finite_width(field, X, y, n_networks=1600)
    assert field.converged, field.reason
    mean, exact = field.collapse(y), corrected.collapse(y)
    slices, error = posterior_log_nc1(
        [_chain(X, y, activation, problem, seed, seconds) for seed in range(CHAINS)]
    )
    own_error = _relative_error(mean)
    return {
        **cell,
        "gaussian": math.log(nc.collapse(X, y, gaussian.kernel).nc1) - before,
        "mean field": math.log(mean.nc1) - before,
        "mean field +-": own_error,
        "finite width": math.log(exact.nc1) - before,
        "finite width +-": _relative_error(exact),
        "networks": corrected.effective_networks,
        "slices": slices - before,
        "slices +-": error,
        "errors apart": abs(math.log(mean.nc1) - slices) / math.hypot(own_error, error),
    }


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
