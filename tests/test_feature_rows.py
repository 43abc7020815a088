"""Rows of explicit features, digested piece by piece: the same as from their row-class sums, and
with more digits.
"""

from __future__ import annotations

import numpy as np
import pytest

import nc1fast as nc
from nc1fast.metrics import rows

RNG = np.random.default_rng(0)
SHAPES = [(5, 20, 100), (30, 8, 400), (12, 12, 99), (2, 1, 9), (40, 3, 41)]  # C, d, N


def drawn(n_classes, d, n):
    """Rows whose classes are of unequal sizes, each at least one row."""
    y = np.concatenate([np.arange(n_classes), RNG.integers(0, n_classes, n - n_classes)])
    return RNG.normal(size=(n, d)) + RNG.normal(size=(n_classes, d))[y], y


@pytest.mark.parametrize("pieces", [1, 1 << 19])
@pytest.mark.parametrize("convention", ["papyan", "probe", "class", "sample", "released"])
@pytest.mark.parametrize(("n_classes", "d", "n"), SHAPES)
def test_the_digest_is_that_of_the_row_class_sums(n_classes, d, n, convention, pieces, monkeypatch):
    monkeypatch.setattr(rows, "_ENTRIES", pieces)
    monkeypatch.setattr(rows, "_ROWS", 7)
    H, y = drawn(n_classes, d, n)
    found = nc.collapse(H, y, convention=convention)
    kept = nc.collapse(H, y, convention=convention, keep_rows=True)
    assert found.sums.class_rows is None
    assert kept.sums.class_rows is not None
    for name, value in kept.metrics.items():
        assert (value is None) == (found.metrics[name] is None), name
        if value is not None:
            actual = found.metrics[name]
            np.testing.assert_allclose(actual, value, rtol=1e-9, atol=1e-9, err_msg=name)


@pytest.mark.parametrize(("n_classes", "d"), [(4, 9), (20, 5)])
def test_scatter_and_nearest_means_of_collapsed_rows(n_classes, d):
    means = 100 + RNG.normal(size=(n_classes, d))
    y = np.repeat(np.arange(n_classes), 6)
    noise = RNG.normal(size=(len(y), d))
    noise -= np.array([noise[y == c].mean(axis=0) for c in range(n_classes)])[y]
    wide, exact = (means[y] + scale * noise for scale in (1e-9, 0.0))
    H = wide.astype(np.longdouble)
    found = nc.collapse(wide, y)
    mu = np.array([H[y == c].mean(axis=0) for c in range(n_classes)])
    D, Z = H - mu[y], mu - mu.mean(axis=0)
    within = (D.T @ D / len(y)).astype(float)
    between = (Z.T @ Z / n_classes).astype(float)
    expected = np.trace(within @ np.linalg.pinv(between, rcond=1e-10, hermitian=True)) / n_classes
    assert found.nc1_pinv == pytest.approx(expected, rel=1e-6)  # 1e-16 of 100^2 beside 1e-9
    assert found.ncc_accuracy == 1.0
    np.testing.assert_array_equal(found.nearest_center, y)
    assert nc.collapse(exact, y).nc1_pinv == pytest.approx(0, abs=1e-20)


def test_files_are_read_in_pieces(tmp_path):
    H, y = drawn(6, 4, 200)
    np.save(tmp_path / "H.npy", H)
    found, expected = (nc.collapse(one, y, convention="class") for one in (tmp_path / "H.npy", H))
    assert found.nc1_pinv == expected.nc1_pinv
    np.testing.assert_array_equal(found.nearest_center, expected.nearest_center)
