"""Rows that stay in their file. They are read where they are, never mapped: mapped pages count as
memory.
"""

from __future__ import annotations

import contextlib
import itertools
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.support.files import read_at
from nc1fast.support.reading import named

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

CHUNK_BYTES = 1 << 20
_GAP_BYTES = 1 << 13  # between two rows, up to which one read of all costs less than two


@dataclass(frozen=True)
class FileRows:
    """Rows of numbers in a file.

    Attributes
    ----------
    path : str
    offset, stride : int
        Bytes before the first row, and from row to row.
    stored : str
        Type of the numbers: kind and bytes.
    shape : (n_samples, n_features)
    """

    path: str
    offset: int
    stride: int
    stored: str
    shape: tuple[int, int]
    _owner: Any = field(default=None, repr=False, compare=False)  # of a temporary file

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of rows in memory: float32 for stored floats of at most 32 bits, else float64."""
        return np.dtype(np.float32 if self.stored in ("f2", "f4") else np.float64)

    @property
    def temporary(self) -> bool:
        """Whether the file is deleted with the last reference to these rows, so that other
        processes cannot rely on it.
        """
        return self._owner is not None

    def state(self) -> tuple[int, int]:
        """Size of the file and the time of its last change, in ns: if either differs, the rows may
        have changed.

        The inode is left out: it need not be the same number on every machine that sees the file.

        Raises
        ------
        OSError
            If the file is gone.
        """
        found = Path(self.path).stat()
        return found.st_size, found.st_mtime_ns

    @property
    def ndim(self) -> int:
        """Number of dimensions: always 2."""
        return 2

    @property
    def size(self) -> int:
        """Number of entries of the whole array."""
        return self.shape[0] * self.shape[1]

    @property
    def nbytes(self) -> int:
        """Bytes that all rows would take in memory."""
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __reduce__(self) -> tuple[Any, ...]:
        return FileRows, (self.path, self.offset, self.stride, self.stored, self.shape)

    def __getitem__(self, rows: Any) -> NDArray[Any]:
        """Rows by a slice, a number or an array of numbers: read in the order of the file, each
        once.
        """
        n = len(self)
        if isinstance(rows, slice) and rows.step in (None, 1):
            start, stop, _ = rows.indices(n)
            with self._opened() as file:
                return self._read(file, start, max(0, stop - start))
        index = np.arange(*rows.indices(n)) if isinstance(rows, slice) else np.asarray(rows)
        index = np.flatnonzero(index) if index.dtype == np.bool_ else index
        if index.size and not -n <= index.min() <= index.max() < n:
            raise IndexError(f"{self.path} has {n} rows, which {rows!r} goes beyond")
        taken = np.atleast_1d(np.where(index < 0, index + n, index))
        if (np.diff(taken) > 0).all():
            out = self._gathered(taken)
        else:
            taken, places = np.unique(taken, return_inverse=True)
            out = self._gathered(taken)[places]
        return out if index.ndim else out[0]

    def _gathered(self, taken: NDArray[np.intp]) -> NDArray[Any]:
        """Rows by ascending numbers: those that lie close together in one read, with whatever lies
        between.
        """
        out = np.empty((len(taken), self.shape[1]), dtype=self.dtype)
        at_once = max(1, CHUNK_BYTES // self.stride)
        separate = np.diff(taken) * self.stride > _GAP_BYTES
        separate |= np.diff(taken // at_once) > 0
        cuts = [0, *(np.flatnonzero(separate) + 1).tolist(), len(taken)]
        with self._opened() as file:
            for begin, end in itertools.pairwise(cuts if len(taken) else []):
                first = int(taken[begin])
                span = self._read(file, first, int(taken[end - 1]) - first + 1)
                out[begin:end] = span[taken[begin:end] - first] if len(span) > end - begin else span
        return out

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Read all rows into memory."""
        return np.asarray(self[:], dtype)

    def chunks(self) -> Iterator[NDArray[Any]]:
        """Consecutive rows, about 1 MiB at a time."""
        step = max(1, CHUNK_BYTES // (8 * self.shape[1]))
        with self._opened() as file:
            for start in range(0, len(self), step):
                yield self._read(file, start, min(step, len(self) - start))

    @contextlib.contextmanager
    def _opened(self) -> Iterator[int]:
        """The file, open to read; errors name it."""
        with named(self.path), Path(self.path).open("rb", buffering=0) as file:
            yield file.fileno()

    def _read(self, file: int, first: int, count: int) -> NDArray[Any]:
        """Rows first to first + count - 1 of an open file, shape (count, n_features)."""
        kind = np.dtype(self.stored)
        row = self.shape[1] * kind.itemsize
        buffer = np.empty(max(0, (count - 1) * self.stride + row), np.uint8)
        fill(file, buffer.data, self.offset + first * self.stride, self.path)
        strides = (self.stride, kind.itemsize)
        rows = np.ndarray((count, self.shape[1]), kind, buffer, strides=strides)
        return np.asarray(rows.astype(self.dtype, copy=self.stride != row))


def fill(file: int, buffer: memoryview, offset: int, path: str) -> None:
    """Read as many bytes of an open file as the buffer has, in as many calls as that takes; OSError
    where it ends before.
    """
    done = 0
    while done < len(buffer):
        got = read_at(file, buffer[done:], offset + done)
        if not got:
            raise OSError(f"{path} ends before its last row")
        done += got
