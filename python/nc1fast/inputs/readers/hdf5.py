"""Data sets of HDF5 files, by h5py."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from nc1fast.inputs.arrays import check_shape
from nc1fast.inputs.readers.in_place import in_place
from nc1fast.inputs.readers.members import check_claim, member, sliced
from nc1fast.support.changes import bytes_in
from nc1fast.support.extras import require

if TYPE_CHECKING:
    from nc1fast.inputs.file_rows import FileRows


def rows(path: str, name: str) -> FileRows:
    """Rows of a data set of the file."""
    with _opened(path) as file:
        return of_dataset(member(file, name, path))


def labels(path: str, name: str) -> Any:
    """The data set, in memory; text as str."""
    with _opened(path) as file:
        found = member(file, name, path)
        check_claim(found.size * found.dtype.itemsize, path)
        text = require("h5py", "files").check_string_dtype(found.dtype)
        return found.asstr()[()] if text is not None and text.length is None else found[()]


def names(path: str) -> list[str]:
    """Names of all data sets of the file, those of groups as GROUP/NAME."""
    found: list[str] = []
    with _opened(path) as file:
        file.visititems(lambda name, item: found.append(name) if hasattr(item, "shape") else None)
    return found


def of_dataset(dataset: Any) -> FileRows:
    """Rows of an open data set: where they lie if they are contiguous, else streamed."""
    check_shape(dataset.shape, "X")
    path = dataset.file.filename
    n_bytes = dataset.size * dataset.dtype.itemsize
    lies = dataset.chunks is None and os.path.exists(path)  # noqa: PTH110  (not one in memory)
    offset = dataset.id.get_offset() if lies else None
    if offset is None or dataset.dtype.kind not in "fiub":
        check_claim(n_bytes, path)
        return sliced(dataset)
    if n_bytes > (there := bytes_in(path) - offset):
        raise ValueError(f"is cut short: {n_bytes} bytes expected, {there} found")
    return in_place(path, offset, dataset.shape, dataset.dtype, by_column=False)


def _opened(path: str) -> Any:
    """The file, a context manager."""
    return require("h5py", "files").File(path, "r")
