"""Where data on disk lie: paths and array-likes turned into `FileRows`.

What lies in a file as plain rows is read where it is (.npy, memory maps, stored .npz members, contiguous HDF5 data
sets); everything else (compressed or chunked files, Parquet, dask arrays, column-major or byte-swapped rows) is streamed
once into a temporary file, see `_spool`.
"""

from __future__ import annotations

import math
import mmap
import os
import shutil
import tempfile
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast import _spool
from nc1fast._extras import require
from nc1fast._file_rows import CHUNK_BYTES, FileRows
from nc1fast._inputs import check_shape

if TYPE_CHECKING:
    from collections.abc import Iterator

_PLAIN = {"f8", "f4", "f2", "i1", "u1", "i2", "u2", "i4", "u4"}  # what the core widens, exactly
_PAGE_BYTES = 1 << 16  # read ahead in each column of a Parquet file
_NAMED = 20  # arrays of a file that a message names


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
        If the file cannot be read, or the disk is too full for rows that must be streamed.
    ValueError, TypeError
        If it holds no such array, or not real numbers in two dimensions.
    """
    if isinstance(X, str | os.PathLike):
        path, name = _split(os.fspath(X))
        with _reading("X", path):
            return _rows_in(path, name)
    if isinstance(X, np.memmap):
        return _from_map(X)
    package = type(X).__module__.partition(".")[0]
    if package == "h5py" and hasattr(X, "shape"):
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
        return _labels_in(path, name)


def _split(path: str) -> tuple[str, str]:
    """File and name; a file whose own path holds '::' is found, too."""
    file, mark, name = path.rpartition("::")
    return (path, "") if not mark or Path(path).exists() else (file, name)


@contextmanager
def _reading(argument: str, path: str) -> Iterator[None]:
    """Errors of a file name it, and the argument that it was given as."""
    try:
        if "://" not in path:
            Path(path).stat()
        yield
    except OSError as error:
        if error.filename not in (None, path):
            raise
        if error.errno is None:
            told = " ".join(str(error).split())
            told = told if path in told else f"{path}: {told}"
            raise OSError(f"{argument}: {told}") from error
        raise type(error)(error.errno, f"{argument}: {os.strerror(error.errno)}", path) from error
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise ValueError(f"{argument}: {path} is damaged: {error}") from None


# --- what a path means ---


def _rows_in(path: str, name: str) -> Any:
    suffix = Path(path).suffix
    if suffix in (".h5", ".hdf5"):
        with _hdf5(path) as file:
            return _from_hdf5(_member(file, name, path))
    if suffix in (".parquet", ".pq"):
        return _from_parquet(path, name)
    if suffix == ".zarr":
        return _from_slices(_open_zarr(path, name))
    if suffix == ".npz":
        return _from_archive(path, name)
    return _from_map(_load(path, "X", mmap_mode="r"))


def _labels_in(path: str, name: str) -> Any:
    suffix = Path(path).suffix
    if suffix in (".h5", ".hdf5"):
        with _hdf5(path) as file:
            found = _member(file, name, path)
            text = require("h5py", "files").check_string_dtype(found.dtype)
            return found.asstr()[()] if text is not None and text.length is None else found[()]
    if suffix in (".parquet", ".pq"):
        return _column(path, name)
    if suffix == ".zarr":
        return _open_zarr(path, name)[:]
    found = _load(path, "y")
    if suffix != ".npz":
        return found
    with found as file:
        try:
            return _member(file, name, path)
        except ValueError as error:
            if "pickle" in str(error):
                raise ValueError(f"y: {path} holds Python objects, not numbers or text") from None
            raise


def _load(path: str, argument: str, **how: Any) -> Any:
    kind = Path(path).suffix if Path(path).suffix == ".npz" else ".npy"
    try:
        return np.load(path, allow_pickle=False, **how)
    except (ValueError, EOFError) as error:
        why = "" if "pickle" in str(error) else f": {error}"
        raise ValueError(
            f"{argument}: {path} is not an {kind} file of numbers or text{why}"
        ) from None


def _member(group: Any, name: str, path: str) -> Any:
    """What has this name in a file; a file with one array needs none."""
    names = list(group.keys())
    if not name and len(names) == 1:
        name = names[0]
    found = group[name] if name and name in group else group
    if not hasattr(found, "keys"):
        return found
    within = "" if found is group else f"{name}/"
    names = [f"{within}{key}" for key in list(found.keys())[:_NAMED]]
    if not names:
        raise ValueError(f"{path} holds no array")
    raise ValueError(
        f"{path} needs the name of one of its arrays, as in '{path}::{names[0]}': {', '.join(names)}"
    )


# --- rows where they lie ---


def _plain(
    path: str, offset: int, stride: int, dtype: np.dtype[Any], shape: tuple[int, ...]
) -> FileRows | None:
    """FileRows where the core can read them as they are, or None."""
    name = "u1" if dtype == np.bool_ else dtype.str[1:]
    if not dtype.isnative or name not in _PLAIN or stride < shape[1] * dtype.itemsize:
        return None
    return FileRows(str(Path(path).absolute()), offset, stride, name, (shape[0], shape[1]))


def _lying(
    path: str, offset: int, shape: tuple[int, ...], dtype: np.dtype[Any], *, by_column: bool
) -> FileRows:
    """Numbers that lie together: where they are if the core can read them, else streamed."""
    n, d = shape
    found = None if by_column else _plain(path, offset, d * dtype.itemsize, dtype, shape)
    return found or _spool.from_file(path, offset, (n, d), dtype, by_column=by_column)


def _from_map(X: np.memmap[Any, Any]) -> Any:
    """Where the rows of a memory map lie in its file. A map that may differ from its file stays an array."""
    if X.filename is None or X.mode == "c" or X.ndim != 2 or X.size == 0:
        return X
    whole: Any = X._mmap  # type: ignore[attr-defined]
    start = np.frombuffer(whole, np.uint8).__array_interface__["data"][0]
    begin = X.offset - X.offset % mmap.ALLOCATIONGRANULARITY
    offset = begin + X.__array_interface__["data"][0] - start
    path = str(X.filename)
    if X.flags.c_contiguous or X.flags.f_contiguous:
        return _lying(path, offset, X.shape, X.dtype, by_column=not X.flags.c_contiguous)
    rows = X.strides[1] == X.itemsize
    found = _plain(path, offset, X.strides[0], X.dtype, X.shape) if rows else None
    return found or _spool.from_slices(X, forget=lambda: whole.madvise(mmap.MADV_DONTNEED))


def _from_archive(path: str, name: str) -> FileRows:
    """A member of an .npz file: where it lies if it is stored as it is, else decompressed once."""
    with zipfile.ZipFile(path) as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        info = _member(members, name, path)
        with archive.open(info) as file:
            shape, by_column, dtype = _header(file)
            check_shape(shape, "X")
            if info.compress_type == zipfile.ZIP_STORED:
                begin = _begin(path, info) + file.tell()
                return _lying(path, begin, shape, dtype, by_column=by_column)
            if not by_column:
                return _spool.from_stream(file, (shape[0], shape[1]), dtype)
            with tempfile.NamedTemporaryFile(prefix="nc1fast-") as columns:
                try:
                    shutil.copyfileobj(file, columns)
                    columns.flush()
                except OSError as error:
                    raise _spool.full(error, columns.name, "TMPDIR decides where") from error
                return _lying(columns.name, 0, shape, dtype, by_column=True)


def _begin(path: str, info: zipfile.ZipInfo) -> int:
    """Where the bytes of a stored member begin: behind a header that ends with a name and an extra field."""
    with Path(path).open("rb") as raw:
        raw.seek(info.header_offset + 26)
        lengths = np.frombuffer(raw.read(4), "<u2")
    return info.header_offset + 30 + int(lengths.sum())


def _header(file: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether column-major, and type from the head of an .npy file."""
    version = np.lib.format.read_magic(file)
    read = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    return read(file)


# --- what other packages open ---


def _hdf5(path: str) -> Any:
    return require("h5py", "files").File(path, "r")


def _from_hdf5(dataset: Any) -> FileRows:
    """A contiguous data set where it lies in its file, another one streamed."""
    check_shape(dataset.shape, "X")
    offset = dataset.id.get_offset() if dataset.chunks is None else None
    if offset is None or dataset.dtype.kind not in "fiub":
        return _from_slices(dataset)
    return _lying(dataset.file.filename, offset, dataset.shape, dataset.dtype, by_column=False)


def _open_zarr(path: str, name: str) -> Any:
    found = require("zarr", "files").open(path, mode="r")
    return _member(found, name, path) if hasattr(found, "keys") else found


def _from_slices(X: Any) -> FileRows:
    if any(math.isnan(size) for size in X.shape):
        raise ValueError(
            f"X has chunks of unknown size {X.shape}: call compute_chunk_sizes() first"
        )
    check_shape(X.shape, "X")
    return _spool.from_slices(X)


def _from_parquet(path: str, columns: str) -> FileRows:
    """Columns of a Parquet file as features, in their order."""
    arrow = require("pyarrow", "files")
    with _parquet(path, "X") as file:
        schema = file.schema_arrow
        names = [name.strip() for name in columns.split(",")] if columns else schema.names
        _check_columns(names, schema, path)
        kinds = (arrow.types.is_floating, arrow.types.is_integer, arrow.types.is_boolean)
        text = [n for n in names if not any(kind(schema.field(n).type) for kind in kinds)]
        if text:
            raise TypeError(f"X must be real numbers, which {', '.join(text)} of {path} are not")
        n = file.metadata.num_rows
        check_shape((n, len(names)), "X")
        step = max(1, CHUNK_BYTES // (8 * len(names)))
        batches = file.iter_batches(batch_size=step, columns=names, use_threads=False)
        return _spool.from_columns(batches, names, n)


def _column(path: str, name: str) -> Any:
    """One column of a Parquet file, as labels."""
    with _parquet(path, "y") as file:
        names = file.schema_arrow.names
        if not name and len(names) > 1:
            _member(dict.fromkeys(names), name, path)
        name = name.strip() or names[0]
        _check_columns([name], file.schema_arrow, path)
        column = file.read(columns=[name]).column(0)
    if column.null_count:
        raise ValueError(f"y must not have missing labels, but {column.null_count} are in {path}")
    return column.to_numpy()


def _parquet(path: str, argument: str) -> Any:
    parquet = require("pyarrow.parquet", "files")
    try:
        # Pages of the columns as they are asked for: by default whole row groups come into memory.
        return parquet.ParquetFile(path, pre_buffer=False, buffer_size=_PAGE_BYTES)
    except ValueError as error:  # ArrowInvalid
        raise ValueError(f"{argument}: {path} is not a Parquet file: {error}") from None


def _check_columns(names: list[str], schema: Any, path: str) -> None:
    missing = sorted(set(names) - set(schema.names))
    if missing:
        raise ValueError(f"{path} has no column {', '.join(missing)}")
