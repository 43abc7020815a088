"""`load`: a labelled data set from a file of any kind that has a reader."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.datasets.damage import checked_file, malformed
from nc1fast.datasets.readers import Options, check_options, reader_of
from nc1fast.datasets.scaling import Scale, check_scale, scale_in_place, widen
from nc1fast.support.arithmetic import ieee
from nc1fast.support.reading import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

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
        The kind of file follows from its name:

        - ``.npz``: two arrays, named X/y, x/y, data/labels or x_train/y_train (Keras), or by `keys`.
        - ``.npy``: the data; `labels` is needed.
        - ``.csv``: UTF-8, comma-separated; all columns but that of the labels hold numbers. The first line is a
          header if none of its feature cells is a number, or if only its label is text and all other labels
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
        If the file, or that of the labels, is missing.
    ValueError
        If a file is damaged, cut short, changed while it is read or of an unknown kind, if values are not finite
        numbers, or if there is not one label per row: in one line that starts with the file. Also if an argument does
        not belong to the kind of file, or `scale` is unknown.
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
    file, given = Path(path), Options(keys, labels)
    reader = reader_of(file)
    check_options(file, reader, given)
    found = reader.read(checked_file(file), given)
    X = widen(_flattened(file, found.data), shown(file))
    return scale_in_place(X, scale), _checked_labels(found.labels_file, found.labels, len(X))


def _flattened(file: Path, data: NDArray[Any]) -> NDArray[Any]:
    """Data of two or more dimensions as rows (n_samples, n_features): images are flattened in C order."""
    if data.ndim < 2:
        raise malformed(
            file,
            f"data must have shape (n_samples, n_features) or be images, got shape {data.shape}",
        )
    return data.reshape(len(data), -1)


def _checked_labels(file: Path, y: NDArray[Any], n_samples: int) -> NDArray[Any]:
    """Labels (n_samples,) of numbers or strings, in int64 where that holds them; ValueError that names their file."""
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
