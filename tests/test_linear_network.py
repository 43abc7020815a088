"""Linear networks: their kernels against automatic differentiation, their flow against closed forms
and small steps.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

import nc1fast as nc
from nc1fast.networks import LinearNetwork

pytest.importorskip("scipy")


def _rows(n=9, d0=5, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d0))


def _whitened(n, d0, seed=0):
    U, _, V = np.linalg.svd(_rows(n, d0, seed), full_matrices=False)
    return math.sqrt(n) * U @ V


@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("depth", [2, 3, 5])
def test_the_tangent_kernel_is_that_of_autograd(depth, n_outputs):
    """A torch network of leaky rectifiers of slope 1 with the same weights."""
    torch = pytest.importorskip("torch")
    X, Z = _rows(), _rows(4, seed=1)
    options = {"depth": depth, "width": 7, "n_outputs": n_outputs}
    network = LinearNetwork.drawn(5, **options, weight_std=0.6, seed=2)
    module = nc.networks.ShallowNetwork(nc.LeakyReLU(1.0), 5, **options, train_bias=False, seed=0)
    with torch.no_grad():
        for layer, W in zip(module.weight_layers().values(), network.weights, strict=True):
            layer.weight.copy_(torch.from_numpy(W))
        outputs = module(torch.from_numpy(X)).numpy()
    assert network(X) == pytest.approx(outputs, rel=1e-12)
    expected = nc.networks.empirical_ntk(module, X, Z)
    assert network.ntk(X, Z) == pytest.approx(expected, rel=1e-11, abs=1e-13)
    assert X @ network.tangent_metric @ Z.T == pytest.approx(expected, rel=1e-11, abs=1e-13)
    y = np.array([0, 1, 2] * 3)
    streamed = nc.collapse(network.tangent_features(X), y).nc1
    stored = nc.collapse(nc.networks.empirical_ntk(module, X), y, "precomputed").nc1
    assert streamed == pytest.approx(stored, rel=1e-10)


def test_two_layers_from_balance_follow_the_sigmoid():
    """With S = I and one output, W_1 = r v p^T and W_2 = r v^T: u = r^2 is s/(1 + (s/u_0 - 1) e^(-2
    s t)).
    """
    X, s, u = _whitened(40, 6), 1.7, 1e-3
    p, v = (np.linalg.qr(_rows(n, n, seed=3))[0][0] for n in (6, 4))
    network = LinearNetwork([math.sqrt(u) * np.outer(v, p), math.sqrt(u) * v[None]])
    flow = network.gradient_flow(X, X @ (s * p), time=6.0, tolerance=1e-10)
    assert flow.end == 6.0
    for t in (0.0, 0.5, 2.0, 3.0, 6.0):
        size = s / (1 + (s / u - 1) * math.exp(-2 * s * t))
        assert flow.at(t).matrix[0] == pytest.approx(size * p, abs=1e-8)
        assert flow.excess(t) == pytest.approx((s - size) ** 2 / 2, abs=1e-8)


@pytest.mark.parametrize("depth", [2, 4])
def test_the_flow_is_the_limit_of_small_steps(depth):
    """Two outputs that no linear map gives, against Euler's method extrapolated from two step
    sizes, by gradients of torch.
    """
    torch = pytest.importorskip("torch")
    X, Y = _rows(12, 4), _rows(12, 2, seed=5)
    network = LinearNetwork.drawn(4, depth=depth, width=3, n_outputs=2, weight_std=0.5, seed=6)

    def descended(steps):
        weights = [torch.tensor(W, requires_grad=True) for W in network.weights]
        for _ in range(steps):
            f = torch.from_numpy(X)
            for W in weights:
                f = f @ W.T
            loss = ((f - torch.from_numpy(Y)) ** 2).sum() / (2 * Y.size)
            for W, slope in zip(weights, torch.autograd.grad(loss, weights), strict=True):
                W.data -= 2.0 / steps * slope
        return [W.detach().numpy() for W in weights]

    expected = [2 * b - a for a, b in zip(descended(400), descended(800), strict=True)]
    found = network.gradient_flow(X, Y, time=2.0).at(2.0)
    for W, other in zip(found.weights, expected, strict=True):
        assert pytest.approx(other, abs=2e-5) == W


@pytest.mark.parametrize("depth", [2, 3])
def test_the_flow_keeps_what_gradient_flow_conserves(depth):
    """W_{l+1}^T W_{l+1} - W_l W_l^T; and the loss never rises: each share of it has one time."""
    X = _rows(20, 6)
    network = LinearNetwork.drawn(6, depth=depth, width=8, weight_std=0.3, seed=7)
    flow = network.gradient_flow(X, X @ np.ones(6), time=1e4, until=1e-6)
    assert flow.end < 1e4
    assert flow.excess(flow.end) == pytest.approx(1e-6 * flow.excess(0), rel=1e-3)
    for before, after in zip(_balance(network), _balance(flow.at(flow.end)), strict=True):
        assert before == pytest.approx(after, abs=1e-7)
    losses = [flow.excess(t) for t in np.linspace(0, flow.end, 200)]
    assert max(np.diff(losses)) <= 1e-10
    for share in (0.01, 0.5, 0.99):
        t = flow.time_of(share)
        assert flow.excess(t) == pytest.approx((1 - share) * losses[0], rel=1e-6)
    assert flow.time_of(0) == 0
    assert flow.best[0] == pytest.approx(np.ones(6))
    assert flow.at(flow.end).matrix[0] == pytest.approx(np.ones(6), abs=0.02)


def _balance(network):
    pairs = zip(network.weights[:-1], network.weights[1:], strict=True)
    return [upper.T @ upper - lower @ lower.T for lower, upper in pairs]


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_balanced_networks(depth):
    """Balance, the map, and the alignment of whitened rows in closed form."""
    P = _rows(2, 5, seed=8)
    network = LinearNetwork.balanced(P, depth)
    assert network.matrix == pytest.approx(P, abs=1e-13)
    assert all(np.abs(B).max() < 1e-13 for B in _balance(network))
    X, beta = _whitened(60, 30), _rows(1, 30, seed=9)
    features = LinearNetwork.balanced(beta, depth).tangent_features(X)
    found = nc.alignment(X, X @ beta[0], features).target[0]
    assert found == pytest.approx(depth / math.sqrt(29 + depth**2), rel=1e-12)
    p = beta / np.linalg.norm(beta)
    size = np.linalg.norm(beta) ** (2 - 2 / depth)
    expected = size * (np.eye(30) + (depth - 1) * p.T @ p)
    metric = LinearNetwork.balanced(beta, depth).tangent_metric
    assert metric == pytest.approx(expected, abs=1e-12)


def test_small_weights_end_at_the_balanced_network():
    X, beta = _rows(30, 8), _rows(1, 8, seed=10)
    network = LinearNetwork.drawn(8, width=12, weight_std=1e-3, seed=11)
    flow = network.gradient_flow(X, X @ beta[0], time=1e5, until=1e-10)
    metric = flow.at(flow.end).tangent_metric
    limit = LinearNetwork.balanced(beta).tangent_metric
    assert np.linalg.norm(metric - limit) < 1e-3 * np.linalg.norm(limit)


def test_weights_of_zero_stay():
    X = _rows()
    network = LinearNetwork.drawn(5, width=3, weight_std=0.0)
    flow = network.gradient_flow(X, X[:, 0], time=3.0)
    assert not flow.at(3.0).matrix.any()
    with pytest.raises(ValueError, match=r"not fallen by 0\.5"):
        flow.time_of(0.5)


def test_a_seed_is_a_network():
    first, again, other = (LinearNetwork.drawn(3, width=5, seed=s).weights[0] for s in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert repr(LinearNetwork.drawn(3, width=5, depth=3)) == "LinearNetwork(3 -> 5 -> 5 -> 1)"
    large = LinearNetwork.drawn(40, width=60, weight_std=0.2, seed=3).weights[0]
    assert large.std() == pytest.approx(0.2, rel=0.1)


def test_errors_say_what_is_wrong():
    network = LinearNetwork.drawn(5, width=3)
    X = _rows()
    for wrong, text in (
        ([np.eye(2)], "two matrices"),
        ([np.eye(2), np.ones(2)], "two matrices"),
        ([np.eye(2), np.ones((1, 3))], "layer 2 must have 2 columns"),
        ([np.eye(2), np.array([[1.0, np.nan]])], "finite"),
    ):
        with pytest.raises(ValueError, match=text):
            LinearNetwork(wrong)
    with pytest.raises(ValueError, match="shape"):
        network(X[:, :3])
    with pytest.raises(ValueError, match="targets"):
        network.gradient_flow(X, np.ones(4), time=1.0)
    with pytest.raises(ValueError, match="targets"):
        network.gradient_flow(X, np.full(9, np.inf), time=1.0)
    for options in ({"time": 0}, {"time": 1.0, "until": 1.0}, {"time": math.inf}):
        with pytest.raises(ValueError, match=r"time|until"):
            network.gradient_flow(X, np.ones(9), **options)
    with pytest.raises(ValueError, match="depth"):
        LinearNetwork.balanced(np.ones((1, 3)), 1)
    with pytest.raises(ValueError, match="time"):
        network.gradient_flow(X, np.ones(9), time=1.0).at(2.0)
