"""What a call of `collapse` consists of, each part by itself, and what else the core does; one
thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import nc1fast as nc
from nc1fast import _core
from nc1fast.inputs.labelled import LabelledData
from nc1fast.sums.settings import Settings
from nc1fast.sums.streaming import survey

if TYPE_CHECKING:
    from collections.abc import Callable

N, CLASSES = 6144, 10
KERNELS = {
    "nngp-relu": nc.NNGP("relu"),
    "ntk-relu": nc.NTK("relu"),
    "nngp-erf": nc.NNGP("erf"),
    "ntk-erf": nc.NTK("erf"),
    "ntk-relu-5": nc.NTK("relu", depth=5),
    "sum": nc.NNGP("relu") + nc.NTK("relu"),
}


def problem(n: int, d: int, dtype: str = "float64") -> tuple[Any, Any]:
    """Rows of a Gaussian mixture, and their labels."""
    random = np.random.default_rng(0)
    y = np.arange(n) % CLASSES
    X = random.normal(size=(CLASSES, d))[y] + random.normal(size=(n, d))
    return X.astype(dtype), y


@pytest.mark.parametrize("n", [128, 1024])
def test_call(stage: Callable[..., None], n: int) -> None:
    """A small problem: mostly what surrounds a pass."""
    X, y = problem(n, 2)
    stage(lambda: nc.collapse(X, y, nc.NNGP("relu"), n_threads=1), pairs=n * n / 2)


@pytest.mark.parametrize("statistics", ["sums", "all"])
@pytest.mark.parametrize("d", [2, 32, 128, 784])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_pass(stage: Callable[..., None], kernel: str, dtype: str, d: int, statistics: str) -> None:
    """A whole call, by kernel (its epilogue), precision and features (its product), without and
    with row-class sums.
    """
    X, y = problem(N, d)
    settings: dict[str, Any] = {"dtype": dtype, "statistics": statistics, "n_threads": 1}
    stage(lambda: nc.collapse(X, y, KERNELS[kernel], **settings), pairs=N * N / 2)


@pytest.mark.parametrize("d", [2, 784])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_survey(stage: Callable[..., None], dtype: str, d: int) -> None:
    """Scaling, packing and measuring of the rows, without a pair."""
    X, y = problem(N, d)
    data, settings = LabelledData.of(X, y), Settings("sums", dtype, "cpu", 1)
    stage(lambda: survey(data, [nc.NNGP("relu")], settings), rows=N)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("d", [2, 128])
def test_gram(stage: Callable[..., None], d: int, dtype: str) -> None:
    """A stored matrix."""
    X, _ = problem(N // 2, d)
    kernel = nc.NNGP("relu")
    stage(lambda: kernel(X, dtype=dtype, n_threads=1), pairs=(N // 2) ** 2 / 2)


@pytest.mark.parametrize("columns", [1, 32])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_matvec(stage: Callable[..., None], dtype: str, columns: int) -> None:
    """Products with columns."""
    X, _ = problem(N, 128)
    V = np.random.default_rng(1).normal(size=(N, columns))
    kernel = nc.NNGP("relu")
    stage(lambda: kernel.matvec(X, V, dtype=dtype, n_threads=1), pairs=N * N / 2)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_matmul(stage: Callable[..., None], dtype: str) -> None:
    """The product whose bits are fixed."""
    A = np.random.default_rng(2).normal(size=(1024, 1024)).astype(dtype)
    stage(lambda: _core.matmul(A, A, 1), multiply_adds=1024**3)


@pytest.mark.parametrize("classes", [10, 1000])
def test_features(stage: Callable[..., None], classes: int) -> None:
    """Explicit features."""
    random = np.random.default_rng(3)
    H, y = random.normal(size=(8000, 512)), np.arange(8000) % classes
    stage(lambda: nc.collapse(H, y, n_threads=1), rows=8000)
