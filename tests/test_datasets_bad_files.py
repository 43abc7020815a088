"""What `load` says of bad files: one line that names the file."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.file_bytes import idx_bytes, npy_bytes, npz_bytes

from nc1fast import datasets

IMAGES = np.random.default_rng(1).integers(0, 256, (9, 4, 3)).astype(np.uint8)
TARGETS = np.array([5, 0, 4, 1, 9, 2, 1, 3, 1], dtype=np.uint8)
ROWS = IMAGES.reshape(9, 12)
POINTS = np.random.default_rng(2).standard_normal((9, 3))

GOOD = {
    "a.npz": npz_bytes(X=POINTS, y=TARGETS),
    "z.npz": npz_bytes(np.savez_compressed, X=POINTS, y=TARGETS),
    "a.npy": npy_bytes(POINTS),
    "a-images-idx3-ubyte": idx_bytes(IMAGES),
    "b-images-idx3-ubyte.gz": gzip.compress(idx_bytes(IMAGES), mtime=0),
}


def refit(data, old, new):
    """Replace bytes, which must be there."""
    assert old in data
    return data.replace(old, new)


def with_bad_sum():
    data = bytearray(GOOD["a.npz"])
    at = data.find(POINTS.tobytes())
    data[at + 9] ^= 1
    return bytes(data)


WITH_NAN = np.where(np.arange(27).reshape(9, 3) == 13, np.nan, POINTS)
Y = {"labels": TARGETS}
IDX = "a-images-idx3-ubyte"

NPZ, NPY, IMAGE_FILE = GOOD["a.npz"], GOOD["a.npy"], GOOD[IDX]
# Content of files of one name, and words of the message that is about it.
BAD_CONTENT = {
    "a.npz": (
        (b"", "not a readable .npz file"),
        (NPY, "not a readable .npz file"),
        (NPZ[:-40], "not a readable .npz file"),
        (with_bad_sum(), "not a readable .npz file (Bad CRC-32"),
        (npz_bytes(), "none of its arrays is named as data are (x, data, features,"),
        (npz_bytes(a=POINTS, b=TARGETS), "two by keys=, or one as FILE::NAME; it has 'a', 'b'"),
        (npz_bytes(X=POINTS), "none of its arrays is named as labels are (y, labels, label,"),
        (npz_bytes(X=POINTS, x=POINTS, y=TARGETS), "both 'X' and 'x': name two arrays by keys="),
        (npz_bytes(X=POINTS, y=np.array([None] * 9)), "Python objects; pickles are not loaded"),
        (npz_bytes(X=POINTS, y=np.eye(9)), "labels must have shape (n_samples,), got (9, 9)"),
        (npz_bytes(X=WITH_NAN, y=TARGETS), "row 4, column 1 (from 0) is nan"),
        (npz_bytes(X=POINTS, y=WITH_NAN[:, 1]), "label of row 4 (from 0) is not finite"),
        (npz_bytes(X=POINTS + 0j, y=TARGETS), "numbers of at most 64 bits, got dtype complex128"),
        (npz_bytes(X=POINTS, y=TARGETS + 0j), "labels must be numbers or strings"),
        (npz_bytes(X=POINTS.astype("U"), y=TARGETS), "numbers of at most 64 bits, got dtype <U32"),
        (npz_bytes(X=POINTS, y=np.zeros(9, "M8[s]")), "labels must be numbers or strings"),
        (npz_bytes(X=POINTS[:0], y=TARGETS[:0]), "holds no data, only an array of shape (0, 3)"),
        (npz_bytes(X=POINTS[:, 0], y=TARGETS), "data must have shape (n_samples, n_features)"),
    ),
    "a.npy": (
        (b"", "not a readable .npy file (EOF: reading magic string"),
        (refit(NPY, b"NUMPY\x01", b"NUMPY\x09"), "has .npy format version (9, 0)"),
        (refit(NPY, b"(9, 3)", b"(-9,3)"), "no array has shape (-9, 3)"),
        (refit(NPY, b"(9, 3), }     ", b"(9999999999,)}"), "79999999992 bytes expected"),
        (NPY[:-1], "cut short: 216 bytes expected, 215 found"),
        (npy_bytes(np.zeros(9, "i4,f8")), "data must have shape (n_samples, n_features)"),
        (npy_bytes(np.full((9, 1), -np.inf)), "row 0, column 0 (from 0) is -inf"),
        (npy_bytes(np.full((9, 1), 2**60)), "must hold integers of at most 2^53"),
    ),
    "a.csv": (
        (b"", "is empty"),
        (b"\n\n , \n", "has a header and no data"),
        (b"a,b,label\n", "has a header and no data"),
        (b"1\n2\n", "has one column"),
        (b"1;2;0\n3;4;1\n", "separated by commas"),
        (b"a,b,y\n1,2,0\n3,oops,1\n", "#3: CSV conversion error to double: invalid value 'oops'"),
        (b"1,oops,0\n3,4,1\n", "the first line has both numbers and text ('oops')"),
        (b"1,2,0\n3,,1\n", "column #1: Row #2: CSV conversion error to double: invalid value ''"),
        (b"1,2,0\n1e999,3,1\n", "must be finite, but row 1, column 0 (from 0) is inf"),
        (b"1,2,0\n3,1\n", "Row #2: Expected 3 columns, got 2"),
        (b"1,2,0\n3,4,\n", "row 1 (from 0) has no label"),
        (b"1,2,0\n3,4,nan\n", "a label is 'nan', must be finite"),
        (b"a,b\n1,caf\xe9\n", "table of text ('utf-8' codec can't decode byte 0xe9 in position 9"),
        (b'1,"2,0\n3,4,1\n', "row 0 (from 0) has a label of several lines: is a quote open?"),
        (NPZ, "not a readable table of text ("),
    ),
    IDX: (
        (b"", "wrong magic number 0x: not an IDX file"),
        (b"\1" + IMAGE_FILE[1:], "wrong magic number 0x01000803"),
        (b"\0\0\x0a" + IMAGE_FILE[3:], "wrong magic number 0x00000a03"),
        (b"\0\0\x08\0\1", "wrong magic number 0x00000800"),
        (IMAGE_FILE[:9], "is cut short in the IDX header"),
        (IMAGE_FILE[:-5], "is cut short: 108 bytes expected, 103 found"),
        (IMAGE_FILE + b"\0", "has more than the 108 bytes"),
        (IMAGE_FILE[:4] + b"\xff" * 12 + IMAGE_FILE[16:], "no file of its size holds an array of"),
        (b"\0\0\x08\2" + b"\0" * 8, "holds no data, shape (0, 0)"),
        (b"\0\0\x08\xff" + b"\0\0\0\1" * 255 + b"\1", "IDX file (maximum supported dimension"),
        (idx_bytes(TARGETS), "has one dimension"),
    ),
}
# Name of the file, its content, words of the message, and arguments of `load`.
OTHERS: tuple[Any, ...] = (
    ("sub.npz", "folder", "is a folder that holds nothing; must hold MNIST", {}),
    ("a.xlsx", b"PK", "unknown kind of file '.xlsx'", {}),
    (
        "a.tar.gz",
        gzip.compress(b"1,2\n", mtime=0),
        "unknown kind of file '.gz': unpack it first",
        {},
    ),
    ("a.npz", NPZ, "no array 't'; it has 'X', 'y'", {"keys": ("X", "t")}),
    ("a.npz", NPZ, "'t' are neither a part of it nor a file; it has 'X', 'y'", {"labels": "t"}),
    ("a.npy", NPY, "an .npy file holds no labels", {}),
    ("a.npy", NPY, "to files of named arrays or columns: .npz,", dict(keys=("a", "b"), **Y)),
    ("a.npy", npy_bytes(np.array([[None]])), "holds Python objects", {"labels": [1]}),
    ("a.npy", NPY, "labels must be an array", {"labels": [[1], [1, 2]]}),
    ("a.npy", NPY, "labels must be numbers or strings", {"labels": [None] * 9}),
    ("a.csv", b"y,a,b\n1,2,0\n\n3,1,1_0\n", "error to double: invalid value '1_0'", {"labels": 0}),
    ("a.csv", b"0,1,2\n0,3,nan\n", "be finite, but row 1, column 1 (from 0) is nan", {"labels": 0}),
    ("a.csv", b"a,b,c\n1,2,0\n", "a part of it nor a file; it has 'a', 'b', 'c'", {"labels": "t"}),
    ("a.csv", b"a,t,t\n1,2,0\n", "more than one column 't'", {"labels": "t"}),
    ("a.csv", b"1,2,0\n", "no column 3 for the labels; there are 3", {"labels": 3}),
    ("a.csv", b"1,2,0\n", "2 labels for 1 rows", {"labels": [1, 2]}),
    ("a.csv", b"1,2,0\n", "got bool", {"labels": True}),
    (
        IDX + ".gz",
        gzip.compress(idx_bytes(IMAGES), mtime=0)[:-8] + b"\0" * 8,
        "file (CRC check failed",
        Y,
    ),
    (IDX + ".gz", b"\x1f\x8b\x08" + b"\xff" * 60, "not a readable IDX file (", Y),
    ("a.idx3", IMAGE_FILE, "its name does not say where they are: give labels=PATH", {}),
    ("a.idx2", idx_bytes(WITH_NAN), "row 4, column 1 (from 0) is nan", Y),
)
BAD_FILES = [
    *(
        (name, content, text, Y if name in (IDX, "a.npy") else {})
        for name, rows in BAD_CONTENT.items()
        for content, text in rows
    ),
    *OTHERS,
]


@pytest.mark.parametrize("name", ["no.npz", "no.npy", "no.csv", "no-idx3-ubyte"])
def test_missing_files_are_named(tmp_path, name):
    with pytest.raises(FileNotFoundError, match=f"{name}: no such file"):
        datasets.load(tmp_path / name, labels=TARGETS)
    (tmp_path / IDX).write_bytes(IMAGE_FILE)
    told = "no labels beside it, looked for a-labels-idx1-ubyte and a-labels-idx1-ubyte.gz"
    with pytest.raises(FileNotFoundError, match=told):
        datasets.load(tmp_path / IDX)


def open_files():
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.is_dir() else 0


@pytest.mark.parametrize(("name", "content", "text", "arguments"), BAD_FILES)
def test_bad_files_are_refused_in_one_line_that_names_them(
    tmp_path, name, content, text, arguments
):
    path = tmp_path / name
    if content == "folder":
        path.mkdir()
    else:
        path.write_bytes(content)
    before, handles = sorted(tmp_path.iterdir()), open_files()
    with pytest.raises(ValueError, match=r"^[^\n]*$") as caught:
        datasets.load(path, **arguments)
    message = str(caught.value)
    assert type(caught.value) is ValueError
    assert message.startswith(f"{path}: ")
    assert text in message
    assert sorted(tmp_path.iterdir()) == before
    del caught
    assert open_files() == handles


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("y.doc", b"1\n2\n", "unknown kind of file '.doc' for labels"),
        ("y.txt", b"1\n2\n", "2 labels for 9 rows"),
        ("y.npy", b"5\n", "EOF: reading magic string"),
        ("y.npy", npy_bytes(np.array([{}] * 9)), "holds Python objects"),
        ("y-idx1-ubyte", idx_bytes(TARGETS)[:-1], "cut short: 9 bytes expected, 8 found"),
        ("y-idx1-ubyte", idx_bytes(IMAGES), "must have shape (n_samples,), got (9, 4, 3)"),
        ("y.npy", None, "no such file"),
        ("y-idx1-ubyte", None, "no such file"),
    ],
)
def test_bad_files_of_labels_are_named(tmp_path, name, content, text):
    for data in (IDX, "a.npy"):
        (tmp_path / data).write_bytes(GOOD[data])
        if content is not None:
            (tmp_path / name).write_bytes(content)
        error = FileNotFoundError if content is None else ValueError
        with pytest.raises(error, match=re.escape(text)) as caught:
            datasets.load(tmp_path / data, labels=tmp_path / name)
        assert str(caught.value).startswith(f"{tmp_path / name}: ")


def test_a_name_with_a_line_break_is_shown_on_one_line(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        datasets.load(tmp_path / "a\nb.npz")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [name for name in GOOD if "idx" in name])
def test_every_idx_file_cut_short_is_refused(tmp_path, name):
    path = tmp_path / name
    for length in range(len(GOOD[name])):
        path.write_bytes(GOOD[name][:length])
        with pytest.raises(ValueError, match=r"^[^\n]*$") as caught:
            datasets.load(path, **Y)
        assert str(caught.value).startswith(f"{path}: ")
