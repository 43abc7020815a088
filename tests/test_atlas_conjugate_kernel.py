"""The study of kernels of trained networks: its regression against SVD, its gradients against
differences, its claims on made rows.
"""

# ruff: noqa: RUF012  (the data of a study, which nothing changes)
from __future__ import annotations

import math

import numpy as np
import pytest
from tests.atlas_studies import StudyChecks

import nc1fast as nc
from nc1fast.studies.library import conjugate_kernel as parts

torch = pytest.importorskip("torch")


class TestStudy(StudyChecks):
    name = "conjugate-kernel"
    tiny = """
  - {part: regression, target: [damped cosine], activation: [tanh, relu], n_samples: 8,
     steps: [0, 5], width: [8]}
  - {part: nc1, d0: [8], n_samples: 32}
"""
    tiny_words = {"holds": {"CK1"}}
    things = 6
    figures = ["ridges", "training"]
    # errors relative to that of tanh networks, and to those of the start
    good = {"CK": 0.1, "NTK": 0.02, "relu CK": 1.0, "relu NTK": 2.0, "start": 10.0, "gram": 1e-15}
    changes = [
        ("CK1", {"gram": 1e-9}, "fails"),
        ("CK2", {"CK": 1.2, "NTK": 1.2}, "fails"),
        ("CK2", {"CK": 1.2}, "depends on the data"),
        ("CK3", {"CK": 0.21}, "fails"),
        ("CK4", {"relu CK": 2.1}, "fails"),
        ("CK5", {"relu CK": 0.09, "relu NTK": 0.019}, "fails"),
        ("CK5", {"relu CK": 0.09}, "depends on the data"),
        ("CK6", {"start": 0.9}, "fails"),
    ]
    exact = {"CK1"}

    def fill(self, add, told, repeat):
        initial = told.get("initial", "LeCun")
        for target in parts.TARGETS:
            for activation, steps in (("tanh", 0), ("tanh", 600), ("relu", 600)):
                at = {
                    "target": target,
                    "activation": activation,
                    "initial": initial,
                    "width": 64,
                    "steps": steps,
                }
                prefix = "relu " if activation == "relu" else ""
                factor = told["start"] if steps == 0 else 1.0
                add(parts.NETWORK, parts.ERROR, 1.0, **at)
                add(parts.NETWORK, parts.TRAINING, 0.9, **at)
                add(parts.NTK, parts.GRAM, told["gram"], **at)
                for thing in (parts.CK, parts.NTK):
                    error = factor * told[prefix + thing]
                    add(thing, parts.ERROR, error, **at, ridge=parts.RIDGE)
                    add(thing, parts.DIMENSION, 20, **at, ridge=parts.RIDGE)
                    add(thing, parts.ERROR, 5.0, **at, ridge=1e-4)  # is not judged

    def _claim(self, letter, rows):
        return next(c for c in parts.STUDY.claims(rows) if c.letter == letter)

    def test_starts_are_judged_apart(self):
        rows = self.rows() + self.rows(initial="torch", CK=0.3)
        told = self._claim("CK3", rows)
        assert told.finding.verdict == "depends on the data"
        assert told.number == "error of CK over that of NTK from 5 to 15"
        [cells] = told.details
        assert "target=steep tanh, activation=tanh, initial=torch, width=64" in cells
        assert ": 15 [15, 15], fails" in cells
        few = self.rows() + self.rows(3, initial="torch")
        assert self.verdicts(few)["CK3"] == "too few"

    def test_numbers_are_of_the_last_steps_and_the_ridge_of_the_claims(self):
        told = self._claim("CK2", self.rows())
        assert told.number == "; ".join(
            f"error of {thing} over that of the network {ratio}"
            for thing, ratio in (("CK", 0.1), ("NTK", 0.02))
        )
        assert all("steps=600, ridge=1e-10: " in cells for cells in told.details)


@pytest.mark.parametrize(("n", "d"), [(30, 8), (12, 40)])
def test_ridge_regression_is_that_of_the_features(n, d):
    """Against the SVD of features whose singular values fall to 1e-6, and against Cholesky at a
    large ridge.
    """
    random = np.random.default_rng(0)
    H, G = random.standard_normal((n, d)), random.standard_normal((5, d))
    scales = np.logspace(0, -6, d)
    H, G, y = H * scales, G * scales, random.standard_normal(n)
    fit = parts.Fit.of(H @ H.T)
    U, s, V = np.linalg.svd(H, full_matrices=False)
    for ridge in (1e-10, 1e-4, 0.1):
        level = ridge * np.square(H).sum() / n
        expected = G @ (V.T @ (s / (s**2 + level) * (U.T @ y)))
        found = G @ H.T @ fit.dual(y, ridge)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3 * np.abs(expected).max())
        if ridge > 1e-5:
            np.testing.assert_allclose(found, expected, rtol=1e-9)
        assert fit.dimension(ridge) == pytest.approx(np.sum(s**2 / (s**2 + level)), rel=1e-3)
    level = 0.1 * np.square(H).sum() / n / d  # of the linear kernel, <x, z>/d
    other = nc.prediction.ridge(nc.Linear(), H, y, G, ridge=level).mean
    scaled = 0.1 * np.trace(nc.Linear()(H)) / n
    assert level == pytest.approx(scaled)
    np.testing.assert_allclose(G @ H.T @ fit.dual(y, 0.1), other, rtol=1e-8)


def test_gradients_are_those_of_differences():
    network = parts.drawn("tanh", 1, 4, 0)
    X = np.array([[-0.7], [0.3]])
    J = parts.gradients(network, X)
    slopes = []
    for parameter in network.parameters():
        flat = parameter.detach().view(-1)
        for k in range(len(flat)):
            kept, ends = float(flat[k]), []
            for step in (1e-5, -1e-5):
                flat[k] = kept + step
                ends.append(parts.outputs(network, X))
            flat[k] = kept
            slopes.append((ends[0] - ends[1]) / 2e-5)
    np.testing.assert_allclose(J, np.array(slopes).T, rtol=0, atol=1e-9)
    K = nc.networks.empirical_ntk(network, X)
    np.testing.assert_allclose(K, J @ J.T, rtol=1e-13)


def test_networks_are_drawn_with_the_variances_of_torch():
    """Of torch.nn.Linear's uniform law; 200 entries or more have the standard deviation to 5 %."""
    network = parts.drawn("relu", 9, 200, 0, "torch")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for layer in network.weight_layers().values():
            fan_out, fan_in = layer.weight.shape
            default = torch.nn.Linear(fan_in, fan_out)
            weights, others = (m.weight.detach().numpy() for m in (layer, default))
            assert weights.std() == pytest.approx(others.std(), rel=0.15)
            biases = np.array([float(torch.nn.Linear(fan_in, 1).bias.detach()) for _ in range(300)])
            assert layer.bias_std == pytest.approx(biases.std(), rel=0.15)
            if fan_out > 1:
                assert layer.bias.detach().numpy().std() == pytest.approx(layer.bias_std, rel=0.2)


@pytest.mark.parametrize("target", list(parts.TARGETS))
def test_tasks(target):
    task = parts.SampledFunction.of(target, 16)
    assert task.X.shape == (16, 1)
    assert task.Z.shape == (1001, 1)
    formula = {
        parts.DAMPED: [0.1 * math.e**1.5 * math.cos(3), 0.1],
        parts.ABSOLUTE: [0.5, 0],
        parts.STEEP: [-math.tanh(10), 0],
    }[target]
    assert task.truth[[250, 500]] == pytest.approx(formula, abs=1e-12)
    assert task.error(2 * task.truth) == pytest.approx(1)
    network = parts.drawn("tanh", 1, 16, 0)
    assert task.trained(network, 0, 1e-3) is network
    before = task.error(parts.outputs(network, task.Z))
    after = task.error(parts.outputs(task.trained(network, 150, 1e-2), task.Z))
    assert after < 0.9 * before


def test_regression_uses_the_kernels_of_the_trained_network():
    """The errors of a part, again from hidden features and from gradients by SVD."""
    ridges = (1e-10, 1e-6, 1e-4)
    measured = list(
        parts.regression(
            np.random.default_rng(3),
            target=parts.DAMPED,
            activation="tanh",
            initial="torch",
            width=8,
            steps=50,
            n_samples=12,
            rate=1e-2,
            ridges=ridges,
        )
    )
    seed = int(np.random.default_rng(3).integers(1 << 32))
    task = parts.SampledFunction.of(parts.DAMPED, 12)
    network = task.trained(parts.drawn("tanh", 1, 8, seed, "torch"), 50, 1e-2)

    def hidden(X):
        with torch.no_grad():
            h = torch.from_numpy(X)
            for module in list(network.children())[:-1]:
                h = module(h)
            return h.numpy()

    for thing, features in (
        (parts.CK, hidden),
        (parts.NTK, lambda X: parts.gradients(network, X)),
    ):
        H, G = features(task.X), features(task.Z)
        U, s, V = np.linalg.svd(H, full_matrices=False)
        for ridge in ridges:
            level = ridge * np.square(H).sum() / 12
            f = G @ (V.T @ (s / (s**2 + level) * (U.T @ task.y)))
            [found] = [
                m.value
                for m in measured
                if m.thing == thing and m.quantity == parts.ERROR and m.at["ridge"] == ridge
            ]
            assert found == pytest.approx(task.error(f), rel=1e-4)
