"""`nc1fast probe`: the numbers of `nc.networks.probe`, weights of files, and one line for a
mistake.
"""

from __future__ import annotations

import csv
import re
import sys

import numpy as np
import pytest
from tests.house import ROOT

import nc1fast as nc

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore:class sizes range")
SOURCE = """
from __future__ import annotations

import dataclasses

import torch
from beside import WIDTH
from torch import nn


@dataclasses.dataclass
class Shape:
    width: int = WIDTH


class Net(nn.Module):
    def __init__(self, shape=Shape()):
        super().__init__()
        self.stem = nn.Conv2d(1, shape.width, 2)
        self.fc = nn.Linear(shape.width, 3)

    def forward(self, x):
        return self.fc(torch.relu(self.stem(x)).mean(dim=(2, 3)))


def tokens():
    return nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 3))


made = Net()
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "model.py").write_text(SOURCE)
    (tmp_path / "beside.py").write_text("WIDTH = 5\n")
    y = np.arange(60) % 3
    X = np.random.default_rng(0).normal(size=(60, 9)) + 2.0 * np.eye(9)[y]
    np.savez(tmp_path / "data.npz", X=X, y=y)
    yield tmp_path
    sys.modules.pop("beside", None)
    sys.modules.pop("model", None)


@pytest.fixture
def line(folder):
    return "probe", f"{folder}/model.py:Net", "--data", folder / "data.npz", "--shape", "1,3,3"


def _net():
    """What model.py:Net draws under seed 0."""
    torch.manual_seed(0)
    nn = torch.nn
    parts = torch.nn.ModuleDict({"stem": nn.Conv2d(1, 5, 2), "fc": nn.Linear(5, 3)})
    parts.forward = lambda x: parts["fc"](torch.relu(parts["stem"](x)).mean(dim=(2, 3)))
    return parts


def _data(folder):
    with np.load(folder / "data.npz") as stored:
        X, y = stored["X"], stored["y"]
    return torch.tensor(X.reshape(-1, 1, 3, 3), dtype=torch.float32), y


def test_the_numbers_are_those_of_the_package(answer, folder, line):
    told = answer(*line, "--classifier", "fc", "--convention", "papyan")
    expected = nc.networks.probe(_net(), *_data(folder), classifier="fc", convention="papyan")
    assert [row["layer"] for row in told["layers"]] == list(expected)
    for row, result in zip(told["layers"], expected.values(), strict=True):
        for name in ("nc1", "cdnv", "ncc_accuracy", "nc2_etf"):
            assert row[name] == getattr(result, name)
    assert told["layers"][1]["nc4_agreement"] == expected["fc.input"].nc4_agreement
    assert (told["left_out"], told["passes"]) == ({}, 2)
    documented = (ROOT / "docs" / "guide.md").read_text().partition("| `probe` |")[2]
    fields = re.findall(r"`(\w+)`", documented.partition("\n")[0])
    assert told.keys() - set(fields) == {"version"}


def test_text_has_a_row_for_each_layer_and_reasons_on_standard_error(call, folder):
    (folder / "dead.py").write_text(
        "from torch.nn import Linear, ReLU, Sequential\n\n\ndef build():\n"
        "    net = Sequential(Linear(9, 4), ReLU(), Linear(4, 3))\n"
        "    net[0].bias.data.fill_(-1e6)\n    return net\n"
    )
    code, out, err = call("probe", f"{folder}/dead.py:build", "--data", folder / "data.npz")
    assert code == 0
    rows = list(csv.DictReader(out.splitlines(), delimiter="\t"))
    assert [row["layer"] for row in rows] == ["0"]
    assert "left out: 1: " in err
    assert all(line.startswith("nc1fast: ") for line in err.splitlines())


def test_a_terminal_of_80_letters_has_room_for_the_table(call, folder, line, monkeypatch):
    for name, value in (("TERM", "xterm"), ("COLUMNS", "80"), ("NO_COLOR", "1")):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    code, out, _ = call(*line, "--classifier", "fc", "--convention", "papyan")
    assert (code, "…" in out) == (0, False)
    header, *rows = (re.sub(r"\x1b\[[\d;]*m", "", part).split() for part in out.splitlines())
    assert header[:3] == ["layer", "n_samples", "nc1"]
    expected = nc.networks.probe(_net(), *_data(folder), classifier="fc", convention="papyan")
    assert [row[2] for row in rows] == [f"{result.nc1:.6g}" for result in expected.values()]


@pytest.mark.parametrize("wrapped", ["plain", "state_dict", "model", "parallel"])
def test_weights_come_from_a_checkpoint(answer, folder, line, wrapped):
    state = {name: value * 2 for name, value in _net().state_dict().items()}
    held = {"plain": state, "parallel": {f"module.{name}": v for name, v in state.items()}}
    torch.save(held.get(wrapped, {wrapped: state, "epoch": 3}), folder / "weights.pt")
    found = answer(*line, "--checkpoint", folder / "weights.pt", "--seed", 7)["layers"]
    module = _net()
    module.load_state_dict(state)
    expected = nc.networks.probe(module, *_data(folder)).values()
    assert [row["nc1"] for row in found] == [result.nc1 for result in expected]


def test_no_code_of_a_checkpoint_runs(refused, folder, line):
    class Trap:
        def __reduce__(self):
            return (exec, (f"open({str(folder / 'sprung')!r}, 'w')",))

    torch.save({"stem.weight": Trap()}, folder / "weights.pt")
    assert "file of weights alone" in refused(*line, "--checkpoint", folder / "weights.pt")
    assert not (folder / "sprung").exists()


def test_layers_pools_and_files(call, folder):
    line = ("probe", f"{folder}/model.py:made", "--data", folder / "data.npz", "--shape", "1,3,3")
    settings = ("--layers", "stem", "--pool", "stem=max,mean", "--batch-size", 7)
    code, *_ = call(*line, *settings, "--out", folder / "layers.npz")
    assert code == 0
    X, y = _data(folder)
    expected = nc.networks.probe(_net(), X, y, ["stem"], pool="max")["stem"]
    with np.load(folder / "layers.npz") as stored:
        assert stored["nc1"][0] == pytest.approx(expected.nc1, rel=1e-9)
        np.testing.assert_allclose(stored["stem/nc1_by_class"], expected.nc1_by_class, rtol=1e-9)
    assert call(*line, "--out", folder / "layers.csv")[0] == 0
    with (folder / "layers.csv").open() as file:
        assert [row["layer"] for row in csv.DictReader(file)] == ["stem", "fc"]


def test_tokens(answer, folder):
    ids = np.random.default_rng(0).integers(0, 5, (30, 6))
    np.savez(folder / "ids.npz", X=ids, y=np.arange(30) % 2)
    line = ("probe", f"{folder}/model.py:tokens", "--data", folder / "ids.npz", "--pool", "tokens")
    found = answer(*line, "--dtype", "int64")["layers"]
    assert [row["n_samples"] for row in found] == [180, 180]
