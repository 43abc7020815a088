"""Small files that would take gigabytes, or minutes: refused before that, in one line."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import struct
import zipfile
import zlib

import numpy as np
import pytest
from tests import memory
from tests.file_bytes import npy_bytes
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


# --- pickles ---


def test_a_pickle_that_keeps_an_object_at_a_far_place(tmp_path):
    """Python's own reader makes room for as many: 2 GB here."""
    for put in (b"r\xff\xff\xff\x07", b"p134217727\n"):
        path = written(tmp_path / "data_batch_1", b"\x80\x02}" + put + b".")
        refused(datasets.load, path, "keeps an object at place 134217727")


def test_a_pickle_that_encodes_one_text_many_times(tmp_path):
    text = b"X" + struct.pack("<I", 400_000) + b"a" * 400_000
    program = b"\x80\x02c_codecs\nencode\nq\x00" + text + b"q\x01X\x06\x00\x00\x00latin1q\x02"
    many = b"]" + b"(" + b"h\x00h\x01h\x02\x86R" * 20_000 + b"e."
    path = written(tmp_path / "data_batch_1", program + many)
    refused(datasets.load, path, "makes more bytes than it has")


@pytest.mark.parametrize("text", ["a" * 400_000, b"a" * 400_000], ids=["text", "bytes"])
def test_a_pickle_of_labels_that_are_one_long_text(tmp_path, text):
    pixels = np.zeros((20_000, 3072), np.uint8)[:, :1].copy()
    content = {"data": pixels, "labels": [text] * len(pixels)}
    path = written(tmp_path / "data_batch_1", pickle.dumps(content, 4))
    refused(datasets.load, path, "a label of 400000 letters")


# --- labels of text ---


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


# --- archives ---


def overlapping(name, n, size):
    """An archive whose members all are the same bytes; `name` is that of member k."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name.format(0), npy_bytes(np.zeros(size)))
    data = content.getvalue()
    start = data.index(b"PK\x01\x02")
    entry, end = data[start : data.index(b"PK\x05\x06")], data[data.index(b"PK\x05\x06") :]
    entries = b"".join(
        entry.replace(name.format(0).encode(), name.format(k).encode()) for k in range(n)
    )
    end = end[:8] + struct.pack("<HHI", n, n, len(entries)) + end[16:]
    return data[:start] + entries + end


@pytest.mark.parametrize(
    "load",
    [datasets.load, nc.ClassSums.load, lambda path: nc.class_sums(f"{path}::m0", [0, 1], RELU)],
    ids=["data", "sums", "rows"],
)
def test_members_that_share_their_bytes(tmp_path, load):
    path = written(tmp_path / "a.npz", overlapping("m{}.npy", 9, 10_000_000))
    refused(load, path, r"its members have \d+ bytes, and \d+ are there")


def test_a_compressed_line_without_an_end(tmp_path):
    path = written(tmp_path / "a.csv.gz", gzip.compress(bytes(1 << 28), 9))
    with within(60), memory.at_most(4 * ROOM), pytest.raises(ValueError, match="letters or more"):
        datasets.load(path)


def test_tensors_that_are_compressed(tmp_path):
    torch = pytest.importorskip("torch", reason="PyTorch files (extra: torch)")
    torch.save({"X": torch.zeros(1000, 1000), "y": torch.zeros(1000)}, tmp_path / "a.pt")
    with (
        zipfile.ZipFile(tmp_path / "a.pt") as old,
        zipfile.ZipFile(tmp_path / "b.pt", "w", 8) as new,
    ):
        for info in old.infolist():
            new.writestr(info.filename, old.read(info))
    refused(datasets.load, tmp_path / "b.pt", "not stored as torch does it")


def test_lists_of_one_list_many_times(tmp_path):
    torch = pytest.importorskip("torch", reason="PyTorch files (extra: torch)")
    numbers = [[0.0] * 30_000] * 30_000
    torch.save({"X": numbers, "y": torch.zeros(30_000)}, tmp_path / "a.pt")
    refused(datasets.load, tmp_path / "a.pt", "one list many times")
    torch.save({"X": torch.zeros(30_000, 1), "y": ["a" * 90_000] * 30_000}, tmp_path / "b.pt")
    refused(datasets.load, tmp_path / "b.pt", "a word of 90000 letters")


# --- Arrow and Parquet ---


@pytest.fixture
def pa():
    return pytest.importorskip("pyarrow", reason="Arrow and Parquet files (extra: files)")


def test_a_dictionary_of_one_long_text(tmp_path, pa):
    from pyarrow import parquet

    n = 30_000
    names = pa.DictionaryArray.from_arrays(pa.array([0] * n, pa.int8()), pa.array(["a" * 90_000]))
    table = pa.table({"x": np.arange(n), "label": names})
    with pa.ipc.new_file(tmp_path / "a.arrow", table.schema) as file:
        file.write_table(table)
    parquet.write_table(table, tmp_path / "a.parquet")
    for name in ("a.arrow", "a.parquet"):
        refused(datasets.load, tmp_path / name, "a label of 90000 letters")
    path = tmp_path / "a.parquet"
    with within(60), memory.at_most(ROOM), pytest.raises(ValueError, match="a label of 90000"):
        nc.class_sums(np.ones((n, 1)), f"{path}::label", RELU)


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


def test_lists_of_one_number_many_times(tmp_path, pa):
    from pyarrow import parquet

    wide = pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(1 << 24)), 1 << 19)
    table = pa.table({"x": wide, "label": pa.array([0, 1] * 16)})
    parquet.write_table(table, tmp_path / "a.parquet", compression="zstd")
    refused(datasets.load, tmp_path / "a.parquet", "no file of its size holds")


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


@pytest.mark.parametrize(
    "how", [{}, {"chunks": (7,)}, {"chunks": (64,), "compression": "gzip", "shuffle": True}]
)
@pytest.mark.parametrize("block", [0, 512])
@pytest.mark.parametrize("version", ["earliest", "latest"])
def test_texts_of_any_length_are_those_of_the_library(tmp_path, h5py, how, block, version):
    from nc1fast.inputs.readers import hdf5

    rng = np.random.default_rng(block)
    texts = ["".join(rng.choice(list("abc\u00e9\u2713"), rng.integers(0, 40))) for _ in range(100)]
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", userblock_size=block, libver=version) as file:
        file.create_dataset("y", data=texts, dtype=h5py.string_dtype(), **how)
        file.create_dataset(
            "none", (5,), h5py.string_dtype(), **({} if not how else {"chunks": (3,)})
        )
    assert hdf5.labels(str(path), "y").tolist() == texts
    assert hdf5.labels(str(path), "none").tolist() == [""] * 5


def test_one_text_that_is_referred_to_many_times(tmp_path, h5py):
    n, path = 30_000, tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["X"] = np.ones((n, 1))
        texts = file.create_dataset("y", (n,), h5py.string_dtype())
        texts[0] = "a" * 100_000
        offset = texts.id.get_offset()
    content = path.read_bytes()
    reference = content[offset : offset + 16]
    written(path, content[:offset] + reference * n + content[offset + 16 * n :])
    refused(datasets.load, path, "its texts have 3000000000 bytes")


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


# --- MATLAB ---


def test_a_matrix_that_unpacks_to_more_than_it_says(tmp_path):
    inner = struct.pack("<II", 14, 64) + bytes(1 << 28)
    packed = zlib.compress(inner, 9)
    content = (
        b"MATLAB 5.0".ljust(124) + b"\x00\x01IM" + struct.pack("<II", 15, len(packed)) + packed
    )
    refused(datasets.load, written(tmp_path / "a.mat", content), "none of its arrays")
