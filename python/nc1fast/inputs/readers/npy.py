"""Files of one array in NumPy's .npy format."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nc1fast.inputs.arrays import check_shape
from nc1fast.inputs.readers.in_place import in_place
from nc1fast.support.npy import check_room, read_array, read_header

if TYPE_CHECKING:
    from nc1fast.inputs.file_rows import FileRows


def rows(path: str, name: str) -> FileRows:
    """Rows where they lie in the file."""
    with Path(path).open("rb") as file:
        head = read_header(file)
        check_room(head, os.fstat(file.fileno()).st_size - file.tell())
        check_shape(head.shape, "X")
        return in_place(path, file.tell(), head.shape, head.dtype, by_column=head.by_column)


def labels(path: str, name: str) -> Any:
    """The array as labels, in memory."""
    with Path(path).open("rb") as stream:
        return read_array(stream)
