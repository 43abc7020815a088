"""Formats that optional packages read: HDF5 by h5py, Zarr by zarr, Parquet by pyarrow."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nc1fast.inputs import spool
from nc1fast.inputs.arrays import check_shape
from nc1fast.inputs.file_rows import CHUNK_BYTES
from nc1fast.inputs.labels import as_texts
from nc1fast.inputs.numpy_files import in_place
from nc1fast.inputs.spool import check_claim, member, sliced
from nc1fast.support.extras import require
from nc1fast.support.files import bytes_in
from nc1fast.support.reading import check_regular, shown

if TYPE_CHECKING:
    from nc1fast.inputs.file_rows import FileRows

_PAGE_BYTES = 1 << 16  # of Parquet, read ahead in each column
_SMALL = 1 << 24  # bytes of a Parquet file that is read whole
_ROWS = 1 << 12  # of Parquet at a time, at most

# --- HDF5 ---


def hdf5_rows(path: str, name: str) -> FileRows:
    """Rows of a data set of the file."""
    with _hdf5(path) as file:
        return rows_of_dataset(_own(file, name, path))


def hdf5_labels(path: str, name: str) -> Any:
    """The data set, in memory; text of any length as str."""
    with _hdf5(path) as file:
        found = _own(file, name, path)
        check_claim(found.size * found.dtype.itemsize, path)
        text = require("h5py", "files").check_string_dtype(found.dtype)
        return (found if text is None or text.length is not None else found.asstr())[()]


def hdf5_names(path: str) -> list[str]:
    """Names of all data sets of the file, those of groups as GROUP/NAME."""
    found: list[str] = []
    with _hdf5(path) as file:
        file.visititems(lambda name, item: found.append(name) if hasattr(item, "shape") else None)
    return found


def rows_of_dataset(dataset: Any) -> FileRows:
    """Rows of an open data set: where they lie if they are contiguous, else streamed."""
    check_shape(dataset.shape, "X")
    path = dataset.file.filename
    _check_sources(dataset, path)
    n_bytes = dataset.size * dataset.dtype.itemsize
    lies = dataset.chunks is None and os.path.exists(path)  # noqa: PTH110  (not one in memory)
    offset = dataset.id.get_offset() if lies else None
    if offset is None or dataset.dtype.kind not in "fiub":
        check_claim(n_bytes, path)
        return sliced(dataset)
    if n_bytes > (there := bytes_in(path) - offset):
        raise ValueError(f"is cut short: {n_bytes} bytes expected, {there} found")
    return in_place(path, offset, dataset.shape, dataset.dtype, by_column=False)


def _hdf5(path: str) -> Any:
    """The file, a context manager."""
    return require("h5py", "files").File(path, "r")


def _own(file: Any, name: str, path: str) -> Any:
    """The data set of this name, which must lie in the file itself."""
    found = member(file, name, path)
    other = found.file.filename
    if os.path.exists(other) and not os.path.samefile(other, path):  # noqa: PTH110, PTH121
        raise ValueError(
            f"has a link to another file, {other}, in place of {name!r}: give that file"
        )
    _check_sources(found, path)
    return found


def _check_sources(dataset: Any, path: str) -> None:
    """Raise ValueError for numbers that lie in other files: what is not there HDF5 would take for
    zeros.
    """
    if dataset.external:
        raise ValueError(
            f"keeps the numbers of {dataset.name!r} in another file: write them into one"
        )
    for source in dataset.virtual_sources() if dataset.is_virtual else ():
        if source.file_name == ".":
            continue
        other = Path(path).parent / source.file_name
        check_regular(other)
        if not other.is_file():
            raise ValueError(f"needs {shown(other)}, which is not there, for {dataset.name!r}")
        with _hdf5(str(other)) as file:
            if source.dset_name not in file:
                raise ValueError(f"needs {source.dset_name} of {shown(other)}, which is not there")


# --- Zarr ---


def zarr_rows(path: str, name: str) -> FileRows:
    """Rows of an array, streamed."""
    found = _zarr(path, name)
    check_shape(found.shape, "X")
    return sliced(found)


def zarr_labels(path: str, name: str) -> Any:
    """The array as labels, in memory."""
    return _zarr(path, name)[:]


def _zarr(path: str, name: str) -> Any:
    """The array at a path, or of this name in the group there."""
    found = require("zarr", "files").open(path, mode="r")
    found = member(found, name, path) if hasattr(found, "keys") else found
    check_claim(math.prod(found.shape) * getattr(found.dtype, "itemsize", 1), path)
    return found


# --- Parquet ---


def parquet_rows(path: str, name: str) -> FileRows:
    """Columns "A,B" of the file as features, in this order; without a name all of them."""
    types = require("pyarrow", "files").types
    with opened_parquet(path) as file:
        schema, n = file.schema_arrow, file.metadata.num_rows
        names = [column.strip() for column in name.split(",")] if name else schema.names
        _check_columns(names, schema, path)
        kinds = (types.is_floating, types.is_integer, types.is_boolean)
        text = [n for n in names if not any(kind(schema.field(n).type) for kind in kinds)]
        if text:
            raise TypeError(f"X must be real numbers, which {', '.join(text)} of {path} are not")
        check_shape((n, len(names)), "X")
        check_claim(8 * n * len(names), path)
        step = max(1, min(CHUNK_BYTES // (8 * len(names)), _ROWS))
        batches = file.iter_batches(batch_size=step, columns=names, use_threads=False)
        return spool.from_columns(batches, names, n)


def parquet_labels(path: str, name: str) -> Any:
    """One column of the file, in memory."""
    with opened_parquet(path) as file:
        names = file.schema_arrow.names
        if not name and len(names) > 1:
            member(dict.fromkeys(names), name, path)
        name = name.strip() or names[0]
        _check_columns([name], file.schema_arrow, path)
        column = file.read([name]).column(0)
    if column.null_count:
        raise ValueError(f"y must not have missing labels, but {column.null_count} are in {path}")
    return label_values(column)


def label_values(column: Any) -> Any:
    """A column of labels without gaps as an array; ValueError for texts that are too long."""
    types = require("pyarrow", "files").types
    if types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    texts = types.is_string(column.type) or types.is_large_string(column.type)
    return as_texts(column.to_pylist()) if texts else column.to_numpy()


def opened_parquet(path: str) -> Any:
    """The file, a context manager.

    Of a large file, pages of the columns come into memory as they are needed, not whole row groups.
    """
    size = _PAGE_BYTES if bytes_in(path) > _SMALL else 0
    open_file = require("pyarrow.parquet", "files").ParquetFile
    return open_file(path, pre_buffer=False, buffer_size=size)


def _check_columns(names: list[str], schema: Any, path: str) -> None:
    """Raise ValueError unless the file has these columns."""
    missing = sorted(set(names) - set(schema.names))
    if missing:
        raise ValueError(f"{path} has no column {', '.join(missing)}")
