"""Products of float32 rows by slices of integers (cpp/nc1fast/slices.hpp): their definition, their
bounds, their zeros.
"""

from __future__ import annotations

import numpy as np
import pytest
from tests import cases, digits

import nc1fast as nc
from nc1fast import _core
from nc1fast.core.expressions import kernel_dict

LEAST, UNIT = 97, 2.0**-24

pytestmark = pytest.mark.skipif(
    "amx" not in _core.isas(), reason="this processor has no AMX, or the system keeps it"
)


@pytest.fixture(autouse=True)
def _sliced(monkeypatch):
    monkeypatch.setenv("NC1FAST_ISA", "amx")


def _noise(d):
    """What two unit rows may be off by: Rounding of cpp/packing.hpp."""
    noise, _, _ = _core.packed_rounding(True, d, d)
    return noise


def _cosines(X):
    """As the core gives them in float32: a linear kernel of unit rows."""
    U = X / np.linalg.norm(X, axis=1, keepdims=True)
    return U, nc.Linear()(U, dtype="float32").astype(np.float64) * X.shape[1]


def _digits(U):
    """Three digits of every entry, (3, n, d), and the scales of the rows: by the definition, in
    float64.
    """
    U = U.astype(np.float32)
    s = (np.abs(U).max(1) * np.float32((1 + 2.0**-21) / 127)).astype(np.float64)[:, None]
    a0 = np.rint(U / s)
    a1 = np.rint((U - a0 * s) / s * 128)
    a2 = np.rint((U - a0 * s - a1 * s / 128) / s * 16384)
    return np.array([a0, a1, a2]).astype(np.int64), s[:, 0]


def _products(U):
    """Without the products of last digits, each sum of products exact."""
    a, s = _digits(U)
    assert np.abs(a[0]).max() <= 127
    assert np.abs(a[1:]).max() <= 64
    orders = [
        sum(a[i] @ a[n - i].T for i in range(3) if 0 <= n - i < 3) * 2.0 ** (-7 * n)
        for n in range(4)
    ]
    return sum(orders) * np.outer(s, s)


def _cosines_by_digits(U):
    """1 - |cos| = (|u|^2 + |v|^2)/2 - |<u, v>|, of products of digits."""
    products = _products(U)
    halves = np.diag(products) / 2
    return np.sign(products) * (1 - np.add.outer(halves, halves) + np.abs(products))


def _rows(kind, n, d, rng):
    """Rows whose entries round in step, or as they may."""
    if kind == "normal":
        return rng.normal(size=(n, d))
    if kind == "heavy":
        return rng.standard_t(1.2, size=(n, d))
    if kind == "two values":
        return np.where(rng.random((n, d)) < rng.random((n, 1)), 1.0, rng.random((n, 1)))
    if kind == "one large":
        X = rng.normal(size=(n, d)) * 10.0 ** rng.uniform(-7, 0, size=(n, 1))
        X[np.arange(n), rng.integers(d, size=n)] = 1
        return X
    return np.ones((n, d)) + 10.0 ** rng.uniform(-6, -1, size=(n, 1)) * rng.normal(size=(n, d))


KINDS = ("normal", "heavy", "two values", "one large", "parallel")


@pytest.mark.parametrize("d", [LEAST, 128, 129, 1039, 1041, 5000])
@pytest.mark.parametrize("kind", KINDS)
def test_products_are_those_of_the_digits(kind, d):
    U, cosines = _cosines(_rows(kind, 101, d, np.random.default_rng(d)))
    assert np.abs(cosines - _cosines_by_digits(U)).max() <= 8 * UNIT


@pytest.mark.parametrize("d", [LEAST, 130, digits.WHOLE, digits.WHOLE + 2, 1602])
def test_products_are_the_bits_of_the_definition(d):
    """Rows whose radius is a power of two, so that nothing else rounds; in chunks from 817 features
    on.
    """
    X = digits.rows_of_length(66, d, 10, np.random.default_rng(d))
    X[65] = -X[3]
    expected = digits.cosines((X * (np.sqrt(1 / d) * 2.0**-10)).astype(np.float32))
    found = nc.Linear()(X, dtype="float32") / 4.0**10
    apart = ~np.eye(len(X), dtype=bool)
    np.testing.assert_array_equal(found[apart], expected[apart])


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("kind", KINDS)
def test_products_are_within_the_noise_of_packed_rows(kind, seed):
    rng = np.random.default_rng(seed)
    d = int(rng.integers(LEAST, 700))
    U, cosines = _cosines(_rows(kind, 60, d, rng))
    exact = U @ U.T
    assert np.abs(cosines - exact).max() <= _noise(d)
    assert np.abs(cosines - exact).max() > 0


@pytest.mark.parametrize("d", [LEAST - 1, LEAST, 200, 1500, 70_000])
def test_equal_and_opposite_rows_are_exact(d):
    X = np.random.default_rng(d).normal(size=(50, d))
    X = np.concatenate([X, -X, 2 * X])
    K = nc.NNGP("relu")(X, dtype="float32")
    diagonal = np.diag(K)[:50]
    np.testing.assert_array_equal(
        np.diag(K[:50, 100:]), np.diag(nc.NNGP("relu")(X[:50], 2 * X[:50], dtype="float32"))
    )
    np.testing.assert_allclose(np.diag(K[:50, 100:]), 2 * diagonal, rtol=4 * UNIT)
    np.testing.assert_array_equal(np.diag(K[:50, 50:100]), 0)


@pytest.mark.parametrize("seed", range(40))
def test_bounds_hold_and_bits_do_not_depend_on_threads(seed):
    rng = np.random.default_rng(seed)
    kernel = list(cases.KERNELS.values())[seed % len(cases.KERNELS)]
    sizes = rng.integers(1, 90, size=rng.integers(2, 7))
    y = np.repeat(np.arange(len(sizes)), sizes)
    d = int(rng.integers(LEAST, 400))
    means = rng.normal(size=(len(sizes), d)) * 10.0 ** rng.uniform(-2, 1)
    X = means[y] + 10.0 ** rng.uniform(-5, 0) * rng.normal(size=(len(y), d))
    one, two = (cases.collapse(X, y, kernel, dtype="float32", n_threads=n) for n in (1, 2))
    assert cases.bits(one) == cases.bits(two)
    exact = cases.collapse(X, y, kernel, dtype="float64")
    assert abs(one.nc1 - exact.nc1) <= one.error_bound + exact.error_bound


def test_rows_that_vanish_and_rows_of_zeros():
    rng = np.random.default_rng(0)
    X = np.repeat(rng.normal(size=(4, 150)), 30, axis=0)
    X[::3] *= 1 + 1e-30  # equal to the row before, as it is rounded
    X[7] = 0
    y = np.repeat(np.arange(4), 30)
    one, exact = (
        cases.collapse(X, y, nc.NNGP("relu"), dtype=dtype) for dtype in ("float32", "float64")
    )
    assert abs(one.nc1 - exact.nc1) <= one.error_bound + exact.error_bound


def test_memory_of_packed_rows_is_what_they_take(monkeypatch):
    kernel = kernel_dict(nc.NNGP("relu").expression(128))
    sliced, _ = _core.row_bytes(128, kernel, True, True, False)
    monkeypatch.setenv("NC1FAST_ISA", "avx512")
    floats, _ = _core.row_bytes(128, kernel, True, True, False)
    assert sliced - floats == 2 * (3 * 128) + 4 - 4 * 128
