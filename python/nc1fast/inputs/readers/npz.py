"""Members of NumPy's .npz archives."""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.inputs import spool
from nc1fast.inputs.arrays import check_shape
from nc1fast.inputs.file_rows import CHUNK_BYTES
from nc1fast.inputs.readers.in_place import in_place
from nc1fast.inputs.readers.members import member
from nc1fast.support.npy import (
    check_room,
    members,
    open_member,
    opened_archive,
    read_array,
    read_header,
)

if TYPE_CHECKING:
    from nc1fast.inputs.file_rows import FileRows


def rows(path: str, name: str) -> FileRows:
    """Rows of a member: where they lie if they are stored as they are, else decompressed once."""
    with opened_archive(path) as archive:
        info = member(members(archive), name, path)
        with open_member(archive, info) as file:
            head = read_header(file)
            check_room(head, info.file_size - file.tell())
            shape, by_column, dtype = head
            check_shape(shape, "X")
            if info.compress_type == zipfile.ZIP_STORED:
                begin = _start(path, info) + file.tell()
                while file.read(CHUNK_BYTES):  # the archive's own checksum comes at the end
                    pass
                return in_place(path, begin, shape, dtype, by_column=by_column)
            if not by_column:
                return spool.from_stream(file, (shape[0], shape[1]), dtype)
            descriptor, columns = tempfile.mkstemp(prefix="nc1fast-")
            try:
                try:
                    with os.fdopen(descriptor, "wb") as to:
                        shutil.copyfileobj(file, to)
                except OSError as error:
                    raise spool.full(error, columns, "TMPDIR decides where") from error
                return in_place(columns, 0, shape, dtype, by_column=True)
            finally:
                Path(columns).unlink(missing_ok=True)


def labels(path: str, name: str) -> Any:
    """The member as labels, in memory."""
    with opened_archive(path) as archive:
        info = member(members(archive), name, path)
        with open_member(archive, info) as stream:
            return read_array(stream)


def _start(path: str, info: zipfile.ZipInfo) -> int:
    """Offset of the bytes of a stored member, after a header that ends with a name and an extra
    field.
    """
    with Path(path).open("rb") as raw:
        raw.seek(info.header_offset + 26)
        lengths = np.frombuffer(raw.read(4), "<u2")
    return info.header_offset + 30 + int(lengths.sum())
