"""The benchmarks' competitors compute the same thing as the reference, those for a GPU on the
processor; nothing is timed.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from nc1fast import reference, studies
from nc1fast.kernels import NNGP, NTK

ROOT = Path(__file__).resolve().parent.parent
if not (ROOT / "bench").is_dir():
    pytest.skip("the benchmarks are not part of this source distribution", allow_module_level=True)
sys.path.insert(0, str(ROOT))

from bench import _problem, _session, _timing, bench_accuracy, bench_branches, competitors

OBJECTS = {"nngp-relu": NNGP("relu"), "ntk-relu": NTK("relu"), "nngp-erf": NNGP("erf")}
KERNELS = tuple(OBJECTS)
each_kernel_and_dtype = pytest.mark.parametrize(
    ("kernel", "dtype"), [(kernel, dtype) for dtype in ("float32", "float64") for kernel in KERNELS]
)
PROBLEM = _problem.Problem(190, 3, n_classes=4, spread=0.5, seed=1)  # classes of 48, 48, 47, 47


@pytest.fixture(autouse=True)
def _torch_threads():
    """Leave torch's number of threads as it was."""
    torch = sys.modules.get("torch")
    threads = torch.get_num_threads() if torch else None
    yield
    if torch:
        torch.set_num_threads(threads)


def expected(kernel, problem=PROBLEM):
    X, y = problem.data()
    gram = reference.gram(OBJECTS[kernel], X)
    one_hot = (y[:, None] == np.unique(y)).astype(float)
    return _problem.answer_from_sums(
        one_hot.T @ gram @ one_hot, one_hot.T @ np.diag(gram), one_hot.sum(axis=0)
    )


def close(answer, kernel, dtype, problem=PROBLEM):
    answers = {"reference": expected(kernel, problem), "contestant": answer}
    return _problem.require_agreement(answers, dtype)


@each_kernel_and_dtype
def test_numpy_dense(kernel, dtype):
    X, y = dataclasses.replace(PROBLEM, dtype=dtype).data()
    close(competitors.numpy_dense(X, y, kernel), kernel, dtype)


@each_kernel_and_dtype
@pytest.mark.parametrize(
    ("tile", "workers", "outer"), [(512, 1, False), (20, 2, False), (47, 1, True)]
)
def test_tiled_torch(kernel, dtype, tile, workers, outer):
    pytest.importorskip("torch")
    from bench.tiled_torch import Plan, TiledTorch

    X, y = dataclasses.replace(PROBLEM, dtype=dtype).data()
    program = TiledTorch(kernel, dtype, Plan(tile, workers, False, outer))
    first, second = program(X, y), program(X, y)
    close(first, kernel, dtype)
    assert first.nc1 == second.nc1


@each_kernel_and_dtype
@pytest.mark.parametrize("tile", [64, 190, 1000])
def test_tiled_device(kernel, dtype, tile):
    pytest.importorskip("torch")
    from bench.tiled_device import TiledDevice, torch_library

    X, y = dataclasses.replace(PROBLEM, dtype=dtype).data()
    program = TiledDevice(torch_library("cpu"), kernel, dtype, tile)
    answer = program(X, y)
    close(answer, kernel, dtype)
    np.testing.assert_allclose(answer.traces, expected(kernel).traces, rtol=1e-6)
    assert program.seconds_per_pair(X, y) > 0


def test_tiled_torch_puts_weight_on_unequal_norms():
    """Rows of very different length and unequal classes: row weights and class cuts must not be
    mixed up.
    """
    pytest.importorskip("torch")
    from bench.tiled_torch import Plan, TiledTorch

    rng = np.random.default_rng(5)
    X = rng.standard_normal((60, 4)) * np.exp(rng.uniform(-3, 3, (60, 1)))
    y = np.repeat([0, 1, 2], [3, 40, 17])[rng.permutation(60)]
    for kernel in KERNELS:
        dense = competitors.numpy_dense(X, y, kernel)
        tiled = TiledTorch(kernel, "float64", Plan(8, 2))(X, y)
        assert _problem.disagreement(tiled, dense) < 1e-8


def test_search_returns_a_plan_it_timed():
    pytest.importorskip("torch")
    from bench import tiled_torch

    X, y = PROBLEM.data()
    plan, timings = tiled_torch.search(X, y, "nngp-relu", "float64", 2)
    assert len(timings) == len(tiled_torch.TILE_SIZES) * 2 * 2
    assert any(name.startswith(f"tile {plan.tile},") for name in timings)
    assert all(value > 0 for value in timings.values())


@pytest.mark.parametrize("kernel", ["nngp-relu", "ntk-relu"])
def test_released_algorithm(kernel):
    pytest.importorskip("torch")
    from bench.released_torch import released

    balanced = _problem.Problem(160, 5, n_classes=4)
    X, y = balanced.data()
    answer, _ = released(X, y, kernel)
    close(answer, kernel, "float32", balanced)
    with pytest.raises(ValueError, match="kernel must be one of"):
        released(X, y, "nngp-erf")


@pytest.mark.parametrize("kernel", bench_accuracy.KERNELS)
def test_extended_precision_reference(kernel):
    X, y = PROBLEM.data()
    assert bench_accuracy.reference_nc1(X, y, kernel) == pytest.approx(
        expected(kernel).nc1, rel=1e-11
    )


def test_plain_torch_does_what_the_package_does():
    torch = pytest.importorskip("torch")
    from bench import plain_torch

    from nc1fast import collapse, datasets, networks

    X, y = datasets.paper_d1(40, 3, seed=0)
    rows, targets = torch.from_numpy(X), torch.from_numpy(y.astype(float))[:, None]
    network = networks.ShallowNetwork("erf", 3, width=20, weight_variance=(1.0, 3.0), seed=0)
    model = plain_torch.Plain(network)
    K = plain_torch.tangent_kernel(model, rows).numpy()
    np.testing.assert_allclose(K, networks.empirical_ntk(network, X), rtol=1e-12)
    with torch.no_grad():
        H = network.post1(network.pre1(rows))
    assert plain_torch.nc1(model, rows, torch.from_numpy(y)) == pytest.approx(collapse(H, y).nc1)
    loss = plain_torch.train(model, rows, targets, epochs=9, lr=0.01, weight_decay=0.1)
    trace = networks.train(network, X, y, epochs=9, lr=0.01, weight_decay=0.1)
    assert trace.at(9)["loss"][0] == pytest.approx(loss, rel=1e-12)


def test_disagreement_is_noticed():
    good = expected("nngp-relu")
    bad = dataclasses.replace(good, nc1=good.nc1 * (1 + 1e-6))
    with pytest.raises(_problem.DisagreementError, match="bad and good differ by"):
        _problem.require_agreement({"good": good, "bad": bad}, "float64")
    nan = dataclasses.replace(good, nc1=float("nan"))
    with pytest.raises(_problem.DisagreementError):
        _problem.require_agreement({"good": good, "nan": nan}, "float32")


def test_rounds_alternate():
    order = []

    def run(name):
        order.append(name)
        return 1.0

    runs = {name: partial(run, name) for name in ("a", "b", "c")}
    samples = _timing.interleave(runs, rounds=2)
    assert order == ["a", "b", "c", "c", "b", "a"]
    assert samples["a"].ratio_to(samples["b"]).median == 1.0
    with pytest.raises(ValueError, match="even"):
        _timing.interleave(runs, rounds=3)


def test_result_is_written_with_its_environment(tmp_path):
    claim = _session.Claim("a ratio", 2.0, ">=", 2.5)
    result = _session.Result("example", [{"N": 3, "seconds": 0.5}], [claim], ["a remark"])
    content = json.loads(result.write(tmp_path, _session.Session(quick=True)).read_text())
    assert content["claims"] == [
        {"claim": "a ratio", "measured": 2.0, "target": ">= 2.5", "holds": False}
    ]
    assert content["quick"]
    assert content["environment"]["threads"] == 2
    assert "a remark" in result.text()
    assert not claim.holds


def test_a_worker_runs_a_contestant_and_reports_errors(monkeypatch):
    from bench._worker import Worker, WorkerError

    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    with Worker(1) as worker:
        worker.prepare("dense", "numpy-dense", PROBLEM, kernel="nngp-relu")
        seconds, answer = worker.run("dense")
        assert seconds > 0
        close(answer, "nngp-relu", "float64")
        worker.prepare("bad", "numpy-dense", PROBLEM, kernel="ntk-erf")
        with pytest.raises(WorkerError, match="kernel must be one of"):
            worker.run("bad")
        with pytest.raises(WorkerError, match="KeyError"):
            worker.run("never prepared")


def test_every_module_is_in_the_readme():
    folder = Path(_timing.__file__).parent
    text = (folder / "README.md").read_text(encoding="utf-8")
    for path in sorted(folder.glob("bench_*.py")):
        assert path.name in text


TWO_MINIMA = """
name: branches
title: Two minima
repeats: 1
arms:
  - name: a
    data:
      - {source: gaussian_mixture, name: D2, means: [-6, -2, 2, 6], stds: 0.5, n_samples: [64],
         n_features: [2]}
    adaptive:
      - {noise: 1.0e-6}
      - {noise: 1.0e-6, labels: shuffled}
      - {noise: 1.0e-6, equations: released}
"""


def test_random_starts_find_a_lower_free_energy_where_there_is_one(tmp_path):
    study = studies.parse(TWO_MINIMA)
    rows, cells = studies.run(study, tmp_path).rows, studies.plan(study)

    def checked(rows):
        return bench_branches.check(rows, cells, 60, 3, np.random.default_rng(0))

    honest = checked(rows)
    assert [row["state"] for row in honest.rows] == ["", "shuffled"]
    assert [claim.holds for claim in honest.claims] == [True]
    raised = checked([row | {"free_energy": row["free_energy"] * (1 + 1e-5)} for row in rows])
    assert [row["lower"] for row in raised.rows] == [True, True]
    assert [claim.holds for claim in raised.claims] == [False]
    with pytest.raises(ValueError, match="no adaptive kernel"):
        checked([row for row in rows if row["model"] != "AdaptiveKernel"])


def test_without_a_device_there_is_one_clear_line():
    command = [sys.executable, "-m", "bench.bench_gpu", "--quick"]
    settings = {"cwd": ROOT, "env": os.environ | {"CUDA_VISIBLE_DEVICES": ""}, "timeout": 120}
    run = subprocess.run(command, capture_output=True, text=True, check=False, **settings)
    assert run.returncode == 2
    assert run.stdout == ""
    assert run.stderr.startswith("no GPU to measure: ")
    assert len(run.stderr.splitlines()) == 1


@dataclasses.dataclass
class _Info:
    name: str = "stand-in"
    compute_capability: tuple[int, int] = (0, 0)
    multiprocessors: int = 1


def test_the_benchmark_runs_on_a_stand_in(monkeypatch, tmp_path):
    """Every step but the device: the processor in its place, answers compared, claims and remarks
    written.
    """
    pytest.importorskip("torch")
    from bench import bench_gpu
    from bench.tiled_device import torch_library

    def library(compiled=False):
        if compiled:
            raise competitors.UnavailableError("not on the processor")
        return torch_library("cpu")

    stands_in = {
        "CASES": ((1_000_000, 5), (65536, 784)),
        "COMPARED": ((131072, 5),),
        "CHECKED": 300,
        "DEVICE": "cpu",
        "device_info": _Info,
        "torch_library": library,
        "measured_peak": lambda: {"ffma": 1e3, "dfma": 500.0, "dmma": 0.0},
    }
    for name, value in stands_in.items():
        monkeypatch.setattr(bench_gpu, name, value)
    session = _session.Session(1, quick=True)
    monkeypatch.setattr(session, "size", lambda n: min(n, 400), raising=False)
    result = bench_gpu.run(session)
    programs = [row["program"] for row in result.rows]
    assert programs == [*["nc1fast"] * 4, *["nc1fast", "torch-tiled"] * 2]
    assert len(result.claims) == 2 + 1 + 2
    assert len(result.details["against the processor"]) == 6
    assert any("not on the processor" in remark for remark in result.remarks)
    assert "stand-in" in result.remarks[-1]
    assert result.write(tmp_path, session).is_file()
