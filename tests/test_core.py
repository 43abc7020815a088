"""The border of the compiled core: its exceptions, and a machine that has no more threads to give."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
from mpmath import mp, mpf
from tests import precise

import nc1fast as nc
from nc1fast import _core
from nc1fast.activations import has_ntk
from nc1fast.core.backend import duals


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
    """Where nothing beside it is asked for, the kernel of one hidden layer is one polynomial, whatever the angle."""
    monkeypatch.setenv("NC1FAST_ISA", isa)
    angles = np.concatenate([[0, 1e-8, 1e-4], np.linspace(0.01, math.pi, 60), [math.pi - 1e-6]])
    X = np.stack([np.cos(angles), np.sin(angles)], axis=1) * np.geomspace(0.01, 100, 64)[:, None]
    kernel = nc.NTK(activation, depth=2, **variances)
    with mp.workdps(60):
        exact = precise.gram(kernel, X[:1], X)[0].astype(float)
    own = [float(kernel(x[None])[0, 0]) for x in X]
    size = np.sqrt(own[0] * np.array(own))
    for dtype in ("float32", "float64"):
        unit = np.finfo(dtype).eps / 2
        turned = unit / np.maximum(np.sin(angles), math.sqrt(unit))  # by a rounding of the cosine
        off = np.abs(kernel(X[:1], X, dtype=dtype)[0] - exact) / size
        assert (off <= 20 * unit + 5 * turned).all(), (dtype, angles[(off / turned).argmax()])


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
