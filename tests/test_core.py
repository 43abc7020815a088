"""The border of the compiled core: its exceptions, and a machine that has no more threads to give."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from nc1fast import _core


def test_arrays_that_the_core_does_not_read_are_a_type_error() -> None:
    with pytest.raises(TypeError, match="float32 or float64"):
        _core.gram(np.zeros((2, 2), dtype=np.int64), None, {}, False, 1, None)


def test_chains_that_the_core_does_not_know_are_refused() -> None:
    with pytest.raises(KeyError, match="activation"):
        _core.gram(np.zeros((2, 2)), None, {}, False, 1, None)


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="limits the address space as Linux does"
)
def test_fewer_threads_than_asked_for_do_the_same_work() -> None:
    program = """
import resource
from pathlib import Path
import numpy as np
import nc1fast as nc
X, y = np.random.default_rng(0).standard_normal((2000, 4)), np.arange(2000) % 3
few = nc.collapse(X, y, nc.NNGP("relu"), statistics="sums", n_threads=2)
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 60 * 2**20,) * 2)  # stacks of a few threads
many = nc.collapse(X, y, nc.NNGP("relu"), statistics="sums", n_threads=64)
print(few.nc1 == many.nc1)
"""
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert run.stdout.split() == ["True"], run.stderr
