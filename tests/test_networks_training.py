"""`train`: the same steps as a plain torch loop, the same trace after an interruption, the prior
under Langevin noise.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import nc1fast as nc

if TYPE_CHECKING:
    from pathlib import Path

torch = pytest.importorskip("torch")
networks = nc.networks
train = networks.train


@pytest.fixture(scope="module")
def d1() -> tuple[Any, Any]:
    return nc.datasets.paper_d1(64, 4, seed=0)


@pytest.fixture(scope="module")
def three() -> tuple[Any, Any]:
    """Three balanced classes in the plane of the first two of four features."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], 20)
    means = np.array([[2, 0, 0, 0], [-1, 1.7, 0, 0], [-1, -1.7, 0, 0]])
    return means[y] + 0.5 * rng.standard_normal((60, 4)), y


def _network(**settings: Any) -> Any:
    return networks.ShallowNetwork("erf", 4, **({"width": 32, "seed": 0} | settings))


def _assert_same(a: Any, b: Any) -> None:
    assert a.endings == b.endings
    assert a.epochs == b.epochs
    for name, column in a.table.items():
        np.testing.assert_array_equal(column, b.table[name], err_msg=name)
    for mine, theirs in zip(a.networks, b.networks, strict=True):
        for p, q in zip(mine.state_dict().values(), theirs.state_dict().values(), strict=True):
            assert torch.equal(p, q)
    for mine, theirs in zip(a.weight_covariances, b.weight_covariances, strict=True):
        for layer, moments in mine.items():
            for when, matrix in moments.items():
                np.testing.assert_array_equal(matrix, theirs[layer][when])


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_training_takes_the_steps_of_a_plain_loop(
    optimizer: str, d1: tuple[Any, Any], device: str
) -> None:
    X, y = d1
    network, plain = _network(), _network()
    settings: dict[str, Any] = {"lr": 0.02, "weight_decay": 1e-3}
    momentum = {"momentum": 0.5} if optimizer == "sgd" else {}
    kind = torch.optim.SGD if optimizer == "sgd" else torch.optim.Adam
    opt = kind(plain.parameters(), **settings, **momentum)
    rows, goal = torch.from_numpy(X), torch.from_numpy(np.where(y > y.min(), 1.0, -1.0))[:, None]
    for _ in range(30):
        opt.zero_grad()
        ((plain(rows) - goal) ** 2).mean().backward()
        opt.step()
    before = [p.clone() for p in network.parameters()]
    trace = train(
        network, X, y, optimizer=optimizer, epochs=30, device=device, **settings, **momentum
    )
    for trained, expected in zip(trace.networks[0].parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(trained.cpu(), expected, rtol=1e-12, atol=1e-14)
    assert all(torch.equal(p, q) for p, q in zip(network.parameters(), before, strict=True))
    loss = float(((plain(rows) - goal) ** 2).mean().detach())
    assert trace.at(30, "output")["loss"][0] == pytest.approx(loss, rel=1e-10)


def test_the_table_holds_every_layer_of_every_probe_and_repeat(d1: tuple[Any, Any]) -> None:
    X, y = d1
    network = _network(depth=3)
    trace = train(network, X, y, epochs=10, repeats=2, probe=[5])
    table = trace.table
    assert len({len(column) for column in table.values()}) == 1
    rows = set(zip(table["repeat"], table["epoch"], table["layer"], strict=True))
    assert rows == {(r, e, name) for r in (0, 1) for e in (0, 5, 10) for name in network.layers}
    assert set(table) > {"loss", "accuracy", "nc1", "nc1_pinv", "cdnv", "nc3", "nc4", "kind"}
    with torch.no_grad():
        H = network.post1(network.pre1(torch.from_numpy(X)))
    start = trace.at(0, "post1")
    assert start["nc1"][0] == pytest.approx(nc.collapse(H, y).nc1, rel=1e-12)
    assert start["nc1"][1] != start["nc1"][0]  # another draw
    end = trace.at(None, "pre2")
    assert end["epoch"].tolist() == [10, 10]
    H = nc.networks.probe(trace.networks[1], X, y)["pre2"]
    assert end["nc1"][1] == pytest.approx(H.nc1, rel=1e-12)
    assert trace.endings == ["epochs", "epochs"]


def test_weight_covariances_are_second_moments_of_the_weights(d1: tuple[Any, Any]) -> None:
    network = _network(parametrization="ntk", depth=3, width=(32, 16))
    trace = train(network, *d1, epochs=5, lr=0.1)
    moments = trace.weight_covariances[0]
    assert set(moments) == {"pre1", "pre2", "output"}
    W = network.pre1.weight.detach().numpy() / 2  # sqrt(1/d0)
    np.testing.assert_allclose(moments["pre1"]["start"], W.T @ W / 32, rtol=1e-12)
    V = trace.networks[0].output.weight.detach().numpy() / 4
    np.testing.assert_allclose(moments["output"]["end"], V @ V.T / 16, rtol=1e-12)
    assert moments["pre2"]["end"].shape == (32, 32)
    assert not np.array_equal(moments["pre1"]["start"], moments["pre1"]["end"])


def test_nc3_and_nc4_follow_their_definitions(three: tuple[Any, Any]) -> None:
    X, y = three
    network = _network(n_outputs=3)
    trace = train(network, X, y, targets="one-hot", loss="cross-entropy", lr=0.5, epochs=50)
    row = trace.at(None, "post1")
    trained = trace.networks[0]
    with torch.no_grad():
        H = trained.post1(trained.pre1(torch.from_numpy(X)))
        decisions = trained.output(H).argmax(dim=1).numpy()
        W = trained.output.weight.numpy()
    H = H.numpy()
    means = np.array([H[y == c].mean(axis=0) for c in range(3)])
    Z = means - means.mean(axis=0)
    nc3 = np.linalg.norm(W / np.linalg.norm(W) - Z / np.linalg.norm(Z)) ** 2
    assert row["nc3"][0] == pytest.approx(nc3, rel=1e-9)
    nearest = ((H[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    assert row["nc4"][0] == (nearest == decisions).mean()
    assert row["accuracy"][0] == (decisions == y).mean() > 0.9
    assert trace.at(None, "pre1")["nc3_reason"][0] == "only of post1, the input of the readout"


def test_nc3_says_why_it_is_missing(d1: tuple[Any, Any], three: tuple[Any, Any]) -> None:
    def reason(trace: Any) -> str:
        row = trace.at(None, "post1")
        assert math.isnan(row["nc3"][0])
        assert 0 <= row["nc4"][0] <= 1
        return str(row["nc3_reason"][0])

    assert reason(train(_network(), *d1, epochs=1)) == "one output"
    assert reason(train(_network(n_outputs=2), *d1, targets="one-hot", epochs=1)) == "C = 2"
    code = np.array([[0.0, 1, 1], [1, 0, 1], [1, 1, 0]])[three[1]]
    coded = train(_network(n_outputs=3), *three, targets=code, epochs=1)
    assert reason(coded) == "targets are not one-hot"


def test_a_layer_without_nc1_says_why(d1: tuple[Any, Any]) -> None:
    trace = train(_network(weight_variance=(1.0, 0.0)), *d1, epochs=1, lr=0.1)
    row = trace.at(0, "output")
    assert math.isnan(row["nc1"][0])
    assert "0/0" in row["note"][0]
    assert row["nc4_reason"][0] == row["note"][0]
    assert np.isfinite(trace.at(1, "output")["nc1"]).all()


def test_scalar_targets_are_those_of_the_published_study() -> None:
    X, y = nc.datasets.paper_d2(64, 2, seed=0)
    network = networks.ShallowNetwork("relu", 2, width=16, seed=0)
    named = train(network, X, y, epochs=5, lr=1e-3)
    given = train(network, X, y, targets=np.unique(y, return_inverse=True)[1] * 2.0 - 3, epochs=5)
    _assert_same(named, given)


class _InterruptionError(Exception):
    """What a progress callable raises."""


@pytest.mark.parametrize(
    "settings",
    [
        {"batch_size": 10, "momentum": 0.9, "lr": 1e-2},
        {"optimizer": "adam"},
        {"optimizer": "langevin", "temperature": 0.1, "lr": 1e-4},
    ],
    ids=["sgd", "adam", "langevin"],
)
def test_an_interrupted_training_resumes_to_the_same_trace(
    settings: dict[str, Any], d1: tuple[Any, Any], tmp_path: Path
) -> None:
    network = _network(bias_variance=0.1)
    settings = settings | {"epochs": 30, "repeats": 2, "seed": 1}
    whole = train(network, *d1, **settings)
    path = tmp_path / "run.pt"
    resumed = []
    for stop in (8, 47):  # within the first and the second repeat

        def interrupt(done: int, _total: int, stop: int = stop) -> None:
            resumed.append(done)
            if done == stop:
                raise _InterruptionError

        with pytest.raises(_InterruptionError):
            train(network, *d1, **settings, progress=interrupt, checkpoint=path)
    assert resumed[8] == 8  # goes on after the probe at epoch 7, not from the start
    _assert_same(train(network, *d1, **settings, checkpoint=path), whole)
    done: list[int] = []
    again = train(
        network, *d1, **settings, checkpoint=path, progress=lambda now, _total: done.append(now)
    )
    _assert_same(again, whole)
    assert done == []


def test_the_checkpoint_of_another_run_is_refused(d1: tuple[Any, Any], tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    train(_network(), *d1, epochs=2, checkpoint=path)
    for other in ({"epochs": 3}, {"lr": 0.5}, {"seed": 1}):
        with pytest.raises(ValueError, match=r"checkpoint: .* is of another run"):
            train(_network(), *d1, **({"epochs": 2} | other), checkpoint=path)
    with pytest.raises(ValueError, match="another run"):
        train(_network(seed=1), *d1, epochs=2, checkpoint=path)
    with pytest.raises(ValueError, match="another run"):
        train(_network(), d1[0] + 1, d1[1], epochs=2, checkpoint=path)
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(ValueError, match="not a checkpoint of nc1fast"):
        train(_network(), *d1, epochs=2, checkpoint=path)
    assert path.read_bytes() == b"not a checkpoint"


def test_progress_reaches_its_total_however_a_repeat_ends(d1: tuple[Any, Any]) -> None:
    seen: list[tuple[int, int]] = []
    train(
        *(_network(), *d1),
        until=("loss", 100.0),
        epochs=50,
        repeats=2,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(1, 100), (50, 100), (51, 100), (100, 100)]


def test_divergence_ends_a_repeat_and_not_the_run(d1: tuple[Any, Any]) -> None:
    trace = train(_network(), *d1, lr=1e6, epochs=200, repeats=2)
    assert all(ending.startswith("diverged") for ending in trace.endings)
    assert all(epoch < 200 for epoch in trace.epochs)
    assert set(trace.table["repeat"]) == {0, 1}
    assert np.isfinite(trace.table["loss"]).all()


def test_rules_end_a_repeat(d1: tuple[Any, Any]) -> None:
    settings: dict[str, Any] = {"lr": 0.05, "epochs": 2000}
    exact = train(_network(), *d1, until="zero-error", **settings)
    assert exact.endings == ["until: zero error"]
    assert exact.epochs[0] < 2000
    assert exact.at(None, "output")["accuracy"][0] == 1
    small = train(_network(), *d1, until=("loss", 0.05), **settings)
    assert small.endings == ["until: loss <= 0.05"]
    assert small.at(None, "output")["loss"][0] <= 0.05
    flat = train(_network(), *d1, until=("slope", 0.5), **(settings | {"lr": 1e-5}))
    assert flat.endings == ["until: |slope| <= 0.5 per decade"]
    assert flat.epochs[0] < 20


def test_batch_normalization_trains_and_is_probed_in_evaluation_mode(d1: tuple[Any, Any]) -> None:
    X, y = d1
    trace = train(_network(batch_norm=True), X, y, epochs=20, lr=0.05, batch_size=16)
    network = trace.networks[0]
    assert int(network.pre1.norm.num_batches_tracked) == 20 * 4
    with torch.no_grad():
        H = network.post1(network.pre1(torch.from_numpy(X)))
    assert trace.at(None, "post1")["nc1"][0] == pytest.approx(nc.collapse(H, y).nc1, rel=1e-12)


@pytest.mark.parametrize("loss", ["mse", "none"])
def test_probes_in_batches_see_what_one_batch_sees(
    loss: str, d1: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: dict[str, Any] = {"loss": loss, "epochs": 3, "probe": [1]}
    if loss == "none":
        settings |= {"optimizer": "langevin", "temperature": 1.0}
    network = _network(train_bias=False)
    whole = train(network, *d1, **settings).table
    monkeypatch.setattr("nc1fast.networks.running._PROBE_ROWS", 7)
    batches = train(network, *d1, **settings).table
    for name in ("loss", "accuracy", "nc1", "nc1_pinv", "ncc_accuracy", "nc4"):
        np.testing.assert_allclose(batches[name], whole[name], rtol=1e-10, err_msg=name)


def test_float32_trains_in_float32(d1: tuple[Any, Any]) -> None:
    trace = train(_network(), *d1, epochs=3, dtype="float32")
    assert trace.networks[0].pre1.weight.dtype is torch.float32
    double = train(_network(), *d1, epochs=3)
    np.testing.assert_allclose(trace.table["nc1"], double.table["nc1"], rtol=1e-4)
