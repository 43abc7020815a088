"""Products with a Gram matrix that is not stored: against NumPy on the stored one, with the same
bits whatever divides the work.
"""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.cases import KERNELS, data, each_kernel

import nc1fast as nc

RNG = np.random.default_rng(0)
UNIT = {"float64": 2.0**-53, "float32": 2.0**-24}


def scale(kernel, X, V, Z=None):
    """sqrt(k_ii) sum_j sqrt(k_jj) |v_j|, which errors are measured in: shape of the product."""
    rows = kernel.diag(X if Z is None else Z)
    return np.sqrt(rows)[:, None] * (np.sqrt(kernel.diag(X)) @ np.abs(V))


@each_kernel
@pytest.mark.parametrize("dtype", UNIT)
@pytest.mark.parametrize("k", [1, 3, 8, 13])
def test_products_are_those_of_the_stored_matrix(kernel, dtype, k):
    X, _ = data((3, 301, 97))
    Z, V = X[:113] + 0.1, RNG.normal(size=(len(X), k))
    for rows in (None, Z):
        K = kernel(X if rows is None else rows, X if rows is not None else None, dtype=dtype)
        error = np.abs(kernel.matvec(X, V, rows, dtype=dtype) - K.astype(np.float64) @ V)
        assert (error <= 8 * UNIT[dtype] * scale(kernel, X, V, rows)).all()


@given(
    n=st.integers(1, 300),
    m=st.integers(1, 120),
    d=st.integers(1, 40),
    k=st.integers(1, 20),
    kernel=st.sampled_from(list(KERNELS.values())),
    dtype=st.sampled_from(list(UNIT)),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=80)
def test_random_shapes(n, m, d, k, kernel, dtype, seed):
    random = np.random.default_rng(seed)
    X = random.normal(size=(n, d)).astype(random.choice(["float32", "float64"]))
    Z, V = random.normal(size=(m, d)), random.normal(size=(n, k)) * 10.0 ** random.integers(-9, 9)
    error = kernel.matvec(X, V, Z, dtype=dtype) - kernel(Z, X, dtype=dtype).astype(np.float64) @ V
    assert (np.abs(error) <= 8 * UNIT[dtype] * scale(kernel, X, V, Z)).all()
    error = kernel.matvec(X, V, dtype=dtype) - kernel(X, dtype=dtype).astype(np.float64) @ V
    assert (np.abs(error) <= 8 * UNIT[dtype] * scale(kernel, X, V)).all()


def least_memory(kernel, X, V, Z=None):
    with pytest.raises(ValueError, match="at least") as error:
        kernel.matvec(X, V, Z, memory_limit=1)
    return int(re.search(r"at least (\d+)", str(error.value)).group(1))


@each_kernel
@pytest.mark.parametrize("dtype", UNIT)
def test_bits_depend_neither_on_threads_nor_on_memory(kernel, dtype):
    X, _ = data()
    V, Z = RNG.normal(size=(len(X), 5)), X[::3] + 0.1
    for rows in (None, Z):
        found = kernel.matvec(X, V, rows, dtype=dtype, n_threads=1)
        for more in ({"n_threads": 3}, {"memory_limit": least_memory(kernel, X, V, rows)}):
            again = kernel.matvec(X, V, rows, dtype=dtype, **more)
            assert found.tobytes() == again.tobytes(), more


def test_a_symmetric_product_is_symmetric_to_rounding_and_columns_do_not_mix():
    X, kernel = RNG.normal(size=(700, 9)), nc.NTK("relu")
    U, V = RNG.normal(size=(2, 700))
    assert U @ kernel.matvec(X, V) == pytest.approx(V @ kernel.matvec(X, U), rel=1e-12)
    together = kernel.matvec(X, np.column_stack([V, 1e300 * U, 0 * U]))
    assert together[:, 0].tobytes() == kernel.matvec(X, np.column_stack([V, U, U]))[:, 0].tobytes()
    assert not together[:, 2].any()


def test_rows_of_a_file(tmp_path):
    X, kernel = RNG.normal(size=(900, 6)).astype(np.float32), nc.NNGP("erf", bias_variance=0.1)
    V = RNG.normal(size=900)
    np.save(tmp_path / "X.npy", X)
    found = kernel.matvec(X, V)
    for path in (tmp_path / "X.npy", str(tmp_path / "X.npy")):
        assert kernel.matvec(path, V).tobytes() == found.tobytes()
        limit = least_memory(kernel, X, V)
        assert kernel.matvec(path, V, memory_limit=limit).tobytes() == found.tobytes()


def test_more_columns_than_a_pass_takes():
    X, V, kernel = RNG.normal(size=(150, 3)), RNG.normal(size=(150, 300)), nc.NNGP("relu")
    np.testing.assert_allclose(kernel.matvec(X, V), kernel(X) @ V, rtol=0, atol=1e-12)


MALFORMED = {
    "too few rows": (np.ones(9), ValueError, "V must have shape"),
    "three axes": (np.ones((10, 2, 2)), ValueError, "V must have shape"),
    "no column": (np.ones((10, 0)), ValueError, "V must have shape"),
    "NaN": (np.full(10, np.nan), ValueError, "V must be finite"),
    "infinite": (np.full(10, np.inf), ValueError, "V must be finite"),
    "complex": (np.ones(10, complex), TypeError, "V must be real"),
    "text": (np.full(10, "1"), TypeError, "V must be real"),
}


@pytest.mark.parametrize(("V", "kind", "message"), MALFORMED.values(), ids=MALFORMED)
def test_malformed_columns(V, kind, message):
    with pytest.raises(kind, match=message):
        nc.NNGP("relu").matvec(np.ones((10, 3)), V)


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"dtype": "mixed"}, ValueError, "dtype must be one of"),
        ({"n_threads": 0}, ValueError, "n_threads must be >= 1"),
        ({"memory_limit": -1}, ValueError, "memory_limit must be"),
        ({"memory_limit": "1"}, TypeError, "memory_limit must be a number"),
        ({"Z": np.ones((3, 4))}, ValueError, "Z must have 3 features"),
        ({"Z": np.full((3, 3), np.nan)}, ValueError, "Z must be finite"),
        ({"progress": 3}, TypeError, "progress must be a bool"),
    ],
)
def test_malformed_options(options, kind, message):
    with pytest.raises(kind, match=message):
        nc.NNGP("relu").matvec(np.ones((10, 3)), np.ones(10), **options)


def test_zero_rows_and_overflow_are_named():
    with pytest.raises(ValueError, match="zero rows"):
        nc.NNGP("sign").matvec(np.zeros((10, 3)), np.ones(10))
    with pytest.raises(ValueError, match="out of range"):
        nc.NNGP("exp").matvec(np.full((10, 3), 1e3), np.ones(10))


def test_an_adaptive_kernel_maps_its_rows():
    X, V = RNG.normal(size=(200, 4)), RNG.normal(size=(200, 2))
    kernel = nc.AdaptiveKernel(np.diag([2.0, 1.0, 0.5, 0.1]))
    np.testing.assert_allclose(kernel.matvec(X, V), kernel(X) @ V, rtol=0, atol=1e-11)


def test_an_operator_is_what_scipy_takes():
    from scipy.sparse.linalg import cg

    X, kernel = RNG.normal(size=(300, 5)), nc.NTK("relu")
    A, K = nc.operator(kernel, X), kernel(X)
    V = RNG.normal(size=(300, 4))
    assert A.dtype == np.float64
    for found, expected in ((A @ V, K @ V), (A.T @ V[:, 0], K @ V[:, 0]), (V.T @ A, V.T @ K)):
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11)
    from scipy.sparse.linalg import aslinearoperator

    shifted = A + 0.1 * aslinearoperator(np.eye(300))
    x, failed = cg(shifted, V[:, 0], rtol=1e-10)
    assert not failed
    np.testing.assert_allclose(K @ x + 0.1 * x, V[:, 0], atol=1e-8)


COMPOSITES = {
    "sum": 0.5 * nc.NTK("relu", bias_variance=0.1) + nc.NNGP("erf", depth=3),
    "product": nc.NNGP("relu") * nc.Linear(bias_variance=1.0),
    "power": nc.NTK("erf", bias_variance=0.2) ** 2 + 0.1 * nc.NNGP("gelu"),
}


@pytest.mark.parametrize("kernel", COMPOSITES.values(), ids=COMPOSITES)
def test_kernels_made_of_kernels(kernel):
    X, V = RNG.normal(size=(700, 5)), RNG.normal(size=(700, 4))
    K = kernel(X)
    found = kernel.matvec(X, V, n_threads=1)
    assert (np.abs(found - K @ V) <= 8 * UNIT["float64"] * scale(kernel, X, V)).all()
    limit = least_memory(kernel, X, V)
    assert kernel.matvec(X, V, memory_limit=limit).tobytes() == found.tobytes()
    dual = nc.prediction.ridge(kernel, X, V, ridge=0.5, solver="cg", tolerance=1e-10).dual
    np.testing.assert_allclose(K @ dual + 0.5 * dual, V, atol=1e-8)
    aligned = nc.alignment(
        X, np.arange(700) % 2, [kernel, np.linalg.cholesky(K + 1e-9 * np.eye(700))]
    )
    assert aligned.centred[0, 1] == pytest.approx(1.0, abs=1e-8)
    assert 0 < aligned.error_bound < 1e-9
