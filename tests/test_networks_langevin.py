"""Langevin noise: the prior without a gradient, the posterior of a linear model, and that of the
kernel.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import nc1fast as nc

torch = pytest.importorskip("torch")
networks = nc.networks
train = networks.train


def _network(**settings: Any) -> Any:
    return networks.ShallowNetwork("erf", 4, **({"width": 32, "seed": 0} | settings))


@pytest.mark.parametrize("parametrization", ["standard", "ntk"])
@pytest.mark.slow
def test_langevin_without_a_gradient_reaches_the_prior(parametrization: str) -> None:
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((4, 4)), [0, 0, 1, 1]
    network = _network(
        width=80000,
        weight_variance=(1.5, 0.5),
        bias_variance=(0.3, 0.0),
        parametrization=parametrization,
        train_bias=False if parametrization == "standard" else None,
    )
    with torch.no_grad():
        for p in network.parameters():
            p.mul_(3)  # away from the prior, which must be found again
    trace = train(
        *(network, X, y),
        optimizer="langevin",
        loss="none",
        temperature=0.7,
        lr=0.1,
        epochs=100,
        probe=[0],
    )
    moments = trace.weight_covariances[0]
    np.testing.assert_allclose(moments["pre1"]["start"], 9 * 1.5 / 4 * np.eye(4), atol=0.08)
    for layer, expected in (("pre1", 1.5 / 4), ("output", 0.5 / 80000)):
        second = np.diag(moments[layer]["end"]).mean()
        assert second == pytest.approx(expected, rel=0.02), layer  # 4 standard errors of 80,000
    if parametrization == "ntk":
        bias = trace.networks[0].pre1.bias.detach()
        assert float(bias.square().mean()) == pytest.approx(1.0, rel=0.02)
    assert np.isnan(trace.table["loss"]).all()


def test_langevin_samples_the_posterior_of_a_linear_model() -> None:
    """Prior N(0, s2), energy (1/2)(w - t)^2: the posterior is N(t s2/(s2 + T), 1/(1/s2 + 1/T))."""
    s2, T, goal = 0.5, 0.3, 2.0
    w = torch.zeros(40000, dtype=torch.float64, requires_grad=True)
    generator = torch.Generator().manual_seed(0)
    optimizer = networks.Langevin(
        [w], lr=0.02, temperature=T, prior_variance=s2, generator=generator
    )
    for _ in range(400):
        optimizer.zero_grad()
        ((w - goal) ** 2).sum().div(2).backward()
        optimizer.step()
    w = w.detach()
    assert float(w.mean()) == pytest.approx(goal * s2 / (s2 + T), rel=0.02)
    assert float(w.var()) == pytest.approx(1 / (1 / s2 + 1 / T), rel=0.04)


@pytest.mark.slow
def test_langevin_training_samples_the_posterior_of_the_kernel() -> None:
    """Wide networks: the mean prediction is Q (Q + T)^-1 t, T the variance of the noise, for a
    summed energy.
    """
    X, y = nc.datasets.paper_d1(8, 4, seed=0)
    network = _network(
        width=300, weight_variance=(1.0, 1.0), parametrization="ntk", train_bias=False
    )
    T, goal = 4.0, np.where(y > y.min(), 3.5, -2.5)  # T as large as Q: it decides the shrinkage
    trace = train(
        *(network, X, y),
        targets=goal,
        optimizer="langevin",
        temperature=T,
        lr=0.01,
        epochs=150,
        repeats=40,
        probe=[0],
    )
    Q = network.nngp()(X)
    expected = Q @ np.linalg.solve(Q + T * np.eye(8), goal)
    with torch.no_grad():
        outputs = np.array([net(torch.from_numpy(X)).numpy()[:, 0] for net in trace.networks])
    error = outputs.std(axis=0, ddof=1) / math.sqrt(40)
    assert np.abs((outputs.mean(axis=0) - expected) / error).max() < 3.5
    spread = outputs.var(axis=0, ddof=1).mean()
    assert spread == pytest.approx(
        T * np.diag(Q @ np.linalg.inv(Q + T * np.eye(8))).mean(), rel=0.3
    )
