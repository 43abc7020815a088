"""Readers of the files and arrays on disk that X and y may lie in, one module per format.

A format is a module with `rows(path, name)` and `labels(path, name)`, and an entry in `BY_SUFFIX`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from nc1fast.inputs.readers import hdf5, npy, npz, parquet, zarr
from nc1fast.inputs.readers.members import sliced

if TYPE_CHECKING:
    from collections.abc import Callable

    from nc1fast.inputs.file_rows import FileRows


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


_HDF5, _PARQUET = Format(hdf5.rows, hdf5.labels), Format(parquet.rows, parquet.labels)
BY_SUFFIX = {
    ".h5": _HDF5,
    ".hdf5": _HDF5,
    ".parquet": _PARQUET,
    ".pq": _PARQUET,
    ".zarr": Format(zarr.rows, zarr.labels),
    ".npz": Format(npz.rows, npz.labels),
}
ANY_OTHER = Format(npy.rows, npy.labels)
# Arrays on disk, by the package that opened them.
BY_PACKAGE: dict[str, Callable[[Any], FileRows]] = {
    "h5py": hdf5.of_dataset,
    "zarr": sliced,
    "dask": sliced,
}
