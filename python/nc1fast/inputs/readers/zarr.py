"""Zarr arrays, alone or in a group."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from nc1fast.inputs.arrays import check_shape
from nc1fast.inputs.readers.members import check_claim, member, sliced
from nc1fast.support.extras import require

if TYPE_CHECKING:
    from nc1fast.inputs.file_rows import FileRows


def rows(path: str, name: str) -> FileRows:
    """Rows of an array, streamed."""
    found = _opened(path, name)
    check_shape(found.shape, "X")
    check_claim(math.prod(found.shape) * found.dtype.itemsize, path)
    return sliced(found)


def labels(path: str, name: str) -> Any:
    """The array as labels, in memory."""
    found = _opened(path, name)
    check_claim(math.prod(found.shape) * getattr(found.dtype, "itemsize", 1), path)
    return found[:]


def _opened(path: str, name: str) -> Any:
    """The array at a path, or of this name in the group there."""
    found = require("zarr", "files").open(path, mode="r")
    return member(found, name, path) if hasattr(found, "keys") else found
