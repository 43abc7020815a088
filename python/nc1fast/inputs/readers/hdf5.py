"""Data sets of HDF5 files, by h5py."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nc1fast.inputs.arrays import check_shape
from nc1fast.inputs.readers.hdf5_texts import read_texts
from nc1fast.inputs.readers.in_place import in_place
from nc1fast.inputs.readers.members import check_claim, member, sliced
from nc1fast.support.extras import require
from nc1fast.support.files import bytes_in
from nc1fast.support.reading import check_regular, shown

if TYPE_CHECKING:
    from nc1fast.inputs.file_rows import FileRows


def rows(path: str, name: str) -> FileRows:
    """Rows of a data set of the file."""
    with _opened(path) as file:
        return of_dataset(_own(file, name, path))


def labels(path: str, name: str) -> Any:
    """The data set, in memory; text as str."""
    with _opened(path) as file:
        found = _own(file, name, path)
        check_claim(found.size * found.dtype.itemsize, path)
        text = require("h5py", "files").check_string_dtype(found.dtype)
        if text is None or text.length is not None:
            return found[()]
        return read_texts(found, path, text.encoding)


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
        with _opened(str(other)) as file:
            if source.dset_name not in file:
                raise ValueError(f"needs {source.dset_name} of {shown(other)}, which is not there")


def _opened(path: str) -> Any:
    """The file, a context manager."""
    return require("h5py", "files").File(path, "r")
