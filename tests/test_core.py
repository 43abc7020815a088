"""The border of the compiled core: its exceptions, its threads and the memory that these keep."""

from __future__ import annotations

import math
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from mpmath import mp, mpf
from tests import cases, precise

import nc1fast as nc
from nc1fast import _core
from nc1fast.core.activations import has_ntk
from nc1fast.core.backend import duals
from nc1fast.core.machine import threads_for


def test_arrays_that_the_core_does_not_read_are_a_type_error() -> None:
    with pytest.raises(TypeError, match="float32 or float64"):
        _core.gram(np.zeros((2, 2), dtype=np.int64), None, {}, False, 1, None)


def test_chains_that_the_core_does_not_know_are_refused() -> None:
    with pytest.raises(KeyError, match="activation"):
        _core.gram(np.zeros((2, 2)), None, {}, False, 1, None)


@pytest.mark.parametrize(
    "activation", [*nc.activations(elementary=True), nc.LeakyReLU(0.3)], ids=str
)
def test_dual_activations_are_those_of_the_closed_forms(activation) -> None:
    activation = nc.NNGP(activation).activation
    a, b = (v.ravel() for v in np.meshgrid([1e-4, 0.3, 2.0, 30.0], [0.01, 1.0, 5.0]))
    for angle in (0.0, 1e-9, 0.4, math.pi / 2, 3.0, math.pi):
        scale = np.sqrt(a * b)
        c, s = scale * math.cos(angle), scale * math.sin(angle)
        kappa, kdot = duals(activation, (a, b), c, s)
        for k in range(len(a)):
            with mp.workdps(40):
                # the covariance with the digits of the sine
                exact = mp.sqrt(mpf(a[k]) * mpf(b[k])) * mp.cos(mpf(angle))
                first, second = precise.dual(activation, mpf(a[k]), mpf(b[k]), exact)
                sizes = [precise.dual(activation, mpf(v), mpf(v), mpf(v)) for v in (a[k], b[k])]
                size = float(mp.sqrt(sizes[0][0] * sizes[1][0]))
                slope = float(mp.sqrt(sizes[0][1] * sizes[1][1]))
            assert kappa[k] == pytest.approx(float(first), abs=2e-14 * size, rel=1e-13)
            if has_ntk(activation):
                assert kdot[k] == pytest.approx(float(second), abs=2e-14 * slope, rel=1e-13)
            else:
                assert kdot[k] == 0


@pytest.mark.parametrize("isa", _core.isas())
@pytest.mark.parametrize("activation", ["relu", "abs", nc.LeakyReLU(0.3), nc.LeakyReLU(-4.0)])
@pytest.mark.parametrize(
    "variances",
    [{}, {"bias_variance": 0.4}, {"weight_variance": [0.01, 7.0], "bias_variance": [0.0, 3.0]}],
)
def test_tangent_kernels_alone_have_the_digits_of_their_closed_form(
    isa, activation, variances, monkeypatch
) -> None:
    """Where nothing beside it is asked for, the kernel of one hidden layer is one polynomial,
    whatever the angle.
    """
    monkeypatch.setenv("NC1FAST_ISA", isa)
    precise.assert_digits_at_every_angle(nc.NTK(activation, depth=2, **variances))


@pytest.mark.parametrize("isa", _core.isas())
def test_both_kernels_of_one_layer_of_rectifiers_have_the_bits_that_each_has_alone(
    isa, monkeypatch
):
    """They take one root of every pair.

    With kernels before, between and after them that have chains of their own.
    """
    monkeypatch.setenv("NC1FAST_ISA", isa)
    cases.assert_both_of_rectifiers_keep_their_bits()


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


def test_few_values_are_worth_threads_where_rows_are_long() -> None:
    assert threads_for(4, 99_999) == threads_for(4, 45_000, n_features=128) == 0
    assert threads_for(4, 100_000) == 2
    assert threads_for(4, 45_000, n_features=784) == 3
    assert threads_for(4, 10**6) == 4
    with pytest.raises(ValueError, match="n_threads"):
        threads_for(0, 1)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_memory_that_a_thread_has_kept_changes_no_bit(dtype) -> None:
    rng = np.random.default_rng(3)
    X, y = rng.standard_normal((900, 130)), np.arange(900) % 3

    def sums():
        found = nc.class_sums(X, y, nc.NTK("erf", bias_variance=0.1), dtype=dtype, n_threads=2)
        return found.block_sums.tobytes() + found.row_sums.tobytes()

    with ThreadPoolExecutor(1) as pool:  # a thread that has kept nothing yet
        fresh = pool.submit(sums).result()
    for n, d in ((1100, 128), (1000, 90)):  # of blocks that the call takes for its own
        other = 1e3 * rng.standard_normal((n, d))
        for kernel in (nc.NNGP("relu", depth=3), nc.NTK("erf")):
            nc.class_sums(other, np.arange(n) % 2, kernel, dtype=dtype)
        assert sums() == fresh


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="measures memory as Linux and glibc count it"
)
def test_a_thread_keeps_four_mebibytes() -> None:
    program = """
import ctypes
import numpy as np
import nc1fast as nc
from tests.memory import in_bytes
trim = getattr(ctypes.CDLL(None), "malloc_trim", lambda _: None)
X, y = np.random.default_rng(0).standard_normal((3600, 128)), np.arange(3600) % 2

def taken():
    trim(0)
    return in_bytes("VmRSS")

def call(n):
    nc.collapse(X[:n], y[:n], nc.NNGP("relu"), statistics="sums", n_threads=1)

call(100)
before = taken()
for n in range(600, 3700, 300):  # two blocks each, of 0.6 to 3.5 MiB
    call(n)
print((taken() - before) / 2**20)
"""
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert float(run.stdout) < 6, run.stderr
