"""Paths given as X and y: one vocabulary for `load`, `nc1fast.collapse` and the command line.

`resolved` finds which arrays or columns of a file are meant. Those that `inputs` reads where they lie stay there, as
"FILE::NAME"; other kinds of files are loaded.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from nc1fast.datasets.arrow_tables import columns_of, holds_lists, parquet_schema
from nc1fast.datasets.damage import checked_file, malformed
from nc1fast.datasets.files import load
from nc1fast.datasets.hdf5_files import hdf5_members
from nc1fast.datasets.named import chosen
from nc1fast.datasets.numpy_files import npz_members
from nc1fast.datasets.readers import all_readers, labels_elsewhere
from nc1fast.inputs.files import split_name
from nc1fast.inputs.readers import BY_SUFFIX
from nc1fast.support.reading import reading

if TYPE_CHECKING:
    from collections.abc import Callable

Pair: TypeAlias = tuple[Any, Any]

_NAMED = {".npz": npz_members, ".h5": hdf5_members, ".hdf5": hdf5_members}


def resolved(X: Any, y: Any) -> Pair:
    """X and y as `inputs.labelled.LabelledData` takes them.

    Parameters
    ----------
    X : path or anything
        A file or folder of any kind that `load` reads, or FILE::NAME.
    y : path, str, int, None or anything
        Where X is a path: the name of an array or a column of its file, the index of a column, None for the usual one, or the
        path of another file. A column of labels is none of the data.

    Returns
    -------
    X, y
        Paths of arrays that are read in their file, arrays that were loaded, or whatever else as it was given.

    Raises
    ------
    ValueError, TypeError, OSError, ImportError
        As of `load`.
    """
    if not isinstance(X, str | os.PathLike):
        return X, _elsewhere(y)
    path, name = split_name(os.fspath(X))
    both = name and isinstance(y, str | os.PathLike) and split_name(os.fspath(y))[1]
    file = Path(path)
    if "://" in path or not file.exists():
        return X, y
    with reading(str(file), "X"):
        if file.suffix not in BY_SUFFIX and _loaded(file):
            return load(X, labels=_within(path, y))
        find = _FINDERS.get(file.suffix)
        if find is not None and file.is_file() and not both:
            return find(file, name, _within(path, y))
        if y is None:
            raise malformed(file, "holds no labels: give an array of them, or the path of a file")
    return X, _elsewhere(y)


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


def _of_named(file: Path, name: str, label: Any) -> Pair:
    """Arrays of an .npz or HDF5 file."""
    with _NAMED[file.suffix](checked_file(file)) as members:
        names = list(members)
    name = name.lstrip("/") if name not in names else name  # of HDF5
    data, inside = chosen(file, names, (name, None) if name else None, label)
    return f"{file}::{data}", _elsewhere(label) if inside is None else f"{file}::{inside}"


def _of_parquet(file: Path, name: str, label: Any) -> Pair:
    """Columns of a Parquet file; lists, and columns with such names that no text joins them, are loaded."""
    schema = parquet_schema(checked_file(file))
    data, inside = columns_of(file, schema, (name, None) if name else None, label)
    used = data if inside is None else [*data, inside]
    if holds_lists(schema, data[0]) or any("," in n or "::" in n or n != n.strip() for n in used):
        return load(f"{file}::{name}" if name else file, labels=label)
    return f"{file}::{','.join(data)}", _elsewhere(label) if inside is None else f"{file}::{inside}"


_FINDERS: dict[str, Callable[[Path, str, Any], Pair]] = {
    **dict.fromkeys(_NAMED, _of_named),
    ".parquet": _of_parquet,
    ".pq": _of_parquet,
}
