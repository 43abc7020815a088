"""One vocabulary of files for `nc1fast.collapse`, `datasets.load` and the command line: parts by
name or index, labels never among the data.
"""

from __future__ import annotations

import io
import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from tests.file_bytes import write

import nc1fast as nc

RNG = np.random.default_rng(0)
KIND = np.repeat(["ash", "elm", "oak"], 4)
X = RNG.normal(size=(12, 3)) + 3 * np.repeat(np.eye(3), 4, axis=0)
KERNEL = nc.NNGP("relu")
WHOLE = nc.collapse(X, KIND, KERNEL).nc1
PART = nc.collapse(X[:, [0, 2]], KIND, KERNEL).nc1  # columns a and c


COLUMNS = {"a": X[:, 0], "kind": KIND, "b": X[:, 1], "c": X[:, 2]}


@pytest.fixture
def files(tmp_path):
    for name in TEXT:
        write(tmp_path / name, **COLUMNS)
    write(tmp_path / "t.npz", X=X, kind=KIND)
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "kind.npy", KIND)
    return tmp_path


@pytest.fixture
def tables(files):
    arrow = pytest.importorskip("pyarrow", reason="tables of columns (extra: files)")
    write(files / "t.parquet", **COLUMNS)
    table = arrow.table(COLUMNS)
    with arrow.ipc.new_file(files / "t.arrow", table.schema) as file:
        file.write_table(table)
    return files


TEXT = ("t.csv", "t.tsv", "t.csv.gz")


@pytest.mark.parametrize("name", [*TEXT, "t.parquet", "t.arrow"])
def test_a_column_of_labels_is_named_and_not_among_the_data(tables, call, name):
    path = tables / name
    for label in ("kind", 1, f"{path}::kind"):
        assert nc.collapse(path, label, KERNEL).nc1 == WHOLE
    assert nc.collapse(f"{path}::a,c", "kind", KERNEL).nc1 == PART
    rows, labels = nc.datasets.load(f"{path}::c, a", labels="kind")
    np.testing.assert_array_equal(rows, X[:, [2, 0]])
    assert labels.tolist() == KIND.tolist()
    for limit in ((), ("--memory-limit", "8")):
        for given, expected in (((path,), WHOLE), ((f"{path}::a,c",), PART)):
            told = call("collapse", *given, "--labels", "kind", "--json", *limit)
            assert json.loads(told[1])["nc1"] == expected
        told = call("collapse", path, "--keys", "a,c,kind", "--json", *limit)
        assert json.loads(told[1])["nc1"] == PART
    for mistake, message in (("z", "'z'"), ("a,kind", "cannot be both data and labels")):
        with pytest.raises(ValueError, match=message):
            nc.collapse(f"{path}::{mistake}", "kind", KERNEL)


def test_columns_by_index_and_labels_of_other_files(files):
    plain = files / "plain.csv"
    np.savetxt(plain, X, "%.17g", ",")
    assert nc.collapse(f"{plain}::0,2", files / "kind.npy", KERNEL).nc1 == PART
    assert nc.collapse(plain, KIND, KERNEL).nc1 == WHOLE
    assert nc.collapse(files / "X.npy", f"{files}/t.tsv::kind", KERNEL).nc1 == WHOLE
    assert nc.collapse(X, f"{files}/t.csv.gz::kind", KERNEL).nc1 == WHOLE
    assert nc.collapse(f"{files}/t.csv::0,b,3", "kind", KERNEL).nc1 == WHOLE
    assert (
        nc.datasets.load(files / "X.npy", labels=f"{files}/t.csv::kind")[1].tolist()
        == KIND.tolist()
    )


@pytest.mark.parametrize("y", ["kind", None, KIND])
def test_arrays_of_a_file_are_found_by_their_usual_names(files, y):
    assert nc.collapse(files / "t.npz", y, KERNEL).nc1 == WHOLE
    assert nc.collapse(f"{files}/t.npz::X", y, KERNEL).nc1 == WHOLE


def test_every_door_takes_them(files):
    plan = nc.distributed.plan(files / "t.csv", "kind", KERNEL)
    assert plan.describe()["rows"] == 12
    assert nc.class_sums(files / "t.csv", "kind", KERNEL).traces.sum() > 0
    pairs = nc.estimators.pairs(files / "t.npz", "kind", KERNEL, n_pairs=400, seed=0)
    assert pairs.nc1 == nc.estimators.pairs(X, KIND, KERNEL, n_pairs=400, seed=0).nc1


@pytest.mark.parametrize(
    ("name", "y", "error", "message"),
    [
        ("X.npy", None, ValueError, "X.npy: holds no labels: give"),
        ("t.npz", "species", ValueError, "neither a part of it nor a file; it has 'X', 'kind'"),
        ("t.csv", "species", ValueError, "neither a part of it nor a file; it has 'a', 'kind'"),
        ("t.csv", 4, ValueError, "no column 4"),
        ("none.csv", "kind", FileNotFoundError, "none.csv"),
    ],
)
def test_mistakes_name_the_file(files, name, y, error, message):
    with pytest.raises(error, match=message):
        nc.collapse(files / name, y, KERNEL)


@pytest.mark.parametrize("name", [*TEXT, "t.parquet", "t.arrow", "t.npz"])
def test_standard_input_is_known_by_its_first_bytes(tables, call, monkeypatch, name):
    content = (tables / name).read_bytes()
    part = ("X,kind", WHOLE) if name == "t.npz" else ("a,c,kind", PART)
    for option, given, expected in (("--labels", "kind", WHOLE), ("--keys", *part)):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))
        code, out, err = call("collapse", "-", option, given, "--json")
        assert (code, err) == (0, "")
        assert json.loads(out)["nc1"] == expected


def test_a_gzip_stream_that_is_cut_short_is_one_line(files, call, monkeypatch):
    content = (files / "t.csv.gz").read_bytes()[:40]
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"\x1f\x8b\xff" + content)))
    code, out, err = call("collapse", "-")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1


def test_a_zarr_group_is_data_of_the_command_line(tmp_path, call):
    zarr = pytest.importorskip("zarr", reason="Zarr arrays (extra: files)")
    group = zarr.open_group(str(tmp_path / "t.zarr"), mode="w")
    group["X"], group["y"] = X, np.arange(12) // 4
    path = tmp_path / "t.zarr"
    line = ("collapse", f"{path}::X", "--labels", f"{path}::y", "--json")
    for limit in ((), ("--memory-limit", "8")):
        assert json.loads(call(*line, *limit)[1])["nc1"] == WHOLE


def test_a_part_of_a_file_is_data_of_a_study(files):
    studies = pytest.importorskip("nc1fast.studies", reason="studies (extra: study)")
    source = studies.sources.File(source="file", name="t", path="t.csv::a,c", labels="kind")
    moved = source.relative_to(files)
    assert moved.files == [files / "t.csv"]
    assert moved.labels == "kind"
    assert studies.loading.name_of("t.csv::a,c") == "t"
