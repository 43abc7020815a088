"""Every kind of file and array that rows and labels may come from: the bits of the array in memory,
or one clear line.
"""

from __future__ import annotations

import errno
import gc
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from tests.full_disk import files_of_at_most

import nc1fast as nc
from nc1fast.inputs.files import as_source, read_labels

RELU = nc.NTK("relu")
ROWS, FEATURES = 300, 6
NAMES = np.array(["ant", "bee", "cat", "a much longer name"])


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, ROWS)
    return rng.normal(size=(ROWS, FEATURES)) + y[:, None], y


@pytest.fixture(autouse=True)
def in_folder(tmp_path, monkeypatch):
    """Paths are relative; temporary files are counted."""
    spool = tmp_path / "spool"
    spool.mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(spool))
    yield
    gc.collect()  # CPython 3.12 and 3.13 keep frames of errors that contextlib has passed on
    assert list(spool.iterdir()) == []


def _assert_same(found, expected):
    for name in ("block_sums", "traces", "within", "class_rows"):
        assert getattr(found, name).tobytes() == getattr(expected, name).tobytes(), name
    assert found.exact.problem == expected.exact.problem


def _check(source, labels, X, y):
    _assert_same(nc.class_sums(source, labels, RELU), nc.class_sums(X, y, RELU))


def test_archives_hold_rows_in_any_order_and_byte_order(data):
    X, y = data
    forms = {"C": X, "F": np.asfortranarray(X), "big": X.astype(">f8"), "i8": (9 * X).astype("i8")}
    for save in (np.savez, np.savez_compressed):
        save("data.npz", y=y, names=NAMES[y], **forms)
        for name in ("C", "F", "big"):
            _check(f"data.npz::{name}", "data.npz::y", X, y)
        _check("data.npz::i8", "data.npz::names", forms["i8"], NAMES[y])


def test_a_path_may_hold_colons(data, tmp_path):
    X, y = data
    (tmp_path / "a::b").mkdir()
    np.save("a::b/X.npy", X)
    np.savez("a::b/data.npz", X=X, y=y)
    _check("a::b/X.npy", "a::b/data.npz::y", X, y)
    _check("a::b/data.npz::X", y, X, y)


def test_maps_in_any_order(data):
    X, y = data
    np.save("X.npy", X)
    mapped = np.load("X.npy", mmap_mode="r+")
    _check(mapped[::-1], y[::-1], X[::-1], y[::-1])
    _check(mapped[::3, 1::2], y[::3], X[::3, 1::2], y[::3])
    _check(mapped.reshape(FEATURES, -1).T, y, X.reshape(FEATURES, -1).T, y)


def test_hdf5_of_any_layout(data):
    h5py = pytest.importorskip("h5py", reason="HDF5 files (extra: files)")
    X, y = data
    with h5py.File("data.h5", "w") as file:
        file["group/big"] = X.astype(">f8")
        file["bytes"] = NAMES[y].astype("S")
        file.create_dataset("text", data=NAMES[y].tolist(), dtype=h5py.string_dtype())
        file["plain"], file["flat"], file["empty"] = X, X[:, 0], X[:0]
        file.create_dataset("chunked", data=X, chunks=(100, 3), compression="gzip")
    _check("data.h5::group/big", "data.h5::text", X, NAMES[y])
    _check("data.h5::chunked", "data.h5::bytes", X, NAMES[y].astype("S"))
    with h5py.File("data.h5") as file:
        _check(file["chunked"], y, X, y)
    assert as_source("data.h5::plain").path == str(Path("data.h5").resolve())
    bad = {"group": "'data.h5::group/big'", "other": "'data.h5::bytes'"}
    bad |= {"flat": "n_samples, n_features", "empty": "at least one row"}
    for name, told in bad.items():
        with pytest.raises(ValueError, match=told):
            as_source(f"data.h5::{name}")


def test_hdf5_in_memory(data):
    h5py = pytest.importorskip("h5py", reason="HDF5 files (extra: files)")
    X, y = data
    with h5py.File("nowhere.h5", "w", driver="core", backing_store=False) as file:
        flat = file.create_dataset("flat", data=X)
        chunked = file.create_dataset("chunked", data=X, chunks=(70, 4), compression="gzip")
        for rows in (flat, chunked):
            _check(rows, y, X, y)


def test_zarr_groups_and_text(data):
    zarr = pytest.importorskip("zarr", reason="Zarr arrays (extra: files)")
    X, y = data
    group = zarr.open_group("data.zarr", mode="w")
    group.create_array("X", data=X.astype(">f8"), chunks=(70, 4))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zarr's own: text has no specification yet
        group.create_array("fixed", data=NAMES[y])
        group.create_array("any", shape=ROWS, dtype=str)[:] = NAMES[y]
        for name in ("fixed", "any"):
            _check("data.zarr::X", f"data.zarr::{name}", X, NAMES[y])
    with pytest.raises(ValueError, match=r"'data\.zarr::"):
        as_source("data.zarr")
    alone = zarr.open("X.zarr", mode="w", shape=X.shape, chunks=(100, 3), dtype="f8")
    alone[:] = X
    _check("X.zarr", y, X, y)
    _check(alone, y, X, y)


def test_dask_arrays_of_any_chunks(data):
    array = pytest.importorskip("dask.array", reason="dask arrays (extra: distributed)")
    X, y = data
    _check(array.from_array(X, chunks=(77, 4)), array.from_array(y, chunks=50), X, y)
    integers = (9 * X).astype("i8")
    _check(array.from_array(integers, chunks=ROWS), y, integers, y)
    unknown = array.from_array(X, chunks=(77, 6))
    with pytest.raises(ValueError, match="compute_chunk_sizes"):
        as_source(unknown[unknown[:, 0] > 0])
    with pytest.raises(ValueError, match="at least one row"):
        as_source(unknown[:0])


@pytest.fixture
def table(data):
    arrow = pytest.importorskip("pyarrow", reason="Parquet files (extra: files)")
    parquet = pytest.importorskip("pyarrow.parquet")
    X, y = data
    columns = {
        **{name: X[:, k] for k, name in enumerate("abcd")},
        "whole": (9 * X[:, 4]).astype("i8"),
        "large": np.full(ROWS, 2**60),
        "gaps": arrow.array([None, *X[1:, 0].tolist()]),
        "name": NAMES[y].tolist(),
        "kind": arrow.array(NAMES[y].tolist()).dictionary_encode(),
        "some": [None, *NAMES[y][1:].tolist()],
    }
    parquet.write_table(arrow.table(columns), "data.parquet", row_group_size=70)
    return X, y


def test_columns_of_a_table(table):
    X, y = table
    _check("data.parquet::a, b,d", "data.parquet::name", X[:, [0, 1, 3]], NAMES[y])
    mixed = np.column_stack([X[:, 0], (9 * X[:, 4]).astype("i8")])
    _check("data.parquet::a,whole", "data.parquet::kind", mixed, NAMES[y])


@pytest.mark.parametrize(
    ("rows", "labels", "error", "told"),
    [
        ("a,b", "some", ValueError, "1 are in data.parquet"),
        ("a,b", "", ValueError, "must not have missing labels"),  # the last column, by default
        ("a,b", "other", ValueError, "no column other"),
        ("a,name", "name", TypeError, "which name of data.parquet are not"),
        ("a,gaps", "name", ValueError, "NaN"),
        ("a,large", "name", ValueError, "2\\^53"),
    ],
)
def test_columns_that_are_none(table, rows, labels, error, told):
    with pytest.raises(error, match=told):
        nc.class_sums(f"data.parquet::{rows}", f"data.parquet::{labels}", RELU)


def test_text_of_files_can_be_saved(table):
    """Labels that a file gives as Python objects would be refused after the pass."""
    nc.class_sums("data.parquet::a,b", "data.parquet::name", RELU).save("sums.npz")
    np.testing.assert_array_equal(nc.ClassSums.load("sums.npz").labels, np.sort(NAMES))


@pytest.mark.parametrize("suffix", ["npy", "npz", "h5", "parquet", "zarr", "csv"])
@pytest.mark.parametrize("content", [None, b"", b"not what its name says"])
def test_files_that_are_gone_empty_or_something_else_are_named(suffix, content, tmp_path):
    for package, kind in {"h5": "h5py", "parquet": "pyarrow", "zarr": "zarr"}.items():
        if package == suffix:
            pytest.importorskip(kind)
    path = f"file.{suffix}"
    if content is not None:
        (tmp_path / path).write_bytes(content)
    for read, argument in ((as_source, "X"), (read_labels, "y")):
        with pytest.raises((OSError, ValueError)) as caught:
            read(f"{path}::name" if suffix not in ("npy", "csv") else path)
        told = str(caught.value)
        assert path in told
        assert argument in told
        assert re.search(r"\n|Errno None|unsafely", told) is None


def test_damaged_archives_are_named(data, tmp_path):
    X, y = data
    np.savez_compressed("data.npz", X=X)
    whole = bytearray((tmp_path / "data.npz").read_bytes())
    whole[500:520] = bytes(20)
    (tmp_path / "damaged.npz").write_bytes(whole)
    (tmp_path / "cut.npz").write_bytes(whole[:-300])
    for name in ("damaged.npz", "cut.npz"):
        with pytest.raises(ValueError, match=f"X: {name} is damaged") as caught:
            as_source(name)
        assert list((tmp_path / "spool").iterdir()) == [], caught.value  # while the error lives
    np.savez("objects.npz", y=y.astype(object))
    with pytest.raises(ValueError, match=r"y: objects\.npz holds Python objects"):
        read_labels("objects.npz")


@pytest.mark.parametrize("form", ["column-major", "compressed", "compressed columns"])
def test_a_disk_too_full_for_streamed_rows_is_named(data, form):
    X = np.tile(data[0], (20, 1))
    if form == "column-major":
        np.save("X.npy", np.asfortranarray(X))
    else:
        np.savez_compressed("X.npz", X=np.asfortranarray(X) if "columns" in form else X)
    with files_of_at_most(100_000), pytest.raises(OSError, match="TMPDIR decides where") as caught:
        as_source("X.npy" if form == "column-major" else "X.npz")
    assert caught.value.errno == errno.EFBIG
    assert Path(caught.value.filename).parent.name == "spool"
    del caught
