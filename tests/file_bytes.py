"""Arrays as the bytes of files (IDX, .npy, .npz), and files of every kind that holds arrays or
columns by name.
"""

from __future__ import annotations

import gzip
import io
import struct

import numpy as np
import pytest


def idx_bytes(array):
    code = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}[array.dtype.str[1:]]
    big = array.astype(array.dtype.newbyteorder(">"))
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape) + big.tobytes()


def npy_bytes(array, **options):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.asanyarray(array), **options)
    return buffer.getvalue()


def npz_bytes(save=np.savez, **arrays):
    buffer = io.BytesIO()
    save(buffer, **arrays)
    return buffer.getvalue()


# --- files by their names: writers of arrays by name, and of columns ---


def _npz(path, **arrays):
    path.write_bytes(npz_bytes(**arrays))


def write_mat(path, *, version="5", **arrays):
    pytest.importorskip("scipy.io").savemat(path, arrays, format=version)


def _mat73(path, **arrays):
    """As MATLAB does it: a user block with the name of the version, axes in reverse order."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in arrays.items():
            file[name] = np.asarray(array).T
        file["#refs#/a"] = [0]
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")


def _hdf5(path, **arrays):
    with pytest.importorskip("h5py").File(path, "w") as file:
        for name, array in arrays.items():
            text = np.asarray(array).dtype.kind == "U"
            file[name] = array.astype("O") if text else array


def _torch(path, **arrays):
    torch = pytest.importorskip("torch")
    torch.save({name: torch.from_numpy(np.asarray(a)) for name, a in arrays.items()}, path)


def _table(columns):
    arrow = pytest.importorskip("pyarrow")
    listed = {n: c.tolist() if c.ndim > 1 else arrow.array(c) for n, c in columns.items()}
    return arrow.table(listed)


def _parquet(path, **columns):
    pytest.importorskip("pyarrow.parquet").write_table(_table(columns), path)


def _feather(path, **columns):
    pytest.importorskip("pyarrow.feather").write_feather(_table(columns), path)


def write_stream(path, **columns):
    table = _table(columns)
    with pytest.importorskip("pyarrow").ipc.new_stream(path, table.schema) as stream:
        stream.write_table(table, max_chunksize=5)


def _text(path, **columns):
    separator = "\t" if ".tsv" in path.name else ","
    rows = zip(*(np.asarray(column).tolist() for column in columns.values()), strict=True)
    lines = [separator.join(columns), *(separator.join(map(str, row)) for row in rows)]
    content = "\n".join(lines).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


OF_ARRAYS = {
    "a.npz": _npz,
    "a.mat": write_mat,
    "v73.mat": _mat73,
    "a.h5": _hdf5,
    "a.hdf5": _hdf5,
    "a.pt": _torch,
    "a.pth": _torch,
}
OF_COLUMNS = {"a.parquet": _parquet, "a.feather": _feather, "a.arrow": write_stream}
OF_TEXT = {f"a{suffix}": _text for suffix in (".csv", ".csv.gz", ".tsv", ".tsv.gz")}
WRITERS = {**OF_ARRAYS, **OF_COLUMNS}


def write(path, **arrays):
    """A file of the kind that its name says."""
    suffixes = "".join(path.suffixes)
    {**WRITERS, **OF_TEXT}[f"a{suffixes}"](path, **arrays)
