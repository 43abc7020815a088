"""Estimates from rows that stay in a file, under a memory limit, on any number of threads: the bits
of the call in memory.
"""

from __future__ import annotations

import os
import re
import tracemalloc
from typing import Any

import numpy as np
import pytest

import nc1fast as nc
from nc1fast import estimators

pytest.importorskip("scipy")

KERNELS = [
    nc.NNGP("relu", bias_variance=0.1),
    nc.NTK("relu", 2, (1.3, 0.7), (0.2, 0.1)),
    nc.NTK("erf"),
    nc.AdaptiveKernel(np.diag(np.arange(1.0, 8.0))),
    nc.NTK("relu", 3),
]


def _data(n=5000, n_classes=4, n_features=7, seed=0):
    rng = np.random.default_rng(seed)
    y = np.append(np.arange(n_classes), rng.integers(n_classes, size=n - n_classes))
    return rng.normal(size=(n_classes, n_features))[y] + 0.5 * rng.normal(size=(n, n_features)), y


def _features(X, y, kernel, **settings):
    return estimators.features(X, y, kernel, n_units=700, convention="papyan", **settings)


def _pairs(X, y, kernel, **settings):
    return estimators.pairs(X, y, kernel, n_pairs=1000, convention="papyan", **settings)


def _bits(method, *arguments, **settings):
    result = method(*arguments, **settings)
    moments = result.within_by_class, result.class_gram
    return result.nc1, result.interval, *(array.tobytes() for array in moments)


def _least_memory(method, *arguments, **settings):
    """The bytes that the message says are needed."""
    with pytest.raises(ValueError, match="at least") as error:
        method(*arguments, memory_limit=1, **settings)
    return int(re.search(r"at least (\d+)", str(error.value)).group(1))


def _within(limit, call):
    """The result of a call that may not allocate more than so many bytes."""
    tracemalloc.start()
    result = call()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert limit is None or peak <= limit
    return result


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("kernel", KERNELS, ids=repr)
@pytest.mark.slow
def test_features_have_the_same_bits_from_a_file_under_a_limit_on_any_threads(
    kernel, dtype, tmp_path
):
    X, y = _data()
    X[5] = 0
    files = tmp_path / "X.npy", tmp_path / "y.npy"
    np.save(files[0], X)
    np.save(files[1], y)
    np.savez_compressed(tmp_path / "both.npz", X=X, y=y)
    expected = _bits(_features, X, y, kernel, dtype=dtype, n_threads=1)
    how = {"dtype": dtype, "n_threads": 3}
    least = _least_memory(_features, *files, kernel, **how)
    for limit in (least, least + 300_000, 10**9, None):
        assert _bits(_features, *files, kernel, memory_limit=limit, **how) == expected
    member = f"{tmp_path / 'both.npz'}::"
    assert _bits(_features, member + "X", member + "y", kernel, dtype=dtype) == expected
    assert _bits(_features, np.load(files[0], mmap_mode="r"), y, kernel, dtype=dtype) == expected


@pytest.mark.parametrize("n_classes", [3, 150])
@pytest.mark.parametrize("kernel", KERNELS, ids=repr)
@pytest.mark.slow
def test_features_take_no_more_memory_than_they_may(kernel, n_classes, tmp_path):
    X, y = _data(4500, n_classes)
    np.save(tmp_path / "X.npy", X)
    least = _least_memory(_features, X, y, kernel, n_threads=2)
    for limit in (least, least + (4 << 20)):
        how = {"n_threads": 2, "memory_limit": limit}
        _within(limit, lambda how=how: _features(tmp_path / "X.npy", y, kernel, **how))


@pytest.fixture
def read(monkeypatch):
    """Bytes read of files, so far."""
    sizes = []
    preadv = os.preadv

    def counted(*arguments):
        sizes.append(preadv(*arguments))
        return sizes[-1]

    monkeypatch.setattr(os, "preadv", counted)
    return sizes


def test_features_read_a_file_once(read, monkeypatch, tmp_path):
    """And the rows that direct the weights, which in a small file lie so close together that all
    are read.
    """
    monkeypatch.setattr("nc1fast.inputs.file_rows._GAP_BYTES", 0)
    X, y = _data(100_000)
    np.save(tmp_path / "X.npy", X)
    _features(tmp_path / "X.npy", y, KERNELS[0])
    assert X.nbytes <= sum(read) <= 1.1 * X.nbytes


def test_labels_that_do_not_fit_a_file(tmp_path):
    X, y = _data()
    np.save(tmp_path / "X.npy", X)
    for method in (estimators.features, estimators.pairs):
        with pytest.raises(ValueError, match=r"y must have shape \(5000,\)"):
            method(tmp_path / "X.npy", y[1:], KERNELS[0])
        with pytest.raises(ValueError, match="two classes"):
            method(tmp_path / "X.npy", np.zeros(5000), KERNELS[0])
        with pytest.raises(FileNotFoundError):
            method(tmp_path / "Z.npy", y, KERNELS[0])


@pytest.mark.parametrize("kernel", [nc.NTK("relu", 3), nc.NNGP("erf", 3)], ids=repr)
def test_pairs_have_the_same_bits_from_a_file_under_a_limit_on_any_threads(kernel, read, tmp_path):
    """And of a file they read the rows of pairs, not all of them: beside the pass for the diagonal,
    some 2,000 rows.
    """
    X, y = _data(60_000, n_features=40)
    np.save(tmp_path / "X.npy", X)

    expected = _bits(_pairs, X, y, kernel, n_threads=1)
    least = _least_memory(_pairs, X, y, kernel, n_threads=2)
    how = {"n_threads": 2, "memory_limit": least}
    assert _within(least, lambda: _bits(_pairs, tmp_path / "X.npy", y, kernel, **how)) == expected
    assert sum(read) < 1.3 * X.nbytes


def _written(kind, X, y, folder):
    """X and y as arguments of `collapse`."""
    if kind == "hdf5":
        with pytest.importorskip("h5py").File(folder / "X.h5", "w") as file:
            file.create_dataset("X", data=X, chunks=(100, 3))
            file["y"] = y
        return f"{folder}/X.h5::X", f"{folder}/X.h5::y"
    return pytest.importorskip("dask.array").from_array(X, chunks=(700, 7)), y


# The readers of all other files are compared in test_paths_everywhere.py.
@pytest.mark.parametrize("kind", ["hdf5", "dask"])
@pytest.mark.slow
def test_collapse_estimates_from_whatever_holds_the_rows(kind, tmp_path):
    X, y = _data(2000)
    given, kernel = _written(kind, X, y, tmp_path), nc.NTK("relu")
    some: dict[str, Any] = {"method": "auto", "tolerance": 0.1}
    for settings in (some, *({"method": method} for method in ("features", "pairs", "auto"))):
        how = {**settings, "memory_limit": 1 << 28, "n_threads": 2, "convention": "papyan"}
        expected, result = nc.collapse(X, y, kernel, **how), nc.collapse(*given, kernel, **how)
        for field in ("nc1", "interval", "method"):
            assert getattr(result, field) == getattr(expected, field)
        assert settings["method"] != "auto" or "s expected" in result.reason


@pytest.mark.parametrize("method", ["features", "pairs"])
def test_estimates_of_a_file_mind_their_limit_and_its_numbers(method, tmp_path):
    X, y = _data(500)
    with pytest.raises(ValueError, match="memory_limit is 1000 bytes"):
        nc.collapse(X, y, KERNELS[1], method=method, memory_limit=1000)
    with pytest.raises(ValueError, match="method='exact'"):
        nc.collapse(X, y, KERNELS[1], method=method, journal=tmp_path / "journal")
    for row in (321, 0):  # the first one is looked at for the class means
        X[row, 3] = np.nan
        np.save(tmp_path / "X.npy", X)
        with pytest.raises(ValueError, match=r"X must be finite.*NaN"):
            nc.collapse(tmp_path / "X.npy", y, KERNELS[1], method=method)
