"""Small calls over everything the compiled core does: what `make sanitize` runs under ASan, UBSan
and TSan.

Sizes are odd, smaller and larger than a panel, and one class has a single row.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.pretended import Lender

import nc1fast as nc
from nc1fast.core.linear import matmul

if TYPE_CHECKING:
    from pathlib import Path

SIZES = (1, 7, 61, 130)
NO_FINITE_NTK = ("sign", "step")
LEAST_MEMORY = 3_500_000  # leaves room for a few panels


def _data(n_features: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(n_features)
    y = np.repeat(np.arange(len(SIZES)), SIZES)
    random.shuffle(y)
    return 0.3 * (random.standard_normal((len(y), n_features)) + y[:, None]), y


def _kernels(activation: str) -> list[nc.kernels.Kernel]:
    """Shallow and deep, with biases and without where there may be none."""
    kernels: list[nc.kernels.Kernel] = [
        nc.NNGP(activation, 2, 1.5, 0.1),
        *nc.NNGP(activation, 4, 0.3, 0.1).layers(),
    ]
    if activation in NO_FINITE_NTK:
        return kernels
    standard = nc.NTK(activation, 2, 0.3, 0.1, parametrization="standard", width=64)
    tangent = (nc.NTK(activation), nc.NTK(activation, 3, 0.3, 0.1), standard)
    return [*kernels, nc.NNGP(activation), *tangent]


@pytest.mark.filterwarnings("ignore::nc1fast.AccuracyWarning")
@pytest.mark.parametrize("dtype", ["float64", "float32", "mixed"])
@pytest.mark.parametrize("activation", nc.activations(elementary=True))
def test_every_kernel_of_one_pass(activation: str, dtype: str) -> None:
    X, y = _data(5)
    kernels = _kernels(activation)
    threads = [
        nc.collapse(X, y, kernels, convention="sample", dtype=dtype, n_threads=n) for n in (1, 3)
    ]
    for one, three in zip(*threads, strict=True):
        assert one.nc1 == three.nc1
        assert np.array_equal(one.sums.block_sums, three.sums.block_sums)
        assert np.isfinite(one.nc1)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("statistics", ["sums", "all"])
@pytest.mark.parametrize("n_features", [1, 2, 19, 70, 130])
def test_every_depth_of_product(n_features: int, statistics: str, dtype: str) -> None:
    X, y = _data(n_features)
    result = nc.collapse(
        X, y, nc.NTK("relu"), convention="sample", statistics=statistics, dtype=dtype, n_threads=3
    )
    dense = nc.collapse(nc.NTK("relu")(X), y, "precomputed", convention="sample")
    assert abs(result.nc1 - dense.nc1) <= result.error_bound + dense.error_bound


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    "kernel", [nc.Linear(), nc.ConjugateKernel("erf", 3, 1.0, 0.1), nc.NTK("gelu", 2, 1.0, 0.1)]
)
def test_gram(kernel: nc.kernels.Kernel, dtype: str) -> None:
    X, _ = _data(5)
    K = kernel(X, dtype=dtype, n_threads=3)
    assert np.array_equal(K, K.T)
    assert np.allclose(kernel(X, X[:50], dtype=dtype), K[:, :50], rtol=1e-4, atol=1e-5)
    assert np.allclose(kernel.diag(X), np.diag(K), rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("shape", [(1, 1, 1), (7, 300, 2), (333, 130, 257), (5, 0, 3)])
def test_products_of_matrices(shape: tuple[int, int, int], dtype: str) -> None:
    n, k, m = shape
    random = np.random.default_rng(0)
    A = random.standard_normal((k, n)).astype(dtype).T
    B = random.standard_normal((k, m)).astype(dtype)
    one = matmul(A, B)
    assert np.array_equal(one, matmul(A, B, 3))
    assert np.allclose(one, A @ B, atol=1e-3)


def test_callable_features_and_progress() -> None:
    X, y = _data(5)
    seen: list[tuple[int, int]] = []
    by_name = nc.collapse(
        X, y, nc.Linear(), convention="sample", n_threads=3, progress=lambda *at: seen.append(at)
    )
    by_function = nc.collapse(X, y, lambda A, B: A @ B.T / 5, convention="sample", n_threads=3)
    by_features = nc.collapse(X, y, convention="sample")
    assert by_name.nc1 == pytest.approx(by_function.nc1, rel=1e-10)
    assert by_name.nc1 == pytest.approx(by_features.nc1, rel=1e-10)
    assert seen
    assert seen[-1][0] == seen[-1][1]


@pytest.mark.filterwarnings("ignore::nc1fast.AccuracyWarning")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("bias", [0.0, 0.3])
def test_sequences(bias: float, dtype: str) -> None:
    random = np.random.default_rng(3)
    X = [random.standard_normal((n, 3)) for n in random.integers(1, 9, 73)]
    y = np.arange(73) % 3
    kernels = [nc.RecurrentNNGP(2.0, bias_variance=bias), nc.RecurrentNTK(2.0, 0.7, bias)]
    one, three = (
        nc.collapse(X, y, kernels, convention="sample", dtype=dtype, n_threads=n) for n in (1, 3)
    )
    assert [r.nc1 for r in one] == [r.nc1 for r in three]
    K = kernels[1](X, dtype=dtype, n_threads=3)
    assert np.array_equal(K, K.T)
    assert np.array_equal(kernels[1](X[:5], X, dtype=dtype), K[:5])
    assert np.allclose(kernels[1].diag(X), np.diag(K), rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float64", "float32", "mixed"])
def test_parts_of_a_pass_and_blocks_of_a_file(dtype: str, tmp_path: Path) -> None:
    X, y = _data(5)
    np.save(tmp_path / "X.npy", X.astype(np.float32))
    np.save(tmp_path / "half.npy", X.astype(np.float16))
    kernels = [nc.NTK("relu"), nc.NNGP("gelu", 3, 0.3, 0.1), nc.AdaptiveKernel(np.eye(5))]
    for path in (tmp_path / "X.npy", tmp_path / "half.npy"):
        whole = nc.class_sums(np.load(path), y, kernels, dtype=dtype, n_threads=3)
        blocks = nc.class_sums(
            path, y, kernels, dtype=dtype, n_threads=3, memory_limit=LEAST_MEMORY
        )
        parts = [nc.class_sums(path, y, kernels, dtype=dtype, part=(i, 3)) for i in range(3)]
        for k, expected in enumerate(whole):
            joined = parts[0][k] + parts[2][k] + parts[1][k]
            assert np.array_equal(blocks[k].block_sums, expected.block_sums)
            assert np.array_equal(joined.block_sums, expected.block_sums)
            assert np.array_equal(joined.class_rows, expected.class_rows)


def test_an_exception_in_a_callback_ends_the_pass() -> None:
    X, y = _data(5)

    def stop(done: int, total: int) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        nc.collapse(X, y, nc.NNGP("relu"), convention="sample", n_threads=3, progress=stop)


@pytest.fixture
def shim(shim: object) -> None:
    """Under a sanitizer 64 host threads to a block run what a CUDA device would: once, whatever the
    instruction sets.
    """
    if os.environ.get("NC1FAST_ISA"):
        pytest.skip("tried with the best instruction set")


# By themselves, the sums of a device are compared in test_cuda.py; here a sanitizer watches every
# activation.
SANITIZED = re.search("lib[at]san", os.environ.get("LD_PRELOAD", ""))


@pytest.mark.slow
@pytest.mark.usefixtures("shim")
@pytest.mark.filterwarnings("ignore::nc1fast.AccuracyWarning")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("activation", nc.activations(elementary=True) if SANITIZED else ["erf"])
def test_blocks_of_a_device(activation: str, dtype: str) -> None:
    X, y = _data(17)
    X, y = X[:90], y[:90]
    kernels = _kernels(activation)
    kernels.append(0.5 * kernels[0] * nc.NNGP(activation, 3, 0.3, 0.2) + nc.Linear())
    results = [
        nc.collapse(X, y, kernels, convention="sample", dtype=dtype, device=device, n_threads=2)
        for device in ("cpu", "cuda", "cuda:all")
    ]
    for there, here, shared in zip(*results, strict=True):
        assert here.nc1 == shared.nc1
        assert abs(here.nc1 - there.nc1) <= here.error_bound + there.error_bound
    lender = Lender(X)  # read in place
    lent = nc.collapse(lender, y, kernels, convention="sample", dtype=dtype, device="cuda")
    assert [one.nc1 for one in lent] == [one.nc1 for one in results[1]]
    assert (lender.lent, lender.given_back) == (1, 1)
    for kernel in (kernels[0], kernels[-1]):
        K = kernel(X, dtype=dtype, device="cuda")
        assert np.array_equal(K, K.T)


MISSING = """
import numpy as np
import nc1fast as nc
nc.cuda.module = lambda: __import__("nc1fast._shim._cuda", fromlist=["_cuda"])
X = np.random.default_rng(0).standard_normal((70, {n_features}))
kernels = [nc.NNGP("relu"), nc.NTK("relu")]
nc.class_sums(X, np.arange(70) % 2, kernels, device="cuda", dtype="{dtype}")
print("done")
"""


@pytest.mark.usefixtures("shim")
@pytest.mark.skipif(
    "libtsan" not in os.environ.get("LD_PRELOAD", ""), reason="only ThreadSanitizer sees races"
)
@pytest.mark.parametrize(
    ("dtype", "n_features"), [("float64", 17), ("float32", 17), ("float32", 97)]
)
@pytest.mark.parametrize("barrier", [None, *range(7)])
def test_a_missing_barrier_is_a_race(barrier: int | None, dtype: str, n_features: int) -> None:
    """Three steps of the product have one each; the others: before and after the chords, before and
    after the sums.

    Of 97 features, which are digits: four steps, as many in making these, and the others but the
    last.
    """
    skip = {} if barrier is None else {"NC1FAST_SHIM_SKIP_BARRIER": str(barrier)}
    for _ in range(1 if barrier is None else 5):  # it remembers four accesses of a word
        program = MISSING.format(dtype=dtype, n_features=n_features)
        run = subprocess.run(
            [sys.executable, "-S", "-c", program],
            env={**os.environ, **skip},
            capture_output=True,
            text=True,
            check=False,
        )
        if "WARNING: ThreadSanitizer: data race" in run.stderr:
            break
    if barrier is None:
        assert run.stdout == "done\n", run.stderr
    else:
        assert "WARNING: ThreadSanitizer: data race" in run.stderr
        assert run.returncode != 0
