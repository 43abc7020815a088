"""The empirical conjugate kernel: against features computed by hand, the empirical NTK, and its
limit.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

import nc1fast as nc

torch = pytest.importorskip("torch")
networks = nc.networks


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


@pytest.mark.parametrize(
    ("module", "X", "settings", "message"),
    [
        ("network", np.ones((3, 5)), {}, r"X must have shape \(n_samples, 4\)"),
        ("network", np.full((3, 4), np.nan), {}, "X must be finite"),
        ("network", np.ones((3, 4)), {"Z": np.ones((3, 3))}, "Z must have shape"),
        ("network", np.ones((3, 4)), {"layer": "post2"}, r"layer must name a submodule \(pre1, post1"),
        ("network", np.ones((3, 4)), {"layer": 1}, "layer must name a submodule"),
        ("network", np.ones((3, 4)), {"batch_size": 0}, "batch_size must be >= 1"),
        ("other", np.ones((3, 4)), {}, "layer must name a submodule .*got None"),
        ("none", np.ones((3, 4)), {}, "module must be a torch.nn.Module"),
    ],
)  # fmt: skip
def test_a_malformed_conjugate_kernel_is_refused(
    module: str, X: Any, settings: dict[str, Any], message: str
) -> None:
    modules = {
        "network": networks.ShallowNetwork("relu", 4, width=3),
        "other": torch.nn.Sequential(torch.nn.Linear(4, 2)),
        "none": None,
    }
    with pytest.raises((TypeError, ValueError), match=message):
        networks.conjugate_kernel(modules[module], X, **settings)
