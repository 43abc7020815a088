"""`load`: labelled data from .npz, .npy, .csv and IDX files."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.datasets.arrays import read_npy, read_npz
from nc1fast.datasets.csv_rows import read_csv
from nc1fast.datasets.idx import is_idx, labels_beside, read_idx
from nc1fast.datasets.reading import checked_file, malformed
from nc1fast.datasets.scaling import Scale, check_scale, scale_in_place, widen
from nc1fast.inputs.labels import as_labels
from nc1fast.support.arithmetic import ieee
from nc1fast.support.changes import unchanged
from nc1fast.support.reading import reading, shown

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@ieee
def load(
    path: str | os.PathLike[str],
    *,
    keys: Sequence[str] | None = None,
    labels: ArrayLike | os.PathLike[str] | None = None,
    scale: Scale = "none",
) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Load a labelled data set from a file.

    Parameters
    ----------
    path : str or path-like
        The kind of file is read from its name:

        - ``.npz``: two arrays, named X/y, x/y, data/labels or x_train/y_train (Keras), or by `keys`.
        - ``.npy``: the data; `labels` is needed.
        - ``.csv``: UTF-8, comma-separated, numbers but for the column of labels. The first line is a header
          if no cell of a feature in it is a number, or if only its label is text and all other labels
          are numbers. A header of numbers alone cannot be told from data and is read as data.
        - ``-idx3-ubyte``, ``.idx3-ubyte``, ``.idx`` and the like, with or without ``.gz``: IDX, the format
          of MNIST. Gzip is recognised by the content.

        Data of more than two dimensions (images) are flattened to rows, in C order.
    keys : pair of str, optional
        Only for .npz: the names of the data and of the labels, e.g. ``("x_test", "y_test")``.
    labels : array_like, path or column, optional
        - .npy: an array of labels, or the path of an .npy or IDX file of them.
        - .csv: the column of labels, by name (the first line is then a header) or by index from 0, negative
          from the end. Default the last.
        - IDX: as for .npy. Default the file beside it with the usual name: ``train-images-idx3-ubyte``
          has ``train-labels-idx1-ubyte``.
        - .npz: not allowed.
    scale : {"none", "unit-interval", "standardize", "unit-norm"}, default "none"
        See `apply_scale`.

    Returns
    -------
    X : ndarray of shape (n_samples, n_features)
        Float64, C-contiguous.
    y : ndarray of shape (n_samples,)
        Int64 where labels are integers that fit; otherwise with the dtype of the file. Labels of a .csv
        are int64 if all are whole numbers, float64 if all are numbers, else strings.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    ValueError
        If a file is damaged, cut short, changed while it is read, of an unknown kind, has values that are not finite numbers, or
        does not have one label per row. The message is one line that starts with the file. Also if an
        argument does not belong to the kind of file, or `scale` is unknown.
    TypeError
        If `path` is not a path, or `keys` is not a pair of names.

    Notes
    -----
    Pickled objects are never loaded.

    Cost: one pass over the file; memory is the array as stored plus float64 X. A .csv takes 0.1 to
    0.3 microseconds per cell.

    Accuracy: values are widened to float64 exactly (integers beyond 2^53 are refused), numbers in
    text are rounded to nearest; `scale` adds what `apply_scale` says.

    Source: the NumPy .npy format 1.0 and 2.0, RFC 4180, and the description of IDX of the MNIST database.

    Examples
    --------
    >>> X, y = load("mnist.npz", scale="unit-interval")  # doctest: +SKIP
    >>> X, y = load("train-images-idx3-ubyte.gz")  # doctest: +SKIP
    >>> X, y = load("iris.csv", labels="species", scale="standardize")  # doctest: +SKIP
    """
    check_scale(scale)
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path must be a path, got {type(path).__name__}")
    file = Path(path)
    kind = _kind(file)
    _check_belonging(file, kind, keys, labels)
    checked_file(file)

    labels_file = file
    if kind == ".npz":
        data, y = _read(read_npz, file, keys)
    elif kind == ".csv":
        column = labels if isinstance(labels, str | None) else int(labels)  # type: ignore[arg-type]
        data, y = _read(read_csv, file, column)
    elif kind == ".npy":
        data = _read(read_npy, file)
        y, labels_file = _labels(file, labels)
    else:
        data = _read(read_idx, file)
        if data.ndim == 1:
            raise malformed(
                file, "has one dimension, as files of labels have; give the file of the data"
            )
        y, labels_file = _labels(file, labels_beside(file) if labels is None else labels)

    X = widen(_flattened(file, data), shown(file))
    return scale_in_place(X, scale), _checked_labels(labels_file, y, len(X))


def _read(reader: Callable[..., Any], path: Path, *arguments: Any) -> Any:
    """What a reader makes of a file that stays as it is meanwhile."""
    with reading(str(path)), unchanged(path):
        return reader(path, *arguments)


def _kind(file: Path) -> str:
    """Return .npz, .npy, .csv or .idx, from the name."""
    if is_idx(file):
        return ".idx"
    suffix = file.suffix.lower()
    if suffix not in (".npz", ".npy", ".csv"):
        raise malformed(
            file,
            f"unknown kind of file {suffix!r}, must be .npz, .npy, .csv or IDX (e.g. -idx3-ubyte)",
        )
    return suffix


def _check_belonging(file: Path, kind: str, keys: object, labels: object) -> None:
    """Raise unless `keys` and `labels` are what this kind of file takes."""
    if keys is not None and kind != ".npz":
        raise malformed(file, "keys belongs to .npz files only")
    if keys is not None and (
        not isinstance(keys, Sequence)
        or isinstance(keys, str)
        or [type(key) for key in keys] != [str, str]
    ):
        raise TypeError(f"keys must be two names, of the data and of the labels, got {keys!r}")
    if kind == ".npz" and labels is not None:
        raise malformed(file, "labels does not belong to .npz files: name the arrays by keys")
    if kind == ".npy" and labels is None:
        raise malformed(file, "an .npy file holds no labels: give labels=, an array or a path")
    if kind == ".csv" and (
        isinstance(labels, bool) or not isinstance(labels, str | int | np.integer | None)
    ):
        raise malformed(
            file, f"labels must be the name or the index of a column, got {type(labels).__name__}"
        )


def _labels(file: Path, labels: Any) -> tuple[NDArray[Any], Path]:
    """Labels from an array or a file, and the file to name in errors about them."""
    if not isinstance(labels, str | os.PathLike):
        try:
            n = len(labels)
        except TypeError:
            raise malformed(
                file, "labels must be an array of shape (n_samples,) or a path"
            ) from None
        if getattr(labels, "ndim", 1) == 2 and labels.shape[1] == 1:
            labels = labels[:, 0]  # of Keras
        try:
            classes, names = as_labels(labels, n, "labels")
        except (ValueError, TypeError) as error:
            raise malformed(file, str(error)) from error
        return names[classes], file
    path = Path(labels)
    if is_idx(path):
        return _read(read_idx, checked_file(path)), path
    if path.suffix.lower() == ".npy":
        return _read(read_npy, checked_file(path)), path
    raise malformed(
        path,
        f"unknown kind of file {path.suffix!r} for labels, must be .npy or IDX (e.g. -idx1-ubyte)",
    )


def _flattened(file: Path, data: NDArray[Any]) -> NDArray[Any]:
    """Return data of two or more dimensions as rows (images are flattened, in C order)."""
    if data.ndim < 2:
        raise malformed(
            file,
            f"data must have shape (n_samples, n_features) or be images, got shape {data.shape}",
        )
    return data.reshape(len(data), -1)


def _checked_labels(file: Path, y: NDArray[Any], n_samples: int) -> NDArray[Any]:
    if y.dtype.kind not in "biufUS":
        raise malformed(file, f"labels must be numbers or strings, got dtype {y.dtype}")
    if y.ndim == 2 and y.shape[1] == 1:  # Keras stores some labels as a column
        y = y[:, 0]
    if y.ndim != 1:
        raise malformed(file, f"labels must have shape (n_samples,), got {y.shape}")
    if len(y) != n_samples:
        raise malformed(file, f"{len(y)} labels for {n_samples} rows")
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        raise malformed(
            file, f"label of row {int(np.argmin(np.isfinite(y)))} (from 0) is not finite"
        )
    if y.dtype.kind in "iu" and np.can_cast(y.dtype, np.int64):
        return y.astype(np.int64)
    return y.astype(y.dtype.newbyteorder("="))
