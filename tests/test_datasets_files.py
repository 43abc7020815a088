"""Files of data against what was written to them."""

from __future__ import annotations

import csv
import gzip

import numpy as np
import pytest
from tests.file_bytes import idx_bytes

from nc1fast import datasets

IMAGES = np.random.default_rng(1).integers(0, 256, (9, 4, 3)).astype(np.uint8)
TARGETS = np.array([5, 0, 4, 1, 9, 2, 1, 3, 1], dtype=np.uint8)
ROWS = IMAGES.reshape(9, 12)
POINTS = np.random.default_rng(2).standard_normal((9, 3))


def same(result, X, y):
    assert result[0].dtype == np.float64
    assert result[0].flags.c_contiguous
    assert result[0].flags.writeable
    assert np.array_equal(result[0], X)
    assert np.array_equal(result[1], y)
    kind = np.asarray(y).dtype
    assert result[1].dtype == (np.int64 if kind.kind in "iu" else kind)
    return True


def test_keras_images_are_flattened_and_columns_of_labels_too(tmp_path):
    path = tmp_path / "mnist.npz"
    np.savez(path, x_train=IMAGES, y_train=TARGETS[:, None], x_test=IMAGES[:3], y_test=TARGETS[:3])
    assert same(datasets.load(path), ROWS, TARGETS)
    assert same(datasets.load(path, keys=("x_test", "y_test")), ROWS[:3], TARGETS[:3])


@pytest.mark.parametrize("dtype", ["?", "u1", "<i2", ">i4", "<i8", "<f2", ">f4", ">f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_round_trip(tmp_path, dtype, order):
    X = np.asarray(ROWS.astype(dtype), order=order)
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", TARGETS)
    (tmp_path / "y-idx1-ubyte").write_bytes(idx_bytes(TARGETS))
    files = tmp_path / "y.npy", str(tmp_path / "y.npy"), tmp_path / "y-idx1-ubyte"
    for labels in (TARGETS, TARGETS.tolist(), *files):
        assert same(datasets.load(tmp_path / "x.npy", labels=labels), X, TARGETS)


def test_npz_compressed_and_named(tmp_path):
    for names in (("x_train", "y_train"), ("a", "b")):
        arrays = {names[0]: POINTS, names[1]: TARGETS, "x_test": POINTS[:2]}
        np.savez_compressed(tmp_path / "a.npz", **arrays)
        keys = names if "a" in names else None
        assert same(datasets.load(str(tmp_path / "a.npz"), keys=keys), POINTS, TARGETS)


@pytest.mark.parametrize(
    "labels", [list("abcabcabc"), [0.5, 1.5, 2] * 3, [True, False, True] * 3, [-1, 1, 2] * 3]
)
def test_labels_of_any_sortable_kind(tmp_path, labels):
    np.save(tmp_path / "x.npy", POINTS)
    np.save(tmp_path / "y.npy", labels)
    assert same(datasets.load(tmp_path / "x.npy", labels=labels), POINTS, labels)
    assert same(datasets.load(tmp_path / "x.npy", labels=tmp_path / "y.npy"), POINTS, labels)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
        ("t10k-images.idx3-ubyte", "t10k-labels.idx1-ubyte"),
        ("emnist-letters-test-images-idx3-ubyte", "emnist-letters-test-labels-idx1-ubyte"),
        ("images.idx", "labels.idx"),
    ],
)
def test_idx_round_trip(tmp_path, zipped, images, labels):
    pack, suffix = (gzip.compress, ".gz") if zipped else (bytes, "")
    (tmp_path / (images + suffix)).write_bytes(pack(idx_bytes(IMAGES)))
    (tmp_path / (labels + suffix)).write_bytes(pack(idx_bytes(TARGETS)))
    assert same(datasets.load(tmp_path / (images + suffix)), ROWS, TARGETS)
    (tmp_path / (labels + suffix)).rename(tmp_path / (labels + ("" if zipped else ".gz")))
    path = tmp_path / (images + suffix)
    assert same(datasets.load(path), ROWS, TARGETS)  # content decides, not .gz
    assert same(datasets.load(path, labels=TARGETS[::-1]), ROWS, TARGETS[::-1])


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "i4", "f4", "f8"])
def test_idx_types(tmp_path, dtype):
    X = (POINTS * 40).astype(dtype)
    (tmp_path / "x.idx2").write_bytes(idx_bytes(X))
    (tmp_path / "y.idx1").write_bytes(idx_bytes(TARGETS.astype(dtype)))
    y = TARGETS.astype(float if dtype[0] == "f" else int)
    got = datasets.load(tmp_path / "x.idx2", labels=tmp_path / "y.idx1")
    assert np.array_equal(got[0], X)
    assert np.array_equal(got[1], y)


def write_csv(path, header, X, column, labels):
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        rows = [list(map(repr, map(float, row))) for row in X]
        for row, label in zip(rows, labels, strict=True):
            row.insert(column % (X.shape[1] + 1), label)
        writer.writerows(([header] if header else []) + rows)


@pytest.mark.parametrize("header", [None, ["one", "two", "three", "four, quoted"]])
@pytest.mark.parametrize("column", [0, 1, -1])
@pytest.mark.parametrize("kind", [int, float, str])
def test_csv_round_trip(tmp_path, header, column, kind):
    path = tmp_path / "a.csv"
    texts = np.array(["a,b", 'say "c"', "z"] * 3)
    y = {int: TARGETS.astype(int), float: TARGETS + 0.5, str: texts}[kind]
    write_csv(path, header, POINTS, column, y.tolist())
    column = None if column == -1 else column
    assert same(datasets.load(path, labels=column), POINTS, y)
    if header:
        assert same(datasets.load(path, labels=header[-1 if column is None else column]), POINTS, y)


@pytest.mark.parametrize(
    ("text", "labels", "X", "y"),
    [
        ("1,2,0\n3,4,1\n", None, [[1, 2], [3, 4]], [0, 1]),
        ("\ufeffa,b,c\r\n1,2,0\r\n\r\n3,4,1", None, [[1, 2], [3, 4]], [0, 1]),
        (" a , b , c \n 1 , 2 , x \n 3 , 4 , y \n", "c", [[1, 2], [3, 4]], ["x", "y"]),
        ("label,0,1\n7,2,3\n8,4,5\n", 0, [[2, 3], [4, 5]], [7, 8]),  # names that are numbers
        ("label,0,1\n7,2,3\n8,4,5\n", "label", [[2, 3], [4, 5]], [7, 8]),
        ("5,6,7\n1,2,0\n", "7", [[1, 2]], [0]),
        ("1,2,9223372036854775807\n3,4,-9\n", -1, [[1, 2], [3, 4]], [2**63 - 1, -9]),
        ("1,2,9223372036854775808\n3,4,-9\n", -1, [[1, 2], [3, 4]], ["9223372036854775808", "-9"]),
        ("1,2,3\n3,4,a\n", None, [[1, 2], [3, 4]], ["3", "a"]),
        ("1e-3,-.5,0\n+1,4.,1\n", None, [[1e-3, -0.5], [1, 4]], [0, 1]),
    ],
)
def test_csv_by_hand(tmp_path, text, labels, X, y):
    path = tmp_path / "a.csv"
    path.write_text(text, encoding="utf-8", newline="")
    assert same(datasets.load(path, labels=labels), X, y)
