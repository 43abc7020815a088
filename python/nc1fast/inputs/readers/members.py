"""Helpers of the readers: arrays by name, a check of the sizes that headers claim, and arrays that
are sliced.
"""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

from nc1fast.inputs import spool
from nc1fast.inputs.arrays import check_shape
from nc1fast.support.files import bytes_in

if TYPE_CHECKING:
    from nc1fast.inputs.file_rows import FileRows

_NAMED = 20  # arrays that a message lists
# Bytes of an array for each byte of its file: the best codecs make no more of constants. Beyond, a
# header lies.
_EXPANSION = 1 << 15


def check_claim(n_bytes: int, path: str) -> None:
    """Raise ValueError for an array that no file of this size can hold."""
    if os.path.exists(path) and n_bytes > (limit := _EXPANSION * bytes_in(path)):  # noqa: PTH110
        raise ValueError(
            f"is damaged: no file of its size holds an array of {n_bytes} bytes ({limit} at most)"
        )


def member(group: Any, name: str, path: str) -> Any:
    """The entry of this name in a file; a file with one array needs none."""
    names = list(group.keys())
    if not name and len(names) == 1:
        name = names[0]
    found = group[name] if name and name in group else group
    if not hasattr(found, "keys"):
        return found
    within = "" if found is group else f"{name}/"
    names = [f"{within}{key}" for key in list(found.keys())[:_NAMED]]
    if not names:
        raise ValueError(f"{path} holds no array")
    raise ValueError(
        f"{path} needs the name of one of its arrays, as in '{path}::{names[0]}': {', '.join(names)}"
    )


def sliced(X: Any) -> FileRows:
    """Rows of an array that can be sliced, streamed once into a temporary file."""
    if any(math.isnan(size) for size in X.shape):
        raise ValueError(
            f"X has chunks of unknown size {X.shape}: call compute_chunk_sizes() first"
        )
    check_shape(X.shape, "X")
    return spool.from_slices(X)
