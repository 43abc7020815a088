"""What is summed, as workers can be told of it: a path, classes, kernels and settings."""

from __future__ import annotations

import contextlib
import errno
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast._collapse import class_sums
from nc1fast._file_rows import FileRows
from nc1fast._files import as_source, read_labels
from nc1fast._inputs import as_labels, as_rows, row_chunks, two_classes
from nc1fast.distributed.shares import Share
from nc1fast.kernels import Kernel
from nc1fast.sums import from_pass

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import ArrayLike, NDArray

    from nc1fast.sums import ClassSums, PassSums

    Rows = NDArray[Any] | FileRows

_TINY = 10**8  # parts of which one is next to no work


@dataclass(frozen=True)
class Task:
    """One bundle of a problem: paths and numbers, a few hundred bytes."""

    rows: FileRows
    classes: str
    kernels: tuple[Kernel, ...]
    settings: dict[str, Any]  # of nc1fast.class_sums
    part: tuple[int, int]

    def run(self) -> list[Share]:
        """Compute the bundle; the integers of each kernel.

        Raises
        ------
        OSError
            If a file is gone or cannot be read.
        ValueError
            As of `nc1fast.class_sums`.
        """
        sums = _integers(self.rows, np.load(self.classes), self.kernels, self.settings, self.part)
        return [Share.of(part) for part in sums]


@dataclass(frozen=True, eq=False)
class Problem:
    """Checked data, kernels and settings of one pass.

    Attributes
    ----------
    rows : ndarray or FileRows of shape (n_samples, n_features)
    classes : ndarray of int32 of shape (n_samples,)
        Indices into `labels`.
    """

    rows: Rows
    classes: NDArray[np.int32]
    labels: NDArray[Any]
    kernels: tuple[Kernel, ...]
    statistics: str
    dtype: str
    memory_limit: int | None

    @classmethod
    def of(
        cls,
        X: ArrayLike | str | os.PathLike[str],
        y: ArrayLike,
        kernels: Sequence[Any],
        *,
        statistics: str,
        dtype: str,
        memory_limit: int | None,
    ) -> Problem:
        """Check everything once, before anything is sent anywhere.

        Raises
        ------
        TypeError, ValueError
            As of `nc1fast.collapse`; for kernels that are no kernel objects.
        OSError
            If X is a path that cannot be read.
        """
        if not kernels or not all(isinstance(kernel, Kernel) for kernel in kernels):
            raise ValueError(
                "executor, journal and plans need a kernel object or a list of them: explicit features, "
                "Gram matrices and callables are summed in one process"
            )
        rows = as_rows(as_source(X), "X")
        classes, labels = as_labels(read_labels(y), len(rows))
        two_classes(labels)
        return cls(rows, classes, labels, tuple(kernels), statistics, dtype, memory_limit)

    def settings(self, n_threads: int | None) -> dict[str, Any]:
        """Keywords of `nc1fast.class_sums`."""
        return {
            "statistics": self.statistics,
            "dtype": self.dtype,
            "memory_limit": self.memory_limit,
            "n_threads": n_threads,
        }

    def sums(
        self,
        part: tuple[int, int],
        n_threads: int | None,
        progress: bool | Callable[[int, int], object] = False,
    ) -> list[PassSums]:
        """Compute a bundle in this process."""
        settings = {**self.settings(n_threads), "progress": progress}
        return _integers(self.rows, self.classes, self.kernels, settings, part)

    def shares(self, part: tuple[int, int], n_threads: int | None) -> list[Share]:
        """The same, as `Task.run` gives it."""
        return [Share.of(sums) for sums in self.sums(part, n_threads)]

    def nothing(self, n_threads: int | None) -> list[PassSums]:
        """The sums of no pair at all: the problem's hash, its exponents and scales, and zeros."""
        return [
            replace(
                part,
                covered=frozenset(),
                block=np.zeros_like(part.block),
                sensitivity=np.zeros_like(part.sensitivity),
                rows=None if part.rows is None else np.zeros_like(part.rows),
            )
            for part in self.sums((0, _TINY), n_threads)
        ]

    def sample(self, n_rows: int) -> Problem:
        """The same on about n_rows rows, of every class its share."""
        order = np.argsort(self.classes, kind="stable")
        taken = order[np.unique(np.linspace(0, len(order) - 1, n_rows).astype(np.int64))]
        return replace(
            self,
            rows=np.ascontiguousarray(self.rows[taken]),
            classes=self.classes[taken],
        )

    @contextlib.contextmanager
    def tasks(self, n_threads: int | None, beside: Path | None) -> Iterator[Task]:
        """Files of rows and classes for as long as the context lasts, and a task that names them.

        Parameters
        ----------
        beside : Path, optional
            Of the journal: the files lie beside it, so that another run after a kill takes their place. Otherwise in a
            new folder under TMPDIR.

        Raises
        ------
        OSError
            If the disk is full: says where and how many bytes are needed.
        """
        with contextlib.ExitStack() as stack:
            if beside is None:
                base = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nc1fast-")))
            else:
                base = beside.absolute().parent
            name = "" if beside is None else f"{beside.name}."
            rows, path = self.rows, {n: base / f"{name}{n}.npy" for n in ("rows", "classes")}
            written: dict[str, Rows] = {"classes": self.classes}
            if not isinstance(rows, FileRows) or rows.temporary:
                written["rows"] = rows
            for what, array in written.items():
                stack.callback(path[what].unlink, missing_ok=True)
                try:
                    _write(path[what], array)
                except OSError as error:
                    raise _full(error, path[what], array.nbytes) from error
            stored: Any = as_source(path["rows"]) if "rows" in written else rows
            settings = self.settings(n_threads)
            yield Task(stored, str(path["classes"]), self.kernels, settings, (0, 1))

    def finish(self, totals: Sequence[PassSums]) -> list[ClassSums]:
        """Turn the integers of all bundles into sums."""
        sizes = np.bincount(self.classes, minlength=len(self.labels)).astype(np.int64)
        order = np.argsort(self.classes, kind="stable").astype(np.int64, copy=False)
        return [
            from_pass(total, sizes, self.labels, kernel, order, in_place=True)
            for total, kernel in zip(totals, self.kernels, strict=True)
        ]


def _integers(
    X: Rows,
    classes: NDArray[np.int32],
    kernels: Sequence[Kernel],
    settings: dict[str, Any],
    part: tuple[int, int],
) -> list[PassSums]:
    sums: Any = class_sums(X, classes, kernels, part=part, **settings)
    return [s.exact for s in sums]


def _write(path: Path, array: Rows) -> None:
    """As numpy.save, whose error on a full disk has no errno."""
    head = {"descr": array.dtype.str, "fortran_order": False, "shape": tuple(array.shape)}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, head)
        for chunk in row_chunks(array if array.ndim == 2 else array[:, None]):
            file.write(np.ascontiguousarray(chunk).data)


def _full(error: OSError, path: Path, n_bytes: int) -> OSError:
    if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return error
    return OSError(
        error.errno,
        f"{error.strerror}: {n_bytes} bytes are needed for workers to read (TMPDIR or the folder of "
        "the journal decides where; an .npy file given as X needs none)",
        str(path),
    )
