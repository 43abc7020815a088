"""Shallow networks against their own kernels: at initialisation, and in the spaces of their
gradients and of their features.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np
import pytest

import nc1fast as nc

torch = pytest.importorskip("torch")
from tests.probed import gradients

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


def _trained(**options: Any) -> Any:
    network = networks.ShallowNetwork("erf", 3, width=4, seed=0)
    options |= {"epochs": 1, "repeats": 2, "convention": "papyan"}
    return networks.train(network, np.eye(3), [0, 1, 1], **options).networks[1].pre1.weight


SMALL = networks.ShallowNetwork("erf", 3, width=4)
DRAWS: dict[str, Any] = {
    "ShallowNetwork": lambda **o: networks.ShallowNetwork("erf", 3, width=4, **o).pre1.weight,
    "redrawn": lambda **o: networks.ShallowNetwork("erf", 3, width=4).redrawn(**o).pre1.weight,
    "MeanFieldNetwork": lambda **o: networks.MeanFieldNetwork("erf", 3, width=4, **o).weight,
    "PolynomialNetwork": lambda **o: networks.PolynomialNetwork(3, degree=2, width=4, **o).weight,
    "RecurrentNetwork": lambda **o: networks.RecurrentNetwork(3, width=4, **o).weight,
    "LinearNetwork": lambda **o: networks.LinearNetwork.drawn(3, width=4, **o).weights[0],
    "Ensemble": lambda **o: networks.Ensemble(SMALL, 2, **o).pre1_weight,
    "tangent_dispersion": lambda **o: (
        networks.tangent_dispersion(SMALL, np.eye(3), draws=2, **o).mean
    ),
    "train": _trained,
}


@pytest.mark.parametrize("name", DRAWS)
def test_rng_is_a_seed_or_gives_the_next_one(name: str) -> None:
    def draw(**options: Any) -> Any:
        return torch.as_tensor(DRAWS[name](**options)).detach()

    assert torch.equal(draw(rng=3), draw(seed=3))
    rng = np.random.default_rng(0)
    first, second = draw(rng=rng), draw(rng=rng)
    assert torch.equal(first, draw(seed=int(np.random.default_rng(0).integers(2**63))))
    assert not torch.equal(first, second)


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
        activation, X.shape[1], width=2048, bias_variance=(0.1, 0.0), seed=0
    )
    rows = torch.from_numpy(X)
    values = []
    for seed in range(50):
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

    full = np.einsum("ikp,jlp->ijkl", gradients(network, X), gradients(network, Z))
    expected = {
        "mean": np.einsum("ijkk->ij", full) / 3,
        "full": full,
        1: full[:, :, 1, 1],
    }[outputs]
    for module in (network, torch.nn.Sequential(network)):
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
    np.testing.assert_allclose(
        K, networks.empirical_ntk(torch.nn.Sequential(frozen), X), rtol=1e-12
    )
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


# --- the empirical conjugate kernel


def _rows(n: int, d: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal((n, d))


def test_it_is_the_gram_matrix_of_the_last_hidden_features() -> None:
    """Features by NumPy, from the weights; in batches, of other rows, and in single precision."""
    X, Z = _rows(7, 3), _rows(4, 3, 1)
    network = networks.ShallowNetwork(
        "tanh",
        3,
        depth=3,
        width=(6, 5),
        n_outputs=2,
        bias_variance=0.5,
        parametrization="ntk",
        seed=0,
    )

    def hidden(rows: Any) -> Any:
        h = rows
        for layer in (network.pre1, network.pre2):
            W, b = (p.detach().numpy() for p in (layer.weight, layer.bias))
            h = np.tanh(h @ W.T / np.sqrt(W.shape[1]) + np.sqrt(0.5) * b)
        return h

    for size in (1, 3, 1024):
        K = networks.conjugate_kernel(network, X, Z, batch_size=size)
        np.testing.assert_allclose(K, hidden(X) @ hidden(Z).T / 5, rtol=0, atol=1e-14)
        own = networks.conjugate_kernel(network, X, batch_size=size)
        np.testing.assert_allclose(own, hidden(X) @ hidden(X).T / 5, rtol=0, atol=1e-14)
        assert np.array_equal(own, own.T)
    named = networks.conjugate_kernel(network, X, layer="post1")
    assert named.shape == (7, 7)
    assert np.linalg.norm(named - own) > 0.1
    single = networks.conjugate_kernel(network.to(torch.float32), X)
    assert single.dtype == np.float64
    np.testing.assert_allclose(single, own, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("parametrization", "factor"), [("standard", 6.0), ("ntk", 2.0)])
def test_it_is_what_a_readout_adds_to_the_empirical_ntk(
    parametrization: str, factor: float
) -> None:
    X, Z = _rows(5, 3), _rows(4, 3, 1)
    network = networks.ShallowNetwork(
        "gelu", 3, depth=3, width=6, weight_variance=2.0, parametrization=parametrization, seed=0
    )
    whole = networks.empirical_ntk(network, X, Z)
    network.output.weight.requires_grad_(False)
    added = whole - networks.empirical_ntk(network, X, Z)
    found = factor * networks.conjugate_kernel(network, X, Z)
    np.testing.assert_allclose(added, found, rtol=0, atol=1e-12)


def test_wide_networks_have_the_limit() -> None:
    """Mean over units of width 20,000: standard errors of some 1/141."""
    X = _rows(6, 4)
    network = networks.ShallowNetwork("erf", 4, width=20_000, bias_variance=0.3, seed=0)
    limit = nc.ConjugateKernel("erf", bias_variance=0.3)(X)
    found = networks.conjugate_kernel(network, X)
    np.testing.assert_allclose(found, limit, rtol=0, atol=0.03)
    assert np.abs(found - limit).max() > 1e-6


class _Twice(torch.nn.Module):  # type: ignore[misc, name-defined]
    """One layer, called twice in training mode of a dropout, and one that is never called."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(3, 3)
        self.dropout = torch.nn.Dropout(0.5)
        self.pair = torch.nn.LSTM(3, 2, batch_first=True)
        self.idle = torch.nn.Linear(3, 3)

    def forward(self, X: Any) -> Any:
        h = self.dropout(self.layer(torch.relu(self.layer(X))))
        self.pair(h[:, None])
        return h.sum(1)


def test_any_module_has_one_of_a_named_layer() -> None:
    module = _Twice()
    module.train()
    X = _rows(5, 3).astype(np.float32)
    with torch.no_grad():
        h = module.layer(torch.relu(module.layer(torch.from_numpy(X)))).numpy().astype(float)
    for name in ("layer", "dropout"):  # the last of two calls; no units dropped
        K = networks.conjugate_kernel(module, X, layer=name, batch_size=2)
        np.testing.assert_allclose(K, h @ h.T / 3, rtol=1e-5, atol=1e-6)
    assert module.training
    assert module.dropout.training
    for name, error in (("idle", ValueError), ("pair", TypeError)):
        with pytest.raises(error, match=f"'{name}'"):
            networks.conjugate_kernel(module, X, layer=name)


def test_collapse_streams_it() -> None:
    X, y = nc.datasets.paper_d1(64, 8, seed=0)
    network = networks.ShallowNetwork("erf", 8, depth=3, width=30, seed=0)
    streamed = nc.collapse(X, y, functools.partial(networks.conjugate_kernel, network))
    assert streamed.nc1 == pytest.approx(networks.probe(network, X, y)["post2"].nc1, rel=1e-10)
