"""Reader of HDF5 files: data sets by name, those of groups as GROUP/NAME."""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.datasets.damage import readable
from nc1fast.inputs.readers import hdf5
from nc1fast.inputs.text import as_texts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from nc1fast.datasets.named import Members

_KIND = "HDF5 file"


@contextlib.contextmanager
def hdf5_members(path: Path) -> Iterator[Members]:
    """Data sets of an HDF5 file by name."""
    with readable(path, _KIND):
        names = hdf5.names(str(path))
    yield {name: functools.partial(_data_set, path, name) for name in names}


def _data_set(path: Path, name: str) -> NDArray[Any]:
    """One data set, in memory; its size is checked against that of the file before."""
    with readable(path, _KIND):
        found = np.asarray(hdf5.labels(str(path), name))
        if found.dtype.kind != "O":
            return found
        texts = found.ravel().tolist()
        if not all(isinstance(text, str) for text in texts):
            raise ValueError(f"{name!r} holds neither numbers nor texts")
        return as_texts(texts).reshape(found.shape)
