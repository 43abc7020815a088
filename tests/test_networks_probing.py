"""`probe` on networks of our own, and layers that return more than a tensor."""

from __future__ import annotations

import numpy as np
import pytest

import nc1fast as nc

torch = pytest.importorskip("torch")
probe = nc.networks.probe


def test_labels_may_be_text_and_layers_of_a_network_are_its_own() -> None:
    X, y = nc.datasets.paper_d1(40, 3, seed=0)
    network = nc.networks.ShallowNetwork("erf", 3, depth=3, width=10, seed=0)
    found = probe(network, X, np.where(y > 0, "up", "down"), batch_size=7)
    assert list(found) == network.layers
    with torch.no_grad():
        H = network.post1(network.pre1(torch.from_numpy(X)))
    assert found["post1"].nc1 == pytest.approx(nc.collapse(H, y).nc1, rel=1e-12)
    assert found["output"].labels.tolist() == ["down", "up"]


def test_a_layer_that_works_in_place_does_not_change_what_came_before() -> None:
    X, y = nc.datasets.paper_d1(40, 3, seed=0)
    network = nc.networks.ShallowNetwork("relu", 3, width=10, seed=0)
    expected = probe(network, X, y)
    network.post1 = torch.nn.ReLU(inplace=True)
    found = probe(network, X, y)
    assert [found[name].nc1 for name in network.layers] == [
        expected[name].nc1 for name in network.layers
    ]
    assert found["pre1"].nc1 != found["post1"].nc1


def test_a_named_layer_must_return_a_tensor_with_rows() -> None:
    module = torch.nn.Sequential(torch.nn.GRU(3, 4, batch_first=True))
    X = np.random.default_rng(0).standard_normal((6, 2, 3)).astype(np.float32)
    with pytest.raises(TypeError, match=r"layer '0' must return.*'0#0', '0#1'"):
        probe(module, X, [0, 1] * 3, layers=["0"])
    found = probe(module, X, [0, 1] * 3)
    assert list(found) == ["0#0"]  # the last states are (1, 6, 4): no row per sample
    assert "6 samples" in found.reasons["0#1"]
    with pytest.raises(ValueError, match="layers must include one"):
        probe(torch.nn.Embedding(4, 2), np.ones((6, 2)), [0, 1] * 3, forward=lambda m, b: None)
