"""`probe` on modules from outside the library."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nc1fast as nc

torch = pytest.importorskip("torch")
probe = nc.networks.probe


class _Convolutional(torch.nn.Module):  # type: ignore[misc, name-defined]
    """A small network for 8 x 8 digits, with one rectifier used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(1, 6, 3)
        self.norm = torch.nn.BatchNorm2d(6)
        self.relu = torch.nn.ReLU(inplace=True)
        self.dropout = torch.nn.Dropout(0.5)
        self.hidden = torch.nn.Linear(6 * 36, 20)
        self.readout = torch.nn.Linear(20, 10)

    def forward(self, X: Any) -> Any:
        h = self.relu(self.norm(self.conv(X)))
        h = self.relu(self.hidden(self.dropout(h.flatten(1))))
        return self.readout(h)


@pytest.fixture(scope="module")
def digits() -> tuple[Any, Any]:
    X, y = nc.datasets.digits()
    return (X[:400].reshape(-1, 1, 8, 8) / 16).astype(np.float32), y[:400]


@pytest.fixture
def module(digits: tuple[Any, Any]) -> Any:
    torch.manual_seed(0)
    module = _Convolutional()
    with torch.no_grad():
        module(torch.from_numpy(digits[0]))  # running statistics that matter
    module.dropout.eval()  # a mode of its own
    return module


def _explicit(module: _Convolutional, X: Any) -> dict[str, Any]:
    """Every layer by hand, in evaluation mode."""
    with torch.no_grad():
        module.eval()
        conv = module.conv(torch.from_numpy(X))
        norm = module.norm(conv)
        first = norm.relu()
        hidden = module.hidden(first.flatten(1))
        second = hidden.relu()
        out = {"conv": conv, "norm": norm, "relu": first, "hidden": hidden, "relu#2": second}
        out |= {"dropout": first, "readout": module.readout(second)}
    return {name: H.flatten(1).numpy() for name, H in out.items()}


def test_probe_equals_explicit_features(module: Any, digits: tuple[Any, Any]) -> None:
    X, y = digits
    found = probe(module, X, y, batch_size=77, convention="papyan")
    order = ["conv", "norm", "relu", "dropout", "hidden", "relu#2", "readout"]
    assert list(found) == order
    for name, H in _explicit(module, X).items():
        expected = nc.collapse(H, y, convention="papyan")
        for metric in ("nc1", "nc1_pinv", "nc2_etf", "cdnv", "ncc_accuracy", "trace_between"):
            value = getattr(found[name], metric)
            assert value == pytest.approx(getattr(expected, metric), rel=1e-6), (name, metric)
        assert np.array_equal(found[name].nearest_center, expected.nearest_center)


def test_probe_leaves_the_module_as_it_was(module: Any, digits: tuple[Any, Any]) -> None:
    before = {name: value.clone() for name, value in module.state_dict().items()}
    modes = [part.training for part in module.modules()]
    assert True in modes
    assert False in modes
    probe(module, *digits, layers=["hidden"], convention="papyan")
    assert [part.training for part in module.modules()] == modes
    assert not any(part._forward_hooks for part in module.modules())
    assert all(p.grad is None for p in module.parameters())
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())


def test_probe_restores_the_module_after_an_error(module: Any, digits: tuple[Any, Any]) -> None:
    modes = [part.training for part in module.modules()]
    with torch.no_grad():
        module.hidden.weight[0, 0] = torch.nan
    with pytest.raises(ValueError, match=r"layer 'hidden'.*finite"):
        probe(module, *digits, convention="papyan")
    assert [part.training for part in module.modules()] == modes
    assert not any(part._forward_hooks for part in module.modules())


def test_sums_alone_pass_over_the_data_once(module: Any, digits: tuple[Any, Any]) -> None:
    X, y = digits
    calls = []
    module.register_forward_hook(lambda *_: calls.append(1))
    settings: dict[str, Any] = {"batch_size": 200, "convention": "papyan"}
    once = probe(module, X, y, ["readout"], statistics="sums", **settings)["readout"]
    assert len(calls) == 2
    twice = probe(module, X, y, ["readout"], **settings)["readout"]
    assert len(calls) == 2 + 4
    assert once.nc1 == twice.nc1
    assert once.nc1_pinv is None
    assert twice.nc1_pinv is not None


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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layers": ["conv9"]}, "layers must name submodules"),
        ({"layers": "conv"}, "layers must be a list"),
        ({"layers": []}, "layers must name submodules"),
        ({"batch_size": 0}, "batch_size must be >= 1"),
        ({"statistics": "some"}, "statistics must be"),
        ({"y": np.zeros(400)}, "at least two classes"),
        ({"y": np.zeros(3)}, r"y must have shape \(400,\)"),
        ({"X": np.array(["a"] * 400)}, "data must be an array of real numbers"),
        ({"module": len}, "module must be a torch.nn.Module"),
    ],
)
def test_malformed_probes_are_refused(
    module: Any, digits: tuple[Any, Any], arguments: dict[str, Any], message: str
) -> None:
    given = {"module": module, "X": digits[0], "y": digits[1]} | arguments
    with pytest.raises((TypeError, ValueError), match=message):
        probe(given.pop("module"), given.pop("X"), given.pop("y"), **given)


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
