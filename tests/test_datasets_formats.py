"""Files of other programs (MATLAB, HDF5, PyTorch, Arrow, CIFAR) and folders of them, against what
was written to them.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import struct
import warnings

import numpy as np
import pytest
from tests.file_bytes import (
    OF_COLUMNS,
    OF_TEXT,
    WRITERS,
    idx_bytes,
    npy_bytes,
    npz_bytes,
    write,
    write_mat,
    write_stream,
)

from nc1fast import datasets
from nc1fast.datasets import images

RNG = np.random.default_rng(4)
X = RNG.normal(size=(12, 5))
Y = np.arange(12) % 3
NAMES = np.array(["cat", "dog", "ibex"])[Y]
PIXELS = RNG.integers(0, 256, (12, 3072)).astype(np.uint8)


def same(result, data, labels):
    np.testing.assert_array_equal(result[0], data)
    assert result[0].dtype == np.float64
    assert result[1].tolist() == list(np.asarray(labels).tolist())


PAIRS = [("features", "labels"), ("embeddings", "targets"), ("X", "y"), ("data", "label")]


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("names", PAIRS, ids="/".join)
def test_usual_names_are_found(tmp_path, name, names):
    data, label = names
    WRITERS[name](tmp_path / name, **{data: X, label: Y})
    same(datasets.load(tmp_path / name), X, Y)
    same(datasets.load(tmp_path / name, keys=names), X, Y)
    same(datasets.load(tmp_path / name, labels=label), X, Y)


@pytest.mark.parametrize("name", WRITERS)
def test_labels_may_lie_in_another_file_or_be_given(tmp_path, name):
    WRITERS[name](tmp_path / name, X=X)
    (tmp_path / "l.npy").write_bytes(npy_bytes(Y))
    (tmp_path / "l.txt").write_text("\n".join(NAMES))
    write(tmp_path / "l.npz", a=X, t=Y)
    same(datasets.load(tmp_path / name, labels=str(tmp_path / "l.npy")), X, Y)
    same(datasets.load(tmp_path / name, labels=str(tmp_path / "l.txt")), X, NAMES)
    same(datasets.load(tmp_path / name, labels=f"{tmp_path / 'l.npz'}::t"), X, Y)
    same(datasets.load(tmp_path / name, labels=Y), X, Y)


@pytest.mark.parametrize("name", ["a.h5", "a.parquet", "a.feather", "a.mat", "a.npz"])
def test_labels_of_text(tmp_path, name):
    WRITERS[name](tmp_path / name, features=X, labels=NAMES)
    same(datasets.load(tmp_path / name), X, NAMES)


KINDS = ("f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8")


@pytest.mark.parametrize(
    "how", [{}, {"do_compression": True}, {"format": "4"}], ids=["5", "7", "4"]
)
@pytest.mark.parametrize("kind", KINDS)
def test_variables_of_matlab_of_every_type(tmp_path, how, kind):
    if "format" in how and kind in ("i1", "u4", "i8", "u8"):
        pytest.skip("not a type of version 4")
    savemat, data = pytest.importorskip("scipy.io").savemat, abs(10 * X).astype("i1").astype(kind)
    others = {} if "format" in how else {"record": {"a": 1.0}}  # passed over
    savemat(tmp_path / "a.mat", {"X": data, "y": Y[None].astype(float), **others}, **how)
    same(datasets.load(tmp_path / "a.mat"), data, Y)


def test_texts_of_matlab_are_labels(tmp_path):
    names = np.array([["ant", "bee"], ["cat", ""]], dtype=object)
    write_mat(tmp_path / "a.mat", X=np.eye(4), y=names)
    same(datasets.load(tmp_path / "a.mat"), np.eye(4), names.ravel())
    write_mat(tmp_path / "a.mat", X=X, y=np.array(["\u00e9\u2713", "b"])[Y // 2])
    same(datasets.load(tmp_path / "a.mat"), X, np.array(["\u00e9\u2713", "b"])[Y // 2])


def test_the_only_other_array_is_taken(tmp_path):
    write(tmp_path / "a.npz", vectors=X, labels=Y)
    write(tmp_path / "b.npz", data=X, kind=Y)
    for name in ("a.npz", "b.npz"):
        same(datasets.load(tmp_path / name), X, Y)


@pytest.mark.parametrize("name", [*OF_COLUMNS, *OF_TEXT])
def test_columns_of_numbers_are_the_features(tmp_path, name):
    columns = {f"f{i}": X[:, i] for i in range(5)}
    write(tmp_path / name, target=NAMES, **columns)  # by its name, though it is not the last
    same(datasets.load(tmp_path / name), X, NAMES)
    same(datasets.load(tmp_path / name, keys=("f3, f1", "target")), X[:, [3, 1]], NAMES)
    same(datasets.load(tmp_path / name, labels=0), X, NAMES)


def test_a_pair_of_tensors(tmp_path):
    torch = pytest.importorskip("torch")
    images = torch.from_numpy(PIXELS.reshape(12, 3, 32, 32))
    torch.save((images, torch.from_numpy(Y)), tmp_path / "training.pt")
    same(datasets.load(tmp_path / "training.pt"), PIXELS, Y)
    torch.save(torch.from_numpy(X).bfloat16().requires_grad_(), tmp_path / "one.pt")
    rounded = torch.from_numpy(X).bfloat16().double().numpy()
    same(datasets.load(tmp_path / "one.pt", labels=Y), rounded, Y)


# CIFAR and folders


def write_batch(path, rows, *, names=("labels",), protocol=2):
    content = {b"data": PIXELS[rows], b"filenames": [b"a.png"] * len(PIXELS[rows])}
    content |= {name.encode(): Y[rows].tolist() for name in names}
    path.write_bytes(pickle.dumps(content, protocol=protocol))


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("dtype", ["?", "u1", "<i2", ">i4", "<i8", "<f4", ">f8"])
def test_arrays_of_pickles_come_back(protocol, dtype):
    array = np.arange(6).reshape(2, 3).astype(dtype)
    content = {"C": array, "F": np.asfortranarray(array), "labels": [1, 2], b"name": b"\xff"}
    pickled = pickle.dumps(content, protocol=protocol)
    found = images.PlainUnpickler(io.BytesIO(pickled), encoding="bytes").load()
    assert (found["labels"], found[b"name"]) == ([1, 2], b"\xff")
    for name in "CF":
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype.newbyteorder("=") == array.dtype.newbyteorder("=")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (np.array([None, "a"]), "array of type object, numbers are needed"),
        (print, "asks for builtins.print"),
        ({"a": {1, 2}.union}, "asks for builtins.getattr"),
        (np.zeros(3, "i4,f8"), "numbers are needed"),
    ],
)
def test_pickles_of_more_than_plain_data_are_refused(value, words):
    with pytest.raises(ValueError, match=words):
        images.PlainUnpickler(io.BytesIO(pickle.dumps(value))).load()


def test_batches_of_cifar_10(tmp_path):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    write_batch(folder / "data_batch_1", slice(0, 7), protocol=4)
    write_batch(folder / "data_batch_2", slice(7, 12))
    write_batch(folder / "test_batch", slice(0, 3))
    same(datasets.load(folder / "data_batch_2"), PIXELS[7:], Y[7:])
    same(datasets.load(folder / "test_batch"), PIXELS[:3], Y[:3])
    same(datasets.load(folder), PIXELS, Y)
    same(datasets.load(tmp_path), PIXELS, Y)
    (folder / "data_batch_1").rename(folder / "data_batch_3")
    with pytest.raises(ValueError, match="holds batches 2, 3 of CIFAR: some are missing"):
        datasets.load(folder)


def test_batches_of_cifar_100(tmp_path):
    write_batch(tmp_path / "train", slice(None), names=("fine_labels",))
    write_batch(tmp_path / "test", slice(None), names=("coarse_labels", "fine_labels"))
    same(datasets.load(tmp_path), PIXELS, Y)
    same(datasets.load(tmp_path / "test", labels="coarse_labels"), PIXELS, Y)


def test_binary_batches(tmp_path):
    (tmp_path / "data_batch_1.bin").write_bytes(
        np.column_stack([Y.astype(np.uint8), PIXELS]).tobytes()
    )
    same(datasets.load(tmp_path), PIXELS, Y)
    both = np.column_stack([Y[::-1].astype(np.uint8), Y.astype(np.uint8), PIXELS])
    (tmp_path / "train.bin").write_bytes(both.tobytes())
    same(datasets.load(tmp_path / "train.bin"), PIXELS, Y)
    same(datasets.load(tmp_path / "train.bin", labels="coarse_labels"), PIXELS, Y[::-1])


@pytest.mark.parametrize("packed", [False, True])
def test_a_folder_of_mnist(tmp_path, packed):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    images = PIXELS[:, :784].reshape(12, 28, 28)
    for part, rows in (("train", slice(None)), ("t10k", slice(4))):
        for name, array in (("images-idx3", images), ("labels-idx1", Y.astype(np.uint8))):
            content = idx_bytes(array[rows])
            path = raw / f"{part}-{name}-ubyte{'.gz' if packed else ''}"
            path.write_bytes(gzip.compress(content) if packed else content)
    for folder in (raw, tmp_path):
        same(datasets.load(folder), PIXELS[:, :784], Y)
        same(datasets.load(f"{folder}/"), PIXELS[:, :784], Y)


@pytest.mark.parametrize("split", ["", "train"])
def test_a_data_set_of_hugging_face(tmp_path, split):
    folder = tmp_path / split
    folder.mkdir(exist_ok=True)
    if split:
        (tmp_path / "dataset_dict.json").write_text(json.dumps({"splits": ["test", "train"]}))
    shards = [f"data-0000{i}-of-00002.arrow" for i in range(2)]
    for shard, rows in zip(shards, (slice(0, 5), slice(5, 12)), strict=True):
        write_stream(folder / shard, image=PIXELS[rows, :6], label=Y[rows])
    state = {"_data_files": [{"filename": shard} for shard in shards], "_split": None}
    (folder / "state.json").write_text(json.dumps(state))
    (folder / "dataset_info.json").write_text("{}")
    same(datasets.load(tmp_path), PIXELS[:, :6], Y)
    state["_data_files"][0]["filename"] = "../a.arrow"
    (folder / "state.json").write_text(json.dumps(state))
    with pytest.raises(ValueError, match=r"names '\.\./a\.arrow', which is no name of a file"):
        datasets.load(tmp_path)


# Odd files: every message names the file, what was found, and what is allowed


class Evil:
    def __reduce__(self):
        return os.system, ("echo broken > broken",)


def with_tensor(**options):
    torch = pytest.importorskip("torch")
    buffer = io.BytesIO()
    torch.save({"X": torch.zeros(1).expand(10**9, 10**4), "y": torch.arange(4), **options}, buffer)
    return buffer.getvalue()


def huge_hdf5():
    h5py = pytest.importorskip("h5py")
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.create_dataset("X", (10**9, 10**3), "f8", chunks=(1, 10**3))
        file["y"] = Y
    return buffer.getvalue()


def huge_mat():
    """A .mat file whose X claims 2^30 columns."""
    buffer = io.BytesIO()
    pytest.importorskip("scipy.io").savemat(buffer, {"X": X, "y": Y})
    shape = struct.pack("<ii", *X.shape)
    return buffer.getvalue().replace(shape, struct.pack("<ii", 2**30, 2**30), 1)


def written(name, **arrays):
    """Content of a file that a writer makes, as a function of the folder to write to."""

    def content(folder):
        path = folder / f"first-{name}"
        WRITERS[name](path, **arrays)
        data = path.read_bytes()
        path.unlink()
        return data

    return content


def cut(name):
    def half(folder):
        content = written(name, X=X, y=Y)(folder)
        return content[: len(content) * 2 // 5]  # within the first array

    return half


CELLS = np.array([X.tolist(), None, "a"], dtype=object)[:1]
WITH_NAN = np.where(np.arange(60).reshape(12, 5) == 23, np.nan, X)
READABLE = {"h5": "HDF5", "pt": "PyTorch", "parquet": "Parquet", "arrow": "Arrow"}
# Name of the file, content or a function of the folder that gives it, words of the message.
ODD = {
    **{
        f"{what} {kind}": (f"a.{kind}", content, f"not a readable {name} file")
        for kind, name in READABLE.items()
        for what, content in (("empty", b""), ("cut", cut(f"a.{kind}")))
    },
    "empty mat": ("a.mat", b"", "not a readable .mat file"),
    "empty batch": ("data_batch_1", b"", "not a readable pickled batch of CIFAR"),
    "empty binary batch": ("data_batch_1.bin", b"", "no whole number of images of 3073 bytes"),
    "mat cut short": ("a.mat", cut("a.mat"), "none of its arrays is named as labels are"),
    "batch cut short": ("data_batch_1", pickle.dumps({"data": PIXELS})[:-300], "pickled batch"),
    "csv.gz cut short": ("a.csv.gz", gzip.compress(b"1,2\n3,4\n")[:-6], "Truncated compressed"),
    "complex": ("a.mat", written("a.mat", X=X + 1j, y=Y), "got dtype complex128"),
    "no labels": ("a.h5", written("a.h5", X=X), "none of its arrays is named as labels"),
    "no data": ("a.mat", written("a.mat", a=X, b=X, y=Y), "it has 'a', 'b', 'y'"),
    "lengths differ": ("a.pt", written("a.pt", X=X, y=Y[:7]), "7 labels for 12 rows"),
    "objects": ("a.npz", npz_bytes(X=X.astype(object), y=Y), "holds Python objects"),
    "a program": ("data_batch_1", pickle.dumps({b"data": Evil()}), f"asks for {os.name}.system"),
    "a program in a tensor file": ("a.pt", lambda _: evil_torch(), "not a readable PyTorch file"),
    "NaN": ("a.parquet", written("a.parquet", x=WITH_NAN, y=Y), "row 4, column 3"),
    "text as features": ("a.parquet", written("a.parquet", a=NAMES, b=Y, y=Y), "'a' holds string"),
    "a cell array": ("a.mat", written("a.mat", X=CELLS, y=Y), "'X' is a cell array of more than"),
    "huge tensor": ("a.pt", lambda _: with_tensor(), "no file of its size holds an array of"),
    "huge HDF5": ("a.h5", lambda _: huge_hdf5(), "no file of its size holds an array of"),
    "huge mat": ("a.mat", lambda _: huge_mat(), "variable 'X' is damaged: no file of its size"),
    "commas in a tsv": ("a.tsv", b"1,2,0\n3,4,1\n", "a label, separated by tabs"),
}


def evil_torch():
    torch = pytest.importorskip("torch")
    buffer = io.BytesIO()
    torch.save({"X": Evil()}, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("case", ODD)
def test_odd_files_are_refused_in_one_line_that_names_them(tmp_path, monkeypatch, case):
    name, content, words = ODD[case]
    path = tmp_path / name
    monkeypatch.chdir(tmp_path)
    path.write_bytes(content(tmp_path) if callable(content) else content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch's, of files that it did not write
        with pytest.raises(ValueError, match=r"^[^\n]*$") as caught:
            datasets.load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert words in message
    assert len(message) < 600
    assert [entry.name for entry in tmp_path.iterdir()] == [name]  # nothing has run
