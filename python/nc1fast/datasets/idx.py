"""Reader of IDX, the format of MNIST and its relatives, gzipped or not.

A file is two zero bytes, a byte for the type, a byte for the number of dimensions, the dimensions
as big-endian 32-bit integers, and the values in C order, big-endian.
Source: Y. LeCun, C. Cortes and C. Burges, The MNIST database of handwritten digits.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.datasets.damage import about, checked_shape, malformed, opened, unpacking
from nc1fast.support.npy import read_exactly
from nc1fast.support.reading import shown

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_NAME = re.compile(r"[-.]idx\d?(-[a-z]+)?(\.gz)?$")


def is_idx(path: Path) -> bool:
    """Whether a file has the name of an IDX file, as train-images-idx3-ubyte,
    t10k-images.idx3-ubyte.gz or a.idx.
    """
    return _NAME.search(path.name.lower()) is not None


def read_idx(path: Path) -> NDArray[Any]:
    """Read the array of an IDX file, of any shape, in the machine's byte order."""
    with unpacking(path, "gzip file"), opened(path) as stream:
        magic = stream.read(4)
        if len(magic) < 4:
            raise malformed(path, "is cut short: no IDX magic number")
        zero, type_code, n_dims = int.from_bytes(magic[:2], "big"), magic[2], magic[3]
        if zero or type_code not in _DTYPES or n_dims == 0:
            raise malformed(path, f"wrong magic number 0x{magic.hex()}: not an IDX file")
        header = stream.read(4 * n_dims)
        if len(header) < 4 * n_dims:
            raise malformed(path, "is cut short in the IDX header")
        dtype = np.dtype(_DTYPES[type_code])
        with about(path, "IDX data"):
            shape = checked_shape(tuple(np.frombuffer(header, ">u4").tolist()))
            data = read_exactly(stream, math.prod(shape) * dtype.itemsize)
    return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


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
