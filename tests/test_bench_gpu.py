"""The programs that a GPU is measured against give the reference's numbers, on the processor;
without a device the benchmark says so.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nc1fast import reference
from nc1fast.kernels import NNGP, NTK

ROOT = Path(__file__).resolve().parent.parent
if not (ROOT / "bench").is_dir():
    pytest.skip("the benchmarks are not part of this source distribution", allow_module_level=True)
pytest.importorskip("torch")
sys.path.insert(0, str(ROOT))

from bench import _problem
from bench.tiled_device import TiledDevice, torch_library

OBJECTS = {"nngp-relu": NNGP("relu"), "ntk-relu": NTK("relu"), "nngp-erf": NNGP("erf")}
PROBLEM = _problem.Problem(190, 3, n_classes=4, spread=0.5, seed=1)


@pytest.mark.parametrize("kernel", OBJECTS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("tile", [64, 190, 1000])
def test_tiled_device(kernel, dtype, tile):
    X, y = PROBLEM.data()
    gram = reference.gram(OBJECTS[kernel], X)
    one_hot = (y[:, None] == np.unique(y)).astype(float)
    expected = _problem.answer_from_sums(
        one_hot.T @ gram @ one_hot, one_hot.T @ np.diag(gram), one_hot.sum(axis=0)
    )
    rows, labels = dataclasses.replace(PROBLEM, dtype=dtype).data()
    program = TiledDevice(torch_library("cpu"), kernel, dtype, tile)
    answer = program(rows, labels)
    _problem.require_agreement({"reference": expected, "tiled": answer}, dtype)
    np.testing.assert_allclose(answer.traces, expected.traces, rtol=1e-6)
    assert program.seconds_per_pair(rows, labels) > 0


def test_without_a_device_there_is_one_clear_line():
    run = subprocess.run(
        [sys.executable, "-m", "bench.bench_gpu", "--quick"],
        cwd=ROOT,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
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
    from bench import _session, bench_gpu, competitors

    monkeypatch.setattr(bench_gpu, "CASES", ((1_000_000, 5), (65536, 784)))
    monkeypatch.setattr(bench_gpu, "COMPARED", ((131072, 5),))
    monkeypatch.setattr(bench_gpu, "CHECKED", 300)
    monkeypatch.setattr(bench_gpu, "DEVICE", "cpu")
    monkeypatch.setattr(bench_gpu, "device_info", _Info)
    peak = {"ffma": 1e3, "dfma": 500.0, "dmma": 0.0}
    monkeypatch.setattr(bench_gpu, "measured_peak", lambda: peak)

    def library(compiled=False):
        if compiled:
            raise competitors.UnavailableError("not on the processor")
        return torch_library("cpu")

    monkeypatch.setattr(bench_gpu, "torch_library", library)
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
