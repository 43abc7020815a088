"""`probe` of batches: every metric against explicit features, for the kinds of modules and batches
that there are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nc1fast as nc

torch = pytest.importorskip("torch")
from tests.probed import (
    C,
    D,
    Encoder,
    N,
    Recurrent,
    Residual,
    T,
    assert_equal,
    assert_same,
    batches_of,
    labels_of,
    seeded,
    state_of,
)

nn = torch.nn
probe = nc.networks.probe


@pytest.fixture(scope="module")
def images() -> Any:
    torch.manual_seed(1)
    y = labels_of()
    return (3 * torch.randn(C, 1, 8, 8)[y] + torch.randn(N, 1, 8, 8)).double(), y


@pytest.mark.parametrize("convention", ["papyan", "class", "probe"])
def test_a_residual_net_with_its_classifier(images: Any, convention: str) -> None:
    X, y = images
    module = seeded(Residual)
    with torch.no_grad():
        module(X)  # running statistics that matter
    module.train()
    before = state_of(module)
    found = probe(module, batches_of(X, y), layers="blocks", classifier="fc", convention=convention)
    assert_same(before, state_of(module))
    assert list(found) == ["stem", "stages.0", "stages.1", "fc.input", "fc"]
    module.eval()
    with torch.no_grad():
        stem = module.stem(X)
        blocks = [module.stages[0](stem.clone())]
        blocks.append(module.stages[1](blocks[0].clone()))
        pooled = blocks[1].mean(dim=(2, 3))
        outputs = {
            "stem": stem,
            "stages.0": blocks[0],
            "stages.1": blocks[1],
            "fc": module.fc(pooled),
        }
    for name, H in outputs.items():
        assert_equal(found[name], H.flatten(1), y)
    assert_equal(found["fc.input"], pooled, y, module.fc)
    assert found["fc.input"].nc4_agreement is not None


def test_an_activation_in_place_that_is_shared(images: Any) -> None:
    X, y = images
    module = seeded(Residual)
    found = probe(
        module,
        X,
        y,
        ["stages.0.norm", "stages.0.relu", "stages.0.relu#2"],
        batch_size=20,
        convention="papyan",
    )
    assert list(found) == ["stages.0.norm", "stages.0.relu", "stages.0.relu#2"]
    module.eval()
    with torch.no_grad():
        stem = module.stem(X)
        norm = module.stages[0].norm(module.stages[0].conv(stem))
        assert_equal(found["stages.0.norm"], norm.flatten(1), y)
        assert_equal(found["stages.0.relu"], norm.relu().flatten(1), y)
        assert_equal(found["stages.0.relu#2"], (stem + norm.relu()).relu().flatten(1), y)


@pytest.mark.parametrize(
    ("pool", "by_hand"),
    [
        ("mean", lambda H: H.mean(dim=(2, 3))),
        ("max", lambda H: H.amax(dim=(2, 3))),
        (lambda H: H.var(dim=(2, 3)), lambda H: H.var(dim=(2, 3))),
    ],
)
def test_pools_of_convolutions(images: Any, pool: Any, by_hand: Any) -> None:
    X, y = images
    module = seeded(Residual).eval()
    found = probe(module, X, y, ["stem"], pool=pool, convention="papyan")
    with torch.no_grad():
        assert_equal(found["stem"], by_hand(module.stem(X)), y)


@pytest.fixture(scope="module")
def tokens() -> dict[str, Any]:
    torch.manual_seed(2)
    mask = torch.ones(N, T, dtype=torch.int64)
    mask[::3, 3:] = 0
    labels = torch.where(mask == 1, labels_of((N, T)), -100)
    return {"input_ids": torch.randint(0, 11, (N, T)), "attention_mask": mask, "labels": labels}


def _dicts(whole: dict[str, Any]) -> list[dict[str, Any]]:
    return [dict(zip(whole, parts, strict=True)) for parts in batches_of(*whole.values())]


def _hidden(module: Any, batch: dict[str, Any]) -> list[Any]:
    """States of each layer, batch by batch as the probe sees them."""
    module.eval()
    with torch.no_grad():
        H = module.embedding(batch["input_ids"])
        states = []
        for layer in module.layers:
            H, _ = layer(H, batch["attention_mask"] == 0)
            states.append(H)
    return states


def test_a_transformer_with_labels_of_tokens(tokens: Any) -> None:
    module = seeded(Encoder)
    before = state_of(module)
    layers = ["layers.0#0", "layers.1#0", "head"]
    given: dict[str, Any] = {"pool": "tokens", "classifier": "head", "convention": "papyan"}
    found = probe(module, _dicts(tokens), layers=layers, **given)
    assert_same(before, state_of(module))
    assert list(found) == ["layers.0#0", "layers.1#0", "head.input", "head"]
    kept = tokens["labels"] != -100
    y = tokens["labels"][kept]
    states = [
        torch.cat(parts)
        for parts in zip(*(_hidden(module, b) for b in _dicts(tokens)), strict=True)
    ]
    assert_equal(found["layers.0#0"], states[0][kept], y)
    assert_equal(found["layers.1#0"], states[1][kept], y)
    assert_equal(found["head.input"], states[1][kept], y, module.head)
    whole = probe(module, tokens, layers=layers, batch_size=16, **given)  # all rows in one mapping
    assert [r.nc1 for r in whole.values()] == [r.nc1 for r in found.values()]


@pytest.mark.parametrize("pool", ["mean", "max", "cls", "tokens"])
def test_pools_of_tokens_leave_out_padding(tokens: Any, pool: str) -> None:
    module = seeded(Encoder)
    y, mask = labels_of(), tokens["attention_mask"].bool()
    batches = _dicts(tokens | {"labels": y})
    found = probe(module, batches, layers=["layers.1#0"], pool=pool, convention="papyan")[
        "layers.1#0"
    ]
    states = torch.cat([_hidden(module, b)[1] for b in batches])
    if pool == "tokens":
        H, y = states[mask], y[:, None].expand(N, T)[mask]
    elif pool == "cls":
        H = states[:, 0]
    else:
        rows = zip(states, mask, strict=True)
        H = torch.stack([h[m].mean(0) if pool == "mean" else h[m].amax(0) for h, m in rows])
    assert_equal(found, H, y)


def test_an_lstm_returns_a_tuple_and_takes_several_inputs() -> None:
    module = seeded(Recurrent)
    torch.manual_seed(4)
    X, scale, y = torch.randn(N, T, D).double(), torch.rand(N, 1, 1).double(), labels_of()
    found = probe(
        module,
        batches_of(X, scale, y),
        layers=["lstm#0", "lstm.input", "fc"],
        classifier="fc",
        convention="sample",
    )
    module.eval()
    with torch.no_grad():
        states = module.lstm(X * scale)[0]
        assert_equal(found["lstm.input"], (X * scale).flatten(1), y)
        assert_equal(found["lstm#0"], states.flatten(1), y)
        assert_equal(found["fc.input"], states[:, -1], y, module.fc)
    nested = [((x, s), t) for x, s, t in batches_of(X, scale, y)]
    assert probe(module, nested, layers=["fc"], convention="sample")["fc"].nc1 == found["fc"].nc1
    last = probe(module, nested, layers=["lstm#1.0"], pool=lambda h: h[-1], convention="sample")
    assert_equal(last["lstm#1.0"], states[:, -1], y)


def test_one_pass_has_all_but_nearest_means(images: Any) -> None:
    X, y = images
    module = seeded(Residual).eval()
    options: dict[str, Any] = {"layers": ["stages.0"], "classifier": "fc", "convention": "papyan"}
    found = probe(module, iter(batches_of(X, y)), **options)
    assert found.passes == 1
    with torch.no_grad():
        H = module.stages(module.stem(X)).mean(dim=(2, 3))
        assert_equal(found["fc.input"], H, y, module.fc, one=True)
    assert "once" in found["fc.input"].missing["ncc_accuracy"]
    calls: list[int] = []
    module.register_forward_hook(lambda *_: calls.append(1))
    batches = batches_of(X, y)
    sums = probe(module, batches, statistics="sums", **options)["fc.input"]
    assert len(calls) == len(batches)
    assert sums.nc1_pinv is None
    assert sums.nc1 == found["fc.input"].nc1


def test_a_loader_that_shuffles_and_draws_is_passed_over_twice_alike(images: Any) -> None:
    X, y = images

    class Noisy(torch.utils.data.Dataset):  # type: ignore[misc, name-defined]
        def __len__(self) -> int:
            return N

        def __getitem__(self, k: int) -> Any:
            return X[k] + torch.randn(1).double(), ["kiwi", "fig", "lime", "date"][y[k]]

    module = seeded(Residual)
    generator = torch.Generator().manual_seed(5)
    loader = torch.utils.data.DataLoader(Noisy(), 16, shuffle=True, generator=generator)
    before, own = state_of(module), generator.get_state()
    found = probe(module, loader, layers=["fc"], convention="papyan")["fc"]
    assert_same(before, state_of(module))
    assert torch.equal(own, generator.get_state())
    assert found.labels.tolist() == ["date", "fig", "kiwi", "lime"]
    module.eval()
    with torch.no_grad():
        rows = [(module(x), t) for x, t in loader]
    assert_equal(found, torch.cat([H for H, _ in rows]), np.concatenate([t for _, t in rows]))
    torch.set_rng_state(before[4])
    assert probe(module, Noisy(), layers=["fc"], batch_size=9, convention="papyan").passes == 2


def test_autocast_and_half_features_are_widened(images: Any) -> None:
    X, y = images[0].float(), images[1]
    torch.manual_seed(3)
    module = Residual().eval()
    with torch.autocast("cpu", torch.bfloat16):
        found = probe(module, X, y, ["stem", "fc"], convention="papyan")
        with torch.no_grad():
            stem = module.stem(X)
    assert stem.dtype is torch.bfloat16
    assert_equal(found["stem"], stem.flatten(1).double(), y)
    assert not torch.is_autocast_enabled("cpu")


def test_a_dead_layer_has_a_reason_and_the_others_results() -> None:
    module = nn.Sequential(nn.Linear(D, 8), nn.ReLU(), nn.Linear(8, 3)).double()
    with torch.no_grad():
        module[0].bias -= 100
    X = torch.randn(N, D).double()
    found = probe(module, X, labels_of(), convention="papyan")
    assert list(found) == ["0"]
    assert "0/0" in found.reasons["1"]
    with pytest.raises(KeyError, match="0/0"):
        found["1"]
    assert "0/0" in found.summary()
    assert found.to_table()["layer"].tolist() == ["0"]
    assert found.to_table()["nc1"][0] == found.to_dict()["0"]["nc1"]
    assert "<th>1</th>" in found._repr_html_()
    with pytest.raises(ValueError, match=r"layer '1'.*0/0"):
        probe(module, X, labels_of(), ["1"], convention="papyan")


class Counting(nn.Module):  # type: ignore[misc, name-defined]
    """A module that changes a buffer, replaces another, draws random numbers, and fails on the
    third call.
    """

    def __init__(self, fails: bool) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(1))
        self.register_buffer("cache", torch.zeros(2))
        self.lin, self.fails = nn.Linear(D, 3), fails

    def forward(self, X: Any) -> Any:
        self.calls += 1
        self.cache = X.detach()[:1]
        torch.rand(3)
        np.random.rand()  # noqa: NPY002
        if self.fails and self.calls == 3:
            raise RuntimeError("the third call")
        return self.lin(X)


@pytest.mark.parametrize("fails", [False, True])
def test_everything_is_put_back_even_after_an_exception(fails: bool) -> None:
    module = Counting(fails)
    module.lin.eval()
    X, before, cache = torch.randn(N, D), None, module.cache
    before = state_of(module)
    if fails:
        with pytest.raises(RuntimeError, match="the third call"):
            probe(module, batches_of(X, labels_of()), convention="papyan")
    else:
        probe(module, batches_of(X, labels_of()), convention="papyan")
    assert_same(before, state_of(module))
    assert module.cache is cache


def test_forward_gets_each_whole_batch() -> None:
    module = nn.ModuleDict({"lin": nn.Linear(D, 3)}).double()
    X, y = torch.randn(N, D).double(), labels_of()
    batches = [{"nested": {"x": x}, "meta": "text", "target": t} for x, t in batches_of(X, y)]
    found = probe(
        module, batches, forward=lambda m, b: m["lin"](2 * b["nested"]["x"]), convention="papyan"
    )
    with torch.no_grad():
        assert_equal(found["lin"], module["lin"](2 * X), y)
    other = probe(
        *(module, batches, lambda b: 3 - b["target"]),
        forward=lambda m, b: m["lin"](2 * b["nested"]["x"]),
        convention="papyan",
    )
    assert other["lin"].nc1 == pytest.approx(found["lin"].nc1, rel=1e-12)
    assert other["lin"].sizes.tolist() == found["lin"].sizes.tolist()[::-1]


def test_memory_is_known_beforehand_and_has_a_limit(images: Any) -> None:
    X, y = images
    module = seeded(Residual)
    batch = (X[:2], y[:2])
    needed = nc.networks.probe_memory(module, batch, C, layers=["stem", "fc"])
    found = probe(module, X, y, ["stem", "fc"], convention="papyan")
    assert needed == found.memory
    d = 8 * 36
    assert needed["stem"] == 8 * (3 * C * d + C * C + 2 * C * C)
    with pytest.raises(ValueError, match="memory_limit is 1000 bytes"):
        probe(module, X, y, ["stem"], memory_limit=1000)


def test_collapsed_features_far_from_zero_keep_their_digits() -> None:
    rng = np.random.default_rng(0)
    y = rng.permutation(np.repeat(np.arange(C), 30))
    H = rng.standard_normal((C, D))[y] * 10 + 1e-7 * rng.standard_normal((len(y), D)) + 1000
    module = nn.Identity()
    batches = [(H[k : k + 7], y[k : k + 7]) for k in range(0, len(y), 7)]
    for data in (batches, iter(batches)):
        found = probe(module, data, convention="papyan")[""]
        expected = nc.collapse(H, y, convention="papyan")
        assert abs(found.nc1 - expected.nc1) <= found.error_bound + expected.error_bound
        assert found.error_bound <= 1e-8 * found.nc1
        assert found.nc1_pinv == pytest.approx(nc.collapse(H - 1000, y).nc1_pinv, rel=1e-6)


def test_results_do_not_depend_on_the_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    y, H = labels_of(), torch.randn(N, D).double()
    expected = probe(nn.Identity(), [(H, y)], convention="papyan")[""]
    monkeypatch.setattr("nc1fast.networks.probing.moments.CHUNK", 4 * D)
    found = probe(nn.Identity(), [(H, y)], convention="papyan")[""]
    assert_equal(found, H, y)
    assert np.array_equal(found.nearest_center, expected.nearest_center)
