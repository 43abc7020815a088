"""The study of noisy gradient descent: its parts of kernels against quadrature, its prediction
against closed forms, its claims on made rows.
"""

# ruff: noqa: RUF012  (the data of a study, which nothing changes)
from __future__ import annotations

import math
from typing import Any

import mpmath
import numpy as np
import pytest
from pydantic import ValidationError
from tests.atlas_studies import StudyChecks

import nc1fast as nc
from nc1fast.networks.noisy_descent import NoisySteps, SphereTask, hermite_parts, weights_of
from nc1fast.studies.library import noisy_descent as parts

torch = pytest.importorskip("torch")


class TestStudy(StudyChecks):
    name = "noisy-descent"
    tiny = """
  - {part: descents, width: [64], alpha: [2, 8], decay: [0.1, 0], n_samples: 6, steps: 60}
  - {part: prior, step: [0.3], width: 500}
  - {part: equilibrium, ridge: [1.0], width: 200, n_samples: 4}
  - {part: nc1, d0: [8], n_samples: 32, repeats: 1}
"""
    things = 5
    figures = ["losses", "scales"]
    good = {
        "drift": -1.2,
        "moved": 5.0,
        "stays": 1.3,
        "rate": 3.0,
        "rise": 8.0,
        "fall": -1.5,
        "prior": 1.0,
        "widened": 1.0,
        "apart": -0.7,
        "nngp": 0.1,
    }
    changes = [
        ("ND1", {"drift": -0.9}, "fails"),
        ("ND2", {"moved": 1.5, "stays": 3.0}, "fails"),
        ("ND2", {"stays": 3.0}, "depends on the data"),
        ("ND3", {"rate": 0.9}, "fails"),
        ("ND4", {"rise": 0.9, "fall": 0.5}, "fails"),
        ("ND4", {"fall": 0.5}, "depends on the data"),
        ("ND5", {"prior": 1.05}, "fails"),
        ("ND6", {"widened": 0.9}, "fails"),
        ("ND7", {"apart": -0.4}, "fails"),
        ("ND8", {"nngp": 0.8}, "fails"),
    ]

    def fill(self, add, told, repeat):
        net = parts.NETWORK
        for alpha in (2, 8, 32):
            for k, decay in enumerate((0, 0.01, 0.1)):
                at: dict[str, Any] = {"width": 100, "alpha": alpha, "lambda": decay}
                drift = alpha ** told["drift"] * (told["stays"] if decay else 1)
                add(net, parts.DRIFT, drift, **at)
                add(net, parts.MOVED, 0.1 * (told["moved"] if decay else 1), **at)
                add(net, parts.RATE, told["rate"], **at)
                add(net, parts.APART, alpha ** told["apart"], **at)
                for thing in (net, parts.KERNELS):
                    add(thing, parts.FLOOR, 0.1, **at)
                    for step in (1, 10, 100):
                        add(thing, parts.LOSS, 1 / step, **at, step=step)
                if decay:
                    add(net, parts.OFF, told["rise"] ** k * alpha ** told["fall"], **at)
        for ridge in (0.1, 0.3):
            add("NNGP", parts.FROM_RIDGE, told["nngp"] * ridge, ridge=ridge)
            add("NTK", parts.FROM_RIDGE, ridge, ridge=ridge)
        for share in (0.1, 0.3):
            for name in ("w", "u"):
                at = {"step": share, "weights": name}
                add(parts.LANGEVIN, parts.SECOND, told["prior"], **at)
                add(parts.PAPER, parts.SECOND, told["widened"] / (1 - share / 2), **at)


def test_a_descent_without_noise_is_among_them():
    with pytest.raises(ValidationError, match="decay must contain 0"):
        parts.noisy_descents.part(part="descents", decay=(0.1, 0.2))


def test_parts_of_the_kernels():
    """Each c_k^2 against mpmath's quadrature of tanh with Hermite polynomials; sums against the
    kernels of the library.
    """
    task = SphereTask.drawn(7, 4, np.random.default_rng(1))
    degrees, found = hermite_parts(task.X)
    with mpmath.workdps(20):
        for degree, K in list(zip(degrees, found, strict=True))[:4]:
            k = int(degree) - 1

            def integrand(z, k=k):
                he = mpmath.hermite(k, z / mpmath.sqrt(2)) / mpmath.mpf(2) ** (k / 2)
                return mpmath.tanh(z) * he * mpmath.npdf(z)

            c = mpmath.quad(integrand, [-10, -3, 0, 3, 10]) / mpmath.sqrt(mpmath.factorial(k))
            assert K[0, 0] == pytest.approx(float(c**2), rel=1e-9)
            assert pytest.approx(K[0, 0] * (task.X @ task.X.T / 4) ** k, rel=1e-9, abs=1e-12) == K
    assert found.sum(axis=0) == pytest.approx(nc.NNGP("tanh")(task.X), abs=1e-5)
    assert np.tensordot(degrees, found, 1) == pytest.approx(nc.NTK("tanh")(task.X), abs=1e-12)


def test_the_prediction_has_its_limits():
    """Without noise the flow of the NTK from f_0; after a long time with noise, ridge regression
    with the NNGP.
    """
    random, alpha = np.random.default_rng(2), 4.0
    task = SphereTask.drawn(6, 5, random)
    start = random.standard_normal(6)
    plain = NoisySteps(1e-3 / alpha**2, 2000, 0.0, 0)
    values, U = np.linalg.eigh(nc.NTK("tanh")(task.X))
    kept = U @ (np.exp(-values * 2 / 6 * 1e-3 * 2000) * (U.T @ (start - task.y)))
    found = task.predicted(start, alpha, plain)
    assert np.array_equal(found[0], start)
    assert found[-1] == pytest.approx(task.y + kept, abs=1e-3)
    noisy = NoisySteps(0.02 / alpha**2, 6000, 2.0, 0)
    K = nc.NNGP("tanh")(task.X)
    ridge = K @ np.linalg.solve(K + 6 * 2.0 / (2 * alpha**2) * np.eye(6), task.y)
    assert task.predicted(start, alpha, noisy)[-1] == pytest.approx(ridge, abs=1e-2)


def _followed(task, alpha, width, noise):
    """Outputs of a network along its descent, and their prediction."""
    network = nc.networks.MeanFieldNetwork("tanh", 5, width=width, scale=alpha, seed=0)
    outputs = np.stack(list(task.descend(network, noise)))
    return outputs, task.predicted(outputs[0], alpha, noise)


def test_wide_networks_follow_the_prediction():
    """Width 4,000 and alpha = 20, without noise: within 4 % of |y| at every step."""
    task = SphereTask.drawn(6, 5, np.random.default_rng(3))
    outputs, predicted = _followed(task, 20.0, 4000, NoisySteps(1.3 / 400, 60, 0.0, 1))
    assert np.linalg.norm(outputs - predicted, axis=1).max() < 0.04 * math.sqrt(6)
    assert task.losses(outputs)[0] > 10 * task.losses(outputs)[-1]


def test_noise_turns_the_ntk_into_the_nngp():
    """At lambda t = 8 with a ridge n lambda/(2 alpha^2) = .3: near the NNGP's, and twice as far
    from the NTK's.
    """
    task = SphereTask.drawn(6, 5, np.random.default_rng(3))
    outputs, predicted = _followed(task, 20.0, 20_000, NoisySteps(1.3 / 400, 60, 40.0, 1))
    found, told = outputs[30:].mean(axis=0), predicted[30:].mean(axis=0)
    tangent, conjugate = (
        K @ np.linalg.solve(K + 0.3 * np.eye(6), task.y)
        for K in (nc.NTK("tanh")(task.X), nc.NNGP("tanh")(task.X))
    )
    away = [np.linalg.norm(found - f) / math.sqrt(6) for f in (told, conjugate, tangent)]
    assert max(away[:2]) < 0.04, away
    assert away[2] > 2 * away[1], away


def test_a_descent_steps_along_the_gradient():
    """Against the network by hand: u and w move along alpha times the mean error, per unit."""
    task = SphereTask.drawn(5, 3, np.random.default_rng(4))
    network = nc.networks.MeanFieldNetwork("tanh", 3, width=4, scale=2.0, seed=0)
    W, u = network.weight.detach().numpy().copy(), network.readout.detach().numpy().copy()
    first, last = task.descend(network, NoisySteps(0.1, 1, 0.0, 0))
    h = np.tanh(task.X @ W.T / math.sqrt(3))
    assert first == pytest.approx(2.0 / 4 * h @ u, rel=1e-12)
    e = 2 / 5 * (first - task.y)
    new_u = u - 0.1 * 2.0 * h.T @ e
    new_W = W - 0.1 * 2.0 * ((1 - h**2) * u * e[:, None]).T @ task.X / math.sqrt(3)
    assert last == pytest.approx(
        2.0 / 4 * np.tanh(task.X @ new_W.T / math.sqrt(3)) @ new_u, rel=1e-12
    )


def test_rates_are_those_of_exponentials():
    """A loss e^(-3 r t) has 3 times the rate r = 2 Lambda/n; with noise, above its end."""
    task = SphereTask.drawn(4, 5, np.random.default_rng(5))
    least = np.linalg.eigvalsh(nc.NTK("tanh")(task.X))[0]
    t = 0.5 * np.arange(40)
    losses = np.exp(-3 * 2 * least / 4 * t)
    outputs = task.y + np.sqrt(losses)[:, None]
    assert parts.relative_rate(outputs, task, 0.5, noisy=False) == pytest.approx(3)
    flat = task.y + np.sqrt(losses + 0.2)[:, None]
    assert parts.relative_rate(flat, task, 0.5, noisy=True) > 2


def test_the_step_of_the_paper_widens_the_prior():
    """Second moment 1/(1 - eta lambda/2) of 40,000 weights, within 4 standard errors."""
    network = nc.networks.MeanFieldNetwork("tanh", 4, width=8000, seed=0)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for _ in range(12):
            parts.paper_step(network, 0.5, generator)
    second = np.square(weights_of(network)).mean()
    assert second == pytest.approx(1 / 0.75, rel=4 * math.sqrt(2 / 40_000))
