"""Reader of MATLAB's .mat files: up to version 7 by `mat_variables`, version 7.3, which is HDF5, by
h5py.
"""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.datasets.damage import about, malformed, readable
from nc1fast.datasets.mat_variables import variables
from nc1fast.inputs.readers import hdf5

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from nc1fast.datasets.mat_variables import Variable
    from nc1fast.datasets.named import Members

_KIND = ".mat file"


@contextlib.contextmanager
def mat_members(path: Path) -> Iterator[Members]:
    """Variables of a .mat file by name; structs, objects and function handles are left out."""
    with readable(path, _KIND), path.open("rb") as file:
        newest = file.read(10) == b"MATLAB 7.3"
    if newest:
        yield _of_hdf5(path)
        return
    with path.open("rb") as file:
        with readable(path, _KIND):
            found = variables(file)
        yield {one.name: functools.partial(_variable, path, one) for one in found}


def _variable(path: Path, variable: Variable) -> NDArray[Any]:
    """One variable of version 4 to 7."""
    with readable(path, _KIND), about(path, f"variable {variable.name!r}"):
        return variable.read()


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
