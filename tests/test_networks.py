"""Shallow networks against their own kernels: at initialisation, and in the space of their
gradients.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np
import pytest

import nc1fast as nc

torch = pytest.importorskip("torch")
networks = nc.networks


@pytest.fixture(scope="module")
def d1() -> tuple[Any, Any]:
    return nc.datasets.paper_d1(128, 8, seed=0)


def _digits() -> tuple[Any, Any]:
    X, y = nc.datasets.digits()
    return X[:200] / 16, y[:200]


def _z_score(draws: list[float], expected: float) -> float:
    """Distance of the mean of the draws from its expectation, in standard errors."""
    values = np.array(draws)
    return float((values.mean() - expected) / (values.std(ddof=1) / np.sqrt(len(values))))


def test_a_network_knows_its_kernels() -> None:
    network = networks.ShallowNetwork(
        "erf", 5, depth=3, width=(40, 30), weight_variance=(1.0, 2.0, 3.0), bias_variance=0.1
    )
    common: dict[str, Any] = {"weight_variance": (1.0, 2.0, 3.0), "bias_variance": 0.1}
    assert network.nngp() == nc.NNGP("erf", 3, **common)
    assert network.ntk() == nc.NTK("erf", 3, **common, parametrization="standard", width=(40, 30))
    plain = networks.ShallowNetwork("relu", 5, parametrization="ntk", train_bias=False)
    assert plain.ntk() == nc.NTK("relu", train_bias=False)
    assert network.layers == ["pre1", "post1", "pre2", "post2", "output"]


def test_a_seed_draws_the_same_network_in_either_precision() -> None:
    settings: dict[str, Any] = {"width": 7, "bias_variance": 1.0, "seed": 3}
    double = networks.ShallowNetwork("relu", 4, **settings)
    single = networks.ShallowNetwork("relu", 4, **settings, dtype="float32")
    for a, b in zip(double.parameters(), single.parameters(), strict=True):
        assert torch.equal(a.float(), b)
    again = double.redrawn(4)
    assert not torch.equal(again.pre1.weight, double.pre1.weight)
    again.draw(3)
    assert torch.equal(again.pre1.weight, double.pre1.weight)


def test_parametrizations_draw_the_same_functions() -> None:
    X = torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    settings: dict[str, Any] = {"depth": 3, "width": (9, 5), "n_outputs": 2, "seed": 1}
    settings |= {"weight_variance": (1.5, 0.5, 2.0), "bias_variance": (0.3, 0.2, 0.1)}
    standard, ntk = (
        networks.ShallowNetwork("gelu", 4, parametrization=name, **settings)
        for name in ("standard", "ntk")
    )
    torch.testing.assert_close(standard(X), ntk(X), rtol=1e-13, atol=1e-13)


def test_trained_biases_are_parameters_and_fixed_ones_are_not() -> None:
    def names(**settings: Any) -> set[str]:
        network = networks.ShallowNetwork("relu", 3, width=4, seed=0, **settings)
        return {name for name, _ in network.named_parameters() if name.endswith("bias")}

    assert names() == {"pre1.bias", "output.bias"}
    assert names(train_bias=False, bias_variance=1.0) == set()
    assert names(parametrization="ntk") == set()
    assert names(parametrization="ntk", bias_variance=(0.0, 1.0)) == {"output.bias"}


@pytest.mark.parametrize("activation", ["relu", "erf"])
@pytest.mark.parametrize("data", ["d1", "digits"])
@pytest.mark.slow
def test_nc1_at_initialisation_is_that_of_the_nngp_kernel(
    activation: str, data: str, d1: tuple[Any, Any]
) -> None:
    X, y = d1 if data == "d1" else _digits()
    network = networks.ShallowNetwork(
        activation, X.shape[1], width=4096, bias_variance=(0.1, 0.0), seed=0
    )
    rows = torch.from_numpy(X)
    values = []
    for seed in range(100):
        network.draw(seed)
        with torch.no_grad():
            H = network.post1(network.pre1(rows))
        values.append(nc.collapse(H, y, convention="class", statistics="sums").nc1)
    expected = nc.collapse(X, y, network.nngp(), convention="class").nc1
    assert abs(_z_score(values, expected)) < 3


@pytest.mark.parametrize("parametrization", ["standard", "ntk"])
def test_a_readout_can_keep_its_values(parametrization: str) -> None:
    settings = {"depth": 3, "width": 30, "bias_variance": 0.2, "parametrization": parametrization}
    whole = networks.ShallowNetwork("erf", 4, **settings, seed=0)
    fixed = networks.ShallowNetwork("erf", 4, **settings, train_readout=False, seed=0)
    assert fixed.ntk() == dataclasses.replace(whole.ntk(), train_readout=False)
    X = np.random.default_rng(0).normal(size=(6, 4))
    y = np.repeat([0, 1], 3)
    with torch.no_grad():
        hidden = whole.post2(whole.pre2(whole.post1(whole.pre1(torch.from_numpy(X))))).numpy()
    scale, bias = whole.output.weight_scale, whole.output.bias_scale
    readout = scale**2 * hidden @ hidden.T + bias**2
    both = [networks.empirical_ntk(network, X) for network in (whole, fixed)]
    assert both[0] - both[1] == pytest.approx(readout, rel=1e-10)
    [trained] = networks.train(fixed, X, y, epochs=3, lr=0.01).networks
    for name, before in fixed.named_parameters():
        after = dict(trained.named_parameters())[name]
        assert torch.equal(before, after) == name.startswith("output"), name
    with pytest.raises(TypeError, match="train_readout"):
        networks.ShallowNetwork("erf", 4, train_readout=1)


@pytest.mark.parametrize("depth", [2, 3])
@pytest.mark.parametrize("parametrization", ["standard", "ntk"])
@pytest.mark.parametrize("biases", ["none", "trained", "fixed"])
def test_empirical_ntks_average_to_the_kernel(
    depth: int, parametrization: str, biases: str, d1: tuple[Any, Any]
) -> None:
    X = d1[0][::8] / 2  # 16 rows, 8 of each class
    network = networks.ShallowNetwork(
        "relu",
        X.shape[1],
        depth=depth,
        width=400,
        weight_variance=1.5,
        bias_variance=0.0 if biases == "none" else 0.4,
        parametrization=parametrization,
        train_bias=biases == "trained",
        seed=0,
    )
    expected = network.ntk()(X)
    draws = []
    for seed in range(1000, 1040):
        network.draw(seed)
        draws.append(networks.empirical_ntk(network, X))
    same, other = np.ix_(range(8), range(8)), np.ix_(range(8), range(8, 16))
    statistics = (np.trace, lambda K: K[same].sum(), lambda K: K[other].sum())
    for statistic in statistics:
        assert abs(_z_score([statistic(K) for K in draws], statistic(expected))) < 3
    assert np.abs(np.mean(draws, axis=0) - expected).max() < 0.1 * expected.max()


class _Wrapped(torch.nn.Module):  # type: ignore[misc, name-defined]
    """The same function as its network, without its closed form."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, X: Any) -> Any:
        return self.network(X)


@pytest.mark.parametrize("outputs", ["mean", "full", 1])
@pytest.mark.parametrize("parametrization", ["standard", "ntk"])
@pytest.mark.parametrize("depth", [2, 4])
@pytest.mark.slow
def test_closed_form_jacobians_and_single_gradients_agree(
    outputs: str | int, parametrization: str, depth: int
) -> None:
    network = networks.ShallowNetwork(
        "erf",
        4,
        depth=depth,
        width=6,
        n_outputs=3,
        bias_variance=0.5,
        parametrization=parametrization,
        seed=0,
    )
    rng = np.random.default_rng(0)
    X, Z = rng.standard_normal((7, 4)), rng.standard_normal((5, 4))

    def gradients(rows: Any) -> Any:
        """(n, K, parameters), one output of one row at a time."""
        found = []
        for x in torch.from_numpy(rows):
            per_output = [
                torch.autograd.grad(network(x[None])[0, k], list(network.parameters()))
                for k in range(3)
            ]
            found.append([torch.cat([g.ravel() for g in gs]).numpy() for gs in per_output])
        return np.array(found)

    full = np.einsum("ikp,jlp->ijkl", gradients(X), gradients(Z))
    expected = {
        "mean": np.einsum("ijkk->ij", full) / 3,
        "full": full,
        1: full[:, :, 1, 1],
    }[outputs]
    for module in (network, _Wrapped(network)):
        for size in (None, 3):
            K = networks.empirical_ntk(module, X, Z, outputs=outputs, batch_size=size)
            np.testing.assert_allclose(K, expected, rtol=1e-11, atol=1e-11)
            own = networks.empirical_ntk(module, X, outputs=outputs, batch_size=size)
            both = networks.empirical_ntk(module, X, X, outputs=outputs, batch_size=size)
            np.testing.assert_allclose(own, both, rtol=1e-11, atol=1e-11)
            swapped = own.transpose(1, 0, 3, 2) if outputs == "full" else own.T
            assert np.array_equal(own, swapped)
    assert all(p.grad is None for p in network.parameters())


def test_frozen_layers_and_batch_normalization_count_as_they_train() -> None:
    X = np.random.default_rng(0).standard_normal((6, 4))
    frozen = networks.ShallowNetwork("relu", 4, width=5, seed=0)
    frozen.pre1.weight.requires_grad_(False)
    K = networks.empirical_ntk(frozen, X)
    np.testing.assert_allclose(K, networks.empirical_ntk(_Wrapped(frozen), X), rtol=1e-12)
    with torch.no_grad():
        u = frozen.pre1(torch.from_numpy(X)).numpy()
    a = frozen.output.weight.detach().numpy()[0]
    H, S = np.maximum(u, 0), (u > 0) * a
    np.testing.assert_allclose(
        K, H @ H.T + 1 + S @ S.T, rtol=1e-12
    )  # readout, its bias, hidden bias
    normed = networks.ShallowNetwork("relu", 4, width=5, batch_norm=True, seed=0)
    normed.train()
    assert networks.empirical_ntk(normed, X).shape == (6, 6)
    assert normed.training
    assert int(normed.pre1.norm.num_batches_tracked) == 0


def test_collapse_streams_an_empirical_ntk(d1: tuple[Any, Any]) -> None:
    X, y = d1
    network = networks.ShallowNetwork("erf", 8, width=30, seed=0)
    streamed = nc.collapse(X, y, functools.partial(networks.empirical_ntk, network))
    stored = nc.collapse(networks.empirical_ntk(network, X), y, "precomputed")
    assert streamed.nc1 == pytest.approx(stored.nc1, rel=1e-10)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"width": 0}, "width must be >= 1"),
        ({"width": (3, 4)}, "width must be one number or 1"),
        ({"width": 2.5}, "width must be an integer"),
        ({"n_outputs": 0}, "n_outputs must be >= 1"),
        ({"depth": 1}, "depth, of weight layers, must be >= 2"),
        ({"weight_variance": -1.0}, "weight_variance must be finite and >= 0"),
        ({"weight_variance": (1.0, 2.0, 3.0)}, "weight_variance must be one number or 2"),
        ({"parametrization": "mup"}, "parametrization must be"),
        ({"train_bias": 1}, "train_bias must be"),
        ({"dtype": "float16"}, "dtype must be"),
        ({"seed": -1}, "seed must be >= 0"),
    ],
)
def test_a_malformed_network_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        networks.ShallowNetwork("relu", 3, **settings)


def test_what_has_no_kernel_says_so() -> None:
    with pytest.raises(ValueError, match="batch_norm=True has no kernel"):
        networks.ShallowNetwork("relu", 3, batch_norm=True).nngp()
    with pytest.raises(ValueError, match="no finite NTK"):
        networks.ShallowNetwork("sign", 3).ntk()
    with pytest.raises(ValueError, match="unknown activation"):
        networks.ShallowNetwork("swish", 3)


@pytest.mark.parametrize(
    ("X", "settings", "message"),
    [
        (np.ones((3, 5)), {}, r"X must have shape \(n_samples, 4\)"),
        (np.full((3, 4), np.nan), {}, "X must be finite"),
        (np.ones((3, 4)), {"outputs": 1}, "outputs must be below the 1"),
        (np.ones((3, 4)), {"outputs": "all"}, "outputs must be 'mean'"),
        (np.ones((3, 4)), {"batch_size": 0}, "batch_size must be >= 1"),
    ],
)
def test_a_malformed_tangent_kernel_is_refused(
    X: Any, settings: dict[str, Any], message: str
) -> None:
    network = networks.ShallowNetwork("relu", 4, width=3)
    with pytest.raises((TypeError, ValueError), match=message):
        networks.empirical_ntk(network, X, **settings)
