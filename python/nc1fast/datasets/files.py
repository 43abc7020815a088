"""`load`: a labelled data set from a file of any kind that has a reader; and `resolved`: what
paths stand for, in one vocabulary for `load`, every function of rows and the command line.

What `inputs` reads where it lies stays there, as "FILE::NAME"; other kinds of files are loaded.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from nc1fast.datasets import tables
from nc1fast.datasets.named import RowsOnly, chosen, hdf5_members, npz_members
from nc1fast.datasets.readers import (
    Contents,
    Options,
    all_readers,
    check_options,
    data_files,
    labels_elsewhere,
    reader_of,
)
from nc1fast.datasets.scaling import Scale, check_scale, scale_in_place, widen
from nc1fast.inputs.files import BY_SUFFIX, split_name
from nc1fast.support.arithmetic import ieee
from nc1fast.support.reading import checked_file, malformed, reading, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray

Pair: TypeAlias = tuple[Any, Any]


@ieee
def load(
    path: str | os.PathLike[str],
    *,
    keys: Sequence[str | None] | None = None,
    labels: ArrayLike | os.PathLike[str] | None = None,
    scale: Scale = "none",
) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Load a labelled data set from a file.

    Parameters
    ----------
    path : str or path-like
        A file whose kind follows from its name, or FILE::NAME with the name of its data, of columns
        several names joined by commas:

        - ``.npz``, ``.mat`` (version 7.3 too), ``.h5`` and ``.hdf5``, ``.pt`` and ``.pth`` (of
          tensors, with ``weights_only=True``), and batches of CIFAR-10 and CIFAR-100
          (``data_batch_1``, ``test_batch``, ``train``, and the binary ``data_batch_1.bin``): arrays
          by name. The data are that of `keys`, or the first of X, data, features, embeddings,
          inputs, images, image, img, pixel_values, x_train that is there, or the only one beside
          the labels; the labels the first of y, labels, label, targets, target, classes,
          fine_labels, y_train.
        - ``.npy``: the data; `labels` is needed.
        - ``.csv`` and ``.tsv``, with or without ``.gz``: UTF-8; all columns but that of the labels
          hold numbers. The first line is a header if none of its feature cells is a number, or if
          only its label is text and all other labels are numbers. A header of numbers alone is
          read as data.
        - ``.parquet``, ``.arrow``, ``.feather``: a column of lists named as data are (see above),
          else all columns but that of the labels.
        - ``-idx3-ubyte``, ``.idx3-ubyte``, ``.idx`` and the like, with or without ``.gz``: IDX, the
          format of MNIST. Gzip is recognised by the content.

        Or a folder: of MNIST's IDX files or CIFAR's batches, of which the training set is read, or
        a Hugging Face data set as ``save_to_disk`` writes it. Data of more than two dimensions
        (images) are flattened to rows, in C order.
    keys : pair of str, optional
        The names of the data and of the labels where they have names, e.g. ``("x_test",
        "y_test")``; of columns, the data may be several, joined by commas, and of text have indices
        from 0, too. ``(name, None)`` is FILE::NAME.
    labels : array_like, path or column, optional
        - Named arrays: the name of the labels, or as for .npy.
        - Of a file whose labels lie elsewhere, arrays and the only column with a usual name of
          labels are none of the data, unless they are named.
        - .npy: an array of labels, or the path of a file of them: .npy, IDX, one column of text, or
          FILE::NAME.
        - .csv, .tsv: the column of labels, by name (the first line is then a header) or by index
          from 0, negative from the end; or as for .npy. Default the only one named label, labels,
          target, targets or class, else the last.
        - .parquet, .arrow, .feather: the column likewise, or as for .npy.
        - IDX: as for .npy. Default the file beside it with the usual name:
          ``train-images-idx3-ubyte`` has ``train-labels-idx1-ubyte``.
    scale : {"none", "unit-interval", "standardize", "unit-norm"}, default "none"
        See `apply_scale`.

    Returns
    -------
    X : ndarray of shape (n_samples, n_features)
        Float64, C-contiguous.
    y : ndarray of shape (n_samples,)
        Int64 where labels are integers that fit; otherwise with the dtype of the file. Labels of a
        .csv are int64 if all are whole numbers, float64 if all are numbers, else strings.

    Raises
    ------
    FileNotFoundError
        If the file, or that of the labels, is missing.
    OSError
        If the system cannot read it.
    ValueError
        If a file is damaged, cut short, changed while it is read or of an unknown kind, if values
        are not finite numbers, or if there is not one label per row: in one line that starts with
        the file. Also if an argument does not belong to the kind of file, or `scale` is unknown.
    TypeError
        If `path` is not a path, or `keys` is not a pair of names.
    ImportError
        If the package that reads a kind of file is missing: pyarrow (tables, of text too), SciPy
        (.mat), h5py (HDF5, and .mat for version 7.3), torch.

    Notes
    -----
    Python objects are never loaded: of the pickles of CIFAR plain data and arrays of numbers alone,
    of .pt files tensors. Sizes that a header promises are held against those of the file before
    memory is taken.

    Each format is read by the package that owns it, whose rules decide what is well-formed: of text
    those of pyarrow (a quoted cell begins with its quote; a line of blank cells is none), of .npy
    files those of NumPy (bytes after the array are ignored). Only IDX and the binary batches of
    CIFAR are parsed here.

    Cost: one pass over the file; memory is the array as stored plus float64 X. A .csv takes 0.03 to
    0.1 microseconds per cell.

    Accuracy: values are widened to float64 exactly (integers beyond 2^53 are refused), numbers in
    text are rounded to nearest; `scale` adds what `apply_scale` says.

    Source: the NumPy .npy format 1.0 and 2.0, and the description of IDX of the MNIST database.

    Examples
    --------
    >>> X, y = load("mnist.npz", scale="unit-interval")  # doctest: +SKIP
    >>> X, y = load("train-images-idx3-ubyte.gz")  # doctest: +SKIP
    >>> X, y = load("iris.csv", labels="species", scale="standardize")  # doctest: +SKIP
    """
    check_scale(scale)
    X, y, file = load_stored(path, keys=keys, labels=labels)
    return scale_in_place(X, scale), _checked_labels(file, y, len(X))


def load_stored(
    path: str | os.PathLike[str], *, keys: Any = None, labels: Any = None
) -> tuple[NDArray[np.float64], Any, Path]:
    """X as of `load`, the labels as they are stored, and the file that errors about these name;
    labels may be `RowsOnly`.
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path must be a path, got {type(path).__name__}")
    name, part = split_name(os.fspath(path))
    if part and keys is not None:
        raise ValueError(f"keys name the data, and so does {shown(Path(path))}: give one of them")
    file, given = Path(name), Options((part, None) if part else keys, labels)
    found = _joined(file, [_contents(part, given) for part in data_files(file)], given)
    return (
        widen(_flattened(file, found.data), f"{shown(file)}: data"),
        found.labels,
        found.labels_file,
    )


def _contents(file: Path, given: Options) -> Contents:
    """Arrays of one data file, as they are stored."""
    reader = reader_of(file)
    check_options(file, reader, given)
    return reader.read(checked_file(file), given)


def _joined(path: Path, parts: Sequence[Contents], given: Options) -> Contents:
    """The rows of all parts, in order."""
    if len(parts) == 1:
        return parts[0]
    rows_only = isinstance(given.labels, RowsOnly)
    if not (given.labels is None or rows_only or isinstance(given.labels, str)):
        raise malformed(path, "labels of several files must be named, not given as an array")
    shapes = {part.data.shape[1:] for part in parts}
    if len(shapes) > 1:
        raise malformed(path, f"holds files whose rows differ in shape: {sorted(shapes)[:4]}")
    data, labels = zip(*(part[:2] for part in parts), strict=True)
    return Contents(np.concatenate(data), None if rows_only else np.concatenate(labels), path)


def _flattened(file: Path, data: NDArray[Any]) -> NDArray[Any]:
    """Data of two or more dimensions as rows (n_samples, n_features): images are flattened in C
    order.
    """
    if data.ndim < 2:
        raise malformed(
            file,
            f"data must have shape (n_samples, n_features) or be images, got shape {data.shape}",
        )
    if data.size == 0:
        raise malformed(file, f"holds no data, only an array of shape {data.shape}")
    return data.reshape(len(data), -1)


def _checked_labels(file: Path, y: NDArray[Any], n_samples: int) -> NDArray[Any]:
    """Labels (n_samples,) of numbers or strings, in int64 where that holds them; ValueError that
    names their file.
    """
    if y.dtype.kind not in "biufUS":
        raise malformed(file, f"labels must be numbers or strings, got dtype {y.dtype}")
    if y.ndim == 2 and 1 in y.shape:  # a column, as Keras stores some labels, or a row, as MATLAB
        y = y.ravel()
    if y.ndim != 1:
        hint = " (of one-hot labels, give their argmax)" if y.ndim == 2 else ""
        raise malformed(file, f"labels must have shape (n_samples,), got {y.shape}{hint}")
    if len(y) != n_samples:
        raise malformed(file, f"{len(y)} labels for {n_samples} rows")
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        raise malformed(
            file, f"label of row {int(np.argmin(np.isfinite(y)))} (from 0) is not finite"
        )
    if y.dtype.kind in "iu" and np.can_cast(y.dtype, np.int64):
        return y.astype(np.int64)
    return y.astype(y.dtype.newbyteorder("="))


# --- what paths stand for ---


def resolved(X: Any, y: Any, argument: str = "X", *, checked: bool = True) -> Pair:
    """X and y as `inputs.labelled.LabelledData` takes them.

    Parameters
    ----------
    X : path or anything
        A file or folder of any kind that `load` reads, or FILE::NAME.
    y : path, str, int, None, RowsOnly or anything
        Where X is a path: the name of an array or a column of its file, the index of a column, None
        for the usual one, or the path of another file. A column of labels is none of the data. Of
        `RowsOnly`, X alone means anything.
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
    if not isinstance(y, str | os.PathLike | int | np.integer | RowsOnly | None):
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
    """Rows at a path as `inputs.files.as_source` takes them, without its labels.

    Parameters
    ----------
    X : path
    argument : str
        Its name, for errors.
    without : str, optional
        A column that is none of the rows where the file has it, as one that is named as labels are.
    """
    return resolved(X, RowsOnly(without), argument, checked=False)[0]


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
    schema = tables.parquet_schema(checked_file(file))
    columns = tables.columns_of_schema(file, schema, (name, None) if name else None, label)
    names = [schema.names[j] for j in tables.used(columns)]
    odd = any("," in one or "::" in one or one != one.strip() for one in names)
    if odd or tables.is_list(schema.field(columns.data[0]).type):
        read = load if checked else _stored
        return read(f"{file}::{name}" if name else file, labels=label)
    X = f"{file}::{','.join(names[: len(columns.data)])}"
    return X, _elsewhere(label) if columns.label is None else f"{file}::{names[-1]}"


_NAMED = {".npz": npz_members, ".h5": hdf5_members, ".hdf5": hdf5_members}
_FINDERS: dict[str, Callable[..., Pair]] = {
    **dict.fromkeys(_NAMED, _of_named),
    ".parquet": _of_parquet,
    ".pq": _of_parquet,
}
