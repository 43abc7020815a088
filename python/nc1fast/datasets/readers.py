"""The kinds of data files: how each is recognised by its name, which options it takes and how it is
read.

A new kind of file is one more `Reader` in `READERS`. Files of named arrays are a function that
opens them, in `NAMED`; those of arrays without labels, as .npy, an entry of `ARRAY_READERS` too.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

import numpy as np

from nc1fast.datasets import images, named, tables
from nc1fast.datasets.folders import files_in
from nc1fast.datasets.named import RowsOnly, chosen, listing
from nc1fast.inputs.files import BY_SUFFIX, read_labels, split_name
from nc1fast.inputs.labels import as_labels
from nc1fast.inputs.numpy_files import read_npy
from nc1fast.support.arguments import as_items, shown
from nc1fast.support.files import unchanged
from nc1fast.support.plugins import PluginGroup
from nc1fast.support.reading import checked_file, malformed, readable, reading

if TYPE_CHECKING:
    import contextlib

    from numpy.typing import NDArray

    from nc1fast.datasets.named import Members
    from nc1fast.datasets.tables import DataAndLabels

    Opening: TypeAlias = Callable[[Path], contextlib.AbstractContextManager[Members]]
    ReadingPair: TypeAlias = Callable[..., DataAndLabels]

Read = TypeVar("Read")
_PACKED = (".zip", ".tar", ".tgz", ".tar.gz", ".7z")


class Options(NamedTuple):
    """Arguments `keys` and `labels` of `load`, as given; labels may be `RowsOnly`."""

    keys: Any = None
    labels: Any = None


class Contents(NamedTuple):
    """Arrays of a data set as they are stored, and the file that errors about the labels name; no
    labels where rows alone are requested.
    """

    data: NDArray[Any]
    labels: NDArray[Any] | None
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
        From a path and options; raises ValueError or TypeError for options that this kind of file
        does not take.
    read : callable
        From a path and options that have been checked to `Contents`; raises ValueError for a
        damaged file.
    takes_keys : bool, default False
        Whether the option `keys` belongs to this kind of file.
    has_members : bool, default False
        Whether labels given as text may name a column or an array of the file.
    """

    name: str
    matches: Callable[[Path], bool]
    check: Callable[[Path, Options], None]
    read: Callable[[Path, Options], Contents]
    takes_keys: bool = False
    has_members: bool = False


def all_readers() -> Iterator[Reader]:
    """Readers in the order of their turn; those of plug-ins come last, and are loaded then."""
    yield from READERS
    yield from PLUGINS.usable().values()


def data_files(path: Path) -> list[Path]:
    """The file itself, of FILE::NAME too, or those of a folder whose rows make one data set;
    FileNotFoundError, ValueError.
    """
    path = Path(split_name(str(path))[0])
    return files_in(path) if path.is_dir() else [path]


def files_read(path: Path, labels: str | None) -> list[Path]:
    """All files that `load` reads for a path, that of the labels among them; errors as of
    `data_files`.
    """
    beside = labels is not None and not names_a_part(path, labels)
    return data_files(path) + [Path(str(labels).partition("::")[0])] * beside


def names_a_part(path: Path, labels: str) -> bool:
    """Whether labels given as text name a column or an array of the data file, and not a file of
    their own.
    """
    first = data_files(path)[0]
    kind = next((reader for reader in all_readers() if reader.matches(first)), None)
    return (kind is None or kind.has_members) and not Path(labels.partition("::")[0]).is_file()


def reader_of(file: Path) -> Reader:
    """The reader for a file of this name; ValueError if there is none."""
    for reader in all_readers():
        if reader.matches(file):
            return reader
    names = [reader.name for reader in all_readers()]
    hint = ": unpack it first" if file.name.lower().endswith(_PACKED) else ""
    raise malformed(
        file,
        f"unknown kind of file {file.suffix.lower()!r}{hint}, must be {', '.join(names[:-1])} or "
        f"{names[-1]}",
    )


def check_options(file: Path, reader: Reader, given: Options) -> None:
    """Raise ValueError or TypeError unless the options are those of this kind of file."""
    keys = given.keys
    if keys is not None and not reader.takes_keys:
        raise malformed(file, f"keys belongs to files of named arrays or columns: {_keyed()}")
    if keys is not None and (
        not isinstance(keys, Sequence)
        or isinstance(keys, str)
        or len(keys) != 2
        or not isinstance(keys[0], str)
        or not isinstance(keys[1], str | None)
    ):
        raise TypeError(f"keys must be two names, of the data and of the labels, got {keys!r}")
    reader.check(file, given)


def _keyed() -> str:
    """Names of the kinds of files that take `keys`."""
    *most, last = (reader.name for reader in all_readers() if reader.takes_keys)
    return f"{', '.join(most)} and {last}"


def _read_unchanged(read: Callable[[Path], Read], path: Path) -> Read:
    """Result of reading a file, which must not change meanwhile."""
    with reading(str(path)), unchanged(path):
        return read(path)


def _suffix(*suffixes: str) -> Callable[[Path], bool]:
    """A function of a path: whether it has one of these suffixes, in upper or lower case."""
    return lambda file: file.suffix.lower() in suffixes


def _check_nothing(_file: Path, _given: Options) -> None:
    """Accept any labels: whether they are in the file is seen when it is open."""


def _of_parts(name: str, matches: Callable[[Path], bool], read_pair: ReadingPair) -> Reader:
    """The reader of a kind of file whose parts, arrays or columns, have names.

    `read_pair(path, keys, labels)` gives the data, and the labels or None where they lie elsewhere.
    """

    def read(file: Path, given: Options) -> Contents:
        read_file = functools.partial(read_pair, keys=given.keys, labels=given.labels)
        return _beside(file, *_read_unchanged(read_file, file), given)

    return Reader(name, matches, _check_nothing, read, takes_keys=True, has_members=True)


def _of_arrays(name: str, matches: Callable[[Path], bool], opening: Opening) -> Reader:
    """The reader of a kind of file of named arrays."""

    def read_pair(path: Path, keys: Any, labels: Any) -> DataAndLabels:
        with opening(path) as members:
            data, label = chosen(path, list(members), keys, labels)
            return members[data](), None if label is None else members[label]()

    return _of_parts(name, matches, read_pair)


def _beside(
    file: Path, data: NDArray[Any], labels: NDArray[Any] | None, given: Options
) -> Contents:
    """The data with labels that the file has, or else with those given."""
    if labels is None:
        return Contents(data, *labels_elsewhere(file, given.labels))
    return Contents(data, labels, file)


def _npy_array(path: Path) -> NDArray[Any]:
    """The array of an .npy file, of any shape."""
    with readable(path, ".npy file"):
        return read_npy(path)


def _check_npy(file: Path, given: Options) -> None:
    if given.labels is None:
        raise malformed(file, "an .npy file holds no labels: give labels=, an array or a path")


def _read_npy(file: Path, given: Options) -> Contents:
    return _beside(file, _read_unchanged(_npy_array, file), None, given)


def _read_idx(file: Path, given: Options) -> Contents:
    data = _read_unchanged(images.read_idx, file)
    if data.ndim == 1:
        raise malformed(
            file, "has one dimension, as files of labels have; give the file of the data"
        )
    labels = images.labels_beside(file) if given.labels is None else given.labels
    return _beside(file, data, None, given._replace(labels=labels))


# Kinds of files of named arrays: name, whether a file is of this kind, and the function that opens
# it.
NAMED: tuple[tuple[str, Callable[[Path], bool], Opening], ...] = (
    (".npz", _suffix(".npz"), named.npz_members),
    (".mat", _suffix(".mat"), named.mat_members),
    (".h5", _suffix(".h5", ".hdf5"), named.hdf5_members),
    (".pt", _suffix(".pt", ".pth"), named.torch_members),
    ("a batch of CIFAR (data_batch_1)", images.is_python_batch, images.python_members),
    ("a binary one (data_batch_1.bin)", images.is_binary_batch, images.binary_members),
)
READERS = (
    *(_of_arrays(name, matches, members) for name, matches, members in NAMED),
    Reader(".npy", _suffix(".npy"), _check_npy, _read_npy),
    _of_parts(".csv or .tsv (.gz)", tables.is_text_table, tables.read_text),
    _of_parts(".parquet", _suffix(".parquet", ".pq"), tables.read_parquet),
    _of_parts(".arrow or .feather", _suffix(".arrow", ".feather"), tables.read_arrow),
    Reader("IDX (e.g. -idx3-ubyte)", images.is_idx, _check_nothing, _read_idx),
)


def as_reader(
    read: Callable[[Path], tuple[Any, Any]], *, name: str, suffixes: Sequence[str]
) -> Reader:
    """A reader of a kind of file that `load` does not know, for an entry point of the group
    "nc1fast.readers".

    Parameters
    ----------
    read : callable(path) -> (X, y)
        Rows, (n_samples, n_features) or images, and their labels; y is None where a file holds
        none. ValueError for a file that cannot be read; other errors become one.
    name : str
        Of the kind, for messages: ".ext".
    suffixes : sequence of str
        Ends of the names of such files, in small letters: [".ext", ".ext.gz"].

    Returns
    -------
    Reader
        What the entry point names.

    Raises
    ------
    TypeError
        If read is no function, and suffixes are no list of text.

    Notes
    -----
    The path is that of a file that is there. Files that change while they are read, rows that are
    no finite numbers and labels of another length are refused behind it. Kinds of files that
    nc1fast knows are read by nc1fast.
    """
    if not callable(read):
        raise TypeError(f"read must be callable, got {shown(read)}")
    ends = tuple(as_items("suffixes", suffixes, "a list of suffixes"))
    if not ends or not all(isinstance(end, str) and end for end in ends):
        raise TypeError(f"suffixes must be a list of text, got {shown(suffixes)}")

    def pair(path: Path) -> tuple[NDArray[Any], NDArray[Any] | None]:
        try:
            X, y = read(path)
            return np.asarray(X), None if y is None else np.asarray(y)
        except (ValueError, OSError, ImportError):
            raise
        except Exception as error:  # of code that is not ours
            raise malformed(path, f"its reader failed: {type(error).__name__}: {error}") from error

    def whole(file: Path, given: Options) -> Contents:
        data, labels = _read_unchanged(pair, file)
        return _beside(file, data, labels if given.labels is None else None, given)

    return Reader(name, lambda file: file.name.lower().endswith(ends), _check_nothing, whole)


PLUGINS = PluginGroup("readers", Reader)
# Kinds of files that hold one array: name, whether a file is of this kind, and its reader.
ARRAY_READERS: tuple[tuple[str, Callable[[Path], bool], Callable[[Path], NDArray[Any]]], ...] = (
    (".npy", _suffix(".npy"), _npy_array),
    ("IDX (e.g. -idx1-ubyte)", images.is_idx, images.read_idx),
    (
        "one column of .csv, .tsv or .txt",
        lambda file: tables.is_text_table(file) or file.suffix == ".txt",
        tables.read_label_column,
    ),
)

# Kinds of files of labels that `inputs` alone reads.
_IN_PLACE = BY_SUFFIX.keys() - {".npz", ".h5", ".hdf5"}


def labels_elsewhere(file: Path, labels: Any) -> tuple[NDArray[Any] | None, Path]:
    """Labels from an array or a file, None for `RowsOnly`, and the file that errors about them
    name; `file` is that of the data.
    """
    if isinstance(labels, RowsOnly):
        return None, file
    if not isinstance(labels, str | os.PathLike):
        return _labels_of_array(file, labels), file
    name, _, member = os.fspath(labels).partition("::")
    path = Path(name)
    if member and tables.is_text_table(path):
        read_named = functools.partial(tables.read_label_column, name=member)
        return _read_unchanged(read_named, checked_file(path)), path
    if path.suffix in _IN_PLACE:
        return read_labels(os.fspath(labels)), path
    for _, matches, read in ARRAY_READERS:
        if matches(path):
            return _read_unchanged(read, checked_file(path)), path
    for _, matches, opened in NAMED:
        if matches(path):
            read_one = functools.partial(_one_array, opened, member)
            return _read_unchanged(read_one, checked_file(path)), path
    names = ", ".join(name for name, _, _ in ARRAY_READERS)
    raise malformed(
        path,
        f"unknown kind of file {path.suffix!r} for labels, must be {names}, or FILE::NAME of an "
        f"array in {', '.join(name for name, _, _ in NAMED[:4])}",
    )


def _one_array(opened: Opening, name: str, path: Path) -> NDArray[Any]:
    """The array of this name in a file of named ones, or the only one."""
    with opened(path) as members:
        if not name and len(members) == 1:
            [name] = members
        if name not in members:
            raise malformed(path, f"no array {name!r}, as in FILE::NAME; {listing(list(members))}")
        return members[name]()


def _labels_of_array(file: Path, labels: Any) -> NDArray[Any]:
    """Labels (n_samples,) from an array or a sequence, or from a column (n_samples, 1) as Keras has
    them.
    """
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
