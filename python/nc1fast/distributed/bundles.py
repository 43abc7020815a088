"""A problem after its survey, and bundles of it: what a worker is told, what it does, and what becomes of the sums.

The survey is computed once and written to a file, with everything else that all bundles share. A task is the path of that
file and a number; a worker reads the rows that its bundle touches, and no others.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.distributed.problem import Problem
from nc1fast.distributed.shares import Share
from nc1fast.inputs.arrays import row_chunks
from nc1fast.inputs.file_rows import FileRows
from nc1fast.inputs.files import as_source
from nc1fast.inputs.labelled import Classes, LabelledData
from nc1fast.inputs.spool import full
from nc1fast.kernels.classes import from_plain, to_plain
from nc1fast.sums.class_sums import from_pass
from nc1fast.sums.settings import Settings
from nc1fast.sums.streaming import Survey, kernel_sums
from nc1fast.support import packed
from nc1fast.support.arithmetic import ieee
from nc1fast.support.storage import checksum, reading, state_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from nc1fast.sums.class_sums import ClassSums
    from nc1fast.sums.pass_sums import PassSums

_KIND, _FORMAT = "what bundles share", 1
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
        """What all bundles share; of what is one number per row, only the pages in use come into memory.

        Raises
        ------
        OSError
            If a file is gone or cannot be read.
        ValueError
            If one is damaged, or of another version of nc1fast.
        """
        paths = {name: f"{self.base}{name}" for name in ("pass", "classes.npy", "order.npy")}
        state = tuple(map(state_of, paths.values()))
        known = _sound.get(self.base) == state
        with reading(paths["pass"]), Path(paths["pass"]).open("rb") as file:
            head, arrays = packed.unpack(file, _KIND, _FORMAT, known=known)
            values = packed.joined(head["values"], arrays)
        mapped = [
            _mapped(paths[name], None if known else told)
            for name, told in values["checksums"].items()
        ]
        _sound.clear()
        _sound[self.base] = state
        return Surveyed.restored(values, *mapped)

    @ieee
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


# States of the files last found sound by this process, by what their paths begin with: they are not summed for each bundle.
_sound: dict[str, Any] = {}


def _mapped(path: str, told: str | None) -> NDArray[Any]:
    """One number per row, from a file that is mapped; with the checksum told, where one is."""
    with reading(path):
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        if told is not None and checksum(str(array.dtype).encode(), array) != told:
            raise ValueError("is damaged: its checksum is another one")
    return array


@dataclass(frozen=True, eq=False)
class Surveyed:
    """A problem of which any bundle can be done alone.

    Attributes
    ----------
    n_threads : int
        Of a bundle.
    """

    problem: Problem
    survey: Survey
    n_threads: int

    @classmethod
    def of(cls, problem: Problem, n_threads: int, *, survey_threads: int | None) -> Surveyed:
        """Survey a problem: three readings of X in its own order, one of them for the hash."""
        return cls(problem, problem.survey(survey_threads), n_threads)

    def sums(
        self, part: tuple[int, int], progress: Callable[[int, int], object] | None = None
    ) -> list[PassSums]:
        """Compute a bundle in this process.

        Raises
        ------
        ValueError
            If the file of the rows has changed since it was first looked at.
        """
        problem = self.problem
        settings = replace(problem.settings, n_threads=self.n_threads)
        found: Any = kernel_sums(
            problem.data,
            problem.kernels,
            settings,
            part=part,
            surveyed=self.survey,
            progress=progress,
        )
        rows = problem.data.rows
        if isinstance(rows, FileRows) and rows.state() != problem.state:
            raise ValueError(f"X has changed since the pass began: {rows.path} must stay as it is")
        return [sums.exact for sums in found]

    def shares(self, part: tuple[int, int]) -> list[Share]:
        """The same, as it is sent and recorded."""
        return [Share.of(sums) for sums in self.sums(part)]

    def nothing(self) -> list[PassSums]:
        """The sums of no pair at all: the problem's hash, its exponents and scales, and zeros."""
        n = self.problem.data.n_samples
        return self.sums((n, n + 1))  # there are no more than n parts with pairs

    def finish(self, totals: Sequence[PassSums]) -> list[ClassSums]:
        """Turn the integers of all bundles into sums."""
        problem, order = self.problem, self.survey.order
        classes = problem.data.classes
        return [
            from_pass(total, classes.sizes, classes.labels, kernel, order, in_place=True)
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

            rows, state = self.problem.data.rows, self.problem.state
            if not isinstance(rows, FileRows) or rows.temporary:
                rows = as_source(write("rows.npy", _npy(rows), rows.nbytes))
                state = rows.state()
            by_row: dict[str, NDArray[Any]] = {
                "classes": self.problem.data.classes.of_row,
                "order": self.survey.order,
            }
            for name, array in by_row.items():
                write(f"{name}.npy", _npy(array), array.nbytes)
            arrays: dict[str, Any] = {}
            values = packed.split(self._stored(rows, state), arrays)
            values["checksums"] = {
                f"{name}.npy": checksum(str(array.dtype).encode(), np.ascontiguousarray(array))
                for name, array in by_row.items()
            }
            head = {"kind": _KIND, "format": _FORMAT, "values": values}
            shared = packed.packed(head, arrays)
            write("pass", iter([shared]), len(shared))
            yield Task(base, (0, 1))

    def _stored(self, rows: FileRows, state: tuple[int, ...] | None) -> dict[str, Any]:
        """Plain values and arrays, but for what is one number per row; rows are where a worker finds them."""
        problem, survey = self.problem, self.survey
        names = ("path", "offset", "stride", "stored", "shape")
        return {
            "rows": {name: getattr(rows, name) for name in names},
            "n_classes": len(problem.data.classes),
            "kernels": [to_plain(kernel) for kernel in problem.kernels],
            "statistics": problem.settings.statistics,
            "dtype": problem.settings.dtype,
            "device": problem.settings.device,
            "memory_limit": problem.settings.memory_limit,
            "n_threads": self.n_threads,
            "state": state,
            "passes": survey.passes,
            "mappings": survey.mappings,
            "problems": survey.problems,
        }

    @classmethod
    def restored(
        cls, values: dict[str, Any], classes: NDArray[np.int32], order: NDArray[np.int64]
    ) -> Surveyed:
        """What `tasks` stored; labels, which no worker needs, are 0, 1, ..."""
        rows = values["rows"]
        data = LabelledData(
            FileRows(**{**rows, "shape": tuple(rows["shape"])}),
            Classes(classes, np.arange(values["n_classes"])),
        )
        names = ("statistics", "dtype", "device", "memory_limit")
        problem = Problem(
            data,
            tuple(from_plain(kernel) for kernel in values["kernels"]),
            Settings(**{name: values[name] for name in names}),
            None if values["state"] is None else tuple(values["state"]),
        )
        lists = (tuple(values[name]) for name in ("passes", "mappings", "problems"))
        return cls(problem, Survey(order, *lists), values["n_threads"])


def _npy(array: Any) -> Iterator[Any]:
    """The bytes of an .npy file: numpy.save holds a copy of rows that lie apart, and hides the errno of a full disk."""
    head = {"descr": array.dtype.str, "fortran_order": False, "shape": tuple(array.shape)}
    start = io.BytesIO()
    np.lib.format.write_array_header_1_0(start, head)
    yield start.getbuffer()
    for chunk in row_chunks(array if array.ndim == 2 else array[:, None]):
        yield np.ascontiguousarray(chunk).data
