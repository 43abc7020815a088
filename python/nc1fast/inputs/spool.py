"""Rows of files that cannot be read by row range: streamed once into a temporary file of float32 or
float64; and how much a file may hold.

The file is made under TMPDIR and deleted with the last reference to its rows.
"""

from __future__ import annotations

import errno
import math
import os
import tempfile
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.inputs.arrays import as_rows, check_shape
from nc1fast.inputs.file_rows import CHUNK_BYTES, FileRows, fill
from nc1fast.support.files import bytes_in
from nc1fast.support.reading import named

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    Blocks = Iterable[NDArray[Any]]

_LISTED = 20  # arrays that a message lists
_EXPANSION = 1 << 15  # bytes of an array for each of its file: codecs make no more of constants


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
    names = [f"{within}{key}" for key in list(found.keys())[:_LISTED]]
    if not names:
        raise ValueError(f"{path} holds no array")
    raise ValueError(
        f"{path} needs the name of one of its arrays, as in '{path}::{names[0]}': "
        f"{', '.join(names)}"
    )


def sliced(X: Any) -> FileRows:
    """Rows of an array that can be sliced, streamed once into a temporary file."""
    if any(math.isnan(size) for size in X.shape):
        raise ValueError(
            f"X has chunks of unknown size {X.shape}: call compute_chunk_sizes() first"
        )
    check_shape(X.shape, "X")
    return from_slices(X)


def spooled(blocks: Blocks, n_rows: int) -> FileRows:
    """Write blocks of rows to a temporary file.

    Raises
    ------
    OSError
        If the disk is full: says where and how many bytes are needed.
    ValueError
        If there are more or fewer rows, or rows of another type.
    """
    descriptor, path = tempfile.mkstemp(prefix="nc1fast-", suffix=".rows")
    owner = _Owner()
    remove = weakref.finalize(owner, _remove, path)
    try:
        with named(path), os.fdopen(descriptor, "wb", buffering=0) as file:
            kind, n_features = _write(file, path, blocks, n_rows)
    except BaseException:
        remove()  # now: what holds the error may hold the owner
        raise
    stride = n_features * kind.itemsize
    return FileRows(path, 0, stride, kind.str[1:], (n_rows, n_features), owner)


def _write(file: Any, path: str, blocks: Blocks, n_rows: int) -> tuple[np.dtype[Any], int]:
    """Write blocks of rows to the file of a path; their type and number of features."""
    kind, n_features, written = np.dtype("f8"), 0, 0
    for block in blocks:
        rows = np.ascontiguousarray(as_rows(block, "X"))
        if written and rows.dtype != kind:
            raise ValueError(f"X must be of one type, but some rows are {rows.dtype}")
        kind, n_features = rows.dtype, rows.shape[1]
        try:
            write_all(file, rows.data)
        except OSError as error:
            needed = f"{n_rows * n_features * kind.itemsize} bytes are needed for rows"
            raise full(error, path, f"{needed} (TMPDIR decides where)") from error
        written += len(rows)
    if written != n_rows:
        raise ValueError(f"X must have {n_rows} rows, but {written} could be read")
    return kind, n_features


class _Owner:
    """Token whose life is that of a temporary file."""


def _remove(path: str) -> None:
    """Delete a temporary file, which may be gone already."""
    Path(path).unlink(missing_ok=True)


def write_all(file: Any, data: memoryview) -> None:
    """Write all bytes to an unbuffered file, so that an error of the disk is raised here and not on
    closing.
    """
    rest = data.cast("B")
    while rest:
        rest = rest[file.write(rest) :]


def full(error: OSError, path: str | os.PathLike[str], needed: str) -> OSError:
    """The error, completed by the name of its file and, where the disk is full, by the text
    `needed`.
    """
    message = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        message += f": {needed}"
    return OSError(error.errno, message, os.fspath(path))


def from_file(
    path: str, offset: int, shape: tuple[int, int], dtype: np.dtype[Any], *, by_column: bool
) -> FileRows:
    """Numbers that lie together in a file, row by row or column by column, in any byte order."""
    return spooled(_rows_of(path, offset, shape, dtype, by_column=by_column), shape[0])


def _rows_of(
    path: str, offset: int, shape: tuple[int, int], dtype: np.dtype[Any], *, by_column: bool
) -> Iterator[NDArray[Any]]:
    """Blocks of rows of about 1 MiB, in order."""
    n, d = shape
    step = max(1, CHUNK_BYTES // (8 * d))
    with named(path), Path(path).open("rb", buffering=0) as file:

        def read(first: int, count: int) -> NDArray[Any]:
            found = bytearray(count * dtype.itemsize)
            fill(file.fileno(), memoryview(found), offset + first * dtype.itemsize, path)
            return np.frombuffer(found, dtype)

        for start in range(0, n, step):
            m = min(step, n - start)
            if by_column:
                yield np.stack([read(k * n + start, m) for k in range(d)], axis=1)
            else:
                yield read(start * d, m * d).reshape(m, d)


def from_stream(file: Any, shape: tuple[int, int], dtype: np.dtype[Any]) -> FileRows:
    """Rows that a file object yields in order."""
    n, d = shape
    step = max(1, CHUNK_BYTES // (8 * d))

    def blocks() -> Iterator[NDArray[Any]]:
        for start in range(0, n, step):
            m = min(step, n - start)
            yield np.frombuffer(file.read(m * d * dtype.itemsize), dtype).reshape(m, d)
        if file.read(1):  # which also makes an archive check its sum
            raise ValueError("has more numbers than its header promises")

    return spooled(blocks(), n)


def from_slices(X: Any, forget: Callable[[], object] = lambda: None) -> FileRows:
    """Rows of an array that can only be sliced: zarr, dask, a chunked data set, or a memory map in
    another order.

    `forget` is called after each block; it lets the pages of a map leave the memory of this
    process.
    """
    n, d = X.shape
    chunks = getattr(X, "chunks", None)
    tall = chunks[0] if chunks else 1
    tall = max(tall) if isinstance(tall, tuple) else tall
    # Whole chunks of the array, so that none is read twice.
    step = max(tall, CHUNK_BYTES // (8 * d) // tall * tall)

    def blocks() -> Iterator[NDArray[Any]]:
        for start in range(0, n, step):
            rows = X[start : start + step]
            yield rows.compute() if hasattr(rows, "compute") else rows
            forget()

    return spooled(blocks(), n)


def from_columns(batches: Iterable[Any], names: list[str], n_rows: int) -> FileRows:
    """Columns of batches of Arrow as features, in their order; integers are checked before they
    meet floats.
    """
    blocks = (
        np.concatenate(
            [
                as_rows(batch.column(name).to_numpy(zero_copy_only=False)[:, None], "X")
                for name in names
            ],
            axis=1,
        )
        for batch in batches
    )
    return spooled(blocks, n_rows)
