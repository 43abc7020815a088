"""The second pass on the host: certified products, decisions from outputs, and what a probe asks
for of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nc1fast as nc

torch = pytest.importorskip("torch")
from tests.probed import assert_equal, batches_of

from nc1fast.networks.probing import search
from nc1fast.networks.probing.search import LargestProduct, NearestOnHost

nn = torch.nn
probe = nc.networks.probe
rng = np.random.default_rng(0)


def _exact(X: Any) -> Any:
    return lambda k: X[k]


@pytest.fixture(params=["as it is", "bfloat16 requested", "autocast"])
def setting(request: Any) -> Any:
    if request.param == "bfloat16 requested":
        torch.set_float32_matmul_precision("medium")
        yield
        assert torch.get_float32_matmul_precision() == "medium"
        torch.set_float32_matmul_precision("highest")
    elif request.param == "autocast":
        with torch.autocast("cpu", torch.bfloat16):
            yield
            assert torch.is_autocast_enabled("cpu")
    else:
        yield


@pytest.mark.parametrize("d", [3, 700, 1300])
def test_the_largest_product_is_that_of_float64(d: int, setting: Any) -> None:
    V, X = rng.standard_normal((1500, d)), rng.standard_normal((90, d)).astype(np.float32)
    V[7:1500:50] = V[7] + 1e-9 * rng.standard_normal((30, d))  # closer than float32 can tell
    X[:30] = V[7:1500:50].astype(np.float32)
    offset = rng.standard_normal(1500) * 1e-9
    with search.whole_float32():
        found = LargestProduct(V, offset, 0).of(torch.from_numpy(X), _exact(X.astype(float)))
    products = X.astype(float) @ V.T + offset
    assert np.array_equal(found.numpy(), products.argmax(axis=1))
    assert d < 100 or set(found[:30].tolist()) <= set(range(7, 1500, 50))


def test_nearest_means_ties_and_rows_out_of_range(setting: Any) -> None:
    Z = rng.integers(-3, 4, (1100, 4)).astype(float)
    X = np.concatenate([Z[::9], Z[::7] + 0.5, np.full((1, 4), 1e30)])
    with search.whole_float32():
        nearest = NearestOnHost(Z, 0)
        found = nearest.of(torch.from_numpy(X).float(), _exact(X))
        reach = nearest.reach()
    squares = ((X[:, None] - Z) ** 2).sum(axis=2)
    best = squares[np.arange(len(X)), found.numpy()]
    assert (best == squares.min(axis=1)).all()
    first = squares.argmin(axis=1)
    assert (found.numpy()[:-1] == first[:-1]).all()  # of equal ones the lowest
    squares_between = ((Z[:, None] - Z) ** 2).sum(axis=2) + np.diag(np.full(len(Z), np.inf))
    assert (reach <= np.sqrt(squares_between.min(axis=1)) / 2).all()
    alone = squares_between.min(axis=1) > 0
    assert (reach[alone] > 0.999 * np.sqrt(squares_between.min(axis=1)[alone]) / 2).all()


@pytest.mark.parametrize("scale", [2.0**-500, 1.0, 2.0**460])
@pytest.mark.parametrize("spread", [0.05, 2.0])
@pytest.mark.parametrize(("C", "d"), [(40, 12), (12, 40)])
def test_statistics_nearest_equals_explicit_features(
    C: int, d: int, spread: float, scale: float
) -> None:
    y = rng.permutation(np.concatenate([np.arange(C), rng.integers(0, C, 25 * C)]))
    H = scale * (rng.standard_normal((C, d))[y] + spread * rng.standard_normal((len(y), d)) + 3)
    batches = batches_of(torch.from_numpy(H), torch.from_numpy(y), size=100)
    found = probe(nn.Identity(), batches, statistics="nearest", convention="papyan")[""]
    expected = nc.collapse(H, y, convention="papyan")
    assert np.array_equal(found.nearest_center, expected.nearest_center)
    assert found.ncc_accuracy == expected.ncc_accuracy
    assert (found.ncc_accuracy == 1) == (spread < 1)
    assert abs(found.nc1 - expected.nc1) <= found.error_bound + expected.error_bound
    assert found.nc1_pinv is None
    assert "scatter" in found.missing["nc1_pinv"]
    assert found.between_rank == expected.between_rank
    whole = probe(nn.Identity(), batches, convention="sample")[""]
    assert_equal(whole, H, y)


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16, torch.float16])
def test_rows_of_fewer_digits(kind: Any) -> None:
    y = torch.arange(400) % 7
    H = (torch.randn(7, 30)[y] + torch.randn(400, 30) + 2).to(kind)
    for statistics in ("all", "nearest"):
        found = probe(nn.Identity(), batches_of(H, y), statistics=statistics, convention="papyan")
        expected = nc.collapse(H.double().numpy(), y.numpy(), convention="papyan")
        assert np.array_equal(found[""].nearest_center, expected.nearest_center)
        assert abs(found[""].nc1 - expected.nc1) <= found[""].error_bound + expected.error_bound
        assert found[""].error_bound < 1e-11 * found[""].nc1


class Doubling(nn.Linear):  # type: ignore[misc, name-defined]
    def forward(self, X: Any) -> Any:
        return -2 * super().forward(X)


def _net(head: Any) -> Any:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(10, 24), nn.ReLU(), head)


@pytest.mark.parametrize("way", ["plain", "subclass", "hook", "few classes", "close", "pair"])
def test_decisions_are_those_of_the_weights_whoever_computes(way: str, setting: Any) -> None:
    y = torch.arange(500) % 5 * (2 if way == "few classes" else 1)
    X = torch.randn(10, 10)[y] + torch.randn(500, 10)
    head = (Doubling if way == "subclass" else nn.Linear)(24, 9 if way == "few classes" else 5)
    if way == "hook":
        head.register_forward_hook(lambda _m, _x, out: -out)
    module = _net(head)
    with torch.no_grad():
        head.weight.mul_(0.05).add_(torch.randn(24))  # alike, so that decisions are close,
        if way == "close":
            head.weight[1:].copy_(head.weight[:1] + 1e-7 * torch.randn(4, 24))
            head.bias.zero_()
    outputs: list[Any] = []
    hook = module[1].register_forward_hook(lambda _m, _x, out: outputs.append(out.double()))
    with torch.no_grad():
        for x, _ in batches_of(X, y):
            module(x)
    hook.remove()
    H = torch.cat(outputs).numpy()
    labels = y.unique().numpy()
    W, b = (A.detach().double().numpy()[labels] for A in (head.weight, head.bias))
    named = {"2.input": (W, b)} if way == "pair" else "2"
    found = probe(
        module, batches_of(X, y), layers=["2.input"], classifier=named, convention="papyan"
    )
    expected = nc.collapse(H, y.numpy(), convention="papyan").with_classifier(W, b, H=H)
    assert found["2.input"].nc4_agreement == expected.nc4_agreement
    assert 0 < expected.nc4_agreement < 1
    assert len(head._forward_hooks) == (way == "hook")


def test_decisions_from_outputs_take_no_other_product(monkeypatch: pytest.MonkeyPatch) -> None:
    y = torch.arange(300) % 5
    module, X = _net(nn.Linear(24, 5)), torch.randn(300, 10)
    expected = probe(module, X, y, ["2.input"], classifier="2", convention="papyan")
    monkeypatch.setattr(
        "nc1fast.networks.probing.rows.DeviceRows._decided", lambda *_: pytest.fail("a product")
    )
    found = probe(module, X, y, ["2.input"], classifier="2", convention="papyan")
    assert found["2.input"].nc4_agreement == expected["2.input"].nc4_agreement


def test_labels_that_appear_late_and_leave_gaps() -> None:
    y = torch.tensor([900, 3, 3, 900, 5, 3, 5, 900, 70, 70, 3, 5])
    H = torch.randn(12, 4).double() + y[:, None] / 100
    found = probe(nn.Identity(), batches_of(H, y, size=3), convention="papyan")[""]
    assert found.labels.tolist() == [3, 5, 70, 900]
    assert_equal(found, H, y)
    small = [(h, t.to(torch.int16)) for h, t in batches_of(H, y, size=3)]
    assert probe(nn.Identity(), small, convention="papyan")[""].nc1 == found.nc1
