"""Products of matrices and what is made of them: error bounds, and bits that nothing else
decides.
"""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import pytest

from nc1fast.core.linear import cholesky, eigen, matmul, matmul_error, orthonormal, principal

UNIT = {"float64": 2.0**-53, "float32": 2.0**-24}
each_dtype = pytest.mark.parametrize("dtype", UNIT)


def _pair(n, k, m, dtype, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, k)).astype(dtype), rng.normal(size=(k, m)).astype(dtype)


def _exact(A, B):
    """A B in rational numbers, as objects."""
    A, B = (np.vectorize(Fraction, otypes=[object])(of.astype(np.float64)) for of in (A, B))
    return A @ B


@each_dtype
@pytest.mark.parametrize(
    ("n", "k", "m"), [(1, 1, 1), (5, 127, 3), (3, 128, 5), (2, 129, 50), (7, 700, 2), (49, 3, 25)]
)
def test_products_are_within_their_bound(n, k, m, dtype):
    A, B = _pair(n, k, m, dtype)
    off = np.abs(_exact(A, B) - np.vectorize(Fraction, otypes=[object])(matmul(A, B).astype(float)))
    size = np.abs(A).astype(float) @ np.abs(B).astype(float)
    assert (off.astype(float) <= 1.001 * UNIT[dtype] * matmul_error(k) * size).all()


def test_the_bound_is_that_of_blocked_sums():
    expected = {0: 0, 1: 1, 128: 128, 129: 129, 256: 129, 257: 130, 12_800: 227}
    assert {n: matmul_error(n) for n in expected} == expected


@each_dtype
def test_an_entry_depends_on_its_row_and_its_column_alone(dtype):
    A, B = _pair(130, 300, 111, dtype)
    whole = matmul(A, B)
    rows, columns = (np.random.default_rng(1).permutation(n) for n in (130, 111))
    assert np.array_equal(matmul(A[rows], B[:, columns]), whole[np.ix_(rows, columns)])
    for part in (slice(0, 1), slice(7, 9), slice(3, 53)):
        assert np.array_equal(matmul(A[part], B), whole[part])
        assert np.array_equal(matmul(A, B[:, part]), whole[:, part])
    assert np.array_equal(matmul(B.T, A.T), whole.T)


@each_dtype
def test_bits_depend_on_no_thread_and_no_layout(dtype):
    A, B = _pair(500, 260, 400, dtype)
    expected = matmul(A, B)
    for n_threads in (2, 3, 8):
        assert np.array_equal(matmul(A, B, n_threads), expected)
    wide = np.zeros((1000, 600), dtype)[::-2, 9:529:2]
    wide[:] = A
    assert np.array_equal(matmul(wide, np.asfortranarray(B)), expected)
    assert np.array_equal(matmul(np.asfortranarray(A), B[::-1][::-1]), expected)


@each_dtype
def test_the_gram_matrix_of_rows_is_symmetric(dtype):
    A, _ = _pair(70, 1000, 1, dtype)
    G = matmul(A, A.T)
    assert np.array_equal(G, G.T)


def test_empty_products():
    for n, k, m in ((0, 3, 2), (2, 3, 0), (2, 0, 3)):
        out = matmul(np.ones((n, k)), np.ones((k, m)))
        assert out.shape == (n, m)
        assert not out.any()


def test_not_a_number_stays_where_it_is():
    A, B = _pair(50, 200, 60, "float64")
    A[3, 150], B[7, 9] = np.nan, np.inf
    out = matmul(A, B)
    assert np.isnan(out[3]).all()
    assert not np.isfinite(out[:, 9]).any()
    rest = np.delete(np.delete(out, 3, axis=0), 9, axis=1)
    assert np.isfinite(rest).all()


@pytest.mark.parametrize(
    "wrong", [np.ones((2, 4)), np.ones((3, 2), "float32"), np.ones(3)], ids=str
)
def test_matrices_that_do_not_fit(wrong):
    with pytest.raises((TypeError, ValueError), match="expected"):
        matmul(np.ones((2, 3)), wrong)


@pytest.mark.parametrize("n", [1, 31, 32, 33, 100])
def test_cholesky(n):
    rng = np.random.default_rng(n)
    half = rng.normal(size=(n, n + 3))
    A = half @ half.T
    L = cholesky(A + np.triu(rng.normal(size=(n, n)), 1))  # the lower triangle is read
    assert np.array_equal(L, np.tril(L))
    assert np.abs(L @ L.T - A).max() <= (n + 1) * 2.0**-53 * (np.abs(L) @ np.abs(L).T).max()
    A[n // 2, n // 2] = -1
    with pytest.raises(ValueError, match="positive definite"):
        cholesky(A)


@pytest.mark.parametrize("condition", [1e2, 1e8, 1e13])
def test_every_entry_of_a_factor_is_rounded_once(condition):
    """Beside mpmath at 60 digits, where ordinary elimination loses what the condition number
    costs.
    """
    rng, n = np.random.default_rng(int(condition)), 8
    Q = np.linalg.qr(rng.normal(size=(n, n)))[0]
    A = (Q * np.geomspace(1, 1 / condition, n)) @ Q.T
    A = 2.0**700 * (A + A.T)
    with mpmath.workdps(60):
        exact = mpmath.cholesky(mpmath.matrix(A.tolist()))
        errors = [
            abs((L - exact[i, j]) / exact[i, j])
            for (i, j), L in np.ndenumerate(cholesky(A))
            if i >= j
        ]
    assert max(errors) <= 2.0**-53


@pytest.mark.parametrize("shape", [(1, 5), (7, 7), (100, 100), (90, 300)])
def test_orthonormal_rows_span_those_before_them(shape):
    rows = np.random.default_rng(0).normal(size=shape)
    Q = orthonormal(rows)
    np.testing.assert_allclose(Q @ Q.T, np.eye(len(Q)), atol=1e-13)
    lower = rows @ Q.T
    np.testing.assert_allclose(lower, np.tril(lower), atol=1e-11)
    assert (np.diag(lower) > 0).all()


def test_eigenvalues_of_small_matrices():
    half = np.random.default_rng(0).normal(size=(9, 14)) * np.geomspace(1, 1e-7, 9)[:, None]
    G = half @ half.T
    values, vectors = eigen(G)
    np.testing.assert_allclose(vectors @ vectors.T, np.eye(9), atol=1e-14)
    np.testing.assert_allclose(values, np.linalg.svd(half)[1] ** 2, rtol=1e-8)
    root = vectors * np.sqrt(np.abs(values))[:, None]
    np.testing.assert_allclose(root.T @ root, G, atol=1e-13)


def test_principal_rows_are_singular_vectors():
    """And where there are more rows than are looked at, nearly so."""
    rng = np.random.default_rng(0)
    A = rng.normal(size=(12, 3)) * (9, 5, 2) @ rng.normal(size=(3, 40))
    A += 1e-9 * rng.normal(size=(12, 40))
    lines = principal(A, 8, 1e-6)
    exact = np.linalg.svd(A)[2]
    assert len(lines) == 3
    np.testing.assert_allclose(np.abs((lines * exact[:3]).sum(axis=1)), 1, atol=1e-12)
    assert len(principal(A, 2, 1e-6)) == 2
    assert principal(np.zeros((4, 5)), 8, 1e-6).shape == (0, 5)
    A = rng.normal(size=(300, 60)) * np.geomspace(1, 0.01, 60)
    lines = principal(A, 8, 1e-6)
    np.testing.assert_allclose(lines @ lines.T, np.eye(8), atol=1e-13)
    best = (np.linalg.svd(A)[1][:8] ** 2).sum()
    assert (np.square(A @ lines.T)).sum() > 0.95 * best
