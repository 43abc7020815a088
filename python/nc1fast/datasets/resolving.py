"""Parts of files that paths stand for: one vocabulary for `load`, every function of rows and the
command line.

`resolved` finds which arrays or columns of a file are X and y, `rows_of` those of rows whose labels
are not wanted. What `inputs` reads where it lies stays there, as "FILE::NAME"; other kinds of files
are loaded.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from nc1fast.datasets.arrow_tables import columns_of, holds_lists, parquet_schema
from nc1fast.datasets.damage import checked_file, malformed
from nc1fast.datasets.files import load, load_stored
from nc1fast.datasets.hdf5_files import hdf5_members
from nc1fast.datasets.named import Unwanted, chosen
from nc1fast.datasets.numpy_files import npz_members
from nc1fast.datasets.readers import all_readers, labels_elsewhere, reader_of
from nc1fast.inputs.files import split_name
from nc1fast.inputs.readers import BY_SUFFIX
from nc1fast.support.reading import reading

if TYPE_CHECKING:
    from collections.abc import Callable

Pair: TypeAlias = tuple[Any, Any]

_NAMED = {".npz": npz_members, ".h5": hdf5_members, ".hdf5": hdf5_members}


def resolved(X: Any, y: Any, argument: str = "X", *, checked: bool = True) -> Pair:
    """X and y as `inputs.labelled.LabelledData` takes them.

    Parameters
    ----------
    X : path or anything
        A file or folder of any kind that `load` reads, or FILE::NAME.
    y : path, str, int, None, Unwanted or anything
        Where X is a path: the name of an array or a column of its file, the index of a column, None
        for the usual one, or the path of another file. A column of labels is none of the data. Of
        `Unwanted`, X alone means anything.
    argument : str
        The name of X, for errors.
    checked : bool
        Whether loaded labels are one for each row, as `load` has them; targets may be several.

    Returns
    -------
    X, y
        Paths of arrays that are read in their file, arrays that were loaded, or whatever else as it
        was given.

    Raises
    ------
    ValueError, TypeError, OSError, ImportError
        As of `load`.
    """
    if not isinstance(X, str | os.PathLike):
        return X, _elsewhere(y)
    if not isinstance(y, str | os.PathLike | int | np.integer | Unwanted | None):
        return rows_of(X, argument), y
    path, name = split_name(os.fspath(X))
    both = name and isinstance(y, str | os.PathLike) and split_name(os.fspath(y))[1]
    file = Path(path)
    if "://" in path or not file.exists():
        return X, y
    with reading(str(file), argument):
        if file.suffix not in BY_SUFFIX and _loaded(file):
            read = load if checked else _stored
            return read(X, labels=_within(path, y))
        find = _FINDERS.get(file.suffix)
        if find is not None and file.is_file() and not both:
            return find(file, name, _within(path, y), checked=checked)
        if y is None:
            reader_of(file)  # of an unknown kind
            raise malformed(file, "holds no labels: give an array of them, or the path of a file")
    return X, _elsewhere(y)


def rows_of(X: str | os.PathLike[str], argument: str = "X", without: str | None = None) -> Any:
    """Rows at a path as `inputs.files.as_source` takes them, whose labels are not wanted.

    Parameters
    ----------
    X : path
    argument : str
        Its name, for errors.
    without : str, optional
        A column that is none of the rows where the file has it, as one that is named as labels are.
    """
    return resolved(X, Unwanted(without), argument, checked=False)[0]


def part_named(y: Any) -> str | None:
    """The name of a part of a file that labels are given as, with the file or without."""
    if not isinstance(y, str | os.PathLike):
        return None
    file, name = split_name(os.fspath(y))
    return name or file


def _stored(X: Any, *, labels: Any) -> Pair:
    """As `load`, with the labels as they are stored; a row or column of MATLAB's is a vector."""
    data, y, file = load_stored(X, labels=labels)
    vector = y is not None and file.suffix == ".mat" and 1 in y.shape
    return data, y.ravel() if vector else y


def _loaded(file: Path) -> bool:
    """Whether `load` reads a file or folder that is there, and `inputs` does not."""
    kind = next((reader.name for reader in all_readers() if reader.matches(file)), "")
    return kind not in ("", ".npy") or file.is_dir()


def _within(path: str, y: Any) -> Any:
    """Labels as `load` takes them: those given as a path of the same file are a name in it."""
    if not isinstance(y, str | os.PathLike):
        return y
    file, name = split_name(os.fspath(y))
    same = Path(file).exists() and Path(file).samefile(path)
    return (name or None) if same else os.fspath(y)


def _elsewhere(y: Any) -> Any:
    """Labels of a file that `inputs` does not read, in memory; anything else as it is."""
    if not isinstance(y, str | os.PathLike):
        return y
    file = Path(split_name(os.fspath(y))[0])
    there = file.suffix not in BY_SUFFIX and file.is_file() and _loaded(file)
    return labels_elsewhere(file, os.fspath(y))[0] if there else y


def _of_named(file: Path, name: str, label: Any, *, checked: bool = True) -> Pair:
    """Arrays of an .npz or HDF5 file; labels are checked when they are read."""
    del checked
    with _NAMED[file.suffix](checked_file(file)) as members:
        names = list(members)
    name = name.lstrip("/") if name not in names else name  # of HDF5
    data, inside = chosen(file, names, (name, None) if name else None, label)
    return f"{file}::{data}", _elsewhere(label) if inside is None else f"{file}::{inside}"


def _of_parquet(file: Path, name: str, label: Any, *, checked: bool = True) -> Pair:
    """Columns of a Parquet file; lists, and columns with such names that no text joins them, are
    loaded.
    """
    schema = parquet_schema(checked_file(file))
    data, inside = columns_of(file, schema, (name, None) if name else None, label)
    used = data if inside is None else [*data, inside]
    if holds_lists(schema, data[0]) or any("," in n or "::" in n or n != n.strip() for n in used):
        read = load if checked else _stored
        return read(f"{file}::{name}" if name else file, labels=label)
    return f"{file}::{','.join(data)}", _elsewhere(label) if inside is None else f"{file}::{inside}"


_FINDERS: dict[str, Callable[..., Pair]] = {
    **dict.fromkeys(_NAMED, _of_named),
    ".parquet": _of_parquet,
    ".pq": _of_parquet,
}
