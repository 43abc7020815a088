"""Kernels made of kernels on devices: the sums of the processor and of NumPy, the same bits for any
division, limits and errors.
"""

from __future__ import annotations

import re

import numpy as np
import pytest
from tests import cases
from tests.composites import BIASED, DEEP, ERF, KERNELS, RELU, each_kernel, on_stored
from tests.gaussians import gaussians

import nc1fast as nc

SIZES = (66, 5, 1, 20)  # two panels, which one class begins, and a class of one row
KEPT = 64 * 64 * 8  # bytes of the values of a unit


def _data(n_features=6, sizes=SIZES, **settings):
    return gaussians(sizes, n_features, **settings)


def _assert_agreement(here, there):
    """Within both bounds, which are the same with what roots move."""
    cases.assert_agreement(here, there)
    a, b = here.sums, there.sums
    np.testing.assert_array_equal(a.traces, b.traces)
    np.testing.assert_allclose(a.error.block_sums, b.error.block_sums, rtol=1e-4)
    np.testing.assert_allclose(a.error.within, b.error.within, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", cases.DTYPES)
@each_kernel
def test_sums_are_those_of_the_processor(kernel, dtype, other_device):
    X, y = _data()
    here, there = (cases.collapse(X, y, kernel, device=d, dtype=dtype) for d in ("cuda", "cpu"))
    _assert_agreement(here, there)
    unit = 1e-12 if dtype == "float64" else 1e-4  # float32: the angle of a root
    difference = np.abs(here.sums.class_rows - there.sums.class_rows).max()
    assert difference <= unit * np.abs(there.sums.class_rows).max()
    if dtype == "float64":
        assert here.nc1 == pytest.approx(there.nc1, rel=1e-12)


@pytest.mark.slow
@each_kernel
def test_sums_are_those_of_numpy_on_stored_matrices(kernel, other_device):
    X, y = _data(seed=1)
    result = cases.collapse(X, y, kernel, device="cuda")
    K = on_stored(kernel, lambda part: part(X, device="cpu"))
    indicator = (y[:, None] == result.labels).astype(float)
    blocks = indicator.T @ K @ indicator
    within = indicator.T @ K.diagonal() - blocks.diagonal() / indicator.sum(axis=0)
    sums = result.sums
    assert np.abs(sums.block_sums - blocks).max() <= 1e-12 * np.abs(blocks).max()
    assert np.abs(sums.within - within).max() <= 1e-12 * np.abs(within).max()
    stored = cases.collapse(K, y, "precomputed")
    for name in ("nc1", "trace_within", "trace_between", "cdnv"):
        assert getattr(result, name) == pytest.approx(getattr(stored, name), rel=1e-12), name
    assert np.array_equal(result.nearest_center, stored.nearest_center)


# Every one has a D2 that does not cancel; the last two have roots, and rows with different biases.
STABLE = [ERF**3, DEEP * nc.Linear(), 0.1 * RELU + ERF * DEEP, BIASED * RELU]


@pytest.mark.slow
@pytest.mark.parametrize("std", [1e-2, 1e-9])
@pytest.mark.parametrize("kernel", STABLE, ids=repr)
def test_collapsed_classes_keep_their_digits(kernel, std, other_device):
    X, y = _data(std=std)
    here, there = (cases.collapse(X, y, kernel, device=d) for d in ("cuda", "cpu"))
    _assert_agreement(here, there)
    assert here.error_bound <= 1e-10 * here.nc1
    assert here.nc1 == pytest.approx(there.nc1, rel=1e-11)


def test_duplicates_and_opposite_rows(other_device):
    """A class of one row and its copies has no spread; roots of products are at both ends of the
    angle.
    """
    X, y = _data(sizes=(12, 6, 4))
    X[y == 1] = X[y == 1][0]
    X[y == 2] = -X[y == 0][:4]
    for kernel in (RELU * ERF, 0.3 * RELU + BIASED**2):
        here, there = (cases.collapse(X, y, kernel, device=d) for d in ("cuda", "cpu"))
        _assert_agreement(here, there)
        assert here.sums.within[1] == there.sums.within[1] == 0


@pytest.fixture
def small(shim, monkeypatch):
    """A pretended device whose memory can be set."""
    return lambda n: monkeypatch.setenv("NC1FAST_SHIM_MEMORY", str(n))


@pytest.mark.slow
def test_sums_on_a_device_with_room_for_few_values(small):
    """Three places: two leaves, one of which has a root. Values are kept of five units at a
    time.
    """
    X, y = _data(sizes=(100, 50))
    kernel = RELU * ERF
    expected = nc.class_sums(X, y, kernel, device="cuda")
    small(10 * 3 * KEPT + 300_000)
    cases.assert_same_sums([nc.class_sums(X, y, kernel, device="cuda")], [expected])
    for one, memory in ((RELU, 20_000), (kernel, 4 * KEPT)):
        small(memory)
        with pytest.raises(MemoryError, match=r"bytes of a device are free .* are needed") as told:
            nc.class_sums(X, y, one, device="cuda")
    needed = re.search(r"(\d+) are needed", str(told.value))
    assert needed is not None
    assert int(needed[1]) > 3 * KEPT


@pytest.mark.slow
def test_matrices_on_a_device_with_room_for_few_values(small):
    X, _ = _data(sizes=(150, 50))
    kernel = KERNELS["biases"]
    expected, across = kernel(X, device="cuda"), kernel(X, X[:70], device="cuda")
    small(1_200_000)  # leaves are kept for one panel of rows at a time
    assert np.array_equal(kernel(X, device="cuda"), expected)
    assert np.array_equal(kernel(X, X[:70], device="cuda:all"), across)
    small(60_000)
    for one in (RELU, kernel):
        with pytest.raises(MemoryError, match=r"cuda:0 has \d+ bytes free of 60000, and \d+ more"):
            one(X, device="cuda")


@pytest.mark.slow
@each_kernel
def test_matrices_are_those_of_numpy_on_the_parts(kernel, other_device):
    X, _ = _data(sizes=(60, 20), seed=2)
    X[7], X[71] = X[3], X[5]
    Z = np.concatenate([X[:20], X[40:50] + 0.1])
    K, across = kernel(X, device=other_device), kernel(X, Z, device=other_device)
    assert np.array_equal(K, K.T)
    assert np.array_equal(K.diagonal(), kernel.diag(X))
    assert K[7, 3] == K[3, 3]
    assert K[71, 5] == K[5, 5]
    assert np.array_equal(across[np.arange(20), np.arange(20)], kernel.diag(X)[:20])
    scale = np.sqrt(np.outer(kernel.diag(X), kernel.diag(X)))
    assert (np.abs(K - on_stored(kernel, lambda part: part(X))) <= 1e-13 * scale).all()
    scale = np.sqrt(np.outer(kernel.diag(X), kernel.diag(Z)))
    assert (np.abs(across - on_stored(kernel, lambda part: part(X, Z))) <= 1e-13 * scale).all()
    single = kernel(X, dtype="float32", device=other_device)
    assert single.dtype == np.float32
    assert np.array_equal(single, single.T)
    assert np.array_equal(single.diagonal(), kernel.diag(X).astype(np.float32))
    assert np.abs(single - K).max() <= 3e-4 * K.diagonal().max()  # the angle of a root: 1e-4


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_rows_that_share_a_value_of_the_diagonal_are_not_equal(dtype, other_device):
    """0/1 rows: <x, z> = <z, z> where x has all of the ones of z, and more."""
    X = np.tril(np.ones((70, 70)))[np.random.default_rng(0).permutation(70)]
    kernel = nc.Linear() ** 3 + 0.1 * nc.Linear(1.0, 0.5)
    K = kernel(X, dtype=dtype, device=other_device)
    inner = X @ X.T / 70
    assert np.array_equal(K, K.T)
    assert np.array_equal(K.diagonal(), kernel.diag(X).astype(dtype))
    expected = inner**3 + 0.1 * (inner + 0.5)
    assert np.abs(K - expected).max() <= (1e-14 if dtype == "float64" else 1e-5)


def test_adaptive_kernels_of_one_sigma(other_device):
    X, y = _data(sizes=(30, 20))
    sigma = np.diag(np.linspace(0.5, 1.5, 6))
    erf, relu = nc.AdaptiveKernel(sigma), nc.AdaptiveKernel(sigma.copy(), "relu")
    kernel = 0.5 * erf * relu + erf**2
    here, there = (cases.collapse(X, y, kernel, device=d) for d in ("cuda", "cpu"))
    _assert_agreement(here, there)
    expected = 0.5 * erf(X) * relu(X) + erf(X) ** 2
    assert np.abs(kernel(X, device=other_device) - expected).max() <= 1e-13 * expected.max()


def test_what_devices_do_not_compute_is_refused(other_device):
    X, y = _data(sizes=(8, 6))
    for kernel in (nc.NNGP("tanh") * RELU, 0.5 * nc.NNGP("tanh"), RELU + nc.NNGP("tanh", 3)):
        with pytest.raises(ValueError, match="series are computed by the processor"):
            nc.collapse(X, y, kernel, device=other_device, convention="papyan")
        with pytest.raises(ValueError, match="series are computed by the processor"):
            kernel(X, device=other_device)
