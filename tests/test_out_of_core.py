"""Rows that stay in a file, and passes that are divided into rectangles: the bits of the call in memory."""

from __future__ import annotations

import itertools
import os
import pickle
import re
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import nc1fast as nc
from nc1fast import _core
from nc1fast.inputs.file_rows import FileRows
from nc1fast.inputs.files import as_source
from nc1fast.inputs.labelled import LabelledData
from nc1fast.sums import streaming
from nc1fast.sums.rectangles import divided, part_of
from nc1fast.sums.settings import Settings

RELU = nc.NTK("relu", bias_variance=0.1)
KERNELS = [
    nc.Linear(1.3, 0.2),
    nc.NNGP("relu", bias_variance=(0.2, 0.0)),
    RELU,
    nc.NTK("erf", bias_variance=0.1),
    nc.NTK("gelu", depth=3, weight_variance=(1.5, 1.2, 0.9), bias_variance=0.1),
]
DTYPES = ("float64", "float32", "mixed")
each_dtype = pytest.mark.parametrize("dtype", DTYPES)


def _data(sizes=(3, 301, 97, 1, 398), n_features=7, seed=0):
    """Imbalanced classes in random row order, with a duplicate and an antipode."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(len(sizes)), sizes)
    X = rng.normal(size=(len(sizes), n_features))[y] + 0.3 * rng.normal(size=(len(y), n_features))
    X[5], X[6] = X[4], -X[4]
    order = rng.permutation(len(y))
    return X[order], y[order]


def _sums(X, y, kernels, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", nc.AccuracyWarning)
        return nc.class_sums(X, y, kernels, **settings)


def _assert_same_bits(first, second):
    for a, b in zip(first, second, strict=True):
        for name in ("block_sums", "traces", "within", "class_rows"):
            x, z = getattr(a, name), getattr(b, name)
            assert (x is None) == (z is None), name
            assert x is None or x.tobytes() == z.tobytes(), (name, a.kernel)
        assert a.error.within.tobytes() == b.error.within.tobytes()
        assert a.exact.problem == b.exact.problem


# --- the grid ---


STEP = 48


def _coverage(rectangles, n_rows):
    """How often each pair of panels is covered; sides must be whole panels, later columns or the same rows."""
    panels = -(-n_rows // STEP)
    covered = np.zeros((panels, panels), dtype=int)
    for a, b, c, d in rectangles:
        assert a % STEP == c % STEP == 0
        assert all(end % STEP == 0 or end == n_rows for end in (b, d))
        assert (a, b) == (c, d) or a < b <= c < d
        covered[a // STEP : -(-b // STEP), c // STEP : -(-d // STEP)] += 1
    return covered[np.triu_indices(panels)]


@pytest.mark.parametrize("n_rows", [1, 48, 49, 1000, 4803])
@pytest.mark.parametrize("count", [1, 2, 3, 7, 64, 300])
def test_parts_cover_every_pair_once(n_rows, count):
    parts = [part_of(n_rows, (index, count), STEP) for index in range(count)]
    assert (sum(_coverage(part, n_rows) for part in parts) == 1).all()


def test_parts_beyond_the_rows_are_empty():
    assert part_of(100_000, (199_999, 200_000), STEP) == []
    parts = [part_of(60, (index, 120), STEP) for index in range(120)]
    assert (sum(_coverage(part, 60) for part in parts) == 1).all()


def test_parts_are_nearly_equal_and_need_few_rows():
    n_rows = 100_000
    for count in (2, 3, 7, 64, 300):
        for index in range(count):
            part = part_of(n_rows, (index, count), STEP)
            pairs = sum((b - a) * (d - c) / (1 + (a == c)) for a, b, c, d in part)
            assert 0.8 <= pairs / (n_rows**2 / 2 / count) <= 1.25
            rows = {(a, b) for a, b, *_ in part} | {(c, d) for *_, c, d in part}
            if count == 300:
                assert sum(b - a for a, b in rows) <= 0.2 * n_rows


@pytest.mark.parametrize("room", [96, 144, 480, 1200, 10**6])
def test_divided_rectangles_fit_and_cover_the_same_pairs(room):
    rectangles = part_of(4803, (1, 3), STEP)
    pieces = divided(rectangles, room, STEP)
    np.testing.assert_array_equal(_coverage(pieces, 4803), _coverage(rectangles, 4803))
    for a, b, c, d in pieces:
        assert (b - a) + (0 if a == c else d - c) <= room


# --- parts and blocks ---


@each_dtype
@pytest.mark.parametrize("statistics", ["sums", "all"])
def test_any_division_has_the_bits_of_one_rectangle(dtype, statistics):
    X, y = _data()
    settings = {"dtype": dtype, "statistics": statistics}
    whole = _sums(X, y, KERNELS, **settings)
    for count in (2, 5):
        parts = [_sums(X, y, KERNELS, part=(i, count), **settings) for i in range(count)]
        joined = [sum(rest, first) for first, *rest in zip(*parts[::-1], strict=True)]
        _assert_same_bits(joined, whole)


def _least_memory(X, y, kernels, **settings):
    """What the message says is needed."""
    with pytest.raises(ValueError, match="at least") as error:
        _sums(X, y, kernels, memory_limit=1, **settings)
    return int(re.search(r"at least (\d+)", str(error.value)).group(1))


@each_dtype
@pytest.mark.parametrize("n_threads", [1, 3])
def test_blocks_under_a_memory_limit_have_the_bits_of_one_rectangle(dtype, n_threads):
    X, y = _data()
    whole = _sums(X, y, RELU, dtype=dtype)
    least = _least_memory(X, y, RELU, dtype=dtype, n_threads=n_threads)
    for limit in (least, least + 50_000, least + 150_000, 10**9):
        blocks = _sums(X, y, RELU, dtype=dtype, memory_limit=limit, n_threads=n_threads)
        _assert_same_bits([blocks], [whole])


def test_a_part_under_a_memory_limit_is_that_part():
    X, y = _data()
    least = _least_memory(X, y, RELU, statistics="sums")
    for index in range(3):
        part = {"part": (index, 3), "statistics": "sums"}
        bounded = _sums(X, y, RELU, memory_limit=least + 20_000, **part)
        np.testing.assert_array_equal(bounded.exact.block, _sums(X, y, RELU, **part).exact.block)


def test_a_survey_stands_for_the_rows_that_a_part_does_not_read(tmp_path):
    """The file of a part holds NaN where its rows are not: they are never looked at."""
    X, y = _data()
    data, settings = LabelledData.of(X, y), Settings(n_threads=2)
    survey = pickle.loads(pickle.dumps(streaming.survey(data, [RELU], settings)))
    order = np.argsort(data.classes.of_row, kind="stable")
    count, read, parts = 12, set(), []
    for index in range(count):
        used = np.zeros(len(y), dtype=bool)
        for a, b, c, d in part_of(len(y), (index, count), _core.row_step()):
            used[order[a:b]] = used[order[c:d]] = True
        read.add(int(used.sum()))
        path = tmp_path / f"{index}.npy"
        np.save(path, np.where(used[:, None], X, np.nan))
        (sums,) = streaming.kernel_sums(
            LabelledData(as_source(path), data.classes),
            [RELU],
            settings,
            part=(index, count),
            surveyed=survey,
        )
        parts.append(sums)
    assert min(read) < len(y)
    _assert_same_bits([sum(parts[1:], parts[0])], [_sums(X, y, RELU)])


# --- files ---


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


@pytest.mark.parametrize("data", ["float64", "float32", "float16", "int8", "uint16", "int64"])
def test_files_have_the_bits_of_arrays(data, tmp_path):
    X, y = _data(n_features=5)
    X = (10 * X).astype(data) if np.dtype(data).kind in "iu" else X.astype(data)
    if data == "uint16":
        X = np.abs((10 * X).astype(np.int16)).astype(data)
    expected = _sums(X, y, [RELU, nc.NNGP("erf")])
    for source in _written(tmp_path, X, y).values():
        _assert_same_bits(_sums(source, y, [RELU, nc.NNGP("erf")]), expected)


def test_labels_and_rows_of_one_file(tmp_path):
    X, y = _data()
    _written(tmp_path, X, y)
    expected = _sums(X, y, RELU)
    for name in ("stored", "compressed"):
        path = tmp_path / f"{name}.npz"
        _assert_same_bits([_sums(f"{path}::data", f"{path}::labels", RELU)], [expected])
    _assert_same_bits([_sums(tmp_path / "C.npy", tmp_path / "y.npy", RELU)], [expected])


@each_dtype
def test_a_file_under_a_memory_limit_has_the_bits_of_the_array(dtype, tmp_path):
    X, y = _data()
    np.save(tmp_path / "X.npy", X)
    kernels = [RELU, nc.AdaptiveKernel(np.diag(np.arange(1.0, 8.0)))]
    expected = _sums(X, y, kernels, dtype=dtype)
    least = _least_memory(tmp_path / "X.npy", y, kernels, dtype=dtype)
    _assert_same_bits(
        _sums(tmp_path / "X.npy", y, kernels, dtype=dtype, memory_limit=least + 30_000), expected
    )


def test_collapse_of_a_file_for_every_kind_of_kernel(tmp_path):
    X, y = _data()
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


def test_hdf5_contiguous_and_chunked(tmp_path):
    h5py = pytest.importorskip("h5py", reason="HDF5 files (extra: files)")
    X, y = _data()
    with h5py.File(tmp_path / "X.h5", "w") as file:
        file["plain"] = X
        file.create_dataset("chunked", data=X, chunks=(100, 3), compression="gzip")
        file["labels"] = y
    expected = _sums(X, y, RELU)
    path = tmp_path / "X.h5"
    for name in ("plain", "chunked"):
        _assert_same_bits([_sums(f"{path}::{name}", f"{path}::labels", RELU)], [expected])
        with h5py.File(path) as file:
            _assert_same_bits([_sums(file[name], y, RELU)], [expected])
    assert as_source(f"{path}::plain").path == str(path)


def test_zarr_and_dask(tmp_path):
    X, y = _data()
    expected = _sums(X, y, RELU)
    array = pytest.importorskip("dask.array", reason="dask arrays (extra: distributed)")
    _assert_same_bits([_sums(array.from_array(X, chunks=(100, 3)), y, RELU)], [expected])
    zarr = pytest.importorskip("zarr", reason="Zarr arrays (extra: files)")
    stored = zarr.open(
        str(tmp_path / "X.zarr"), mode="w", shape=X.shape, chunks=(100, 3), dtype="f8"
    )
    stored[:] = X
    _assert_same_bits([_sums(tmp_path / "X.zarr", y, RELU)], [expected])
    _assert_same_bits([_sums(stored, y, RELU)], [expected])


def test_parquet_columns(tmp_path):
    arrow = pytest.importorskip("pyarrow", reason="Parquet files (extra: files)")
    parquet = pytest.importorskip("pyarrow.parquet")
    X, y = _data(n_features=3)
    columns = {name: X[:, k] for k, name in enumerate("abc")}
    parquet.write_table(
        arrow.table({**columns, "label": y}), tmp_path / "X.parquet", row_group_size=100
    )
    path = tmp_path / "X.parquet"
    found = _sums(f"{path}::a,b,c", f"{path}::label", RELU)
    _assert_same_bits([found], [_sums(X, y, RELU)])
    with pytest.raises(ValueError, match="no column d"):
        _sums(f"{path}::a,d", y, RELU)


def test_temporary_files_go_with_their_rows(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "spool"))
    (tmp_path / "spool").mkdir()
    X, _ = _data()
    np.save(tmp_path / "F.npy", np.asfortranarray(X))
    rows = as_source(tmp_path / "F.npy")
    assert len(list((tmp_path / "spool").iterdir())) == 1
    np.testing.assert_array_equal(rows[:], X)
    del rows
    assert list((tmp_path / "spool").iterdir()) == []


def test_rows_of_a_file_as_an_array_gives_them(tmp_path):
    X, _ = _data()
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
    X, y = _data()
    X[-1, -1] = bad
    np.save(tmp_path / "X.npy", X)
    for kernel in (RELU, None):
        with pytest.raises(ValueError, match="X must be finite"):
            nc.collapse(tmp_path / "X.npy", y, kernel, convention="sample")


def test_files_that_cannot_be_read(tmp_path):
    X, y = _data()
    np.save(tmp_path / "X.npy", X)
    with pytest.raises(FileNotFoundError):
        _sums(tmp_path / "other.npy", y, RELU)
    rows = as_source(tmp_path / "X.npy")
    os.truncate(tmp_path / "X.npy", 5000)
    with pytest.raises(OSError, match="ends before"):
        _sums(rows, y, RELU)
    with pytest.raises(OSError, match="ends before"):
        rows[len(rows) - 1]
    with pytest.raises(ValueError, match=r"X\.npy is cut short"):
        _sums(tmp_path / "X.npy", y, RELU)
    np.savez(tmp_path / "two.npz", a=X, b=X)
    with pytest.raises(ValueError, match=r"two\.npz::a"):
        _sums(tmp_path / "two.npz", y, RELU)
    np.save(tmp_path / "flat.npy", X[:, 0])
    with pytest.raises(ValueError, match="n_samples, n_features"):
        _sums(tmp_path / "flat.npy", y, RELU)
    np.save(tmp_path / "complex.npy", X.astype(complex))
    with pytest.raises(TypeError, match="real numbers"):
        _sums(tmp_path / "complex.npy", y, RELU)


def test_sign_and_step_refuse_zero_rows_of_a_file(tmp_path):
    X, y = _data()
    X[7] = 0
    np.save(tmp_path / "X.npy", X)
    with pytest.raises(ValueError, match="1 zero rows"):
        _sums(tmp_path / "X.npy", y, nc.NNGP("sign"))


def test_progress_of_divided_passes_reaches_its_total():
    X, y = _data()
    seen = []
    least = _least_memory(X, y, RELU)
    _sums(X, y, RELU, memory_limit=least + 20_000, progress=lambda *at: seen.append(at))
    assert seen[-1][0] == seen[-1][1]
    assert all(a[0] <= b[0] for a, b in itertools.pairwise(seen))


def test_an_executor_reads_any_file(tmp_path):
    X, y = _data()
    expected = _sums(X, y, RELU)
    _written(tmp_path, X, y)
    with ThreadPoolExecutor(2) as executor:
        for source in (f"{tmp_path / 'stored.npz'}::data", tmp_path / "F.npy"):
            found = _sums(source, tmp_path / "y.npy", RELU, executor=executor)
            assert found.block_sums.tobytes() == expected.block_sums.tobytes()
            assert found.class_rows.tobytes() == expected.class_rows.tobytes()
