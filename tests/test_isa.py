"""Which instructions run: NC1FAST_ISA forces a set this machine has, and emulated older processors
get the right one.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import nc1fast as nc
from nc1fast import _core, reference

ROOT = Path(__file__).parents[1]

# A handful of kernels and both tile types, as text that keeps every bit.
PROGRAM = """
import nc1fast as nc
from nc1fast import _core
X, y = nc.datasets.gaussian_mixture(means=(-1, 1), stds=0.5, sizes=(37, 64), n_features=11, seed=0)
print(_core.isa())
for dtype in ("float64", "float32"):
    kernels = [nc.NNGP("relu"), nc.NTK("erf")]
    for result in nc.collapse(X, y, kernels, convention="sample", dtype=dtype):
        print(result.nc1.hex(), result.error_bound.hex())
"""


EVERY_KERNEL = """
import json, sys, warnings
sys.path[:0] = {path}
import nc1fast as nc
from nc1fast import _core
from tests import cases as t
X, y = t.data()
out = dict()
for name, kernel in t.KERNELS.items():
    for dtype in t.DTYPES:
        for n_threads in (1, 2):
            result = t.collapse(X, y, kernel, dtype=dtype, n_threads=n_threads)
            out[f"{{name}} {{dtype}} {{n_threads}}"] = [result.nc1.hex(), float(result.error_bound)]
print(json.dumps(out))
"""


@cache
def _run(
    isa: str | None, command: tuple[str, ...] = (), program: str = PROGRAM
) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "NC1FAST_ISA"}
    if isa is not None:
        environment["NC1FAST_ISA"] = isa
    return subprocess.run(
        [*command, sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def _results(run: subprocess.CompletedProcess[str]) -> tuple[str, list[tuple[float, float]]]:
    assert run.returncode == 0, run.stderr
    isa, *lines = run.stdout.splitlines()
    return isa, [(float.fromhex(a), float.fromhex(b)) for a, b in map(str.split, lines)]


def _assert_same_values(run: subprocess.CompletedProcess[str], isa: str) -> None:
    """The bits may differ between instruction sets; the values may not differ by more than their
    bounds.
    """
    used, values = _results(run)
    assert used == isa
    _, expected = _results(_run(None))
    for (value, bound), (other, other_bound) in zip(values, expected, strict=True):
        assert 0 < bound < 1e-2 * value
        assert abs(value - other) <= bound + other_bound


def _tiles_are_permitted() -> bool:
    """Whether the system gives this process the tiles of AMX: arch_prctl(ARCH_REQ_XCOMP_PERM,
    XFEATURE_XTILEDATA).
    """
    return ctypes.CDLL(None).syscall(158, 0x1023, 18) == 0


def _instruction_sets() -> list[str]:
    """Those this machine can run, from what the operating system says."""
    found = ["baseline"]
    cpuinfo = Path("/proc/cpuinfo")
    if platform.machine() in ("x86_64", "AMD64") and cpuinfo.exists():
        flags = set(cpuinfo.read_text().split("flags", 1)[-1].split("\n", 1)[0].split())
        if {"avx2", "fma"} <= flags:
            found.append("avx2")
        if {"avx512f", "avx512dq", "avx512bw", "avx512vl", "fma"} <= flags:
            found.append("avx512")
            if {"amx_tile", "amx_int8"} <= flags and _tiles_are_permitted():
                found.append("amx")
    if platform.machine() in ("aarch64", "arm64"):
        found.append("neon")
    return found


def test_the_core_finds_the_instruction_sets_of_this_machine_and_uses_the_best() -> None:
    assert _core.isas() == _instruction_sets()
    assert _results(_run(None))[0] == _results(_run(""))[0] == _core.isas()[-1]


def test_every_instruction_set_agrees_within_the_bounds() -> None:
    """Every kernel and precision."""
    answers = {}
    for isa in _core.isas():
        run = _run(isa, program=EVERY_KERNEL.format(path=[str(ROOT), *sys.path]))
        assert run.returncode == 0, (isa, run.stderr[-2000:])
        answers[isa] = json.loads(run.stdout)
    reference = answers.pop("baseline")
    for case, (value, bound) in reference.items():
        single, double = (reference[f"{case[:-2]} {n}"][0] for n in (1, 2))
        assert single == double, case
        for isa, answer in answers.items():
            other, other_bound = answer[case]
            difference = abs(float.fromhex(value) - float.fromhex(other))
            assert difference <= bound + other_bound, (isa, case)


def test_an_unknown_instruction_set_is_refused() -> None:
    run = _run("sse9")
    assert run.returncode == 1
    assert re.search(r"^ValueError: .*NC1FAST_ISA=sse9.*baseline", run.stderr, flags=re.MULTILINE)


# QEMU gives programs no AVX-512, so that set runs natively or not at all.
CPUS = [("Nehalem", "baseline"), ("Haswell", "avx2")]


def _emulator(cpu: str) -> tuple[str, ...]:
    emulator = shutil.which("qemu-x86_64-static")
    if emulator is None or platform.machine() != "x86_64":
        pytest.skip("needs qemu-x86_64-static on an x86-64 machine")
    command = (emulator, "-cpu", cpu)
    numpy = _run(None, command, "import numpy")
    if numpy.returncode:
        pytest.skip(
            f"NumPy itself does not run on an emulated {cpu}: "
            f"{numpy.stderr.strip().splitlines()[-1:]}"
        )
    return command


@pytest.mark.tools
@pytest.mark.parametrize(("cpu", "isa"), CPUS)
def test_an_older_processor_gets_its_instruction_set(cpu: str, isa: str) -> None:
    _assert_same_values(_run(None, _emulator(cpu)), isa)


@pytest.mark.tools
@pytest.mark.parametrize(("cpu", "missing"), [("Nehalem", "avx2"), ("Haswell", "avx512")])
def test_an_instruction_set_that_the_processor_lacks_is_refused(cpu: str, missing: str) -> None:
    run = _run(missing, _emulator(cpu))
    assert run.returncode == 1
    assert re.search(
        rf"^ValueError: .*NC1FAST_ISA={missing}.*baseline", run.stderr, flags=re.MULTILINE
    )


@pytest.mark.parametrize("isa", _core.isas())
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    "kernel",
    [
        nc.NNGP(nc.LeakyReLU(0.3), depth=3, weight_variance=1.5, bias_variance=0.2),
        nc.NTK("relu", bias_variance=0.1),
        nc.ConjugateKernel("step", bias_variance=0.5),
    ],
    ids=repr,
)
def test_gram_matrices_of_any_size(
    isa: str, dtype: str, kernel: nc.kernels.Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole panels, parts of them, one row; beside the diagonal, and away from it."""
    monkeypatch.setenv("NC1FAST_ISA", isa)
    X = np.random.default_rng(3).normal(size=(113, 5))
    X[60], X[90] = X[2], -X[3]
    X = X.astype(dtype)
    exact = reference.gram(kernel, X.astype(np.float64))
    # A step is as far off as a root of the rounding of rho.
    tolerance = {"float64": 1e-13, "float32": 1e-5}[dtype]
    if "step" in repr(kernel):
        tolerance = tolerance**0.5
    scale = np.abs(exact).max()
    for n in (1, 5, 6, 12, 13, 24, 47, 48, 49, 96, 113):
        K = kernel(X[:n], dtype=dtype)
        assert K.dtype == dtype
        assert np.array_equal(K, K.T)
        assert np.array_equal(K.diagonal(), kernel(X, dtype=dtype).diagonal()[:n])
        np.testing.assert_allclose(K, exact[:n, :n], rtol=0, atol=tolerance * scale)
        for m in (1, 7, 50):
            across = kernel(X[:n], X[40 : 40 + m], dtype=dtype)
            np.testing.assert_allclose(
                across, exact[:n, 40 : 40 + m], rtol=0, atol=tolerance * scale
            )
    assert K[60, 2] == K[2, 2]
