"""Mean-field networks: against NumPy, the kernels of their start, the NTK parametrization, and the
steps of the paper.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

import nc1fast as nc

torch = pytest.importorskip("torch")


def _rows(n=5, d0=3, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d0))


def _outputs(network, X):
    with torch.no_grad():
        return network(torch.from_numpy(X)).numpy()[:, 0]


def test_a_network_is_what_it_says():
    """Outputs and NTK, unit by unit, in NumPy."""
    X, alpha, m = _rows(), 7.0, 11
    network = nc.networks.MeanFieldNetwork("tanh", 3, width=m, scale=alpha, seed=2)
    W, u = network.weight.detach().numpy(), network.readout.detach().numpy()
    f, K = np.zeros(5), np.zeros((5, 5))
    for w, a in zip(W, u, strict=True):
        h = np.tanh(X @ w / math.sqrt(3))
        back = a * (1 - h**2)
        f += alpha / m * a * h
        K += (alpha / m) ** 2 * (np.outer(h, h) + np.outer(back, back) * (X @ X.T) / 3)
    assert _outputs(network, X) == pytest.approx(f, rel=1e-12, abs=1e-14)
    assert nc.networks.empirical_ntk(network, X) == pytest.approx(K, rel=1e-11, abs=1e-14)
    assert network.features(torch.from_numpy(X)).shape == (5, m)
    assert "width=11" in repr(network)
    single = nc.networks.MeanFieldNetwork("tanh", 3, width=m, seed=2, dtype="float32")
    assert torch.equal(single.readout, network.readout.float())


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_kernels_of_the_start(activation):
    """The NTK's mean over draws is (alpha^2/m) NTK, the variance of f is (alpha^2/m) NNGP: four
    standard errors of 200 draws.
    """
    X, alpha, m, n_draws = _rows(3), 5.0, 40, 200
    tangents, squares = [], []
    for seed in range(n_draws):
        network = nc.networks.MeanFieldNetwork(activation, 3, width=m, scale=alpha, seed=seed)
        f = _outputs(network, X)
        tangents.append(nc.networks.empirical_ntk(network, X) * m / alpha**2)
        squares.append(np.outer(f, f) * m / alpha**2)
    for found, kernel in ((tangents, nc.NTK(activation)), (squares, nc.NNGP(activation))):
        off = np.mean(found, axis=0) - kernel(X)
        assert np.abs(off / np.std(found, axis=0)).max() < 4 / math.sqrt(n_draws)


def test_a_step_moves_outputs_by_the_ntk():
    """Along the gradient of m L: -eta alpha^2 NTK dL/df, up to eta^2 and 1/sqrt(m)."""
    X, y, alpha = _rows(6, 4), np.arange(6.0), 3.0
    network = nc.networks.MeanFieldNetwork("erf", 4, width=40_000, scale=alpha, seed=1)
    before = _outputs(network, X)
    targets = torch.from_numpy(y)[:, None]
    (network.width * (network(torch.from_numpy(X)) - targets).square().mean()).backward()
    torch.optim.SGD(network.parameters(), lr=1e-4).step()
    moved = (_outputs(network, X) - before) / 1e-4
    expected = -(alpha**2) * nc.NTK("erf")(X) @ (2 / 6 * (before - y))
    assert np.linalg.norm(moved - expected) < 0.03 * np.linalg.norm(expected)


def test_alpha_sqrt_m_is_the_ntk_parametrization():
    X = _rows(5, 4)
    shallow = nc.networks.ShallowNetwork("gelu", 4, width=9, parametrization="ntk", seed=3)
    network = nc.networks.MeanFieldNetwork("gelu", 4, width=9, scale=3.0, seed=4)
    with torch.no_grad():
        network.weight.copy_(shallow.pre1.weight)
        network.readout.copy_(shallow.output.weight[0])
    assert _outputs(network, X) == pytest.approx(_outputs(shallow, X), rel=1e-12, abs=1e-14)
    tangents = [nc.networks.empirical_ntk(net, X) for net in (network, shallow)]
    assert tangents[0] == pytest.approx(tangents[1], rel=1e-11, abs=1e-13)


@pytest.mark.parametrize("step", [1e-3, 1e-2])
def test_langevin_is_noisy_gradient_descent(step):
    """Theta - eta (grad + lambda theta) + sqrt(2 eta lambda) xi, up to (eta lambda)^(3/2), from the
    same noise.
    """
    decay = 0.5
    network = nc.networks.MeanFieldNetwork("tanh", 4, width=50, scale=2.0, seed=0)
    before = [p.detach().clone() for p in network.parameters()]
    (50 * network(torch.from_numpy(_rows(6, 4))).square().mean()).backward()
    noise = nc.networks.Langevin(
        network.parameters(),
        lr=step,
        temperature=decay,
        prior_variance=1.0,
        generator=torch.Generator().manual_seed(5),
    )
    noise.step()
    again = torch.Generator().manual_seed(5)
    for p, old in zip(network.parameters(), before, strict=True):
        xi = torch.randn(p.shape, generator=again, dtype=p.dtype)
        expected = old - step * (p.grad + decay * old) + math.sqrt(2 * step * decay) * xi
        off, moved = (float((p.detach() - q).abs().max()) for q in (expected, old))
        assert off < 4 * (step * decay) ** 1.5
        assert moved > 40 * (step * decay) ** 1.5
