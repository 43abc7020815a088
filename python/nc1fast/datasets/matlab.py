"""Reader of MATLAB's .mat files: up to version 7 by SciPy, version 7.3, which is HDF5, by h5py."""

from __future__ import annotations

import contextlib
import functools
import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from nc1fast.datasets.damage import malformed, readable
from nc1fast.inputs.readers import hdf5
from nc1fast.inputs.readers.members import check_claim
from nc1fast.support.extras import require

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from nc1fast.datasets.named import Members

_KIND = ".mat file"
_HEADER = 128  # bytes before the first variable, from version 5 on
_ORDERS: dict[bytes, Literal["little", "big"]] = {b"IM": "little", b"MI": "big"}  # as it ends
_BYTES = {"double": 8, "single": 4, "logical": 1, "char": 4, "cell": 0} | {  # of one number
    f"{sign}int{bits}": bits // 8 for sign in ("", "u") for bits in (8, 16, 32, 64)
}


@contextlib.contextmanager
def mat_members(path: Path) -> Iterator[Members]:
    """Variables of a .mat file by name; structs, objects and function handles are left out."""
    with readable(path, _KIND), path.open("rb") as file:
        newest = file.read(10) == b"MATLAB 7.3"
    yield _of_hdf5(path) if newest else _of_scipy(path)


def _of_scipy(path: Path) -> Members:
    """Variables of a file of version 4 to 7."""
    io = require("scipy.io", "study")
    with readable(path, _KIND):
        _check_length(path)
        found = io.whosmat(str(path))
    return {
        name: functools.partial(_variable, path, name, math.prod(shape) * _BYTES[kind])
        for name, shape, kind in found
        if kind in _BYTES
    }


def _check_length(path: Path) -> None:
    """ValueError for a file of version 5 to 7 that ends within a variable: SciPy would leave it out without a word."""
    with path.open("rb") as file:
        order = _ORDERS.get(file.read(_HEADER)[-2:])
        at, end = _HEADER, path.stat().st_size
        while order is not None and at < end:
            file.seek(at)
            n_bytes = file.read(8)[4:]  # behind the type of the variable
            at += 8 + int.from_bytes(n_bytes, order)
    if order is not None and at > end:
        raise ValueError(f"is cut short: {at} bytes expected, {end} found")


def _variable(path: Path, name: str, n_bytes: int) -> NDArray[Any]:
    """One variable, of `n_bytes` as its header says; a cell array of texts as an array of texts."""
    with readable(path, _KIND):
        check_claim(n_bytes, str(path))
        value = require("scipy.io", "study").loadmat(str(path), variable_names=[name])[name]
    if value.dtype.kind == "U":
        return np.char.rstrip(value)  # the rows of a char array are padded to one length
    if value.dtype.kind != "O":
        return np.asarray(value)
    cells = [np.asarray(cell) for cell in value.ravel()]
    if not all(cell.dtype.kind == "U" and cell.size <= 1 for cell in cells):
        raise malformed(path, f"variable {name!r} is a cell array of more than texts")
    return np.array(["".join(cell.ravel()) for cell in cells])


def _of_hdf5(path: Path) -> Members:
    """Variables of a file of version 7.3, whose arrays are stored with their axes in reverse order."""
    with readable(path, _KIND):
        names = [name for name in hdf5.names(str(path)) if not name.startswith("#")]
    return {name: functools.partial(_reversed, path, name) for name in names}


def _reversed(path: Path, name: str) -> NDArray[Any]:
    """One variable of version 7.3."""
    with readable(path, _KIND):
        value = np.asarray(hdf5.labels(str(path), name))
    if value.dtype.kind == "O":
        raise malformed(
            path,
            f"variable {name!r} is a cell array, which is not read in version 7.3: save with -v7",
        )
    turned: NDArray[Any] = value.T
    return turned
