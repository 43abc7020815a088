"""Tasks for workers: the path of a file with all that bundles share, and the number of a bundle.

The survey is computed once and written to files, with everything else that all bundles share. A
worker reads these files and the rows that its bundle touches, and no others.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.distributed.problem import Problem, Surveyed
from nc1fast.inputs.arrays import row_chunks
from nc1fast.inputs.file_rows import FileRows
from nc1fast.inputs.files import as_source
from nc1fast.inputs.labelled import Classes, LabelledData
from nc1fast.inputs.spool import full
from nc1fast.kernels.serial import from_plain, to_plain
from nc1fast.sums.settings import Settings
from nc1fast.sums.streaming import Survey
from nc1fast.support import packed
from nc1fast.support.arithmetic import ieee
from nc1fast.support.files import POSIX, checksum, state_of
from nc1fast.support.reading import reading

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from nc1fast.distributed.shares import Share

_KIND, _FORMAT = "what bundles share", 1
_PLACE = ("path", "offset", "stride", "stored", "shape")  # fields of FileRows
_SETTINGS = ("statistics", "dtype", "device", "memory_limit")
_NEEDED = (
    "bytes are needed for workers to read (TMPDIR or the folder of the journal decides where; an "
    ".npy file given as X needs none)"
)


@dataclass(frozen=True)
class Task:
    """One bundle as it is sent to a worker: a few hundred bytes.

    Attributes
    ----------
    base : str
        Prefix of the paths of the files that all bundles share.
    part : (index, count)
        Which bundle it is.
    """

    base: str
    part: tuple[int, int]

    def surveyed(self) -> Surveyed:
        """Read what all bundles share. Arrays with one number per row are mapped: only pages in use
        come into memory.

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
        with reading(paths["pass"]):
            head, arrays = packed.unpack(paths["pass"], _KIND, _FORMAT, known=known)
            values = packed.joined(head["values"], arrays)
        mapped = [
            _mapped(paths[name], None if known else expected)
            for name, expected in values["checksums"].items()
        ]
        with reading(paths["pass"]):
            surveyed = _restored(values, *mapped)
            if not known:
                _check(surveyed)
        _sound.clear()
        _sound[self.base] = state
        return surveyed

    @ieee
    def run(self) -> list[Share]:
        """Compute the bundle; the integers of each kernel.

        Raises
        ------
        OSError
            If a file is gone or cannot be read.
        ValueError
            As for `nc1fast.class_sums`; if X has changed since the survey.
        """
        return self.surveyed().shares(self.part)


# The files that this process last found undamaged: their states by `Task.base`, so that their
# checksums are computed once and not for each bundle.
_sound: dict[str, Any] = {}


def _mapped(path: str, expected: str | None) -> NDArray[Any]:
    """Map an array with one number per row; None skips the check of its checksum."""
    with reading(path):
        mode: Any = "r" if POSIX else None  # elsewhere what is mapped cannot be deleted
        array: NDArray[Any] = np.load(path, mmap_mode=mode, allow_pickle=False)
        if expected is not None and _checksum(array) != expected:
            raise ValueError("is damaged: its checksum is another one")
    return array


@contextlib.contextmanager
def shared_tasks(surveyed: Surveyed, beside: Path | None) -> Iterator[Task]:
    """Files with what bundles share for as long as the context lasts, and a task that names them.

    Parameters
    ----------
    surveyed : Surveyed
    beside : Path or None
        The journal: the files lie beside it, so that those of the next run replace them after a
        kill. None: a new folder under TMPDIR.

    Yields
    ------
    Task
        Of a single bundle; `dataclasses.replace` its part.

    Raises
    ------
    OSError
        If the disk is full: says where and how many bytes are needed.
    """
    with contextlib.ExitStack() as stack:
        if beside is None:
            folder = tempfile.TemporaryDirectory(prefix="nc1fast-", ignore_cleanup_errors=True)
            base = stack.enter_context(folder) + "/"
        else:
            base = f"{beside.absolute()}."
        files = _SharedFiles(base, stack)
        rows, state = surveyed.problem.data.rows, surveyed.problem.state
        if not isinstance(rows, FileRows) or rows.temporary:
            rows = as_source(files.write("rows.npy", _npy(rows), rows.nbytes))
            state = rows.state()
        by_row: dict[str, NDArray[Any]] = {
            "classes.npy": surveyed.problem.data.classes.of_row,
            "order.npy": surveyed.survey.order,
        }
        for name, array in by_row.items():
            files.write(name, _npy(array), array.nbytes)
        values = _stored(surveyed, rows, state)
        values["checksums"] = {name: _checksum(array) for name, array in by_row.items()}
        arrays: dict[str, Any] = {}
        head = {"kind": _KIND, "format": _FORMAT, "values": packed.split(values, arrays)}
        content = packed.packed(head, arrays)
        files.write("pass", [content], len(content))
        yield Task(base, (0, 1))


def _remove(path: Path) -> None:
    """Delete a file.

    Where nobody can delete what is open, one that a worker still reads stays for the next run.
    """
    with contextlib.suppress(PermissionError):
        path.unlink(missing_ok=True)


@dataclass(frozen=True)
class _SharedFiles:
    """Writes files whose paths begin with `base`; they are deleted when `stack` is closed."""

    base: str
    stack: contextlib.ExitStack

    def write(self, name: str, chunks: Iterable[Any], n_bytes: int) -> Path:
        """Write a file of `n_bytes` and return its path."""
        path = Path(f"{self.base}{name}")
        path.unlink(missing_ok=True)  # workers of a run that was killed may still read it
        self.stack.callback(_remove, path)
        try:
            with path.open("xb") as file:
                file.writelines(chunks)
        except OSError as error:
            raise full(error, path, f"{n_bytes} {_NEEDED}") from error
        return path


def _stored(surveyed: Surveyed, rows: FileRows, state: tuple[int, ...] | None) -> dict[str, Any]:
    """Plain values and arrays of a surveyed problem, except those with one number per row; `rows`
    are where workers find them.
    """
    problem, survey = surveyed.problem, surveyed.survey
    settings = {name: getattr(problem.settings, name) for name in _SETTINGS}
    return {
        "rows": {name: getattr(rows, name) for name in _PLACE},
        "n_classes": len(problem.data.classes),
        "kernels": [to_plain(kernel) for kernel in problem.kernels],
        **settings,
        "n_threads": surveyed.n_threads,
        "state": state,
        "passes": survey.passes,
        "mappings": survey.mappings,
        "problems": survey.problems,
    }


def _restored(
    values: dict[str, Any], of_row: NDArray[np.int32], order: NDArray[np.int64]
) -> Surveyed:
    """The surveyed problem of `_stored` values. Labels, which no worker needs, are 0, 1, ..."""
    rows, state = values["rows"], values["state"]
    if not 0 < values["n_classes"] <= len(of_row):
        raise ValueError(f"is damaged: {values['n_classes']} classes of {len(of_row)} rows")
    data = LabelledData(
        FileRows(**{**rows, "shape": tuple(rows["shape"])}),
        Classes(of_row, np.arange(values["n_classes"])),
    )
    problem = Problem(
        data,
        tuple(from_plain(kernel) for kernel in values["kernels"]),
        Settings(**{name: values[name] for name in _SETTINGS}),
        None if state is None else tuple(state),
    )
    lists = (tuple(values[name]) for name in ("passes", "mappings", "problems"))
    return Surveyed(problem, Survey(order, *lists), values["n_threads"])


def _check(surveyed: Surveyed) -> None:
    """Raise ValueError unless every row is there once, and in one of the classes: the core takes
    both for granted.
    """
    data, order = surveyed.problem.data, surveyed.survey.order
    n, of_row = data.n_samples, data.classes.of_row
    for array, kind in ((of_row, np.int32), (order, np.int64)):
        if array.dtype != kind or array.shape != (n,) or array.min(initial=0) < 0:
            raise ValueError(f"is damaged: {kind.__name__} of shape {(n,)} are needed")
    if of_row.max(initial=0) >= len(data.classes) or order.max(initial=0) >= n:
        raise ValueError("is damaged: a class or a row that is not there")
    if not (np.bincount(order, minlength=n) == 1).all():
        raise ValueError("is damaged: a row is there twice")


def _checksum(array: NDArray[Any]) -> str:
    """Checksum of the type and the numbers of an array."""
    return checksum(str(array.dtype).encode(), np.ascontiguousarray(array))


def _npy(array: Any) -> Iterator[Any]:
    """The bytes of an .npy file, in pieces; numpy.save copies rows that are not contiguous, and
    hides the errno of a full disk.
    """
    head = {"descr": array.dtype.str, "fortran_order": False, "shape": tuple(array.shape)}
    start = io.BytesIO()
    np.lib.format.write_array_header_1_0(start, head)
    yield start.getbuffer()
    for chunk in row_chunks(array if array.ndim == 2 else array[:, None]):
        yield np.ascontiguousarray(chunk).data
