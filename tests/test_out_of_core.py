"""Rows that stay in a file have the bits of the call in memory."""

from __future__ import annotations

import os
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from tests.cases import FEW, assert_same_sums, class_sums, data, each_dtype, least_memory

import nc1fast as nc
from nc1fast.inputs.file_rows import FileRows
from nc1fast.inputs.files import as_source

RELU = nc.NTK("relu", bias_variance=0.1)


def _written(tmp_path, X, y):
    """The same rows in every kind of file that NumPy writes."""
    np.save(tmp_path / "C.npy", X)
    np.save(tmp_path / "F.npy", np.asfortranarray(X))
    np.save(tmp_path / "swapped.npy", X.astype(X.dtype.newbyteorder()))
    np.savez(tmp_path / "stored.npz", data=X, labels=y)
    np.savez_compressed(tmp_path / "compressed.npz", data=X, labels=y)
    np.save(tmp_path / "y.npy", y)
    outside = np.nan if X.dtype.kind == "f" else 99
    wide = np.full((len(X) + 2, X.shape[1] + 3), outside, X.dtype)
    wide[1:-1, 2:-1] = X
    np.save(tmp_path / "wide.npy", wide)
    return {
        "path": tmp_path / "C.npy",
        "str": str(tmp_path / "C.npy"),
        "column-major": tmp_path / "F.npy",
        "byte order": tmp_path / "swapped.npy",
        "stored member": f"{tmp_path / 'stored.npz'}::data",
        "compressed member": f"{tmp_path / 'compressed.npz'}::data",
        "map": np.load(tmp_path / "C.npy", mmap_mode="r"),
        "map of columns": np.load(tmp_path / "F.npy", mmap_mode="r"),
        "piece of a map": np.load(tmp_path / "wide.npy", mmap_mode="r")[1:-1, 2:-1],
    }


@pytest.mark.parametrize("kind", ["float64", "float32", "float16", "int8", "uint16", "int64"])
def test_files_have_the_bits_of_arrays(kind, tmp_path):
    X, y = data(FEW, 5)
    if np.dtype(kind).kind in "iu":
        X = (10 * (abs(X) if kind == "uint16" else X)).astype(int)
    X = X.astype(kind)
    expected = class_sums(X, y, [RELU, nc.NNGP("erf")])
    for source in _written(tmp_path, X, y).values():
        assert_same_sums(class_sums(source, y, [RELU, nc.NNGP("erf")]), expected)


@each_dtype
def test_a_file_under_a_memory_limit_has_the_bits_of_the_array(dtype, tmp_path):
    X, y = data(FEW)
    np.save(tmp_path / "X.npy", X)
    kernels = [RELU, nc.AdaptiveKernel(np.diag(np.arange(1.0, 8.0)))]
    expected = class_sums(X, y, kernels, dtype=dtype)
    least = least_memory(tmp_path / "X.npy", y, kernels, dtype=dtype)
    settings = {"dtype": dtype, "memory_limit": least + 30_000}
    assert_same_sums(class_sums(tmp_path / "X.npy", y, kernels, **settings), expected)


def test_collapse_of_a_file_for_every_kind_of_kernel(tmp_path):
    X, y = data(FEW)
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "K.npy", RELU(X))

    def value(*data):
        return nc.collapse(*data, convention="sample")

    assert value(tmp_path / "X.npy", y).nc1 == value(X, y).nc1
    assert value(tmp_path / "X.npy", y, RELU).nc1 == value(X, y, RELU).nc1
    linear = lambda A, B: A @ B.T
    assert value(tmp_path / "X.npy", y, linear).nc1 == value(X, y, linear).nc1
    found = value(tmp_path / "K.npy", y, "precomputed").nc1
    assert found == value(RELU(X), y, "precomputed").nc1


def test_rows_of_a_file_as_an_array_gives_them(tmp_path):
    X, _ = data(FEW)
    np.save(tmp_path / "X.npy", X)
    rows = pickle.loads(pickle.dumps(as_source(tmp_path / "X.npy")))
    assert isinstance(rows, FileRows)
    assert (rows.shape, rows.ndim, rows.size, rows.nbytes) == (X.shape, 2, X.size, X.nbytes)
    scattered = np.random.default_rng(0).integers(-800, 800, size=300)
    numbers = (np.array([5, 6, 7, 3, 799]), np.sort(scattered), scattered, np.array([], dtype=int))
    for index in (slice(None), slice(9, 2), slice(10, 50, 3), *numbers, 4, -1, X[:, 0] > 0):
        np.testing.assert_array_equal(rows[index], X[index])
    with pytest.raises(IndexError, match="800 rows"):
        rows[np.array([3, 800])]
    np.testing.assert_array_equal(np.concatenate(list(rows.chunks())), X)


def test_rows_far_apart_and_close_together_are_read_alike(tmp_path):
    X = np.arange(40_000.0).reshape(4000, 10)
    wide = np.full((4000, 20), np.nan)
    wide[:, :10] = X
    np.save(tmp_path / "wide.npy", wide)  # 160 bytes a row: gaps of 3 and of 60 rows
    rows = as_source(np.load(tmp_path / "wide.npy", mmap_mode="r")[:, :10])
    taken = np.concatenate([np.arange(0, 900, 3), np.arange(900, 4000, 60), np.arange(3990, 4000)])
    np.testing.assert_array_equal(rows[taken], X[taken])
    np.testing.assert_array_equal(rows[taken[::-1]], X[taken[::-1]])


# --- what goes wrong ---


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_files_of_numbers_that_are_none(bad, tmp_path):
    X, y = data(FEW)
    X[-1, -1] = bad
    np.save(tmp_path / "X.npy", X)
    for kernel in (RELU, None):
        with pytest.raises(ValueError, match="X must be finite"):
            nc.collapse(tmp_path / "X.npy", y, kernel, convention="sample")


def test_files_that_cannot_be_read(tmp_path):
    X, y = data(FEW)
    np.save(tmp_path / "X.npy", X)
    with pytest.raises(FileNotFoundError):
        class_sums(tmp_path / "other.npy", y, RELU)
    rows = as_source(tmp_path / "X.npy")
    os.truncate(tmp_path / "X.npy", 5000)
    with pytest.raises(OSError, match="ends before"):
        class_sums(rows, y, RELU)
    with pytest.raises(OSError, match="ends before"):
        rows[len(rows) - 1]
    with pytest.raises(ValueError, match=r"X\.npy is cut short"):
        class_sums(tmp_path / "X.npy", y, RELU)
    np.savez(tmp_path / "two.npz", a=X, b=X)
    np.save(tmp_path / "flat.npy", X[:, 0])
    np.save(tmp_path / "complex.npy", X.astype(complex))
    for name, error, message in (
        ("two.npz", ValueError, r"two\.npz: none .* one as FILE::NAME"),
        ("flat.npy", ValueError, "n_samples, n_features"),
        ("complex.npy", TypeError, "real numbers"),
    ):
        with pytest.raises(error, match=message):
            class_sums(tmp_path / name, y, RELU)


def test_sign_and_step_refuse_zero_rows_of_a_file(tmp_path):
    X, y = data(FEW)
    X[7] = 0
    np.save(tmp_path / "X.npy", X)
    with pytest.raises(ValueError, match="1 zero rows"):
        class_sums(tmp_path / "X.npy", y, nc.NNGP("sign"))


def test_an_executor_reads_any_file(tmp_path):
    X, y = data(FEW)
    expected = class_sums(X, y, RELU)
    _written(tmp_path, X, y)
    with ThreadPoolExecutor(2) as executor:
        for source in (f"{tmp_path / 'stored.npz'}::data", tmp_path / "F.npy"):
            found = class_sums(source, tmp_path / "y.npy", RELU, executor=executor)
            assert found.block_sums.tobytes() == expected.block_sums.tobytes()
            assert found.class_rows.tobytes() == expected.class_rows.tobytes()
