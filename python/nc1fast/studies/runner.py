"""Plan a study, and run it cell by cell, each written to the journal at once, into one table and
its series.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import errno
import hashlib
import importlib
import json
import os
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import nc1fast as nc
from nc1fast.core import machine
from nc1fast.core.machine import thread_count
from nc1fast.studies import table
from nc1fast.studies.journal import StudyJournal
from nc1fast.studies.processes import side_by_side
from nc1fast.studies.tasks.rows import FAILED
from nc1fast.support.arguments import as_count, as_flag
from nc1fast.support.arithmetic import ieee
from nc1fast.support.extras import require
from nc1fast.support.files import write_atomically
from nc1fast.support.progress import reporting
from nc1fast.support.reading import check_regular

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from nc1fast.studies.description import Study, Work
    from nc1fast.studies.experiment import Experiment

    AnyStudy: TypeAlias = Study | Experiment
    from nc1fast.studies.tasks.task import Outcome
    from nc1fast.studies.tidy import Row

SETTINGS, RUN = "settings.yaml", "run.json"


def plan(study: AnyStudy, only: Sequence[str] = ()) -> list[Any]:
    """List the cells of a study in the order of its table.

    Parameters
    ----------
    study : Study or Experiment
    only : sequence of str
        Filters `"key=value[,value...]"`, all of which must hold. The keys are arm, dataset, N, d0,
        sizes, repeat and task; the value of task is the first word of its name: kernels, theory,
        network, AdaptiveKernel, ... Of an experiment they are part, repeat, and what its settings
        name.

    Raises
    ------
    ValueError
        If a filter cannot be read, names an unknown key, or leaves nothing.
    """
    cells: list[Any] = study.cells()
    known = list(dict.fromkeys(key for cell in cells for key in cell.tags))
    for key, values in [_parse_filter(text, known) for text in only]:
        kept = [cell for cell in cells if cell.tags.get(key) in values]
        if not kept:
            there = dict.fromkeys(cell.tags[key] for cell in cells if key in cell.tags)
            raise ValueError(
                f"only {key}={','.join(values)} leaves no cell; there are {', '.join(there)}"
            )
        cells = kept
    return cells


def describe_plan(study: AnyStudy, only: Sequence[str] = (), jobs: int = 1) -> str:
    """Cells, rows and estimated time of each arm or part, for a run in `jobs` processes, as text.

    Raises
    ------
    FileNotFoundError
        If a data file of the study is missing.
    ValueError
        As `plan`; if a data file is a folder or a pipe.

    Notes
    -----
    The estimates come from the `seconds` of the tasks, whose constants were measured on one thread
    of an AMD EPYC with two cores and AVX-512; trainings that end early take less.
    """
    check_files(study)
    cells = plan(study, only)
    lines = [f"{study.title} ({study.name}{', ' + study.preset if study.preset else ''})"]
    for group in dict.fromkeys(cell.group for cell in cells):
        members = [cell for cell in cells if cell.group == group]
        names = ", ".join(dict.fromkeys(cell.subject for cell in members))
        lines.append(f"  {group}: {_budget(members, jobs)}{', on ' * bool(names)}{names}")
    processes = f"{jobs} processes" if jobs > 1 else "one process"
    lines.append(f"{_budget(cells, jobs)} in {processes}, and the figures")
    return "\n".join(lines)


def check_files(study: AnyStudy) -> None:
    """Raise FileNotFoundError or ValueError unless every data file of a study is there and a
    regular file.
    """
    for path in study.files:
        check_regular(path)
        if not path.exists():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))


def _budget(cells: Sequence[Work], jobs: int) -> str:
    n_rows, seconds = sum(cell.n_rows for cell in cells), sum(cell.seconds for cell in cells) / jobs
    rows = f", {n_rows} rows" * bool(n_rows)
    time = f"{seconds / 60:.0f} min" if seconds >= 90 else f"{max(1, round(seconds))} s"
    return f"{len(cells)} cell{'s' * (len(cells) > 1)}{rows}, about {time}"


def _parse_filter(text: str, known: Iterable[str]) -> tuple[str, list[str]]:
    key, separator, values = text.partition("=")
    if not separator or not values:
        raise ValueError(f"only takes key=value[,value], got {text!r}")
    if key not in known:
        raise ValueError(f"only knows the keys {', '.join(known)}, got {key!r}")
    return key, values.split(",")


Progress = Callable[[int, int], object]


@dataclass(frozen=True)
class Result:
    """A finished run, with the rows of table and series in the order of the plan."""

    folder: Path
    rows: list[Row]
    series: list[Row]
    n_computed: int  # cells computed by this run; the others came from the journal

    @property
    def n_failed(self) -> int:
        """Number of rows that could not be computed; their status says why."""
        return sum(row["status"].startswith(FAILED) for row in self.rows)


@ieee
def run(
    study: AnyStudy,
    folder: str | Path,
    *,
    only: Sequence[str] = (),
    resume: bool = False,
    n_threads: int | None = None,
    jobs: int = 1,
    progress: bool | Progress | None = None,
    provenance: dict[str, Any] | None = None,
) -> Result:
    """Compute the table and the series of a study.

    Parameters
    ----------
    study : Study or Experiment
    folder : str or Path
        Gets journal.sqlite while running; at the end table and, of a comparison of NC1, series,
        each .csv and .parquet, settings.yaml, the description as it was run, and run.json: machine,
        versions, date, cells, and the seconds of this run.
    only : sequence of str
        Filters, as in `plan`; with `resume`, cells that are already in the journal stay in the
        table.
    resume : bool, default False
        Continue from the journal in `folder`, to the tables of an uninterrupted run, but for the
        column `seconds`. Otherwise a journal that is there is renamed to journal-previous.sqlite
        and the tables are replaced.
    n_threads : int, optional
        Of kernel passes, as in `nc1fast.collapse`; default with several jobs: 1. The numbers do not
        depend on it.
    jobs : int, default 1
        Cells computed side by side, each in a process of its own; 1 computes in this process. The
        numbers do not depend on it, because BLAS and torch always get one thread. A script that
        asks for several needs the usual `if __name__ == "__main__":`.
    progress : bool or callable(done, total), optional
        Called after each cell.
    provenance : dict, optional
        Further metadata of the Parquet files.

    Returns
    -------
    Result

    Raises
    ------
    ValueError
        As `plan` and `StudyJournal`; for jobs < 1.
    FileNotFoundError
        If a data file is missing.
    RuntimeError
        If a process dies: names the cell that it had.

    Notes
    -----
    Cost: as `describe_plan` estimates. Memory of a cell: O(N C), but O(N^2) for adaptive kernels,
    for the released code's erf NTK, and where Gram matrices and kernel spectra are illustrated.
    """
    jobs, resume = as_count("jobs", jobs), as_flag("resume", resume)
    thread_count(n_threads)
    folder = Path(folder)
    start = time.perf_counter()
    cells = plan(study, only)
    threads = 1 if jobs > 1 and n_threads is None else n_threads
    with (
        contextlib.closing(
            StudyJournal(folder, fingerprint(study), study.layout, resume=resume)
        ) as journal,
        reporting(False if progress is None else progress, "cells") as report,
    ):
        missing = [cell for cell in cells if cell.id not in journal.finished]
        done = len(cells) - len(missing)
        computed = _computed(missing, (study.dtype, threads), jobs)
        with contextlib.closing(computed):
            for cell, outcome in computed:
                journal.add(cell.id, outcome)
                done += 1
                if report is not None:
                    report(done, len(cells))
        in_table = plan(study) if only and resume else cells
        outcomes = [journal.finished[c.id] for c in in_table if c.id in journal.finished]
    about = describe(study) | _here() | (provenance or {})
    about["cells"] = f"{len(outcomes)} of {len(plan(study))}"
    rows = [row for outcome in outcomes for row in outcome.rows]
    shown = [row for outcome in outcomes for row in outcome.series]
    study.layout.write(rows, folder, about)
    if study.layout is table.LAYOUT:
        table.SERIES.write(shown, folder, about)
    _record(study, folder, about | {"seconds": round(time.perf_counter() - start, 3)})
    return Result(folder, rows, shown, len(missing))


def _record(study: AnyStudy, folder: Path, about: dict[str, Any]) -> None:
    """Write settings.yaml, from which the study can be run again, and run.json."""
    description = study.relative_to(Path.cwd()).model_dump(mode="json", exclude_defaults=True)
    settings = require("yaml", "study").safe_dump(description, sort_keys=False, allow_unicode=True)
    write_atomically(folder / SETTINGS, settings.encode())
    run_of = {name: value for name, value in about.items() if name != "description"}
    write_atomically(folder / RUN, f"{json.dumps(run_of, indent=2, default=str)}\n".encode())


def _here() -> dict[str, str]:
    """Date, machine, and the versions of the libraries on which numbers depend."""
    libraries = {name: v for name, v in machine.extras().items() if name in ("scipy", "torch")}
    return {**machine.describe(), **libraries, "date": str(dt.datetime.now(dt.UTC).date())}


def _computed(
    cells: Sequence[Work], settings: tuple[Any, ...], jobs: int
) -> Generator[tuple[Work, Outcome], None, None]:
    """Cells with their outcomes, in this process or in several, as they are finished."""
    if min(jobs, len(cells)) <= 1:
        return ((cell, compute(cell, *settings)) for cell in cells)
    return side_by_side(compute, cells, settings, jobs)


def describe(study: AnyStudy) -> dict[str, Any]:
    """Metadata of a table that come from the description of its study."""
    return {
        "study": study.name,
        "title": study.title,
        "preset": study.preset,
        "provisional": study.provisional,
        "seed": study.seed,
        "repeats": study.repeats,
        **study.facts(),
        "version": nc.__version__,
        "description": study.model_dump(mode="json", exclude_defaults=True),
    }


def fingerprint(study: AnyStudy) -> str:
    """Digest of the description, the content of its data files and the version of nc1fast."""
    digest = hashlib.sha256(f"{nc.__version__}\n{study.model_dump_json()}".encode())
    check_files(study)
    for path in study.files:
        with path.open("rb") as file:
            for chunk in iter(lambda: file.read(1 << 20), b""):
                digest.update(chunk)
    return digest.hexdigest()


@ieee
def compute(cell: Work, dtype: str = "float64", n_threads: int | None = None) -> Outcome:
    """Complete rows, of the table and of the series, of one cell."""
    with one_thread(cell.libraries):
        return cell.compute(dtype, n_threads)


@contextlib.contextmanager
def one_thread(libraries: Sequence[str]) -> Iterator[None]:
    """Limit BLAS and torch to one thread, so that a cell has the same bits whatever the number of
    cores.

    The libraries are imported first, because the limit does not reach one that is loaded later.
    """
    loaded = [importlib.import_module(name) for name in libraries]
    threads = [(m, m.get_num_threads()) for m in loaded if m.__name__ == "torch"]
    with require("threadpoolctl", "study").threadpool_limits(1):
        try:
            for torch, _ in threads:
                torch.set_num_threads(1)
            yield
        finally:
            for torch, before in threads:
                torch.set_num_threads(before)
