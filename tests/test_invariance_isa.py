"""Instruction sets round differently: every kernel and precision agrees within its bounds on all of
this machine.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

from nc1fast import _core

_IN_A_PROCESS = """
import json, sys, warnings
sys.path[:0] = json.loads(sys.argv[1])
import nc1fast as nc
from nc1fast import _core
from tests import cases as t
X, y = t.data()
out = {}
for name, kernel in t.KERNELS.items():
    for dtype in t.DTYPES:
        for n_threads in (1, 2):
            result = t.collapse(X, y, kernel, dtype=dtype, n_threads=n_threads)
            out[f"{name} {dtype} {n_threads}"] = [result.nc1.hex(), float(result.error_bound)]
print(json.dumps(out))
"""


def _tiles_are_permitted():
    """Whether the system gives this process the tiles of AMX: arch_prctl(ARCH_REQ_XCOMP_PERM,
    XFEATURE_XTILEDATA).
    """
    return ctypes.CDLL(None).syscall(158, 0x1023, 18) == 0


def _instruction_sets():
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


def _run(isa):
    environment = {**os.environ, "NC1FAST_ISA": isa}
    root = str(Path(__file__).parents[1])
    return subprocess.run(
        [sys.executable, "-c", _IN_A_PROCESS, json.dumps([root, *sys.path])],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_core_finds_the_instruction_sets_of_this_machine():
    assert _core.isas() == _instruction_sets()


def test_every_instruction_set_agrees_within_the_bounds():
    answers = {}
    for isa in _instruction_sets():
        done = _run(isa)
        assert done.returncode == 0, (isa, done.stderr[-2000:])
        answers[isa] = json.loads(done.stdout)
    reference = answers.pop("baseline")
    for case, (value, bound) in reference.items():
        single, double = (reference[f"{case[:-2]} {n}"][0] for n in (1, 2))
        assert single == double, case
        for isa, answer in answers.items():
            other, other_bound = answer[case]
            difference = abs(float.fromhex(value) - float.fromhex(other))
            assert difference <= bound + other_bound, (isa, case)


def test_an_unknown_instruction_set_is_refused_by_name():
    done = _run("mmx")
    assert done.returncode != 0
    assert "NC1FAST_ISA" in done.stderr
    assert "mmx" in done.stderr
