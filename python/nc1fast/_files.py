"""Where data on disk lie: paths and array-likes turned into `FileRows`.

What lies in a file as plain rows is read where it is (.npy, memory maps, stored .npz members, contiguous HDF5 data
sets); everything else (compressed or chunked files, Parquet, dask arrays, column-major or byte-swapped rows) is streamed
once into a temporary file under TMPDIR.
"""

from __future__ import annotations

import mmap
import os
import tempfile
import weakref
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast._extras import require
from nc1fast._file_rows import CHUNK_BYTES, FileRows
from nc1fast._inputs import as_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    Blocks = Iterable[NDArray[Any]]

_PLAIN = {"f8", "f4", "f2", "i1", "u1", "i2", "u2", "i4", "u4"}  # what the core widens, exactly


def as_source(X: Any) -> Any:
    """FileRows of what is in a file; anything else as it is.

    Parameters
    ----------
    X : path, array on disk, or anything
        A path is that of an .npy file, or "FILE::NAME" with a member of an .npz file, a data set of an HDF5 file, an
        array of a Zarr group or columns of a Parquet file ("A,B"; without a name all of them).

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError, TypeError
        If it holds no such array, or not real numbers in two dimensions.
    """
    if isinstance(X, str | os.PathLike):
        with _reading("X", X):
            return _from_path(os.fspath(X))
    if isinstance(X, np.memmap):
        return _from_map(X)
    package = type(X).__module__.partition(".")[0]
    if package == "h5py":
        return _from_hdf5(X)
    if package in ("zarr", "dask") and hasattr(X, "shape"):
        return _from_slices(X)
    return X


def read_labels(y: Any) -> Any:
    """Labels of a file, in memory; anything else as it is. Paths as of `as_source`."""
    if not isinstance(y, str | os.PathLike):
        return y
    path, name = _split(os.fspath(y))
    with _reading("y", path):
        return _labels(path, name)


def _labels(path: str, name: str) -> Any:
    suffix = Path(path).suffix
    if suffix in (".h5", ".hdf5"):
        with require("h5py", "files").File(path, "r") as file:
            return _member(file, name, path)[()]
    if suffix in (".parquet", ".pq"):
        table = require("pyarrow.parquet", "files").read_table(path, columns=[name])
        return table.column(0).to_numpy()
    if suffix == ".zarr":
        return _open_zarr(path, name)[:]
    found = np.load(path, allow_pickle=False)
    return _member(found, name, path) if suffix == ".npz" else found


@contextmanager
def _reading(argument: str, path: Any) -> Iterator[None]:
    """Errors of a file name the argument that it was given as."""
    try:
        yield
    except OSError as error:
        told = f"{argument}: {error.strerror or error}"
        raise type(error)(error.errno, told, os.fspath(path)) from error
    except zipfile.BadZipFile as error:
        raise ValueError(f"{argument}: {path} is not an .npz file: {error}") from None


def spooled(blocks: Blocks, n_rows: int) -> FileRows:
    """Blocks of rows, written to a temporary file that goes with the last reference to it."""
    descriptor, path = tempfile.mkstemp(prefix="nc1fast-", suffix=".rows")
    owner = _Owner()
    weakref.finalize(owner, _remove, path)
    stored, n_features, written = "f8", 0, 0
    with os.fdopen(descriptor, "wb") as file:
        for block in blocks:
            rows = np.ascontiguousarray(as_rows(block, "X"))
            stored, n_features = rows.dtype.str[1:], rows.shape[1]
            written += len(rows)
            file.write(rows.data)
    if written != n_rows:
        raise ValueError(f"X must have {n_rows} rows, but {written} could be read")
    return FileRows(path, 0, n_features * int(stored[1]), stored, (n_rows, n_features), owner)


class _Owner:
    """Whoever holds it keeps the temporary file."""


def _remove(path: str) -> None:
    Path(path).unlink(missing_ok=True)


def _split(path: str) -> tuple[str, str]:
    file, _, name = path.partition("::")
    return file, name


def _member(group: Any, name: str, path: str) -> Any:
    """What has this name in a file; a file with one array needs none."""
    names = list(group.keys())
    if not name and len(names) == 1:
        name = names[0]
    if name not in group:
        raise ValueError(
            f"{path} needs the name of one of its arrays, as in '{path}::{names[0]}': {', '.join(names)}"
        )
    return group[name]


def _from_path(path: str) -> Any:
    path, name = _split(path)
    suffix = Path(path).suffix
    if suffix in (".h5", ".hdf5"):
        with require("h5py", "files").File(path, "r") as file:
            return _from_hdf5(_member(file, name, path))
    if suffix in (".parquet", ".pq"):
        return _from_parquet(path, name)
    if suffix == ".zarr":
        return _from_slices(_open_zarr(path, name))
    if suffix == ".npz":
        return _from_archive(path, name)
    try:
        return _from_map(np.load(path, mmap_mode="r", allow_pickle=False))
    except (ValueError, EOFError) as error:
        raise ValueError(f"X: {path} is not an .npy file of numbers: {error}") from None


def _plain(
    path: str, offset: int, stride: int, dtype: np.dtype[Any], shape: tuple[int, ...]
) -> Any:
    """FileRows where the core can read them as they are, or None."""
    name = "u1" if dtype == np.bool_ else dtype.str[1:]
    swapped = not dtype.isnative
    if (
        len(shape) != 2
        or 0 in shape
        or swapped
        or name not in _PLAIN
        or stride < shape[1] * dtype.itemsize
    ):
        return None
    return FileRows(str(Path(path).absolute()), offset, stride, name, (shape[0], shape[1]))


def _from_map(X: np.memmap[Any, Any]) -> Any:
    """Where the rows of a memory map lie in its file. A map that may differ from its file stays an array."""
    whole: Any = X._mmap  # type: ignore[attr-defined]
    if X.filename is None or X.mode == "c" or X.ndim != 2 or X.size == 0:
        return X
    start = np.frombuffer(whole, np.uint8).__array_interface__["data"][0]
    begin = X.offset - X.offset % mmap.ALLOCATIONGRANULARITY
    offset = begin + X.__array_interface__["data"][0] - start
    path = str(X.filename)
    rows = X.strides[1] == X.itemsize
    found = _plain(path, offset, X.strides[0], X.dtype, X.shape) if rows else None
    if found is None and (X.flags.f_contiguous or X.flags.c_contiguous):
        return _streamed(path, offset, X)
    return X if found is None else found


def _streamed(path: str, offset: int, X: Any) -> FileRows:
    """Rows that the core cannot read as they lie: column-major, byte-swapped, of 64-bit integers."""
    n, d = X.shape

    def blocks() -> Iterator[NDArray[Any]]:
        step = max(1, CHUNK_BYTES // (8 * d))
        with Path(path).open("rb") as file:
            for start in range(0, n, step):
                m = min(step, n - start)
                if X.flags.c_contiguous:
                    file.seek(offset + start * d * X.itemsize)
                    yield np.fromfile(file, X.dtype, m * d).reshape(m, d)
                    continue
                columns = np.empty((d, m), X.dtype)
                for k in range(d):
                    file.seek(offset + (k * n + start) * X.itemsize)
                    columns[k] = np.fromfile(file, X.dtype, m)
                yield columns.T

    return spooled(blocks(), n)


def _from_archive(path: str, name: str) -> FileRows:
    """A member of an .npz file: where it lies if it is stored as it is, else decompressed once."""
    with zipfile.ZipFile(path) as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        info = _member(members, name, path)
        with archive.open(info) as file:
            shape, fortran, dtype = _header(file)
            if len(shape) != 2:
                raise ValueError(
                    f"X must have shape (n_samples, n_features), got {shape} in {path}"
                )
            if info.compress_type == zipfile.ZIP_STORED:
                with Path(path).open("rb") as raw:
                    raw.seek(
                        info.header_offset + 26
                    )  # of the local header: lengths of its name and extra field
                    lengths = np.frombuffer(raw.read(4), "<u2")
                    offset = info.header_offset + 30 + int(lengths.sum()) + file.tell()
                found = (
                    None
                    if fortran
                    else _plain(path, offset, shape[1] * dtype.itemsize, dtype, shape)
                )
                if found is not None:
                    return found  # type: ignore[no-any-return]
            if fortran:
                raise ValueError(
                    f"{path} holds {name} column by column, compressed: save it as an .npy file"
                )
            return spooled(_decompressed(file, dtype, shape), shape[0])


def _header(file: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether column-major, and type from the head of an .npy file."""
    version = np.lib.format.read_magic(file)
    read = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    return read(file)


def _decompressed(
    file: Any, dtype: np.dtype[Any], shape: tuple[int, ...]
) -> Iterator[NDArray[Any]]:
    step = max(1, CHUNK_BYTES // (dtype.itemsize * shape[1]))
    for start in range(0, shape[0], step):
        m = min(step, shape[0] - start)
        yield np.frombuffer(file.read(m * shape[1] * dtype.itemsize), dtype).reshape(m, -1)


def _from_hdf5(dataset: Any) -> Any:
    """A contiguous data set where it lies in its file, another one streamed."""
    offset = dataset.id.get_offset() if dataset.chunks is None else None
    if offset is not None and dataset.ndim == 2:
        found = _plain(
            dataset.file.filename,
            offset,
            dataset.shape[1] * dataset.dtype.itemsize,
            dataset.dtype,
            dataset.shape,
        )
        if found is not None:
            return found
    return _from_slices(dataset)


def _open_zarr(path: str, name: str) -> Any:
    found = require("zarr", "files").open(path, mode="r")
    return _member(found, name, path) if hasattr(found, "keys") else found


def _from_slices(X: Any) -> FileRows:
    """Rows of an array that gives slices: zarr, dask, a chunked data set."""
    if len(X.shape) != 2:
        raise ValueError(f"X must have shape (n_samples, n_features), got {X.shape}")
    n, d = X.shape
    chunks = getattr(X, "chunks", None)
    tall = chunks[0] if chunks else 1
    tall = max(tall) if isinstance(tall, tuple) else tall
    # Whole chunks of the array, so that none is read twice.
    step = max(tall, CHUNK_BYTES // (8 * d) // tall * tall)

    def blocks() -> Iterator[NDArray[Any]]:
        for start in range(0, n, step):
            rows = X[start : start + step]
            yield np.asarray(rows.compute() if hasattr(rows, "compute") else rows)

    return spooled(blocks(), n)


def _from_parquet(path: str, columns: str) -> FileRows:
    """Columns of a Parquet file as features, in their order."""
    file = require("pyarrow.parquet", "files").ParquetFile(path)
    names = columns.split(",") if columns else file.schema_arrow.names
    missing = sorted(set(names) - set(file.schema_arrow.names))
    if missing:
        raise ValueError(f"{path} has no column {', '.join(missing)}")
    step = max(1, CHUNK_BYTES // (8 * len(names)))
    blocks = (
        np.column_stack([batch.column(name).to_numpy(zero_copy_only=False) for name in names])
        for batch in file.iter_batches(batch_size=step, columns=names)
    )
    return spooled(blocks, file.metadata.num_rows)
