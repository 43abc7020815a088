"""Data that lie in files: paths and arrays on disk turned into `FileRows`.

Plain rows are read where they lie (.npy, memory maps, stored .npz members, contiguous HDF5 data
sets); everything else (compressed or chunked files, Parquet, dask arrays, column-major or
byte-swapped rows) is streamed once into a temporary file, see `inputs.spool`. A format is two
functions, of rows and of labels, and an entry in `BY_SUFFIX`.
"""

from __future__ import annotations

import functools
import os
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, TypeVar

import numpy as np

from nc1fast.inputs import numpy_files, optional_formats
from nc1fast.inputs.file_rows import FileRows
from nc1fast.inputs.spool import sliced
from nc1fast.support.files import unchanged
from nc1fast.support.npy import read_header
from nc1fast.support.reading import check_regular, reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

P = ParamSpec("P")
R = TypeVar("R")


class Format(NamedTuple):
    """A format of files.

    Attributes
    ----------
    rows : callable(path, name) -> FileRows
        The array of this name, "" for the only one, as rows of features.
    labels : callable(path, name) -> ndarray
        The same array, in memory, as labels.
    """

    rows: Callable[[str, str], FileRows]
    labels: Callable[[str, str], Any]


_HDF5 = Format(optional_formats.hdf5_rows, optional_formats.hdf5_labels)
_PARQUET = Format(optional_formats.parquet_rows, optional_formats.parquet_labels)
_NPY = Format(numpy_files.npy_rows, numpy_files.read_npy)
BY_SUFFIX = {
    ".h5": _HDF5,
    ".hdf5": _HDF5,
    ".parquet": _PARQUET,
    ".pq": _PARQUET,
    ".zarr": Format(optional_formats.zarr_rows, optional_formats.zarr_labels),
    ".npz": Format(numpy_files.npz_rows, numpy_files.npz_labels),
}
# Arrays on disk, by the package that opened them.
BY_PACKAGE: dict[str, Callable[[Any], FileRows]] = {
    "h5py": optional_formats.rows_of_dataset,
    "zarr": sliced,
    "dask": sliced,
}


def as_source(X: Any, name: str = "X") -> Any:
    """FileRows of what is in a file; anything else as it is.

    Parameters
    ----------
    X : path, array on disk, or anything
        A path is that of an .npy file, or "FILE::NAME" with a member of an .npz file, a data set of
        an HDF5 file, an array of a Zarr group or columns of a Parquet file ("A,B"; without a name
        all of them).
    name : str
        The argument, for errors.

    Raises
    ------
    OSError
        If the file cannot be read, or the disk is too full for rows that must be streamed.
    ValueError, TypeError
        If it holds no such array, or not real numbers in two dimensions; if it is damaged, no
        regular file, or changes while it is streamed.
    """
    if isinstance(X, str | os.PathLike):
        path, part = split_name(os.fspath(X))
        with _opening(name, path):
            return _format(path).rows(path, part)
    if isinstance(X, np.memmap):
        return numpy_files.rows_of_map(X)
    of_array = BY_PACKAGE.get(type(X).__module__.partition(".")[0])
    return X if of_array is None or not hasattr(X, "shape") else of_array(X)


def read_labels(y: Any, name: str = "y") -> Any:
    """Labels of a file, in memory; anything else as it is.

    Paths as of `as_source`, and `name` is the argument.
    """
    if not isinstance(y, str | os.PathLike):
        return y
    path, part = split_name(os.fspath(y))
    with _opening(name, path):
        return _format(path).labels(path, part)


def read_gram(K: Any) -> Any:
    """A map of the .npy file of a Gram matrix; anything else as it is."""
    if not isinstance(K, str | os.PathLike):
        return K
    path = os.fspath(K)
    with _opening("X", path), open(path, "rb") as file:  # noqa: PTH123  (of a path that is text)
        head = read_header(file, os.fstat(file.fileno()).st_size)
        if len(head.shape) != 2 or 0 in head.shape:
            raise ValueError(f"X must be a square Gram matrix, got shape {head.shape}")
        order = "F" if head.by_column else "C"
        return np.memmap(path, head.dtype, "r", file.tell(), head.shape, order)  # type: ignore[call-overload]


def guards_files(function: Callable[P, R]) -> Callable[P, R]:
    """Decorator of functions of X and y, which come first: a ValueError if a file that they are
    read from changes meanwhile.

    Noticed by its bytes, the time of its last change and its inode: not what changes within one
    tick of the clock of the file system and keeps the size, nor what another map of it has not
    given to the system yet.
    """

    @functools.wraps(function)
    def checked(*arguments: P.args, **named: P.kwargs) -> R:
        data: dict[str, Any] = {**dict(zip("Xy", arguments, strict=False)), **named}
        if type(data.get("X")) is type(data.get("y")) is np.ndarray:
            return function(*arguments, **named)
        with guarded({argument: data.get(argument) for argument in "Xy"}):
            return function(*arguments, **named)

    return checked


@contextmanager
def guarded(data: Mapping[str, Any]) -> Iterator[None]:
    """Raise ValueError if a file that arguments, by name, are read from has changed by the end of
    the context; see `guards_files`.
    """
    with ExitStack() as stack:
        for name, one in data.items():
            path = _path_of(one)
            if isinstance(one, np.memmap):
                one.flush()  # what the caller has written is not a change
            if path is not None and os.path.exists(path):  # noqa: PTH110  (null bytes)
                stack.enter_context(unchanged(path, name))
        yield


def _format(path: str) -> Format:
    """The format of a file, by its suffix; .npy by default."""
    return BY_SUFFIX.get(Path(path).suffix, _NPY)


def _path_of(data: Any) -> str | None:
    """The file that data are read from, where that is known."""
    if isinstance(data, str | os.PathLike):
        path = split_name(os.fspath(data))[0]
        return None if "://" in path else path
    if isinstance(data, FileRows):
        return None if data.temporary else data.path
    if isinstance(data, np.memmap):
        return None if data.filename is None else str(data.filename)
    found = getattr(getattr(data, "file", None), "filename", None)  # h5py
    return found if isinstance(found, str) else None


def split_name(path: str) -> tuple[str, str]:
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
