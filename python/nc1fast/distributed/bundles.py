"""A problem after its survey, and bundles of it: what a worker is told, what it does, and what becomes of the sums.

The survey is computed once and written to a file, with everything else that all bundles share. A task is the path of that
file and a number; a worker reads the rows that its bundle touches, and no others.
"""

from __future__ import annotations

import contextlib
import io
import pickle
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast._backend import kernel_sums
from nc1fast._file_rows import FileRows
from nc1fast._files import as_source
from nc1fast._inputs import row_chunks
from nc1fast._spool import full
from nc1fast.distributed.shares import Share
from nc1fast.sums import from_pass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from nc1fast._backend import Survey
    from nc1fast.distributed.problem import Problem
    from nc1fast.sums import ClassSums, PassSums

_NEEDED = (
    "bytes are needed for workers to read (TMPDIR or the folder of the journal decides where; an .npy file given as X "
    "needs none)"
)


@dataclass(frozen=True)
class Task:
    """One bundle, in a few hundred bytes.

    Attributes
    ----------
    base : str
        What the paths of the files of all bundles begin with.
    part : (index, count)
    """

    base: str
    part: tuple[int, int]

    def surveyed(self) -> Surveyed:
        """What all bundles share; of what is one number per row, only the pages in use come into memory."""
        with Path(f"{self.base}pass").open("rb") as file:
            shared: Surveyed = pickle.load(file)
        classes, order = (
            np.load(f"{self.base}{name}.npy", mmap_mode="r") for name in ("classes", "order")
        )
        return replace(
            shared,
            problem=replace(shared.problem, classes=classes),
            survey=replace(shared.survey, order=order),
        )

    def run(self) -> list[Share]:
        """Compute the bundle; the integers of each kernel.

        Raises
        ------
        OSError
            If a file is gone or cannot be read.
        ValueError
            As of `nc1fast.class_sums`; if X has changed since the survey.
        """
        return self.surveyed().shares(self.part)


@dataclass(frozen=True, eq=False)
class Surveyed:
    """A problem of which any bundle can be done alone.

    Attributes
    ----------
    n_threads : int
        Of a bundle.
    state : (bytes, ns) or None
        Of the file of the rows before its survey.
    """

    problem: Problem
    survey: Survey
    n_threads: int
    state: tuple[int, int] | None

    @classmethod
    def of(cls, problem: Problem, n_threads: int, *, survey_threads: int | None) -> Surveyed:
        """Survey a problem: three readings of X in its own order, one of them for the hash."""
        rows = problem.rows
        state = rows.state() if isinstance(rows, FileRows) else None
        return cls(problem, problem.survey(survey_threads), n_threads, state)

    def sums(
        self, part: tuple[int, int], progress: Callable[[int, int], object] | None = None
    ) -> list[PassSums]:
        """Compute a bundle in this process.

        Raises
        ------
        ValueError
            If the file of the rows has changed since the survey.
        """
        problem = self.problem
        found: Any = kernel_sums(
            *(problem.rows, problem.classes, problem.labels, problem.kernels),
            dtype=problem.dtype,
            row_sums=problem.statistics == "all",
            n_threads=self.n_threads,
            part=part,
            memory_limit=problem.memory_limit,
            surveyed=self.survey,
            progress=progress,
        )
        if isinstance(problem.rows, FileRows) and problem.rows.state() != self.state:
            raise ValueError(
                f"X has changed since the pass began: {problem.rows.path} must stay as it is"
            )
        return [sums.exact for sums in found]

    def shares(self, part: tuple[int, int]) -> list[Share]:
        """The same, as it is sent and recorded."""
        return [Share.of(sums) for sums in self.sums(part)]

    def nothing(self) -> list[PassSums]:
        """The sums of no pair at all: the problem's hash, its exponents and scales, and zeros."""
        n = len(self.problem.rows)
        return self.sums((n, n + 1))  # there are no more than n parts with pairs

    def finish(self, totals: Sequence[PassSums]) -> list[ClassSums]:
        """Turn the integers of all bundles into sums."""
        problem, order = self.problem, self.survey.order
        sizes = np.bincount(problem.classes, minlength=len(problem.labels)).astype(np.int64)
        return [
            from_pass(total, sizes, problem.labels, kernel, order, in_place=True)
            for total, kernel in zip(totals, problem.kernels, strict=True)
        ]

    @contextlib.contextmanager
    def tasks(self, beside: Path | None) -> Iterator[Task]:
        """Files of what bundles share for as long as the context lasts, and a task that names them.

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
                base = stack.enter_context(tempfile.TemporaryDirectory(prefix="nc1fast-")) + "/"
            else:
                base = f"{beside.absolute()}."

            def write(name: str, chunks: Iterator[Any], n_bytes: int) -> Path:
                path = Path(f"{base}{name}")
                path.unlink(missing_ok=True)  # workers of a run that was killed may still read it
                stack.callback(path.unlink, missing_ok=True)
                try:
                    with path.open("xb") as file:
                        file.writelines(chunks)
                except OSError as error:
                    raise full(error, path, f"{n_bytes} {_NEEDED}") from error
                return path

            rows, state = self.problem.rows, self.state
            if not isinstance(rows, FileRows) or rows.temporary:
                rows = as_source(write("rows.npy", _npy(rows), rows.nbytes))
                state = rows.state()
            for name, array in (("classes", self.problem.classes), ("order", self.survey.order)):
                write(f"{name}.npy", _npy(array), array.nbytes)
            shared = pickle.dumps(
                replace(
                    self,
                    problem=replace(self.problem, rows=rows, classes=self.problem.classes[:0]),
                    survey=replace(self.survey, order=self.survey.order[:0]),
                    state=state,
                )
            )
            write("pass", iter([shared]), len(shared))
            yield Task(base, (0, 1))


def _npy(array: Any) -> Iterator[Any]:
    """The bytes of an .npy file: numpy.save holds a copy of rows that lie apart, and hides the errno of a full disk."""
    head = {"descr": array.dtype.str, "fortran_order": False, "shape": tuple(array.shape)}
    start = io.BytesIO()
    np.lib.format.write_array_header_1_0(start, head)
    yield start.getbuffer()
    for chunk in row_chunks(array if array.ndim == 2 else array[:, None]):
        yield np.ascontiguousarray(chunk).data
