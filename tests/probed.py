"""Modules that are probed, and explicit features and gradients that results are compared with."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nc1fast as nc
from nc1fast.metrics import METRICS

torch = pytest.importorskip("torch")
nn = torch.nn
N, T, D, C = 53, 5, 6, 4


class Residual(nn.Module):  # type: ignore[misc, name-defined]
    """Blocks with batch norm, an activation in place that is used twice, dropout, and a functional
    pool before `fc`.
    """

    class Block(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self, width: int) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width)
            self.relu, self.drop = nn.ReLU(inplace=True), nn.Dropout(0.5)

        def forward(self, X: Any) -> Any:
            return self.relu(X + self.drop(self.relu(self.norm(self.conv(X)))))

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3)
        self.stages = nn.Sequential(*(self.Block(8) for _ in range(2)))
        self.fc = nn.Linear(8, C)

    def forward(self, X: Any) -> Any:
        return self.fc(self.stages(self.stem(X)).mean(dim=(2, 3)))


class Encoder(nn.Module):  # type: ignore[misc, name-defined]
    """Embedding and transformer layers that return tuples, called with keywords; a head for each
    token.
    """

    class Layer(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.TransformerEncoderLayer(D, 2, 8, dropout=0.3, batch_first=True)

        def forward(self, X: Any, mask: Any) -> Any:
            H = self.inner(X, src_key_padding_mask=mask)
            return H, {"norms": H.norm(dim=-1)}

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(11, D)
        self.layers = nn.ModuleList(self.Layer() for _ in range(2))
        self.head = nn.Linear(D, C)

    def forward(self, input_ids: Any, attention_mask: Any = None) -> Any:
        H = self.embedding(input_ids)
        mask = None if attention_mask is None else attention_mask == 0
        for layer in self.layers:
            H, _ = layer(H, mask)
        return {"logits": self.head(H)}


class Recurrent(nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.fc = (
            nn.LSTM(D, 7, num_layers=2, batch_first=True, dropout=0.4),
            nn.Linear(7, C),
        )

    def forward(self, X: Any, scale: Any = 1.0) -> Any:
        return self.fc(self.lstm(X * scale)[0][:, -1])


def seeded(kind: Any) -> Any:
    torch.manual_seed(3)
    torch.set_num_threads(1)
    return kind().double()


def gradients(module: Any, X: Any) -> Any:
    """By all trained parameters, (n, K, parameters): one output of one row at a time."""
    trained = [p for p in module.parameters() if p.requires_grad]
    found = [
        [
            torch.cat([g.ravel() for g in torch.autograd.grad(f, trained, retain_graph=True)])
            for f in module(x[None])[0]
        ]
        for x in torch.from_numpy(X)
    ]
    return np.array([[g.numpy() for g in of_row] for of_row in found])


def labels_of(shape: Any = N, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, C, shape)
    y.reshape(-1)[:C] = range(C)
    return torch.from_numpy(y)


def batches_of(*parts: Any, size: int = 16) -> list[Any]:
    return list(zip(*(part.split(size) for part in parts), strict=True))


def assert_equal(found: Any, H: Any, y: Any, classifier: Any = None, *, one: bool = False) -> None:
    """Every metric of a result equals that of explicit features to 1e-10, and nc1 within both
    bounds.
    """
    H, y = np.asarray(H), np.asarray(y)
    expected = nc.collapse(H, y, convention=found.convention)
    if classifier is not None:
        W, b = (A.detach().numpy() for A in (classifier.weight, classifier.bias))
        expected = expected.with_classifier(W, b, H=None if one else H)
    assert abs(found.nc1 - expected.nc1) <= found.error_bound + expected.error_bound
    assert found.error_bound <= 1e-10 * found.nc1
    assert found.sizes.tolist() == expected.sizes.tolist()
    for name in METRICS:
        value, reference = getattr(found, name), getattr(expected, name)
        if one and value is None:
            assert name in ("nearest_center", "ncc_accuracy") or reference is None
            continue
        assert (value is None) == (reference is None), name
        if reference is not None:
            scale = max(1.0, float(np.max(np.abs(reference), initial=0.0)))
            np.testing.assert_allclose(
                value, reference, rtol=1e-10, atol=1e-10 * scale, err_msg=name
            )


def state_of(module: Any) -> list[Any]:
    """All that a probe must leave alone."""
    hooks = [
        len(getattr(part, name))
        for part in module.modules()
        for name in ("_forward_hooks", "_forward_pre_hooks", "_forward_hooks_with_kwargs")
    ]
    return [
        {name: value.clone() for name, value in module.state_dict().items()},
        [part.training for part in module.modules()],
        hooks,
        [p.grad is None for p in module.parameters()],
        torch.get_rng_state().clone(),
        np.random.get_state()[1].tolist(),  # noqa: NPY002
    ]


def assert_same(before: list[Any], after: list[Any]) -> None:
    for one, other in zip(before[0].items(), after[0].items(), strict=True):
        assert one[0] == other[0]
        assert torch.equal(one[1], other[1]), one[0]
    assert before[1:4] == after[1:4]
    assert torch.equal(before[4], after[4])
    assert before[5] == after[5]
