"""Where data on disk lie: paths and array-likes turned into `FileRows`.

What lies in a file as plain rows is read where it is (.npy, memory maps, stored .npz members, contiguous HDF5 data
sets); everything else (compressed or chunked files, Parquet, dask arrays, column-major or byte-swapped rows) is streamed
once into a temporary file, see `inputs.spool`.
"""

from __future__ import annotations

import functools
import math
import mmap
import os
import shutil
import tempfile
import zipfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from nc1fast.inputs import spool
from nc1fast.inputs.arrays import check_shape
from nc1fast.inputs.file_rows import CHUNK_BYTES, FileRows
from nc1fast.support.extras import require
from nc1fast.support.npy import check_room, members, open_member, read_array, read_header
from nc1fast.support.storage import bytes_in, check_regular, reading, unchanged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from typing_extensions import ParamSpec

    P = ParamSpec("P")
    R = TypeVar("R")
_PLAIN = {"f8", "f4", "f2", "i1", "u1", "i2", "u2", "i4", "u4"}  # what the core widens, exactly
_PAGE_BYTES = 1 << 16  # read ahead in each column of a Parquet file
_NAMED = 20  # arrays of a file that a message names
# Bytes of an array for each byte of its file: no more than the best codecs make of constants. Beyond, a header lies.
_EXPANSION = 1 << 15


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
        If it holds no such array, or not real numbers in two dimensions; if it is damaged, no regular file, or changes
        while it is streamed.
    """
    if isinstance(X, str | os.PathLike):
        path, name = _split(os.fspath(X))
        with _opening("X", path):
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
    with _opening("y", path):
        return _labels_in(path, name)


def read_gram(K: Any) -> Any:
    """A map of the .npy file of a Gram matrix; anything else as it is."""
    if not isinstance(K, str | os.PathLike):
        return K
    path = os.fspath(K)
    with _opening("X", path), open(path, "rb") as file:  # noqa: PTH123  (of a path that is text)
        head = read_header(file)
        check_room(head, os.fstat(file.fileno()).st_size - file.tell())
        if len(head.shape) != 2 or 0 in head.shape:
            raise ValueError(f"X must be a square Gram matrix, got shape {head.shape}")
        order = "F" if head.by_column else "C"
        return np.memmap(path, head.dtype, "r", file.tell(), head.shape, order)  # type: ignore[call-overload]


def steady(function: Callable[P, R]) -> Callable[P, R]:
    """Decorator of functions of X and y, which come first: a ValueError if a file that they are read from changes meanwhile.

    Noticed by its bytes, the time of its last change and its inode: not what changes within one tick of the clock of the
    file system and keeps the size, nor what another map of it has not given to the system yet.
    """

    @functools.wraps(function)
    def checked(*arguments: P.args, **named: P.kwargs) -> R:
        data: dict[str, Any] = {**dict(zip("Xy", arguments, strict=False)), **named}
        with ExitStack() as stack:
            for argument in "Xy":
                path = _path_of(data.get(argument))
                if isinstance(data.get(argument), np.memmap):
                    data[argument].flush()  # what the caller has written is not a change
                if path is not None and os.path.exists(path):  # noqa: PTH110  (null bytes)
                    stack.enter_context(unchanged(path, argument))
            return function(*arguments, **named)

    return checked


def _path_of(data: Any) -> str | None:
    """The file that data are read from, where that can be told."""
    if isinstance(data, str | os.PathLike):
        path = _split(os.fspath(data))[0]
        return None if "://" in path else path
    if isinstance(data, FileRows):
        return None if data.temporary else data.path
    if isinstance(data, np.memmap):
        return None if data.filename is None else str(data.filename)
    found = getattr(getattr(data, "file", None), "filename", None)  # h5py
    return found if isinstance(found, str) else None


def _split(path: str) -> tuple[str, str]:
    """File and name; a file whose own path holds '::' is found, too."""
    file, mark, name = path.rpartition("::")
    return (path, "") if not mark or os.path.exists(path) else (file, name)  # noqa: PTH110  (null bytes)


@contextmanager
def _opening(argument: str, path: str) -> Iterator[None]:
    """A file that is there, is a regular one (or the folder of a Zarr array), and stays as it is.

    Errors name it, and the argument that it was given as.
    """
    with reading(path, argument):
        if "://" in path:
            yield
            return
        if not (Path(path).suffix == ".zarr" and Path(path).is_dir()):
            check_regular(path)
        Path(path).stat()
        with unchanged(path):
            yield


def _check_claim(n_bytes: int, path: str) -> None:
    """Raise ValueError for an array that no file of this size can hold."""
    if os.path.exists(path) and n_bytes > (limit := _EXPANSION * bytes_in(path)):  # noqa: PTH110
        raise ValueError(
            f"is damaged: no file of its size holds an array of {n_bytes} bytes ({limit} at most)"
        )


# --- what a path means ---


def _rows_in(path: str, name: str) -> Any:
    suffix = Path(path).suffix
    if suffix in (".h5", ".hdf5"):
        with _hdf5(path) as file:
            return _from_hdf5(_member(file, name, path))
    if suffix in (".parquet", ".pq"):
        return _from_parquet(path, name)
    if suffix == ".zarr":
        found = _open_zarr(path, name)
        check_shape(found.shape, "X")
        _check_claim(math.prod(found.shape) * found.dtype.itemsize, path)
        return _from_slices(found)
    if suffix == ".npz":
        return _from_archive(path, name)
    return _from_npy(path)


def _labels_in(path: str, name: str) -> Any:
    suffix = Path(path).suffix
    if suffix in (".h5", ".hdf5"):
        with _hdf5(path) as file:
            found = _member(file, name, path)
            _check_claim(found.size * found.dtype.itemsize, path)
            text = require("h5py", "files").check_string_dtype(found.dtype)
            return found.asstr()[()] if text is not None and text.length is None else found[()]
    if suffix in (".parquet", ".pq"):
        return _column(path, name)
    if suffix == ".zarr":
        found = _open_zarr(path, name)
        _check_claim(math.prod(found.shape) * getattr(found.dtype, "itemsize", 1), path)
        return found[:]
    if suffix == ".npz":
        with zipfile.ZipFile(path) as archive:
            info = _member(members(archive), name, path)
            with open_member(archive, info) as stream:
                return read_array(stream)
    with Path(path).open("rb") as stream:
        return read_array(stream)


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
    return found or spool.from_file(path, offset, (n, d), dtype, by_column=by_column)


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
    return found or spool.from_slices(X, forget=lambda: whole.madvise(mmap.MADV_DONTNEED))


def _from_npy(path: str) -> FileRows:
    with Path(path).open("rb") as file:
        head = read_header(file)
        check_room(head, os.fstat(file.fileno()).st_size - file.tell())
        check_shape(head.shape, "X")
        return _lying(path, file.tell(), head.shape, head.dtype, by_column=head.by_column)


def _from_archive(path: str, name: str) -> FileRows:
    """A member of an .npz file: where it lies if it is stored as it is, else decompressed once."""
    with zipfile.ZipFile(path) as archive:
        info = _member(members(archive), name, path)
        with open_member(archive, info) as file:
            head = read_header(file)
            check_room(head, info.file_size - file.tell())
            shape, by_column, dtype = head
            check_shape(shape, "X")
            if info.compress_type == zipfile.ZIP_STORED:
                begin = _begin(path, info) + file.tell()
                while file.read(CHUNK_BYTES):  # the archive's own checksum comes at the end
                    pass
                return _lying(path, begin, shape, dtype, by_column=by_column)
            if not by_column:
                return spool.from_stream(file, (shape[0], shape[1]), dtype)
            with tempfile.NamedTemporaryFile(prefix="nc1fast-") as columns:
                try:
                    shutil.copyfileobj(file, columns)
                    columns.flush()
                except OSError as error:
                    raise spool.full(error, columns.name, "TMPDIR decides where") from error
                return _lying(columns.name, 0, shape, dtype, by_column=True)


def _begin(path: str, info: zipfile.ZipInfo) -> int:
    """Where the bytes of a stored member begin: behind a header that ends with a name and an extra field."""
    with Path(path).open("rb") as raw:
        raw.seek(info.header_offset + 26)
        lengths = np.frombuffer(raw.read(4), "<u2")
    return info.header_offset + 30 + int(lengths.sum())


# --- what other packages open ---


def _hdf5(path: str) -> Any:
    return require("h5py", "files").File(path, "r")


def _from_hdf5(dataset: Any) -> FileRows:
    """A contiguous data set where it lies in its file, another one streamed."""
    check_shape(dataset.shape, "X")
    path = dataset.file.filename
    n_bytes = dataset.size * dataset.dtype.itemsize
    lies = dataset.chunks is None and os.path.exists(path)  # noqa: PTH110  (not one in memory)
    offset = dataset.id.get_offset() if lies else None
    if offset is None or dataset.dtype.kind not in "fiub":
        _check_claim(n_bytes, path)
        return _from_slices(dataset)
    if n_bytes > (there := bytes_in(path) - offset):
        raise ValueError(f"is cut short: {n_bytes} bytes expected, {there} found")
    return _lying(path, offset, dataset.shape, dataset.dtype, by_column=False)


def _open_zarr(path: str, name: str) -> Any:
    found = require("zarr", "files").open(path, mode="r")
    return _member(found, name, path) if hasattr(found, "keys") else found


def _from_slices(X: Any) -> FileRows:
    if any(math.isnan(size) for size in X.shape):
        raise ValueError(
            f"X has chunks of unknown size {X.shape}: call compute_chunk_sizes() first"
        )
    check_shape(X.shape, "X")
    return spool.from_slices(X)


def _from_parquet(path: str, columns: str) -> FileRows:
    """Columns of a Parquet file as features, in their order."""
    arrow = require("pyarrow", "files")
    with _parquet(path) as file:
        schema = file.schema_arrow
        names = [name.strip() for name in columns.split(",")] if columns else schema.names
        _check_columns(names, schema, path)
        kinds = (arrow.types.is_floating, arrow.types.is_integer, arrow.types.is_boolean)
        text = [n for n in names if not any(kind(schema.field(n).type) for kind in kinds)]
        if text:
            raise TypeError(f"X must be real numbers, which {', '.join(text)} of {path} are not")
        n = file.metadata.num_rows
        check_shape((n, len(names)), "X")
        _check_claim(8 * n * len(names), path)
        step = max(1, CHUNK_BYTES // (8 * len(names)))
        batches = file.iter_batches(batch_size=step, columns=names, use_threads=False)
        return spool.from_columns(batches, names, n)


def _column(path: str, name: str) -> Any:
    """One column of a Parquet file, as labels."""
    with _parquet(path) as file:
        names = file.schema_arrow.names
        if not name and len(names) > 1:
            _member(dict.fromkeys(names), name, path)
        name = name.strip() or names[0]
        _check_columns([name], file.schema_arrow, path)
        _check_claim(8 * file.metadata.num_rows, path)
        column = file.read(columns=[name]).column(0)
    if column.null_count:
        raise ValueError(f"y must not have missing labels, but {column.null_count} are in {path}")
    return column.to_numpy()


def _parquet(path: str) -> Any:
    # Pages of the columns as they are asked for: by default whole row groups come into memory.
    return require("pyarrow.parquet", "files").ParquetFile(
        path, pre_buffer=False, buffer_size=_PAGE_BYTES
    )


def _check_columns(names: list[str], schema: Any, path: str) -> None:
    missing = sorted(set(names) - set(schema.names))
    if missing:
        raise ValueError(f"{path} has no column {', '.join(missing)}")
