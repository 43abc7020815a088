"""What `load` says of bad files: one line that names the file."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

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


def with_member_byte(offset, value):
    """GOOD["a.npz"] with a byte set in the two headers of each member (offset in the local one)."""
    data = bytearray(GOOD["a.npz"])
    for signature, shift in ((b"PK\x03\x04", 0), (b"PK\x01\x02", 2)):
        at = data.find(signature)
        while at >= 0:
            data[at + shift + offset] = value
            at = data.find(signature, at + 4)
    return bytes(data)


def with_bad_sum():
    data = bytearray(GOOD["a.npz"])
    at = data.find(POINTS.tobytes())
    data[at + 9] ^= 1
    return bytes(data)


def no_array_inside():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("X.npy", b"not an array")
        archive.writestr("y.npy", npy_bytes(TARGETS))
    return buffer.getvalue()


WITH_NAN = np.where(np.arange(27).reshape(9, 3) == 13, np.nan, POINTS)
Y = {"labels": TARGETS}
IDX = "a-images-idx3-ubyte"

# name: (file, content or None, arguments, error, text after the name of the file)
BAD_FILES = {
    "missing": ("no.npz", None, {}, FileNotFoundError, "no such file"),
    "missing npy": ("no.npy", None, Y, FileNotFoundError, "no such file"),
    "missing csv": ("no.csv", None, {}, FileNotFoundError, "no such file"),
    "missing IDX": ("no-idx3-ubyte", None, {}, FileNotFoundError, "no such file"),
    "folder": ("sub.npz", "folder", {}, ValueError, "is a folder that holds nothing; must hold MNIST"),
    "unknown suffix": ("a.xlsx", b"PK", {}, ValueError, "unknown kind of file '.xlsx'"),
    "no suffix": ("data", b"1,2", {}, ValueError, "unknown kind of file ''"),
    "archive": ("a.tar.gz", gzip.compress(b"1,2\n"), {}, ValueError, "unknown kind of file '.gz': unpack it first"),
    "pickle": ("a.pkl", b"\x80\x04.", {}, ValueError, "unknown kind of file '.pkl'"),
    # .npz
    "npz: empty": ("a.npz", b"", {}, ValueError, "not a readable .npz file"),
    "npz: text": ("a.npz", b"1,2,3\n" * 99, {}, ValueError, "not a readable .npz file"),
    "npz: is npy": ("a.npz", GOOD["a.npy"], {}, ValueError, "not a readable .npz file"),
    "npz: cut short": ("a.npz", GOOD["a.npz"][:-40], {}, ValueError, "not a readable .npz file"),
    "npz: sum": ("a.npz", with_bad_sum(), {}, ValueError, "not a readable .npz file (Bad CRC-32"),
    "npz: encrypted": ("a.npz", with_member_byte(6, 1), {}, ValueError, "not a readable .npz file"),
    "npz: nothing": ("a.npz", npz_bytes(), {}, ValueError, "none of its arrays is named as data are (x, data, features,"),
    "npz: other names": ("a.npz", npz_bytes(a=POINTS, b=TARGETS), {}, ValueError, "name two by keys=, or one as FILE::NAME; it has 'a', 'b'"),
    "npz: no labels": ("a.npz", npz_bytes(X=POINTS), {}, ValueError, "none of its arrays is named as labels are (y, labels, label,"),
    "npz: two pairs": ("a.npz", npz_bytes(X=POINTS, x=POINTS, y=TARGETS), {}, ValueError, "has both 'X' and 'x': name two arrays by keys="),
    "npz: missing key": ("a.npz", GOOD["a.npz"], {"keys": ("X", "t")}, ValueError, "no array 't'; it has 'X', 'y'"),
    "npz: labels": ("a.npz", GOOD["a.npz"], {"labels": "t"}, ValueError, "labels 't' are neither a part of it nor a file; it has 'X', 'y'"),
    "npz: objects": ("a.npz", npz_bytes(X=POINTS, y=np.array([None] * 9)), {}, ValueError, "array 'y' holds Python objects; pickles are not loaded"),
    "npz: not an array": ("a.npz", no_array_inside(), {}, ValueError, "array 'X' the magic string is not correct"),
    "npz: fewer labels": ("a.npz", npz_bytes(X=POINTS, y=TARGETS[:8]), {}, ValueError, "8 labels for 9 rows"),
    "npz: one-hot labels": ("a.npz", npz_bytes(X=POINTS, y=np.eye(9)), {}, ValueError, "labels must have shape (n_samples,), got (9, 9)"),
    "npz: NaN": ("a.npz", npz_bytes(X=WITH_NAN, y=TARGETS), {}, ValueError, "row 4, column 1 (from 0) is nan"),
    "npz: NaN label": ("a.npz", npz_bytes(X=POINTS, y=WITH_NAN[:, 1]), {}, ValueError, "label of row 4 (from 0) is not finite"),
    "npz: complex": ("a.npz", npz_bytes(X=POINTS + 0j, y=TARGETS), {}, ValueError, "dtype complex128 is not allowed"),
    "npz: complex labels": ("a.npz", npz_bytes(X=POINTS, y=TARGETS + 0j), {}, ValueError, "labels must be numbers or strings"),
    "npz: strings": ("a.npz", npz_bytes(X=POINTS.astype("U"), y=TARGETS), {}, ValueError, "dtype <U32 is not allowed"),
    "npz: dates": ("a.npz", npz_bytes(X=POINTS, y=np.zeros(9, "M8[s]")), {}, ValueError, "labels must be numbers or strings"),
    "npz: no rows": ("a.npz", npz_bytes(X=POINTS[:0], y=TARGETS[:0]), {}, ValueError, "holds no data, only an array of shape (0, 3)"),
    "npz: one dimension": ("a.npz", npz_bytes(X=POINTS[:, 0], y=TARGETS), {}, ValueError, "data must have shape (n_samples, n_features)"),
    "npz: scalar": ("a.npz", npz_bytes(X=np.float64(1), y=TARGETS), {}, ValueError, "data must have shape"),
    # .npy
    "npy: no labels": ("a.npy", GOOD["a.npy"], {}, ValueError, "an .npy file holds no labels"),
    "npy: keys": ("a.npy", GOOD["a.npy"], dict(keys=("a", "b"), **Y), ValueError, "keys belongs to files of named arrays or columns: .npz,"),
    "npy: empty": ("a.npy", b"", Y, ValueError, "not a readable .npy file (EOF: reading magic string"),
    "npy: magic": ("a.npy", b"\x93NUMPX" + GOOD["a.npy"][6:], Y, ValueError, "not a readable .npy file (the magic string is not correct"),
    "npy: version": ("a.npy", refit(GOOD["a.npy"], b"NUMPY\x01", b"NUMPY\x09"), Y, ValueError, "has .npy format version (9, 0)"),
    "npy: header": ("a.npy", refit(GOOD["a.npy"], b"'shape'", b"'shapf'"), Y, ValueError, "not a readable .npy file (Header does not contain the correct keys"),
    "npy: header code": ("a.npy", refit(GOOD["a.npy"], b"(9, 3)", b"f(9,3)"), Y, ValueError, "not a readable .npy file ("),
    "npy: negative": ("a.npy", refit(GOOD["a.npy"], b"(9, 3)", b"(-9,3)"), Y, ValueError, "no array has shape (-9, 3)"),
    "npy: huge": ("a.npy", refit(GOOD["a.npy"], b"(9, 3), }     ", b"(9999999999,)}"), Y, ValueError, "cut short: 79999999992 bytes expected, 216 found"),
    "npy: cut short": ("a.npy", GOOD["a.npy"][:-1], Y, ValueError, "cut short: 216 bytes expected, 215 found"),
    "npy: objects": ("a.npy", npy_bytes(np.array([[None]])), {"labels": [1]}, ValueError, "holds Python objects"),
    "npy: structured": ("a.npy", npy_bytes(np.zeros(9, "i4,f8")), Y, ValueError, "data must have shape (n_samples, n_features)"),
    "npy: infinite": ("a.npy", npy_bytes(np.full((9, 1), -np.inf)), Y, ValueError, "row 0, column 0 (from 0) is -inf"),
    "npy: large integers": ("a.npy", npy_bytes(np.full((9, 1), 2**60)), Y, ValueError, "integers beyond 2^53"),
    "npy: fewer labels": ("a.npy", GOOD["a.npy"], {"labels": [1, 2]}, ValueError, "2 labels for 9 rows"),
    "npy: ragged labels": ("a.npy", GOOD["a.npy"], {"labels": [[1], [1, 2]]}, ValueError, "labels must be an array"),
    "npy: object labels": ("a.npy", GOOD["a.npy"], {"labels": [None] * 9}, ValueError, "labels must be numbers or strings"),
    # .csv
    "csv: empty": ("a.csv", b"", {}, ValueError, "is empty"),
    "csv: blank": ("a.csv", b"\n\n , \n", {}, ValueError, "has a header and no data"),
    "csv: only a header": ("a.csv", b"a,b,label\n", {}, ValueError, "has a header and no data"),
    "csv: one column": ("a.csv", b"1\n2\n", {}, ValueError, "has one column"),
    "csv: semicolons": ("a.csv", b"1;2;0\n3;4;1\n", {}, ValueError, "separated by commas"),
    "csv: text": ("a.csv", b"a,b,y\n1,2,0\n3,oops,1\n", {}, ValueError, "Row #3: CSV conversion error to double: invalid value 'oops'"),
    "csv: text before": ("a.csv", b"y,a,b\n1,2,0\n\n3,1,1_0\n", {"labels": 0}, ValueError, "CSV conversion error to double: invalid value '1_0'"),
    "csv: text in line 1": ("a.csv", b"1,oops,0\n3,4,1\n", {}, ValueError, "the first line has both numbers and text ('oops')"),
    "csv: empty cell": ("a.csv", b"1,2,0\n3,,1\n", {}, ValueError, "In CSV column #1: Row #2: CSV conversion error to double: invalid value ''"),
    "csv: NaN": ("a.csv", b"0,1,2\n0,3,nan\n", {"labels": 0}, ValueError, "row 1, column 1 (from 0) is nan, must be finite"),
    "csv: overflow": ("a.csv", b"1,2,0\n1e999,3,1\n", {}, ValueError, "row 1, column 0 (from 0) is inf, must be finite"),
    "csv: short line": ("a.csv", b"1,2,0\n3,1\n", {}, ValueError, "Row #2: Expected 3 columns, got 2"),
    "csv: long line": ("a.csv", b"1,2,0\n3,1,2,3\n", {}, ValueError, "Row #2: Expected 3 columns, got 4"),
    "csv: no label": ("a.csv", b"1,2,0\n3,4,\n", {}, ValueError, "row 1 (from 0) has no label"),
    "csv: NaN label": ("a.csv", b"1,2,0\n3,4,nan\n", {}, ValueError, "a label is 'nan', must be finite"),
    "csv: no such name": ("a.csv", b"a,b,c\n1,2,0\n", {"labels": "t"}, ValueError, "labels 't' are neither a part of it nor a file; it has 'a', 'b', 'c'"),
    "csv: same names": ("a.csv", b"a,t,t\n1,2,0\n", {"labels": "t"}, ValueError, "more than one column 't'"),
    "csv: no such column": ("a.csv", b"1,2,0\n", {"labels": 3}, ValueError, "no column 3 for the labels; there are 3"),
    "csv: too many labels": ("a.csv", b"1,2,0\n", {"labels": [1, 2]}, ValueError, "2 labels for 1 rows"),
    "csv: bool": ("a.csv", b"1,2,0\n", {"labels": True}, ValueError, "got bool"),
    "csv: Latin-1": ("a.csv", b"a,b\n1,caf\xe9\n", {}, ValueError, "not a readable table of text ('utf-8' codec can't decode byte 0xe9 in position 9"),
    "csv: open quote": ("a.csv", b'1,"2,0\n3,4,1\n', {}, ValueError, "row 0 (from 0) has a label of several lines: is a quote open?"),
    "csv: binary": ("a.csv", GOOD["a.npz"], {}, ValueError, "not a readable table of text ("),
    # IDX
    "IDX: empty": (IDX, b"", Y, ValueError, "wrong magic number 0x: not an IDX file"),
    "IDX: magic": (IDX, b"\1" + GOOD[IDX][1:], Y, ValueError, "wrong magic number 0x01000803"),
    "IDX: type": (IDX, b"\0\0\x0a" + GOOD[IDX][3:], Y, ValueError, "wrong magic number 0x00000a03"),
    "IDX: no dimension": (IDX, b"\0\0\x08\0\1", Y, ValueError, "wrong magic number 0x00000800"),
    "IDX: is npy": (IDX, GOOD["a.npy"], Y, ValueError, "wrong magic number 0x934e554d"),
    "IDX: header": (IDX, GOOD[IDX][:9], Y, ValueError, "is cut short in the IDX header"),
    "IDX: cut short": (IDX, GOOD[IDX][:-5], Y, ValueError, "is cut short: 108 bytes expected, 103 found"),
    "IDX: too long": (IDX, GOOD[IDX] + b"\0", Y, ValueError, "has more than the 108 bytes"),
    "IDX: huge": (IDX, GOOD[IDX][:4] + b"\xff" * 12 + GOOD[IDX][16:], Y, ValueError, "no file of its size holds an array of"),
    "IDX: no rows": (IDX, b"\0\0\x08\2" + b"\0" * 8, Y, ValueError, "holds no data, shape (0, 0)"),
    "IDX: dimensions": (IDX, b"\0\0\x08\xff" + b"\0\0\0\1" * 255 + b"\1", Y, ValueError, "not a readable IDX file (maximum supported dimension"),
    "IDX: labels given as data": (IDX, idx_bytes(TARGETS), Y, ValueError, "has one dimension"),
    "IDX: gzip cut short": (IDX + ".gz", gzip.compress(idx_bytes(IMAGES))[:-12], Y, ValueError, "not a readable IDX file ("),
    "IDX: gzip sum": (IDX + ".gz", gzip.compress(idx_bytes(IMAGES))[:-8] + b"\0" * 8, Y, ValueError, "not a readable IDX file (CRC check failed"),
    "IDX: gzip damaged": (IDX + ".gz", b"\x1f\x8b\x08" + b"\xff" * 60, Y, ValueError, "not a readable IDX file ("),
    "IDX: no labels beside": (IDX, GOOD[IDX], {}, FileNotFoundError, "no labels beside it, looked for a-labels-idx1-ubyte and a-labels-idx1-ubyte.gz"),
    "IDX: name says nothing": ("a.idx3", GOOD[IDX], {}, ValueError, "its name does not say where they are: give labels=PATH"),
    "IDX: NaN": ("a.idx2", idx_bytes(WITH_NAN), Y, ValueError, "row 4, column 1 (from 0) is nan"),
    "IDX: fewer labels": (IDX, GOOD[IDX], {"labels": TARGETS[1:]}, ValueError, "8 labels for 9 rows"),
}  # fmt: skip


def open_files():
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.is_dir() else 0


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_files_are_refused_in_one_line_that_names_them(tmp_path, case):
    name, content, arguments, error, text = BAD_FILES[case]
    path = tmp_path / name
    if content == "folder":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    before, handles = sorted(tmp_path.iterdir()), open_files()
    with pytest.raises(error) as caught:
        datasets.load(path, **arguments)
    message = str(caught.value)
    assert type(caught.value) is error
    assert message.startswith(f"{path}: ")
    assert text in message
    assert "\n" not in message
    assert sorted(tmp_path.iterdir()) == before
    del caught
    assert open_files() == handles


@pytest.mark.parametrize(
    ("name", "content", "error", "text"),
    [
        ("y.npy", None, FileNotFoundError, "no such file"),
        ("y-idx1-ubyte", None, FileNotFoundError, "no such file"),
        ("y.doc", b"1\n2\n", ValueError, "unknown kind of file '.doc' for labels"),
        ("y.txt", b"1\n2\n", ValueError, "2 labels for 9 rows"),
        ("y.npy", b"5\n", ValueError, "EOF: reading magic string"),
        ("y.npy", npy_bytes(TARGETS[:4]), ValueError, "4 labels for 9 rows"),
        ("y.npy", npy_bytes(np.array([{}] * 9)), ValueError, "holds Python objects"),
        ("y-idx1-ubyte", idx_bytes(TARGETS)[:-1], ValueError, "cut short: 9 bytes expected, 8 found"),
        ("y-idx1-ubyte.gz", gzip.compress(b"\0\0\7\1", mtime=0), ValueError, "wrong magic number 0x00000701"),
        ("y-idx1-ubyte", idx_bytes(IMAGES), ValueError, r"labels must have shape (n_samples,), got (9, 4, 3)"),
    ],
)  # fmt: skip
def test_bad_files_of_labels_are_named(tmp_path, name, content, error, text):
    for data in (IDX, "a.npy"):
        (tmp_path / data).write_bytes(GOOD[data])
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(error) as caught:
            datasets.load(tmp_path / data, labels=tmp_path / name)
        assert str(caught.value).startswith(f"{tmp_path / name}: ")
        assert text in str(caught.value)


def test_a_name_with_a_line_break_is_shown_on_one_line(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        datasets.load(tmp_path / "a\nb.npz")
    assert "\n" not in str(caught.value)


IDX_FILES = [name for name in GOOD if "idx" in name]


@pytest.mark.parametrize("name", IDX_FILES)
def test_every_idx_file_cut_short_is_refused(tmp_path, name):
    path = tmp_path / name
    for length in range(len(GOOD[name])):
        path.write_bytes(GOOD[name][:length])
        with pytest.raises(ValueError, match=r"^[^\n]*$") as caught:
            datasets.load(path, **Y)
        assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("name", IDX_FILES)
def test_a_damaged_byte_of_idx_gives_data_or_the_documented_error(tmp_path, name):
    path, rng, refused = tmp_path / name, np.random.default_rng(17), 0
    for _ in range(400):
        data = bytearray(GOOD[name])
        for at in rng.integers(0, len(data), rng.integers(1, 4)):
            data[at] = rng.integers(0, 256)
        path.write_bytes(data)
        try:
            X, y = datasets.load(path, **Y)
        except ValueError as error:
            refused += 1
            message = str(error)
            assert message.startswith(f"{path}: ")
            assert "\n" not in message
        else:
            assert np.isfinite(X).all()
            assert X.ndim == 2
            assert len(X) == len(y)
    assert refused > 0
