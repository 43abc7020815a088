"""The multiply-add peak of the GPU at hand."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from bench.tiled_device import import_or_unavailable


def measured_peak() -> dict[str, float]:
    """GFLOP/s of FFMA, DFMA and DMMA: by nvcc where it is found, else through CuPy.

    Raises
    ------
    UnavailableError
        If there is neither.
    """
    source = Path(__file__).with_name("fma_peak.cu")
    nvcc = os.environ.get("CUDACXX") or shutil.which("nvcc")
    if nvcc is None:
        return _peak_by_cupy(source)
    with tempfile.TemporaryDirectory(prefix="nc1fast-bench-") as folder:
        program = Path(folder) / "fma_peak"
        subprocess.run(
            [nvcc, "-std=c++17", "-O3", "-arch=native", str(source), "-o", str(program)], check=True
        )
        text = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    peak: dict[str, float] = json.loads(text)
    return peak


def _peak_by_cupy(source: Path) -> dict[str, float]:
    cp = import_or_unavailable("cupy")
    options = ("-std=c++17", "-DNC1FAST_KERNELS_ONLY")
    module = cp.RawModule(code=source.read_text(encoding="utf-8"), options=options)
    properties = cp.cuda.runtime.getDeviceProperties(cp.cuda.Device().id)
    threads, blocks, rounds = 256, 8 * properties["multiProcessorCount"], 1 << 14
    found = {}
    for name, real, per_round in (
        ("ffma", np.float32, 16 * 8.0),
        ("dfma", np.float64, 16 * 8.0),
        ("dmma", np.float64, 8 * 8 * 1024 / 32),
    ):
        if name == "dmma" and properties["major"] < 8:
            found[name] = 0.0
            continue
        kernel, out = module.get_function(f"{name}_peak"), cp.zeros(1, dtype=real)
        seconds = []
        for _ in range(7):
            start, stop = cp.cuda.Event(), cp.cuda.Event()
            start.record()
            kernel((blocks,), (threads,), (out, np.int32(rounds), real(0.9999), real(1e-3)))
            stop.record()
            stop.synchronize()
            seconds.append(1e-3 * cp.cuda.get_elapsed_time(start, stop))
        found[name] = 2e-9 * per_round * rounds * threads * blocks / min(seconds)
    return found
