"""Images as their data sets are published: IDX (MNIST and its relatives), the batches of CIFAR-10
and CIFAR-100, and the digits that come with scikit-learn.

Source: Y. LeCun, C. Cortes and C. Burges, The MNIST database of handwritten digits; A. Krizhevsky
(2009), Learning Multiple Layers of Features from Tiny Images.
"""

from __future__ import annotations

import contextlib
import functools
import math
import pickle
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.datasets.scaling import Scale, apply_scale, check_scale
from nc1fast.inputs.labels import as_texts
from nc1fast.inputs.spool import check_claim
from nc1fast.support.arithmetic import ieee
from nc1fast.support.extras import require
from nc1fast.support.reading import about, malformed, opened, readable, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from nc1fast.datasets.named import Members

# --- IDX: two zero bytes, one for the type, one for the number of dimensions, the dimensions as
# big-endian 32-bit integers, and the values in C order, big-endian ---

_DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_IDX = re.compile(r"[-.]idx\d?(-[a-z]+)?(\.gz)?$")


def is_idx(path: Path) -> bool:
    """Whether a file has the name of an IDX file, as train-images-idx3-ubyte,
    t10k-images.idx3-ubyte.gz or a.idx.
    """
    return _IDX.search(path.name.lower()) is not None


def read_idx(path: Path) -> NDArray[Any]:
    """The array of an IDX file, gzipped or not, of any shape, in the machine's byte order."""
    with readable(path, "IDX file"), opened(path) as stream:
        magic = stream.read(4)
        if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _DTYPES or magic[3] == 0:
            raise malformed(path, f"wrong magic number 0x{magic.hex()}: not an IDX file")
        dtype, header = np.dtype(_DTYPES[magic[2]]), stream.read(4 * magic[3])
        if len(header) < 4 * magic[3]:
            raise malformed(path, "is cut short in the IDX header")
        shape = tuple(np.frombuffer(header, ">u4").tolist())
        if 0 in shape:
            raise malformed(path, f"IDX data holds no data, shape {shape}")
        n_bytes = math.prod(shape) * dtype.itemsize
        check_claim(n_bytes, str(path))
        data = stream.read(n_bytes + 1)  # beyond the end, where gzip checks its sum
        if len(data) < n_bytes:
            raise malformed(path, f"is cut short: {n_bytes} bytes expected, {len(data)} found")
        if len(data) > n_bytes:
            raise malformed(path, f"has more than the {n_bytes} bytes of its header")
        return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="))


def labels_beside(path: Path) -> Path:
    """The file of labels that belongs to a file of images by its name.

    ``train-images-idx3-ubyte.gz`` has ``train-labels-idx1-ubyte.gz``, or the same without ``.gz``.
    """
    stem, images, rest = path.name.rpartition("images")
    if not images:
        raise malformed(
            path, "holds no labels, and its name does not say where they are: give labels=PATH"
        )
    name = stem + "labels" + re.sub(r"(?<=idx)\d", "1", rest)
    other = name.removesuffix(".gz") if name.endswith(".gz") else name + ".gz"
    for candidate in (path.with_name(name), path.with_name(other)):
        if candidate.is_file():
            return candidate
    raise FileNotFoundError(
        f"{shown(path)}: no labels beside it, looked for {name} and {other}: give labels=PATH"
    )


# --- CIFAR: pickles, and records of one or two bytes of labels and 3 x 32 x 32 of pixels ---

_PIXELS = 3072
_PYTHON = re.compile(r"data_batch_\d+|test_batch|train|test")
# Labels that stand before the pixels of each image: CIFAR-10, CIFAR-100.
_BINARY = {
    re.compile(r"(data_batch_\d+|test_batch)\.bin"): ("labels",),
    re.compile(r"(train|test)\.bin"): ("coarse_labels", "fine_labels"),
}


def is_python_batch(path: Path) -> bool:
    """Whether a file has the name of a batch in the Python version: data_batch_1, test_batch,
    train, test.
    """
    return _PYTHON.fullmatch(path.name) is not None


def is_binary_batch(path: Path) -> bool:
    """Whether a file has the name of a batch in the binary version: data_batch_1.bin, train.bin and
    the like.
    """
    return any(name.fullmatch(path.name) for name in _BINARY)


@contextlib.contextmanager
def python_members(path: Path) -> Iterator[Members]:
    """Arrays of a pickled batch: data (n, 3072), and labels, or fine_labels and coarse_labels."""
    with readable(path, "pickled batch of CIFAR"), path.open("rb") as file:
        content = PlainUnpickler(file, encoding="bytes").load()
    if not isinstance(content, dict):
        raise malformed(path, f"holds a {type(content).__name__}, a dict is needed")
    yield {
        _text(key): functools.partial(_column, path, _text(key), value)
        for key, value in content.items()
        if isinstance(value, list | np.ndarray)
    }


def _text(key: Any) -> str:
    """A key of Python 2, which is bytes, as text."""
    return key.decode("latin-1") if isinstance(key, bytes) else str(key)


def _column(path: Path, name: str, value: Any) -> NDArray[Any]:
    """An array, or a list of whole numbers or names as one."""
    kinds = {type(one) for one in value} if isinstance(value, list) else set()
    if not (kinds <= {int} or kinds in ({bytes}, {str})):
        raise malformed(path, f"{name!r} is a list of more than whole numbers or names")
    with about(path, repr(name)):
        return as_texts(value) if kinds - {int} else np.asarray(value)


@contextlib.contextmanager
def binary_members(path: Path) -> Iterator[Members]:
    """Arrays of a binary batch."""
    [names] = [names for pattern, names in _BINARY.items() if pattern.fullmatch(path.name)]
    record = len(names) + _PIXELS
    content = np.frombuffer(path.read_bytes(), np.uint8)
    if content.size == 0 or content.size % record:
        raise malformed(
            path, f"has {content.size} bytes, no whole number of images of {record} bytes"
        )
    records = content.reshape(-1, record)
    columns: dict[str, NDArray[Any]] = {name: records[:, i] for i, name in enumerate(names)}
    columns["data"] = records[:, len(names) :]
    yield {name: functools.partial(np.asarray, values) for name, values in columns.items()}


# --- pickles of plain data: dicts, lists, numbers, texts, bytes and NumPy arrays of numbers ---


def _dtype(code: str | bytes, *_: Any) -> np.dtype[Any]:
    """A type of numbers, as a pickle makes it."""
    # A copy, whose byte order the pickle sets after this.
    dtype = np.dtype(code.decode("ascii") if isinstance(code, bytes) else code, copy=True)
    if dtype.kind not in "biuf":
        raise ValueError(f"holds an array of type {dtype}, numbers are needed")
    return dtype


def _encoded(text: str, encoding: Any = "latin1") -> bytes:
    """Bytes, which protocol 2 writes as text."""
    return text.encode("latin-1")


class PlainUnpickler(pickle.Unpickler):
    """An unpickler that finds what arrays of numbers need, and nothing else."""

    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        """The function or class of a name; ValueError for any other."""
        core = module.replace("numpy.core.", "numpy._core.")  # of NumPy 1
        if (module, name) == ("_codecs", "encode"):
            return _encoded
        if (module, name) == ("numpy", "dtype"):
            return _dtype
        arrays = {("numpy", "ndarray"), ("numpy._core.multiarray", "_reconstruct")}
        if (core, name) in {*arrays, ("numpy._core.numeric", "_frombuffer")}:
            found: Callable[..., Any] = super().find_class(core, name)
            return found
        raise ValueError(
            f"asks for {module}.{name}; only plain data and NumPy arrays of numbers are loaded"
        )


# --- scikit-learn ---


@ieee
def digits(scale: Scale = "none") -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Handwritten digits of scikit-learn: 1797 images of 8 x 8 pixels, 10 classes.

    Parameters
    ----------
    scale : {"none", "unit-interval", "standardize", "unit-norm"}, default "none"
        See `apply_scale`. With "none" a pixel is a whole number from 0 to 16; "unit-interval"
        divides by 16, which is exact.

    Returns
    -------
    X : ndarray of shape (1797, 64)
        Float64.
    y : ndarray of shape (1797,)
        Int64, the digit; 174 to 183 rows per class.

    Raises
    ------
    ImportError
        If scikit-learn is not installed (extra ``sklearn``).
    ValueError
        If `scale` is unknown.

    Notes
    -----
    Cost: about 10 ms; nothing is downloaded, the file is part of scikit-learn.

    Accuracy: exact with "none"; see `apply_scale`.

    Source: E. Alpaydin and C. Kaynak (1998), Optical Recognition of Handwritten Digits, UCI Machine
    Learning Repository (its test set).

    Examples
    --------
    >>> X, y = digits("unit-interval")  # doctest: +SKIP
    """
    check_scale(scale)
    X, y = require("sklearn.datasets", "sklearn").load_digits(return_X_y=True)
    return apply_scale(X, scale), np.asarray(y, dtype=np.int64)
