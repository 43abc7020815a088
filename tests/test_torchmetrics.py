"""`NeuralCollapse` of torchmetrics against explicit features: batches, merges, processes."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import pytest

import nc1fast as nc

torch = pytest.importorskip("torch")
pytest.importorskip("torchmetrics")
Metric = nc.torchmetrics.NeuralCollapse
N, D, C = 90, 6, 4


def _rows(seed: int = 0, n: int = N) -> tuple[Any, Any]:
    generator = torch.Generator().manual_seed(seed)
    means = 2 * torch.randn(C, D, generator=torch.Generator().manual_seed(9))
    y = torch.randint(0, C, (n,), generator=generator)
    return (means[y] + torch.randn(n, D, generator=generator)).double(), y


H, Y = _rows()


def _assert_equal(values: dict[str, Any], H: Any, y: Any, convention: str = "papyan") -> None:
    expected = nc.collapse(H.numpy(), y.numpy(), convention=convention)
    assert abs(values["nc1"] - expected.nc1) <= values["error_bound"] + expected.error_bound
    for name, value in values.items():
        value_of_rows = getattr(expected, name)
        if name != "error_bound":
            assert float(value) == pytest.approx(value_of_rows, rel=1e-10, abs=1e-10), name


def _metric(*parts: Any, **options: Any) -> Any:
    metric = Metric(C, **options)
    for part in parts:
        metric.update(H[part], Y[part])
    return metric


@pytest.mark.parametrize("convention", ["papyan", "sample", "probe"])
def test_batches_equal_explicit_features(convention: str) -> None:
    metric = _metric(*(slice(k, k + 7) for k in range(0, N, 7)), convention=convention)
    values = metric.compute()
    assert {"nc1", "nc1_pinv", "nc2_etf", "gnc2_log", "within_rank"} <= set(values)
    assert "ncc_accuracy" not in values
    _assert_equal(values, H, Y, convention)
    W = np.random.default_rng(0).standard_normal((C, D))
    expected = nc.collapse(H.numpy(), Y.numpy(), convention=convention).with_classifier(W)
    found = metric.collapse().with_classifier(W)
    assert found.nc3_self_duality == pytest.approx(expected.nc3_self_duality, rel=1e-10)


def test_metrics_by_name_and_what_is_not_defined() -> None:
    metric = _metric(slice(None), metrics=["nc1", "nc1_pinv"], scatter=False)
    values = metric.compute()
    assert list(values) == ["nc1", "nc1_pinv"]
    assert torch.isnan(values["nc1_pinv"])
    _assert_equal({"nc1": values["nc1"], "error_bound": 1e-12}, H, Y)


def test_forward_gives_its_batch_and_keeps_all() -> None:
    metric = Metric(C)
    for k in range(0, N, 30):
        part = slice(k, k + 30)
        _assert_equal(metric(H[part], Y[part]), H[part], Y[part])
    _assert_equal(metric.compute(), H, Y)
    assert torch.isnan(metric(H[:1], Y[:1])["nc1"])  # a batch of one class
    metric.reset()
    metric.update(H[:40], Y[:40])
    _assert_equal(metric.compute(), H[:40], Y[:40])


def test_labels_of_tokens_and_ignored_ones() -> None:
    tokens, labels = H.reshape(15, 6, D), Y.reshape(15, 6).clone()
    labels[:, 4:] = -100
    metric = Metric(C)
    metric.update(tokens, labels)
    kept = labels != -100
    _assert_equal(metric.compute(), tokens[kept], labels[kept])
    rows = Metric(C, ignore_index=2)
    rows.update(H.reshape(N, 2, D // 2), Y)  # flattened
    _assert_equal(rows.compute(), H[Y != 2], Y[Y != 2])


def test_half_features_are_widened() -> None:
    metric = Metric(C)
    metric.update(H.bfloat16(), Y)
    _assert_equal(metric.compute(), H.bfloat16().double(), Y)


def test_merged_states_equal_one() -> None:
    one, other = _metric(slice(0, 50)), _metric(slice(50, N))
    one.merge_state(other)
    _assert_equal(one.compute(), H, Y)
    one.update(H[:9], Y[:9])  # goes on
    _assert_equal(one.compute(), torch.cat([H, H[:9]]), torch.cat([Y, Y[:9]]))
    _assert_equal(other.compute(), H[50:], Y[50:])
    empty = Metric(C)
    empty.merge_state(other.metric_state)
    _assert_equal(empty.compute(), H[50:], Y[50:])
    wrong: Any
    for wrong in ({}, 3, Metric(C + 1)):
        if isinstance(wrong, Metric):
            wrong.update(H, Y)
        with pytest.raises(ValueError, match="incoming_state must"):
            one.merge_state(wrong)


@pytest.mark.parametrize("way", ["state_dict", "pickle", "copy"])
def test_a_checkpoint_resumes(way: str) -> None:
    half = _metric(slice(0, 50))
    if way == "state_dict":
        metric = Metric(C)
        metric.load_state_dict(half.state_dict())
    else:
        metric = pickle.loads(pickle.dumps(half)) if way == "pickle" else copy.deepcopy(half)
    metric.update(H[50:], Y[50:])
    _assert_equal(metric.compute(), H, Y)
    _assert_equal(half.compute(), H[:50], Y[:50])  # and shares nothing


def test_nothing_yet_is_nan() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torchmetrics: nothing was added
        assert torch.isnan(Metric(C).compute()["nc1"])


def _resumed(H: Any, Y: Any, shard: Any, path: str) -> tuple[Any, Any]:
    """Two metrics of the rows of a shard; the first goes on from a checkpoint half-way."""
    metric, resumed = Metric(C), Metric(C)
    parts = list(zip(H[shard].split(97), Y[shard].split(97), strict=True)) if shard.any() else []
    for k, (h, y) in enumerate(parts):
        metric.update(h, y)
        if k > len(parts) // 2:
            resumed.update(h, y)
        elif k == len(parts) // 2:
            torch.save(metric.state_dict(), path)
            resumed.load_state_dict(torch.load(path))
    return resumed, metric


def process(rank: int, path: str) -> None:
    """One of two: uneven shards, an empty one, and collapsed float32 rows far from zero with a rare
    class of one process alone, in more batches than low is folded after.
    """
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", f"file://{path}", rank=rank, world_size=2)
    far, labels = _rows(5, 3000)
    far, k = (far * 1e-3 + 7).float(), torch.arange(3000)
    labels[labels == 3] = torch.where(k[labels == 3] % 40 == 0, 3, 1)
    rare = labels == 3
    mine = (k % 3 == 0) & ~rare if rank else (k % 3 != 0) | rare
    n = torch.arange(N)
    shards = [
        (H, Y, n >= 37 if rank else n < 37),
        (H, Y, (n >= 0) & (rank == 0)),
        (far, labels, mine),
    ]
    for case, (rows, y, shard) in enumerate(shards):
        resumed, metric = _resumed(rows, y, shard, f"{path}.{rank}.{case}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = resumed.compute()
            assert found == metric.compute()
        _assert_equal(found, rows.double(), y)
        assert found["error_bound"] < 1e-9 * found["nc1"]
        sizes = metric.feature_sums().to_dict()["sizes"]
        assert int(sum(sizes)) == int(shard.sum())
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_equal_one(tmp_path: Any) -> None:
    program = "import sys, tests.test_torchmetrics as t; t.process(int(sys.argv[1]), sys.argv[2])"
    commands = [
        [sys.executable, "-c", program, str(rank), str(tmp_path / "meet")] for rank in (0, 1)
    ]
    running = [subprocess.Popen(c, stderr=subprocess.PIPE, text=True) for c in commands]
    errors = [one.communicate(timeout=900)[1] for one in running]
    assert [one.returncode for one in running] == [0, 0], errors


def test_one_pass_probes_and_metrics_have_the_same_sums() -> None:
    h, y = _rows(3, 700)
    h = (h + 50).float()
    metric = Metric(C)
    for part in range(0, 700, 64):
        metric.update(h[part : part + 64], y[part : part + 64])
    batches = [(h[k : k + 64], y[k : k + 64]) for k in range(0, 700, 64)]
    found = nc.networks.probe(torch.nn.Identity(), batches, passes=1, convention="papyan")[""]
    assert metric.collapse().nc1 == found.nc1
    assert metric.collapse().error_bound == found.error_bound
    halves = [nc.FeatureSums(), nc.FeatureSums()]
    for k, (rows, labels) in enumerate(batches):
        halves[k % 2].update(rows.numpy(), labels.numpy())
    both = sum(halves).collapse("papyan")
    assert abs(both.nc1 - found.nc1) <= both.error_bound + found.error_bound


INF = torch.where(torch.arange(D) == 1, torch.inf, H)


@pytest.mark.parametrize(
    ("features", "target", "error", "message"),
    [
        (H.numpy(), Y, TypeError, "features must be a floating-point tensor"),
        (H.long(), Y, TypeError, "features must be a floating-point tensor"),
        (H, Y.numpy(), TypeError, "target must be an integer tensor"),
        (H, Y.double(), TypeError, "target must be an integer tensor"),
        (H, Y > 1, TypeError, "target must be an integer tensor"),
        (H, Y[1:], ValueError, "a label for each row"),
        (H, Y[:, None], ValueError, "argmax"),
        (H, Y + 1, ValueError, r"target must be in 0, ..., 3, got 4"),
        (H, Y - 1, ValueError, r"target must be in 0, ..., 3, got -1"),
        (H[:, :-1], Y, ValueError, "features must have 6 numbers a row, got 5"),
        (INF, Y, ValueError, "features must be finite"),
        (H[:, 0], Y, ValueError, "a label for each row"),
    ],
)
def test_malformed_batches_leave_the_state(
    features: Any, target: Any, error: Any, message: str
) -> None:
    metric = _metric(slice(None))
    with pytest.raises(error, match=message):
        metric.update(features, target)
    _assert_equal(metric.compute(), H, Y)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"num_classes": 1}, ValueError, "num_classes"),
        ({"num_classes": "ten"}, TypeError, "num_classes"),
        ({"metrics": ["nc9"]}, ValueError, "metrics must be one of"),
        ({"metrics": ["ncc_accuracy"]}, ValueError, "metrics must be one of"),
        ({"metrics": "nc1"}, TypeError, "metrics must be a list"),
        ({"convention": "mine"}, ValueError, "convention"),
        ({"ignore_index": 0.5}, TypeError, "ignore_index"),
        ({"scatter": "some"}, ValueError, "scatter must be"),
    ],
)
def test_malformed_settings_are_refused(options: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        Metric(**{"num_classes": C, **options})
