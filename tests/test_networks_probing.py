"""`Monitor` in a plain loop, which it does not disturb; `probe` on networks of our own, and on
layers that return more than a tensor.
"""

from __future__ import annotations

import csv
import math
from typing import Any

import numpy as np
import pytest

import nc1fast as nc

torch = pytest.importorskip("torch")
nn = torch.nn
N, D, C = 60, 5, 3
X = torch.from_numpy(np.random.default_rng(0).standard_normal((N, D))).float()
Y = torch.arange(N) % C


class _Writer:
    def __init__(self) -> None:
        self.scalars: list[Any] = []

    def add_scalar(self, tag: str, value: float, step: int) -> None:
        self.scalars.append((tag, value, step))


def _trained(monitor: Any = None, steps: int = 7) -> Any:
    """A module after some steps with dropout, which draws random numbers; `monitor` makes one of
    it.
    """
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(D, 8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, C))
    watch = None if monitor is None else monitor(module)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    for step in range(steps):
        if watch is not None:
            watch(step)
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(X), Y).backward()
        optimizer.step()
    return module, watch


def test_a_loop_is_followed_and_not_disturbed(tmp_path: Any) -> None:
    writer, received, path = _Writer(), [], tmp_path / "collapse.csv"

    def monitor(module: Any) -> Any:
        sinks = [writer, lambda step, values: received.append((step, values)), path]
        options: dict[str, Any] = {"layers": ["1"], "classifier": "3", "convention": "papyan"}
        return nc.networks.Monitor(module, X, Y, every=3, sinks=sinks, **options)

    module, watch = _trained(monitor)
    alone, _ = _trained()
    for one, other in zip(module.parameters(), alone.parameters(), strict=True):
        assert torch.equal(one, other)
    table = watch.table()
    assert table["step"].tolist() == [0, 0, 3, 3, 6, 6]
    assert table["layer"].tolist() == ["1", "3.input"] * 3
    assert [step for step, _ in received] == [0, 3, 6]
    before_last, _ = _trained(steps=6)
    expected = nc.networks.probe(before_last, X, Y, ["1"], classifier="3", convention="papyan")
    for name in ("nc1", "nc3_self_duality", "nc4_agreement", "ncc_accuracy"):
        assert received[-1][1][f"3.input/{name}"] == getattr(expected["3.input"], name)
        assert (f"3.input/{name}", getattr(expected["3.input"], name), 6) in writer.scalars
    assert "1/nc3_self_duality" not in received[-1][1]  # no classifier of that layer
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["nc1"]) for row in rows] == table["nc1"].tolist()


def test_a_loop_goes_on_where_a_network_breaks(tmp_path: Any) -> None:
    module = nn.Sequential(nn.Linear(D, 8), nn.ReLU())
    path = tmp_path / "collapse.csv"
    monitor = nc.networks.Monitor(module, X, Y, metrics=["nc1"], sinks=[path], convention="papyan")
    assert list(monitor()) == ["0", "1"]
    with torch.no_grad():
        module[0].bias -= 1e3
    assert list(monitor()) == ["0"]
    with torch.no_grad():
        module[0].weight[0, 0] = math.nan
    assert monitor() is None
    table = monitor.table()
    assert table["step"].tolist() == [0, 0, 1, 1, 2]
    assert "0/0" in table["note"][3]
    assert "finite" in table["note"][4]
    assert np.isnan(table["nc1"]).tolist() == [False, False, False, True, True]
    again = nc.networks.Monitor(
        nn.Linear(D, 8), X, Y, metrics=["nc1"], sinks=[str(path)], convention="papyan"
    )
    again(3)
    assert len(path.read_text().splitlines()) == 1 + 5 + 1
    other = nc.networks.Monitor(nn.Linear(D, 8), X, Y, sinks=[path], convention="papyan")
    with pytest.raises(ValueError, match="other columns"):
        other(4)


def test_a_call_that_was_never_right_is_raised() -> None:
    monitor = nc.networks.Monitor(nn.Linear(D, 2), X, Y, layers=["fc"])
    with pytest.raises(ValueError, match="layers must name"):
        monitor()


def test_labels_may_be_text_and_layers_of_a_network_are_its_own() -> None:
    X, y = nc.datasets.paper_d1(40, 3, seed=0)
    network = nc.networks.ShallowNetwork("erf", 3, depth=3, width=10, seed=0)
    found = nc.networks.probe(network, X, np.where(y > 0, "up", "down"), batch_size=7)
    assert list(found) == network.layers
    with torch.no_grad():
        H = network.post1(network.pre1(torch.from_numpy(X)))
    assert found["post1"].nc1 == pytest.approx(nc.collapse(H, y).nc1, rel=1e-12)
    assert found["output"].labels.tolist() == ["down", "up"]


def test_a_layer_that_works_in_place_does_not_change_what_came_before() -> None:
    X, y = nc.datasets.paper_d1(40, 3, seed=0)
    network = nc.networks.ShallowNetwork("relu", 3, width=10, seed=0)
    expected = nc.networks.probe(network, X, y)
    network.post1 = torch.nn.ReLU(inplace=True)
    found = nc.networks.probe(network, X, y)
    assert [found[name].nc1 for name in network.layers] == [
        expected[name].nc1 for name in network.layers
    ]
    assert found["pre1"].nc1 != found["post1"].nc1


def test_a_named_layer_must_return_a_tensor_with_rows() -> None:
    module = torch.nn.Sequential(torch.nn.GRU(3, 4, batch_first=True))
    X = np.random.default_rng(0).standard_normal((6, 2, 3)).astype(np.float32)
    with pytest.raises(TypeError, match=r"layer '0' must return.*'0#0', '0#1'"):
        nc.networks.probe(module, X, [0, 1] * 3, layers=["0"])
    found = nc.networks.probe(module, X, [0, 1] * 3)
    assert list(found) == ["0#0"]  # the last states are (1, 6, 4): no row per sample
    assert "6 samples" in found.reasons["0#1"]
    with pytest.raises(ValueError, match="layers must include one"):
        nc.networks.probe(
            torch.nn.Embedding(4, 2), np.ones((6, 2)), [0, 1] * 3, forward=lambda m, b: None
        )
