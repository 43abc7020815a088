"""Headers that lie, and what no parser takes: refused in one line that names the file."""

from __future__ import annotations

import re
import zipfile

import numpy as np
import pytest
from tests.file_bytes import idx_bytes

import nc1fast as nc

RELU = nc.NNGP("relu")
CLAIM = 3 * 10**12  # numbers


# --- headers that promise what is not there ---


def _npy(path, dtype="<f8", shape=(CLAIM, 1)):
    with path.open("wb") as file:
        head = {"descr": dtype, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, head)
        file.write(bytes(64))
    return path


def _npz(path, compression):
    member = _npy(path.with_suffix(".npy"))
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.write(member, "X.npy")
        archive.write(member, "y.npy")
    return path


def _hdf5(path):
    h5py = pytest.importorskip("h5py", reason="HDF5 files (extra: files)")
    with h5py.File(path, "w") as file:
        file.create_dataset("X", shape=(CLAIM, 1), dtype="f8", chunks=(1024, 1))
        file.create_dataset("y", shape=(CLAIM,), dtype="i8", chunks=(1024,))
    return path


def _zarr(path):
    zarr = pytest.importorskip("zarr", reason="Zarr arrays (extra: files)")
    group = zarr.open_group(str(path), mode="w")
    group.create_array("X", shape=(CLAIM, 1), dtype="f8", chunks=(1024, 1))
    group.create_array("y", shape=(CLAIM,), dtype="i8", chunks=(1024,))
    return path


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("X.npy", _npy),
        ("data.npz::X", lambda path: _npz(path, zipfile.ZIP_STORED)),
        ("data.npz::X", lambda path: _npz(path, zipfile.ZIP_DEFLATED)),
        ("data.h5::X", _hdf5),
        ("data.zarr::X", _zarr),
    ],
)
@pytest.mark.parametrize("argument", ["X", "y"])
def test_claims_of_terabytes_are_refused(tmp_path, name, make, argument):
    file, _, member = name.partition("::")
    make(tmp_path / file)
    path = f"{tmp_path / file}::{argument}" if member else str(tmp_path / file)
    data = {"X": np.ones((4, 2)), "y": [0, 0, 1, 1], argument: path}
    told = rf"^{argument}: {re.escape(str(tmp_path / file))} .*\d{{13,}} bytes"
    with pytest.raises(ValueError, match=told):
        nc.collapse(data["X"], data["y"], RELU)


def test_claims_of_terabytes_are_refused_by_load(tmp_path):
    for path, arguments in (
        (_npy(tmp_path / "X.npy"), {"labels": [0]}),
        (_npz(tmp_path / "data.npz", zipfile.ZIP_DEFLATED), {}),
    ):
        with pytest.raises(ValueError, match=f"^{re.escape(str(path))}: .*cut short"):
            nc.datasets.load(path, **arguments)
    head = bytearray(idx_bytes(np.ones((2, 3), "u1")))
    head[4:12] = b"\x7f" * 8
    (tmp_path / "a-images-idx2-ubyte").write_bytes(head)
    with pytest.raises(ValueError, match="no file of its size holds"):
        nc.datasets.load(tmp_path / "a-images-idx2-ubyte", labels=[0, 1])


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f8', 'fortran_order': False, 'shape': (4, 2), ",  # a tokenizer's error
        "(" * 9000,  # a parser's
        "{'descr': '<f8', 'fortran_order': False, 'shape': ('4', 2)}",
        "{'descr': '|O', 'fortran_order': False, 'shape': (4, 2)}",
        "{'descr': '<f8', 'fortran_order': False, 'shape': (-4, 2)}",
    ],
    ids=["cut", "deep", "text", "objects", "negative"],
)
@pytest.mark.parametrize("argument", ["X", "y"])
def test_headers_that_no_parser_takes_are_one_line(tmp_path, header, argument):
    path = tmp_path / "data.npy"
    text = header.encode() + b"\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(64))
    data = {"X": np.ones((4, 2)), "y": [0, 0, 1, 1], argument: path}
    with pytest.raises(ValueError, match=rf"^{argument}: {re.escape(str(path))}[ :]") as caught:
        nc.collapse(data["X"], data["y"], RELU)
    assert "\n" not in str(caught.value)


def test_descriptions_nested_too_deeply_are_one_line(tmp_path):
    studies = pytest.importorskip("nc1fast.studies", reason="studies (extra: study)")
    path = tmp_path / "deep.yml"
    path.write_text("arms: " + "[" * 3000)
    with pytest.raises(ValueError, match=r"deep\.yml") as caught:
        studies.load(path)
    assert "\n" not in str(caught.value)
