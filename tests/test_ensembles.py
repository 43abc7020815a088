"""Many draws of one network at once: against each of them alone; moments of their tangent kernels;
the moment of finite ReLU networks.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import nc1fast as nc

torch = pytest.importorskip("torch")
from tests.probed import gradients

networks = nc.networks
dispersion = pytest.importorskip("nc1fast.networks.ensemble")


def _rows(n, d0, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d0))


def _by_gradients(network, X, Z):
    """Mean over outputs of inner products of gradients."""
    inner = np.einsum("ikp,jkp->ij", gradients(network, X), gradients(network, Z))
    return inner / network.n_outputs


SETTINGS = [
    {"activation": "relu", "parametrization": "ntk"},
    {"activation": "erf", "bias_variance": 0.5, "parametrization": "ntk", "n_outputs": 3},
    {"activation": "gelu", "bias_variance": (0.5, 0.0, 0.2), "train_bias": False, "n_outputs": 2},
    {"activation": "erf", "weight_variance": (1.0, 2.0, 3.0)},  # biases that begin at zero
    {"activation": "relu", "bias_variance": 0.3, "train_readout": False, "width": (4, 6)},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=", ".join)
def test_each_network_is_a_network_of_its_own(settings):
    one = networks.ShallowNetwork(n_features=3, depth=3, **{"width": 5, **settings}, seed=0)
    ensemble = networks.Ensemble(one, 3, seed=1)
    X, Z = _rows(4, 3), _rows(2, 3, 1)
    outputs = ensemble(torch.from_numpy(X)).detach().numpy()
    own, other = ensemble.tangent_kernels(X), ensemble.tangent_kernels(X, Z)
    assert np.array_equal(own, own.transpose(0, 2, 1))
    for k in range(3):
        member = ensemble.member(k)
        assert outputs[k] == pytest.approx(member(torch.from_numpy(X)).detach().numpy(), rel=1e-12)
        assert own[k] == pytest.approx(networks.empirical_ntk(member, X), rel=1e-11)
        assert own[k] == pytest.approx(_by_gradients(member, X, X), rel=1e-11)
        assert other[k] == pytest.approx(_by_gradients(member, X, Z), rel=1e-11)
    assert not np.allclose(outputs[0], outputs[1])
    assert all(p.grad is None for p in ensemble.parameters())


def test_what_is_frozen_does_not_count_and_does_not_move():
    one = networks.ShallowNetwork("relu", 3, width=5, bias_variance=0.4, parametrization="ntk")
    one.pre1.weight.requires_grad_(False)
    ensemble, X = networks.Ensemble(one, 2, seed=1), _rows(4, 3)
    kernels = ensemble.tangent_kernels(X)
    for k in range(2):
        assert kernels[k] == pytest.approx(_by_gradients(ensemble.member(k), X, X), rel=1e-11)
    ensemble(torch.from_numpy(X)).sum().backward()
    assert ensemble.pre1_weight.grad is None
    assert ensemble.pre1_bias.grad is not None
    for p in one.parameters():
        p.requires_grad_(False)
    with pytest.raises(ValueError, match="must have a parameter that requires a gradient"):
        networks.Ensemble(one, 2).tangent_kernels(X)


def test_draws_are_those_of_the_network():
    """Variances of weights and biases of a layer, and no correlation from network to network."""
    one = networks.ShallowNetwork("relu", 50, width=40, weight_variance=1.7, bias_variance=0.4)
    ensemble = networks.Ensemble(one, 100, seed=3)
    weights, biases = ensemble.pre1_weight.detach(), ensemble.pre1_bias.detach()
    assert weights.shape == (100, 40, 50)
    assert float(weights.var()) == pytest.approx(1.7 / 50, rel=0.02)
    assert float(biases.var()) == pytest.approx(0.4, rel=0.1)
    flat = weights.flatten(1)
    assert float((flat[:-1] * flat[1:]).mean()) * 50 / 1.7 == pytest.approx(0, abs=0.01)
    same, other = (networks.Ensemble(one, 100, seed=s).pre1_weight for s in (3, 4))
    assert torch.equal(weights, same)
    assert not torch.equal(weights, other)
    assert networks.Ensemble(one, 1).pre1_weight.shape == (1, 40, 50)


def test_an_ensemble_trains_each_network_alone():
    one = networks.ShallowNetwork("erf", 3, width=5, bias_variance=0.4, seed=0)
    ensemble, X = networks.Ensemble(one, 3, seed=1), torch.from_numpy(_rows(6, 3))
    y = torch.from_numpy(_rows(6, 1, 2))
    members = [ensemble.member(k) for k in range(3)]
    modules: list[Any] = [ensemble, *members]
    for module in modules:
        optimizer = torch.optim.SGD(module.parameters(), lr=0.3)
        for _ in range(4):
            optimizer.zero_grad()
            ((module(X) - y) ** 2).mean(dim=(-2, -1)).sum().backward()
            optimizer.step()
    for k, member in enumerate(members):
        for mine, theirs in zip(ensemble.member(k).parameters(), member.parameters(), strict=True):
            assert torch.allclose(mine, theirs, rtol=1e-11, atol=1e-13)


def test_single_precision_stays_single():
    one = networks.ShallowNetwork("relu", 3, depth=3, width=20, dtype="float32", seed=0)
    double = networks.ShallowNetwork("relu", 3, depth=3, width=20, seed=0)
    X = _rows(4, 3)
    kernels = [networks.Ensemble(n, 2, seed=5).tangent_kernels(X) for n in (one, double)]
    assert networks.Ensemble(one, 2).pre1_weight.dtype == torch.float32
    assert kernels[0].dtype == np.float64
    assert kernels[0] == pytest.approx(kernels[1], rel=1e-4)
    assert not np.array_equal(*kernels)


SERIES = ["tanh", "sigmoid", "softplus", "silu", "elu", "selu", "hard_tanh", "relu6"]


@pytest.mark.parametrize("depth", [2, 3])
@pytest.mark.parametrize("activation", [*SERIES, nc.ShiftedReLU(0.4)], ids=str)
def test_tangent_kernels_are_means_of_finite_ones(activation, depth):
    """The trace and the sum beside the diagonal, without and with the readout, of activations whose
    kernels are series or have thresholds.
    """
    X, draws = _rows(5, 4), 30
    settings = {
        "depth": depth,
        "width": 250,
        "weight_variance": (1.5, 2.0, 1.2)[:depth],
        "bias_variance": (0.2, 0.3, 0.1)[:depth],
        "parametrization": "ntk",
    }

    def statistics(K):
        trace = np.trace(K, axis1=-2, axis2=-1)
        return np.stack([trace, K.sum(axis=(-2, -1)) - trace], axis=-1)

    pair = [
        networks.ShallowNetwork(activation, 4, train_readout=readout, **settings)
        for readout in (False, True)
    ]
    found = [statistics(networks.Ensemble(n, draws, seed=0).tangent_kernels(X)) for n in pair]
    mean, error = np.mean(found, axis=1), np.std(found, axis=1, ddof=1) / math.sqrt(draws)
    expected = np.array([statistics(network.ntk()(X)) for network in pair])
    assert np.abs((mean - expected) / error).max() < 3
    assert np.abs((mean - expected[::-1]) / error).max(axis=1).min() > 5  # so that 3 is close


# --- moments


def test_moments_are_those_of_all_draws(monkeypatch):
    """Against NumPy on the very kernels, in several batches of unequal size."""
    seen = []

    class Watched(networks.Ensemble):
        def tangent_kernels(self, *rows):
            seen.append(super().tangent_kernels(*rows))
            return seen[-1]

    monkeypatch.setattr(dispersion, "Ensemble", Watched)
    monkeypatch.setattr(dispersion, "_NUMBERS", 3000)
    one = networks.ShallowNetwork("erf", 3, depth=3, width=6, bias_variance=0.2, seed=0)
    X, Z = _rows(2, 3), _rows(3, 3, 1)
    found = networks.tangent_dispersion(one, X, Z, draws=50, seed=1)
    assert len({len(batch) for batch in seen}) == 2
    kernels = np.concatenate(seen)
    assert kernels.shape == (50, 2, 3)
    assert len(np.unique(kernels[:, 0, 0])) == found.draws == 50
    mean, d = kernels.mean(axis=0), kernels - kernels.mean(axis=0)
    assert found.mean == pytest.approx(mean, rel=1e-12)
    assert found.variance == pytest.approx(kernels.var(axis=0, ddof=1), rel=1e-11)
    assert found.third == pytest.approx((d**3).mean(axis=0), rel=1e-9)
    assert found.fourth == pytest.approx((d**4).mean(axis=0), rel=1e-10)
    assert found.mean_error == pytest.approx(kernels.std(axis=0, ddof=1) / math.sqrt(50))
    assert found.relative_variance == pytest.approx(found.variance / mean**2)
    assert found.relative_deviation == pytest.approx(np.sqrt(found.variance) / np.abs(mean))
    own = networks.tangent_dispersion(one, X, draws=50, seed=1)
    again = networks.tangent_dispersion(one, X, draws=50, seed=1)
    assert np.array_equal(own.mean, own.mean.T)
    assert np.array_equal(own.variance, again.variance)


@pytest.mark.parametrize("m", [16, 64, 256])
def test_two_layers_disperse_as_three_over_the_width(m):
    """Var/mean^2 of Theta(x, x) is 3/m exactly, whatever x and the variances are."""
    one = networks.ShallowNetwork("relu", 4, width=m, weight_variance=1.7, parametrization="ntk")
    found = networks.tangent_dispersion(one, _rows(1, 4, m), draws=3000, seed=m)
    error = found.relative_variance_error[0, 0]
    assert error < 0.04 * 3 / m
    assert abs(found.relative_variance[0, 0] - 3 / m) < 3 * error


def test_means_are_the_limit_and_errors_are_the_scatter():
    one = networks.ShallowNetwork("relu", 4, width=8, bias_variance=0.3, parametrization="ntk")
    X = _rows(3, 4)
    runs = [networks.tangent_dispersion(one, X, draws=150, seed=s) for s in range(150)]
    limit = one.ntk()(X)
    mean = np.mean([r.mean for r in runs], axis=0)
    assert (np.abs(mean - limit) < 4 * runs[0].mean_error / math.sqrt(150)).all()
    for name in ("mean", "variance", "relative_variance"):
        scatter = np.std([getattr(r, name) for r in runs], axis=0)
        claimed = np.sqrt(np.mean([getattr(r, f"{name}_error") ** 2 for r in runs], axis=0))
        assert claimed == pytest.approx(scatter, rel=0.25), name


def test_rows_of_zeros_have_no_relative_variance():
    one = networks.ShallowNetwork("relu", 2, width=4, parametrization="ntk", seed=0)
    found = networks.tangent_dispersion(one, np.array([[0.0, 0.0], [1.0, 2.0]]), draws=20, seed=0)
    assert np.isnan(found.relative_variance).tolist() == [[True, True], [True, False]]
    assert np.isnan(found.relative_variance_error).tolist() == [[True, True], [True, False]]


# --- the second moment of finite ReLU networks


@pytest.mark.parametrize("widths", [(8, 5), (5, 12), (6, 10, 7), (16,) * 5])
def test_the_moment_is_that_of_networks(widths):
    """20,000 networks, within 3.5 standard errors that are below 5 %."""
    one = networks.ShallowNetwork(
        "relu", 3, depth=len(widths) + 1, width=widths, weight_variance=2.0, parametrization="ntk"
    )
    found = networks.tangent_dispersion(one, _rows(1, 3), draws=20_000, seed=sum(widths))
    expected = nc.theory.tangent_moment(widths)
    error = found.relative_variance_error[0, 0]
    assert error < 0.05 * expected
    assert abs(1 + found.relative_variance[0, 0] - expected) < 3.5 * error


def test_the_moment_in_closed_form_and_its_order():
    for m in (1, 2, 7, 1000):
        assert nc.theory.tangent_moment([m]) == pytest.approx(1 + 3 / m, rel=1e-15)
    a, b = 1 / 3, 1 / 7  # of two hidden layers, written out
    terms = 3 * (1 + 5 * a) * (1 + 5 * b) + 2 * (1 + a) * (1 + 5 * b) + 2 * (1 + 5 * a) * (1 + b)
    terms += 2 * ((1 + a) * (1 + b) + 8 * a * b)
    assert nc.theory.tangent_moment((3, 7)) == pytest.approx(terms / 9, rel=1e-14)
    assert nc.theory.tangent_moment((3, 7)) == nc.theory.tangent_moment((7, 3))
    for n, layers in ((32, 1), (32, 15), (64, 63), (500, 400)):
        share = math.log(nc.theory.tangent_moment([n] * layers)) / (5 * layers / n)
        assert 0.5 < share < 1
    assert nc.theory.tangent_moment([10**9] * 50) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("widths", [[], [0], [2.5], "32", 32, [True]])
def test_malformed_widths(widths):
    with pytest.raises((TypeError, ValueError), match=r"^widths must be"):
        nc.theory.tangent_moment(widths)
