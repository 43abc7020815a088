"""Small files that would take gigabytes, or minutes: refused before that, in one line."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from tests import memory
from tests.waiting import within

import nc1fast as nc
from nc1fast import datasets
from nc1fast.inputs.labels import as_labels

ROOM = 192 << 20  # bytes, of what would take 2 GB or more
RELU = nc.NNGP("relu")


def refused(load, path, told):
    """A ValueError of one line that names the file, without much memory or time."""
    with within(60), memory.at_most(ROOM), pytest.raises(ValueError, match=told) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def written(path, content):
    path.write_bytes(content)
    return path


# --- labels of text ---


@pytest.mark.parametrize("text", ["a" * 400_000, b"a" * 400_000], ids=["text", "bytes"])
def test_a_pickle_of_labels_that_are_one_long_text(tmp_path, text):
    pixels = np.zeros((20_000, 1), np.uint8)
    content = {"data": pixels, "labels": [text] * len(pixels)}
    path = written(tmp_path / "data_batch_1", pickle.dumps(content, 4))
    refused(datasets.load, path, "a label of 400000 letters")


def test_one_long_label_beside_many_short_ones(tmp_path):
    lines = [b"1," + b"a" * 100_000, *[b"2,b"] * 100_000]
    path = written(tmp_path / "a.csv", b"\n".join(lines))
    refused(datasets.load, path, "a label of 100000 letters, 1024 at most")
    lines = [b"1," + b"a" * 1000, *[b"2,b"] * 1_000_000]
    path = written(tmp_path / "b.csv", b"\n".join(lines))
    with within(60), pytest.raises(ValueError, match="labels beside one of 1000 letters"):
        datasets.load(path)


def test_many_distinct_labels_beside_a_long_one_stay_objects():
    y = [*map(str, range(40_000)), "a" * 50_000] * 2  # 8 GB as an array of text
    with memory.at_most(ROOM):
        of_row, labels = as_labels(y, len(y))
    assert labels.dtype == object
    assert [labels[k] for k in of_row[[0, 40_000]]] == ["0", "a" * 50_000]


# --- Arrow and Parquet ---


@pytest.fixture
def pa():
    return pytest.importorskip("pyarrow", reason="Arrow and Parquet files (extra: files)")


def test_rows_without_bytes(tmp_path, pa):
    n = 1 << 30
    batch = pa.record_batch(
        {
            "x": pa.Array.from_buffers(pa.null(), n, [None]),
            "label": pa.Array.from_buffers(pa.null(), n, [None]),
        }
    )
    with pa.ipc.new_stream(tmp_path / "a.arrow", batch.schema) as file:
        file.write_batch(batch)
    refused(datasets.load, tmp_path / "a.arrow", "no file of its size holds")


def test_a_shard_that_is_named_many_times(tmp_path, pa):
    table = pa.table({"x": np.zeros(10), "label": np.arange(10)})
    with pa.ipc.new_stream(tmp_path / "a.arrow", table.schema) as file:
        file.write_table(table)
    (tmp_path / "state.json").write_text(json.dumps({"_data_files": [{"filename": "a.arrow"}] * 9}))
    refused(
        lambda _: datasets.load(tmp_path), tmp_path / "state.json", "names a file of its data twice"
    )


# --- HDF5 ---


@pytest.fixture
def h5py():
    return pytest.importorskip("h5py", reason="HDF5 files (extra: files)")


def test_numbers_that_lie_in_other_files(tmp_path, h5py):
    path, other = tmp_path / "a.h5", tmp_path / "b.h5"
    written(tmp_path / "secret", np.arange(8.0).tobytes())
    with h5py.File(other, "w") as file:
        file["data"] = np.arange(8.0).reshape(4, 2)

    def load(path):
        return nc.class_sums(f"{path}::X", f"{path}::y", RELU)

    with h5py.File(path, "w") as file:
        file.create_dataset("X", (4, 2), "f8", external=[(str(tmp_path / "secret"), 0, 64)])
        file["y"] = [0, 0, 1, 1]
    refused(load, path, "keeps the numbers of '/X' in another file")
    refused(datasets.load, path, "keeps the numbers of '/X' in another file")
    with h5py.File(path, "w") as file:
        file["X"] = h5py.ExternalLink(str(other), "data")
        file["y"] = [0, 0, 1, 1]
    refused(load, path, "has a link to another file")
    with h5py.File(path, "w") as file:
        layout = h5py.VirtualLayout((4, 2), "f8")
        layout[:] = h5py.VirtualSource(str(other), "data", (4, 2))
        file.create_virtual_dataset("X", layout)
        file["y"] = [0, 0, 1, 1]
    expected = nc.class_sums(np.arange(8.0).reshape(4, 2), [0, 0, 1, 1], RELU)
    assert load(path).within.tobytes() == expected.within.tobytes()
    other.unlink()  # HDF5 would take what is not there for zeros
    refused(load, path, "b.h5, which is not there")


# --- descriptions of studies ---


def laughs(levels):
    lists = ["&x0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lists += [f"&x{k} [{', '.join([f'*x{k - 1}'] * 10)}]" for k in range(1, levels)]
    return f"[{', '.join(lists)}]"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            f"arms:\n - data: [{{source: gaussian_mixture, means: {laughs(9)}}}]\n",
            "aliases make more than",
        ),
        (f"arms:\n - data: [{{source: file, keys: {laughs(9)}}}]\n", "aliases make more than"),
        ("a: &a [*a]\n", "aliases make more than"),
        ("a: &a {b: *a}\n", "aliases make more than"),
        ("arms: [" + "1, " * 100_000 + "]\n", "more than the 262144 letters"),
        ("seed: " + "9" * 5000 + "\n", "not valid YAML: a number of too many digits"),
        ("name: 2020-99-99\n", "not valid YAML: month must be in"),
        ("arms: " + "[" * 50_000 + "\n", "too many levels"),
        ("arms: " + "{a: " * 50_000 + "\n", "too many levels"),
    ],
    ids=[
        "means",
        "keys",
        "circle",
        "circle of mappings",
        "long",
        "digits",
        "no date",
        "deep",
        "deep mappings",
    ],
)
def test_descriptions_that_grow(tmp_path, text, told):
    studies = pytest.importorskip("nc1fast.studies", reason="studies (extra: study)")
    refused(studies.load, written(tmp_path / "a.yml", text.encode()), told)
