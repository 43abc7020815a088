"""Files of named arrays (.npz, .mat, HDF5, PyTorch): their arrays by name, each by the package that
owns the format; and which array is the data, and which the labels.
"""

from __future__ import annotations

import contextlib
import functools
import math
import os
import zipfile
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from nc1fast.inputs.arrays import host_array
from nc1fast.inputs.labels import as_texts
from nc1fast.inputs.optional_formats import hdf5_labels, hdf5_names
from nc1fast.inputs.spool import check_claim
from nc1fast.support.extras import require
from nc1fast.support.npy import members, read_member
from nc1fast.support.reading import about, malformed, readable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

Members: TypeAlias = Mapping[str, Callable[[], "NDArray[Any]"]]  # arrays by name, read when called
# Names that are tried, in this order and in upper or lower case; the last pair is that of Keras's
# data sets.
DATA_NAMES = (
    *("x", "data", "features", "embeddings", "inputs"),
    *("images", "image", "img", "pixel_values", "x_train"),
)
LABEL_NAMES = ("y", "labels", "label", "targets", "target", "classes", "fine_labels", "y_train")


class RowsOnly(NamedTuple):
    """In place of labels: rows alone are requested.

    Attributes
    ----------
    name : str, optional
        Of an array or a column that is none of the data where the file has it, beside those with
        the usual names of labels.
    """

    name: str | None = None


def chosen(
    path: Path, names: Sequence[str], keys: Sequence[str | None] | None, labels: Any
) -> tuple[str, str | None]:
    """Names of the arrays of the data and of the labels, the latter None where `labels` are not in
    the file.

    Parameters
    ----------
    path : Path
    names : sequence of str
        All arrays of the file.
    keys : pair of str, optional
        Decides; of the data alone where the second is None.
    labels : optional
        The name of an array, or whatever else the labels are given as.

    Raises
    ------
    ValueError
        If a requested name is not there, or the usual ones leave open which array is meant.
    """
    data, label = (None, None) if keys is None else keys
    for key in (data, label):
        if key is not None and key not in names:
            raise malformed(path, f"no array {key!r}; {listing(names)}")
    if data is not None and label is not None:
        return data, label
    label = _first(path, names, LABEL_NAMES) if labels is None else inside(path, names, labels)
    others = _beside_labels(names, label, labels)
    data = data or _first(path, others, DATA_NAMES)
    if data is None and len(others) == 1 and (label is not None or labels is not None):
        data = others[0]
    if label is None and labels is None and data is not None and len(names) == 2:
        [label] = (name for name in names if name != data)
    if data is None or (label is None and labels is None):
        what, tried = ("data", DATA_NAMES) if data is None else ("labels", LABEL_NAMES)
        raise malformed(
            path,
            f"none of its arrays is named as {what} are ({', '.join(tried)}): name two by keys=, "
            f"or one as FILE::NAME; {listing(names)}",
        )
    return data, label


def _beside_labels(names: Sequence[str], label: str | None, labels: Any) -> list[str]:
    """The arrays that may be the data: none that is named as labels are where these lie elsewhere,
    unless there are no others.
    """
    if label is not None or labels is None:
        return [name for name in names if name != label]
    kept = [n for n in names if n.lower() not in LABEL_NAMES and n != left_out_name(labels)]
    return kept or list(names)


def left_out_name(labels: Any) -> str | None:
    """The name of what `RowsOnly` leaves out; None for other labels."""
    return labels.name if isinstance(labels, RowsOnly) else None


def inside(path: Path, names: Sequence[str], labels: Any) -> str | None:
    """The array or column that labels name, None if they are an array or a file; ValueError for a
    name of neither.
    """
    if not isinstance(labels, str):
        return None
    if labels in names:
        return labels
    if not os.path.exists(labels.partition("::")[0]):  # noqa: PTH110  (null bytes)
        raise malformed(
            path, f"labels {labels!r} are neither a part of it nor a file; {listing(names)}"
        )
    return None


def listing(names: Sequence[str]) -> str:
    """The arrays that a file has, for an error: at most eight."""
    some = ", ".join(map(repr, names[:8])) or "no arrays"
    return f"it has {some}{', ...' if len(names) > 8 else ''}"


def _first(path: Path, names: Sequence[str], tried: Sequence[str]) -> str | None:
    """The first name tried that is there; ValueError if both in upper and lower case."""
    for word in tried:
        there = [name for name in names if name.lower() == word]
        if len(there) > 1:
            raise malformed(
                path, f"has both {' and '.join(map(repr, there))}: name two arrays by keys="
            )
        if there:
            return there[0]
    return None


# --- the arrays of a file, by format ---


@contextlib.contextmanager
def npz_members(path: Path) -> Iterator[Members]:
    """Arrays of an .npz file by name. Pickles are never loaded."""
    with readable(path, ".npz file"), zipfile.ZipFile(path) as archive:
        found = members(archive)
        yield {name: functools.partial(_npz_member, path, archive, name) for name in found}


def _npz_member(path: Path, archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    with about(path, f"array {name!r}"):
        return read_member(archive, members(archive)[name])


@contextlib.contextmanager
def hdf5_members(path: Path) -> Iterator[Members]:
    """Data sets of an HDF5 file by name, those of groups as GROUP/NAME."""
    with readable(path, "HDF5 file"):
        names = hdf5_names(str(path))
    yield {name: functools.partial(_data_set, path, name) for name in names}


def _data_set(path: Path, name: str) -> NDArray[Any]:
    """One data set, in memory."""
    with readable(path, "HDF5 file"):
        found = np.asarray(hdf5_labels(str(path), name))
        if found.dtype.kind != "O":
            return found
        texts = found.ravel().tolist()
        if not all(isinstance(text, str) for text in texts):
            raise ValueError(f"{name!r} holds neither numbers nor texts")
        return as_texts(texts).reshape(found.shape)


# Classes of MATLAB's variables that are read: structs, objects, sparse arrays and function handles
# are passed over.
_MATLAB = {"double", "single", "logical", "char", "cell"}
_MATLAB |= {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}


@contextlib.contextmanager
def mat_members(path: Path) -> Iterator[Members]:
    """Variables of a .mat file by name: up to version 7 by SciPy, version 7.3, which is HDF5, by
    h5py.
    """
    with path.open("rb") as file:
        newest = file.read(10) == b"MATLAB 7.3"
    with readable(path, ".mat file"):
        if newest:
            names = [name for name in hdf5_names(str(path)) if not name.startswith("#")]
            found = {name: functools.partial(_reversed, path, name) for name in names}
        else:
            about_all = require("scipy.io", "files").whosmat(path, appendmat=False)
            found = {
                name: functools.partial(_variable, path, name, shape)
                for name, shape, kind in about_all
                if kind in _MATLAB
            }
    yield found


def _variable(path: Path, name: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """One variable of version 4 to 7, of the type that it is stored as; texts of the rows of a char
    array, or of the cells of a cell array.
    """
    with readable(path, ".mat file"), about(path, f"variable {name!r}"):
        check_claim(math.prod(shape), str(path))
        loadmat = require("scipy.io", "files").loadmat
        value: NDArray[Any] = loadmat(path, appendmat=False, variable_names=[name])[name]
        if value.dtype.kind == "U":
            return as_texts([text.rstrip() for text in value.ravel().tolist()])
        if value.dtype.kind == "O":
            return as_texts([_text_of(cell) for cell in value.ravel()])
        return value


def _text_of(cell: Any) -> str:
    """The text of a cell: an array of none or one."""
    if not isinstance(cell, np.ndarray) or cell.dtype.kind != "U" or cell.size > 1:
        raise ValueError("is a cell array of more than texts")
    return "".join(cell.ravel().tolist()).rstrip()


def _reversed(path: Path, name: str) -> NDArray[Any]:
    """One variable of version 7.3, which is stored with its axes in reverse order."""
    with readable(path, ".mat file"):
        value = np.asarray(hdf5_labels(str(path), name))
    if value.dtype.kind == "O":
        raise malformed(
            path,
            f"variable {name!r} is a cell array, which is not read in version 7.3: save with -v7",
        )
    turned: NDArray[Any] = value.T
    return turned


@contextlib.contextmanager
def torch_members(path: Path) -> Iterator[Members]:
    """Tensors of a dict by their keys, the first two of a list or tuple as X and y, a single one as
    X; `torch.load(weights_only=True)` runs no code of the file.
    """
    torch = require("torch", "torch")
    with readable(path, "PyTorch file of tensors, numbers, texts, lists and dicts alone"):
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    if torch.is_tensor(loaded):
        loaded = [loaded]
    if isinstance(loaded, list | tuple):  # as torchvision saves MNIST
        loaded = dict(zip(("X", "y"), loaded, strict=False))
    if not isinstance(loaded, dict):
        raise malformed(
            path,
            f"holds a {type(loaded).__name__}; a dict of tensors, a pair of them or one tensor is "
            "needed",
        )
    yield {
        str(name): functools.partial(_tensor, path, str(name), value)
        for name, value in loaded.items()
        if torch.is_tensor(value) or isinstance(value, list | tuple)
    }


def _tensor(path: Path, name: str, value: Any) -> NDArray[Any]:
    """A dense tensor, or a list of numbers or texts, as an array."""
    with readable(path, f"array {name!r}"):
        if not isinstance(value, list | tuple):
            check_claim(value.numel() * value.element_size(), str(path))  # strides may be 0
            return host_array(value, name)
        if {type(one) for one in value} in ({str}, {bytes}):
            return as_texts(value)
        array = np.asarray(value)
        if array.dtype.kind not in "biuf":
            raise ValueError("a list of more than numbers or texts")
        return array
