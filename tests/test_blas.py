"""No bit of a result depends on the BLAS that NumPy came with, its kernels or its threads: child
processes, each with its own.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

# Kernels of OpenBLAS, where NumPy is built with it, that round in ways of their own.
KERNELS = {"x86_64": ("Haswell", "Zen", "SkylakeX"), "aarch64": ("ARMV8", "NEOVERSEN1")}
SETTINGS = [("", "1"), ("", "4"), *((name, "4") for name in KERNELS.get(platform.machine(), ()))]

PROGRAM = """
import hashlib, warnings
import numpy as np
import nc1fast as nc
from nc1fast.estimators import proximal_limit

warnings.simplefilter("ignore")
rng = np.random.default_rng(0)

def show(name, *values):
    bits = b"".join(np.ascontiguousarray(v).tobytes() for v in values)
    print(name, hashlib.blake2b(bits, digest_size=8).hexdigest())

def collapse(name, r):
    show(name, r.nc1, r.error_bound, r.trace_within, r.trace_between, r.cdnv, r.within_by_class,
         r.class_gram, r.nc2_etf, r.nc2_equinorm, r.nc2_equiangle, r.interval or 0.0,
         [] if r.nearest_center is None else r.nearest_center)

y = rng.permutation(np.repeat(np.arange(40), 40))
H = rng.normal(size=(40, 600))[y] + 0.3 * rng.normal(size=(len(y), 600))
sums = nc.FeatureSums()
for part in np.array_split(np.arange(len(y)), 3):
    sums.update(H[part], y[part])
collapse("FeatureSums", sums.collapse())
r = nc.collapse(H, y, keep_rows=True)
collapse("collapse(H, y)", r)
show("rows", r.sums.block_sums, r.sums.class_rows, r.sums.error.block_sums, r.sums.error.within)

X, y = nc.datasets.paper_d1(4100, 20, seed=0)
kernels = [nc.NNGP("relu"), nc.NTK("relu", bias_variance=0.1), nc.NTK("relu", 3)]
for kernel in kernels:
    for dtype in ("float64", "float32"):
        estimate = nc.estimators.features(X, y, kernel, n_units=700, seed=5, dtype=dtype)
        collapse(f"features {kernel} {dtype}", estimate)
    collapse(f"pairs {kernel}", nc.estimators.pairs(X, y, kernel, n_pairs=3000, seed=5))
for dtype in ("float64", "float32"):
    H = nc.estimators.ntk_features(X[:500], kernels[-1], 900, seed=1, dtype=dtype)
    show("ntk_features " + dtype, H)
    H = nc.estimators.proximal_features(X[:500], 900, steps=4, prox="soft", seed=1, dtype=dtype)
    show("proximal_features " + dtype, H)
show("wide_gram", proximal_limit.wide_gram(X[:50], steps=4, prox="soft"))

half = rng.normal(size=(150, 200))
kernel = nc.AdaptiveKernel(np.einsum("ik,jk->ij", half, half) / 200)  # by no BLAS
y = np.arange(700) % 3
X = rng.normal(size=(700, 150)) + 4 * rng.normal(size=(3, 150))[y]
show("factor", kernel.factor)
show("gram", kernel(X), kernel.diag(X))
collapse("adaptive", nc.collapse(X, y, kernel))
collapse("adaptive features", nc.estimators.features(X, y, kernel, n_units=300, seed=0))
collapse("adaptive pairs", nc.estimators.pairs(X, y, kernel, n_pairs=1000, seed=0))

X = rng.uniform(-2, 2, size=(3000, 2))
for kernel in (nc.NNGP("erf"), nc.NTK("relu")):
    collapse(f"shortcut {kernel}", nc.collapse(X, np.arange(3000) % 3, kernel, method="shortcut"))
"""


def _run(setting: tuple[str, str], program: str) -> subprocess.CompletedProcess[str]:
    kernels, threads = setting
    environment = {k: v for k, v in os.environ.items() if k != "OPENBLAS_CORETYPE"}
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
    environment |= dict.fromkeys(names, threads)
    if kernels:
        environment["OPENBLAS_CORETYPE"] = kernels
    return subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_no_bit_depends_on_the_kernels_or_threads_of_a_blas() -> None:
    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(lambda setting: _run(setting, PROGRAM), SETTINGS))
    tried = []
    for setting, run in zip(SETTINGS, runs, strict=True):
        if (
            run.returncode < 0 and setting[0]
        ):  # instructions that this processor lacks: NumPy itself must fail
            assert _run(setting, "import numpy; A = numpy.ones((99, 99)); A @ A").returncode < 0
            continue
        assert run.returncode == 0, run.stderr
        tried.append(run.stdout.splitlines())
    assert len(tried) >= 2
    for lines in tried:
        assert [line for line, other in zip(lines, tried[0], strict=True) if line != other] == []
