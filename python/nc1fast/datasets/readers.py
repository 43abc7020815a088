"""The kinds of data files: how each is recognised by its name, which options it takes and how it is read.

A new kind of file is one more `Reader` in `READERS`; one of arrays without labels, as .npy, is an entry of
`ARRAY_READERS` too.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from nc1fast.datasets.csv_table import read_csv
from nc1fast.datasets.damage import checked_file, malformed
from nc1fast.datasets.idx import is_idx, labels_beside, read_idx
from nc1fast.datasets.numpy_files import read_npy, read_npz
from nc1fast.inputs.labels import as_labels
from nc1fast.support.changes import unchanged
from nc1fast.support.reading import reading

if TYPE_CHECKING:
    from numpy.typing import NDArray

Read = TypeVar("Read")


class Options(NamedTuple):
    """Arguments `keys` and `labels` of `load`, as the caller gives them."""

    keys: Any = None
    labels: Any = None


class Contents(NamedTuple):
    """Arrays of a data set as they are stored, and the file that errors about the labels name."""

    data: NDArray[Any]
    labels: NDArray[Any]
    labels_file: Path


@dataclass(frozen=True)
class Reader:
    """One kind of data file.

    Attributes
    ----------
    name : str
        As error messages list it.
    matches : callable
        From a path, whether its name is that of a file of this kind.
    check : callable
        From a path and options; raises ValueError or TypeError for options that this kind of file does not take.
    read : callable
        From a path and options that have been checked to `Contents`; raises ValueError for a damaged file.
    takes_keys : bool, default False
        Whether the option `keys` belongs to this kind of file.
    """

    name: str
    matches: Callable[[Path], bool]
    check: Callable[[Path, Options], None]
    read: Callable[[Path, Options], Contents]
    takes_keys: bool = False


def reader_of(file: Path) -> Reader:
    """The reader for a file of this name; ValueError if there is none."""
    for reader in READERS:
        if reader.matches(file):
            return reader
    names = [reader.name for reader in READERS]
    raise malformed(
        file,
        f"unknown kind of file {file.suffix.lower()!r}, must be {', '.join(names[:-1])} or {names[-1]}",
    )


def check_options(file: Path, reader: Reader, given: Options) -> None:
    """Raise ValueError or TypeError unless the options are those of this kind of file."""
    keys = given.keys
    if keys is not None and not reader.takes_keys:
        raise malformed(file, f"keys belongs to {_keyed()} files only")
    if keys is not None and (
        not isinstance(keys, Sequence)
        or isinstance(keys, str)
        or [type(key) for key in keys] != [str, str]
    ):
        raise TypeError(f"keys must be two names, of the data and of the labels, got {keys!r}")
    reader.check(file, given)


def _keyed() -> str:
    """Names of the kinds of files that take `keys`."""
    return " and ".join(reader.name for reader in READERS if reader.takes_keys)


def _steadily(read: Callable[[Path], Read], path: Path) -> Read:
    """Result of reading a file, which must not change meanwhile."""
    with reading(str(path)), unchanged(path):
        return read(path)


def _suffix(suffix: str) -> Callable[[Path], bool]:
    """Whether a path ends so, in upper or lower case, as a function of the path."""
    return lambda file: file.suffix.lower() == suffix


def _check_npz(file: Path, given: Options) -> None:
    if given.labels is not None:
        raise malformed(file, "labels does not belong to .npz files: name the arrays by keys")


def _read_npz(file: Path, given: Options) -> Contents:
    data, labels = _steadily(lambda path: read_npz(path, given.keys), file)
    return Contents(data, labels, file)


def _check_csv(file: Path, given: Options) -> None:
    labels = given.labels
    if isinstance(labels, bool) or not isinstance(labels, str | int | np.integer | None):
        raise malformed(
            file, f"labels must be the name or the index of a column, got {type(labels).__name__}"
        )


def _read_csv(file: Path, given: Options) -> Contents:
    column = given.labels if isinstance(given.labels, str | None) else int(given.labels)
    data, labels = _steadily(lambda path: read_csv(path, column), file)
    return Contents(data, labels, file)


def _check_npy(file: Path, given: Options) -> None:
    if given.labels is None:
        raise malformed(file, "an .npy file holds no labels: give labels=, an array or a path")


def _read_npy(file: Path, given: Options) -> Contents:
    data = _steadily(read_npy, file)
    return Contents(data, *_labels(file, given.labels))


def _check_idx(_file: Path, _given: Options) -> None:
    """Accept any labels: they are looked for beside the file where there are none."""


def _read_idx(file: Path, given: Options) -> Contents:
    data = _steadily(read_idx, file)
    if data.ndim == 1:
        raise malformed(
            file, "has one dimension, as files of labels have; give the file of the data"
        )
    labels = labels_beside(file) if given.labels is None else given.labels
    return Contents(data, *_labels(file, labels))


READERS = (
    Reader(".npz", _suffix(".npz"), _check_npz, _read_npz, takes_keys=True),
    Reader(".npy", _suffix(".npy"), _check_npy, _read_npy),
    Reader(".csv", _suffix(".csv"), _check_csv, _read_csv),
    Reader("IDX (e.g. -idx3-ubyte)", is_idx, _check_idx, _read_idx),
)
# Kinds of files that hold one array: name, whether a file is of this kind, and its reader.
ARRAY_READERS: tuple[tuple[str, Callable[[Path], bool], Callable[[Path], NDArray[Any]]], ...] = (
    (".npy", _suffix(".npy"), read_npy),
    ("IDX (e.g. -idx1-ubyte)", is_idx, read_idx),
)


def _labels(file: Path, labels: Any) -> tuple[NDArray[Any], Path]:
    """Labels from an array or a file, and the file that errors about them name; `file` is that of the data."""
    if not isinstance(labels, str | os.PathLike):
        return _labels_of_array(file, labels), file
    path = Path(labels)
    for _, matches, read in ARRAY_READERS:
        if matches(path):
            return _steadily(read, checked_file(path)), path
    names = " or ".join(name for name, _, _ in ARRAY_READERS)
    raise malformed(path, f"unknown kind of file {path.suffix!r} for labels, must be {names}")


def _labels_of_array(file: Path, labels: Any) -> NDArray[Any]:
    """Labels (n_samples,) from an array or a sequence, or from a column (n_samples, 1) as Keras has them."""
    try:
        n = len(labels)
    except TypeError:
        raise malformed(file, "labels must be an array of shape (n_samples,) or a path") from None
    if getattr(labels, "ndim", 1) == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    try:
        of_row, names = as_labels(labels, n, "labels")
    except (ValueError, TypeError) as error:
        raise malformed(file, str(error)) from error
    return names[of_row]
