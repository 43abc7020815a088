""".mat files of versions 4 to 7 are read as SciPy reads those that it has written, and stranger
ones as the format says.
"""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest

from nc1fast import datasets
from nc1fast.datasets.mat_variables import variables

RNG = np.random.default_rng(5)
KINDS = ("f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8")
ARRAYS = {
    **{kind: RNG.integers(0, 100, (5, 3)).astype(kind) for kind in KINDS},
    "logical": np.array([[True, False], [False, True]]),
    "complex": RNG.normal(size=(2, 3)) + 1j * RNG.normal(size=(2, 3)),
    "cube": RNG.normal(size=(2, 3, 4)),
    "empty": np.zeros((0, 3)),
    "one": np.array(7.0),
    "long_name_of_a_variable": RNG.normal(size=(1, 4)),
    "text": np.array(["ant", "beetle", "\u00e9"]),
}


@pytest.fixture
def matlab():
    return pytest.importorskip("scipy.io", reason="what they are compared with (extra: study)")


def _read(content):
    return {one.name: one.read() for one in variables(io.BytesIO(content))}


@pytest.mark.parametrize(
    "options", [{}, {"do_compression": True}, {"format": "4"}], ids=["5", "7", "4"]
)
def test_arrays_are_those_of_scipy(matlab, options):
    arrays = dict(ARRAYS)
    if options.get("format") == "4":  # two dimensions, and no 64 bits
        arrays = {
            n: a
            for n, a in arrays.items()
            if n not in ("cube", "i8", "u8", "i1", "u4", "logical", "one")
        }
        arrays["text"] = np.array(["ant", "bee"])
    out = io.BytesIO()
    matlab.savemat(out, arrays, **options)
    found, expected = _read(out.getvalue()), matlab.loadmat(io.BytesIO(out.getvalue()))
    assert found.keys() == arrays.keys()
    for name, array in found.items():
        if array.dtype.kind == "U":
            assert array.tolist() == [text.rstrip() for text in expected[name].tolist()]
        else:
            assert array.dtype == expected[name].dtype
            np.testing.assert_array_equal(array, expected[name])


def test_cells_of_texts_and_what_is_passed_over(matlab, tmp_path):
    names = np.array([["ant", "bee"], ["cat", ""]], dtype=object)
    content = {
        "y": names,
        "record": {"a": 1.0},
        "X": np.eye(4),
        "nested": np.array([names, 1], dtype=object),
    }
    matlab.savemat(tmp_path / "a.mat", content)
    found = {one.name: one for one in variables(io.BytesIO((tmp_path / "a.mat").read_bytes()))}
    assert found.keys() == {"y", "X", "nested"}
    assert found["y"].read().tolist() == ["ant", "bee", "cat", ""]
    with pytest.raises(ValueError, match="is a cell array of more than texts"):
        found["nested"].read()
    X, y = datasets.load(tmp_path / "a.mat")
    np.testing.assert_array_equal(X, np.eye(4))
    assert y.tolist() == names.ravel().tolist()


def _element(order, kind, data, short=False):
    if short:
        return struct.pack(f"{order}I", len(data) << 16 | kind) + data.ljust(4, b"\0")
    return struct.pack(f"{order}II", kind, len(data)) + data + bytes(-len(data) % 8)


def _matrix(order, name, shape, code, stored, data):
    """A matrix as MATLAB writes it: short elements where they fit, doubles that are whole numbers
    in bytes.
    """
    return b"".join(
        [
            _element(order, 6, struct.pack(f"{order}II", code, 0)),
            _element(order, 5, struct.pack(f"{order}{len(shape)}i", *shape)),
            _element(order, 1, name, short=len(name) <= 4),
            _element(order, stored, data, short=len(data) <= 4),
        ]
    )


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("packed", [False, True])
def test_files_as_matlab_writes_them(order, packed):
    head = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack(f"{order}H", 0x0100)
    head += b"IM" if order == "<" else b"MI"
    matrices = [
        _matrix(order, b"X", (2, 2), 6, 2, bytes([1, 2, 3, 4])),  # doubles, in bytes
        _matrix(order, b"labels", (3, 1), 6, 3, struct.pack(f"{order}3h", -1, 0, 300)),
        _matrix(order, b"t", (1, 3), 4, 16, b"abc"),
        _matrix(
            order,
            b"u",
            (1, 2),
            4,
            17,
            "\u00e9\u2713".encode("utf-16-le" if order == "<" else "utf-16-be"),
        ),
    ]
    content = head
    for matrix in matrices:
        element = struct.pack(f"{order}II", 14, len(matrix)) + matrix
        if packed:
            body = zlib.compress(element)
            element = struct.pack(f"{order}II", 15, len(body)) + body
        content += element
    found = _read(content)
    assert found["X"].tolist() == [[1, 3], [2, 4]]
    assert found["labels"].tolist() == [[-1], [0], [300]]
    assert found["t"].tolist() == ["abc"]
    assert found["u"].tolist() == ["\u00e9\u2713"]


@pytest.mark.parametrize("order", ["<", ">"])
def test_version_4_in_both_byte_orders(order):
    code = 0 if order == "<" else 1000
    values = np.arange(6.0).reshape(2, 3)
    content = struct.pack(f"{order}5i", code, 2, 3, 0, 2) + b"X\0"
    content += values.astype(f"{order}f8").tobytes(order="F")
    content += (
        struct.pack(f"{order}5i", code + 51, 2, 3, 0, 2) + b"t\0" + b"abbaac"
    )  # text in bytes
    found = _read(content)
    np.testing.assert_array_equal(found["X"], values)
    assert found["t"].tolist() == ["aba", "bac"]
