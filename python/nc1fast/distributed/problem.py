"""What is summed, as workers can be told of it: a path, classes, kernels and settings."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast._collapse import class_sums
from nc1fast._inputs import as_labels, as_rows, row_chunks, two_classes
from nc1fast.distributed.shares import Share
from nc1fast.kernels import Kernel
from nc1fast.sums import from_pass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import ArrayLike, NDArray

    from nc1fast.sums import ClassSums, PassSums

_TINY = 10**8  # parts of which one is next to no work


@dataclass(frozen=True)
class Task:
    """One bundle of a problem: paths and numbers, a few hundred bytes."""

    rows: str
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
        X = np.load(self.rows, mmap_mode="r")
        sums = _integers(X, np.load(self.classes), self.kernels, self.settings, self.part)
        return [Share.of(part) for part in sums]


@dataclass(frozen=True, eq=False)
class Problem:
    """Checked data, kernels and settings of one pass.

    Attributes
    ----------
    rows : ndarray of shape (n_samples, n_features)
        In memory, or the memory map of `path`.
    path : Path or None
        An .npy file that holds exactly these rows.
    classes : ndarray of int32 of shape (n_samples,)
        Indices into `labels`.
    """

    rows: NDArray[Any]
    path: Path | None
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
        if isinstance(X, str | os.PathLike):
            X = np.load(X, mmap_mode="r")
        rows = as_rows(X, "X")
        classes, labels = as_labels(y, len(rows))
        two_classes(labels)
        return cls(
            *(rows, _path_of(X, rows), classes, labels, tuple(kernels)),
            *(statistics, dtype, memory_limit),
        )

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
            path=None,
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
            paths = [self.path or base / f"{name}rows.npy", base / f"{name}classes.npy"]
            for path, array in zip(paths, (self.rows, self.classes), strict=True):
                if path == self.path:
                    continue
                stack.callback(path.unlink, missing_ok=True)
                try:
                    _write(path, array)
                except OSError as error:
                    raise _full(error, path, array.nbytes) from error
            rows, classes = map(str, paths)
            yield Task(rows, classes, self.kernels, self.settings(n_threads), (0, 1))

    def finish(self, totals: Sequence[PassSums]) -> list[ClassSums]:
        """Turn the integers of all bundles into sums."""
        sizes = np.bincount(self.classes, minlength=len(self.labels)).astype(np.int64)
        order = np.argsort(self.classes, kind="stable").astype(np.int64, copy=False)
        return [
            from_pass(total, sizes, self.labels, kernel, order, in_place=True)
            for total, kernel in zip(totals, self.kernels, strict=True)
        ]


def _integers(
    X: NDArray[Any],
    classes: NDArray[np.int32],
    kernels: Sequence[Kernel],
    settings: dict[str, Any],
    part: tuple[int, int],
) -> list[PassSums]:
    sums: Any = class_sums(X, classes, kernels, part=part, **settings)
    return [s.exact for s in sums]


def _path_of(X: Any, rows: NDArray[Any]) -> Path | None:
    """The .npy file that X is the memory map of, if it holds these rows and nothing else."""
    filename = getattr(X, "filename", None)
    if filename is None or rows.dtype != X.dtype or not rows.flags.c_contiguous:
        return None
    path = Path(filename)
    try:
        whole = np.load(path, mmap_mode="r")
    except (OSError, ValueError):
        return None
    same = (whole.shape, whole.dtype, whole.flags.c_contiguous) == (X.shape, X.dtype, True)
    return path.absolute() if same and whole.offset == X.offset else None


def _write(path: Path, array: NDArray[Any]) -> None:
    """As numpy.save, whose error on a full disk has no errno."""
    head = {**np.lib.format.header_data_from_array_1_0(array), "fortran_order": False}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, head)
        for chunk in row_chunks(array.reshape(len(array), -1)):
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
