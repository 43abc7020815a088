"""Claim: a network in Langevin noise moves from the NNGP along the adaptive kernel's direction, to
where mean-field theory says.

Three kernels of the hidden layer on one data set, all in units of the step from the NNGP to the
adaptive kernel:
    network     the mean of Phi Phi^T / h over late samples of the training
    adaptive    hidden weights N(0, Sigma), Sigma from the equations of state: its step is 1 by
        definition
    mean field  hidden weights of any distribution: the same equations without a Gaussian
        (`nc1fast.adaptive.mean_field`)
The last says what the Gaussian leaves out. Where erf saturates, a change of Sigma along the class
means hardly changes the features, and the distribution of the weights does.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

import nc1fast as nc
from bench._session import Claim, Result

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bench._session import Session

    Array = NDArray[np.float64]

N, D0, WIDTH, READOUT = 64, 4, 500, 1 / 128
RATE = 0.5
NOISES = {0.1: 6000, 0.01: 24000}  # steps: a hundred relaxation times 1/(noise RATE) of the prior
BURN_IN = 1 / 3
SAMPLES_PER_RELAXATION = 5
BLOCKS = 8  # of samples, for standard errors
COSINE_TARGET = 0.95
DISTANCE_TARGET = 0.2  # of the network from mean field, in steps


def run(session: Session) -> Result:
    """Sample, solve and compare at every noise."""
    result = Result("langevin")
    X, y = nc.datasets.paper_d1(N, D0, seed=0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # tensors of 64 x 500
    try:
        for noise, steps in NOISES.items():
            _compare(result, X, y, noise, 600 if session.quick else steps)
    finally:
        torch.set_num_threads(threads)
    result.remarks += [
        (
            "step: |K - K_nngp| along K_adaptive - K_nngp, in units of its length; +- are standard "
            "errors over 8 blocks of samples"
        ),
        (
            "top: largest eigenvalue of the second moment of the hidden weights, whose prior is "
            "0.25 "
            "in every direction"
        ),
    ]
    return result


def _compare(result: Result, X: Array, y: NDArray[np.int64], noise: float, steps: int) -> None:
    start = time.perf_counter()
    solution = nc.adaptive.solve(X, y, noise=noise, readout_variance=READOUT, width=WIDTH)
    assert solution.converged, solution.reason
    nngp, adaptive = nc.ConjugateKernel("erf")(X), solution.kernel(X)
    kernels, sigmas = langevin_samples(X, y, noise, steps)
    limit = nc.adaptive.mean_field(X, y, noise=noise, readout_variance=READOUT, width=WIDTH)
    assert limit.converged, limit.reason
    step = adaptive - nngp
    steps_of = [_along(K - nngp, step)[0] for K in _block_means(kernels)]
    traces = [float(np.trace(S)) for S in _block_means(sigmas)]
    models = {
        "NNGP": (nngp, np.eye(D0) / D0),
        "adaptive": (adaptive, solution.sigma),
        "mean field": (limit.gram, limit.second_moment),
        "network": (kernels.mean(axis=0), sigmas.mean(axis=0)),
    }
    found = {}
    for name, (K, sigma) in models.items():
        overlap, cosine = _along(K - nngp, step)
        found[name] = overlap
        result.rows.append(
            {
                "noise": noise,
                "kernel": name,
                "step": overlap,
                "step +-": _error(steps_of) if name == "network" else None,
                "cosine": None if name == "NNGP" else cosine,
                "nc1": nc.collapse(K, y, "precomputed").nc1,
                "trace": float(np.trace(sigma)),
                "trace +-": _error(traces) if name == "network" else None,
                "top": float(np.linalg.eigvalsh(sigma)[-1]),
            }
        )
    cosine = result.rows[-1]["cosine"]
    result.claims += [
        Claim(f"cosine of the network's step, noise {noise:g}", cosine, ">=", COSINE_TARGET),
        Claim(
            f"|step of the network - mean field| / mean field, noise {noise:g}",
            abs(found["network"] / found["mean field"] - 1),
            "<=",
            DISTANCE_TARGET,
        ),
    ]
    result.details[f"noise {noise:g}"] = {
        "steps of blocks": steps_of,
        "traces of blocks": traces,
        "sigma": {name: sigma.tolist() for name, (_, sigma) in models.items()},
        "relative size of the step": float(np.linalg.norm(step) / np.linalg.norm(nngp)),
        "seconds": time.perf_counter() - start,
    }


def langevin_samples(
    X: Array, y: NDArray[np.int64], noise: float, steps: int, seed: int = 0
) -> tuple[Array, Array]:
    """Phi Phi^T / h (m, N, N) and W^T W / h (m, d0, d0) of a network along its equilibrium.

    In the NTK parametrization all weights have the prior N(0, 1), so that one step size suits both
    layers.
    """
    network = nc.networks.ShallowNetwork(
        "erf",
        X.shape[1],
        width=WIDTH,
        weight_variance=(1.0, READOUT),
        parametrization="ntk",
        train_bias=False,
        seed=seed,
    )
    generator = torch.Generator().manual_seed(seed)
    optimizer = nc.networks.Langevin(
        network.parameters(), lr=RATE, temperature=noise, prior_variance=1.0, generator=generator
    )
    rows, targets = torch.from_numpy(X), torch.from_numpy(y.astype(np.float64))[:, None]
    every = max(1, round(1 / (SAMPLES_PER_RELAXATION * noise * RATE)))
    kernels, sigmas = [], []
    for step in range(steps):
        optimizer.zero_grad()
        ((network(rows) - targets).square().sum() / 2).backward()
        optimizer.step()
        if step >= BURN_IN * steps and step % every == 0:
            with torch.no_grad():
                H = network.post1(network.pre1(rows))
            W = network.pre1.effective_weight()
            kernels.append((H @ H.T / WIDTH).numpy())
            sigmas.append((W.T @ W / WIDTH).numpy())
    return np.array(kernels), np.array(sigmas)


def _along(change: Array, step: Array) -> tuple[float, float]:
    """Coefficient of the projection of a change on a step, and the cosine between them (0 for no
    change).
    """
    inner, size = float((change * step).sum()), float(np.linalg.norm(step))
    length = float(np.linalg.norm(change))
    return inner / size**2, inner / (size * length) if length else 0.0


def _block_means(samples: Array) -> list[Array]:
    return [block.mean(axis=0) for block in np.array_split(samples, BLOCKS)]


def _error(values: list[Any]) -> float:
    return float(np.std(values, ddof=1) / np.sqrt(len(values)))
