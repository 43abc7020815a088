"""Run a study: cell by cell, journalled, into one table and its series."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import importlib
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import nc1fast as nc
from nc1fast.core.backend import thread_count
from nc1fast.core.provenance import extras, machine
from nc1fast.studies import series, table
from nc1fast.studies.journal import Journal
from nc1fast.studies.plan import Cell, plan
from nc1fast.studies.processes import side_by_side
from nc1fast.studies.sources import File
from nc1fast.studies.tasks.measuring import FAILED, Outcome
from nc1fast.support.arguments import as_count, as_flag
from nc1fast.support.arithmetic import ieee
from nc1fast.support.extras import require
from nc1fast.support.progress import reporting
from nc1fast.support.reading import check_regular

if TYPE_CHECKING:
    from nc1fast.studies.description import Study
    from nc1fast.studies.tidy import Row

Progress = Callable[[int, int], object]


@dataclass(frozen=True)
class Result:
    """A finished run: its rows in the order of the plan, and how many of them failed."""

    folder: Path
    rows: list[Row]
    series: list[Row]
    n_computed: int  # cells computed by this run; the others came from the journal

    @property
    def n_failed(self) -> int:
        """Rows that could not be computed; their status says why."""
        return sum(row["status"].startswith(FAILED) for row in self.rows)


@ieee
def run(
    study: Study,
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
    study : Study
    folder : str or Path
        Gets journal.jsonl while running; table and series, .csv and .parquet, at the end.
    only : sequence of str
        Filters as of `plan`; with `resume`, cells that are already in the journal stay in the table.
    resume : bool, default False
        Continue from the journal in `folder`. The tables are the same as of an uninterrupted run,
        but for the column `seconds`.
    n_threads : int, optional
        Of kernel passes, as `nc1fast.collapse`; default with several jobs: 1. It changes no number.
    jobs : int, default 1
        Cells that are computed side by side, each in a process of its own; 1 is this process. It changes no number,
        because BLAS and torch always get one thread. A script that asks for several needs the usual
        `if __name__ == "__main__":`.
    progress : bool or callable(done, total), optional
        After each cell.
    provenance : dict, optional
        Goes into the Parquet files beside what this function knows itself.

    Returns
    -------
    Result

    Raises
    ------
    ValueError
        As `plan` and `Journal`; for jobs < 1.
    RuntimeError
        If a process dies; says which cell it had.

    Notes
    -----
    Cost: as `describe_plan` estimates. Memory of a cell: O(N C), but N x N for adaptive kernels, for the released code's
    erf NTK, and where Gram matrices and kernel spectra are illustrated.
    """
    jobs, resume = as_count("jobs", jobs), as_flag("resume", resume)
    thread_count(n_threads)
    folder = Path(folder)
    cells = plan(study, only)
    threads = 1 if jobs > 1 and n_threads is None else n_threads
    with (
        contextlib.closing(Journal(folder, fingerprint(study), resume=resume)) as journal,
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
    told = {
        "date": str(dt.datetime.now(dt.timezone.utc).date()),
        "cells": f"{len(outcomes)} of {len(plan(study))}",
    }
    libraries = {name: v for name, v in extras().items() if name in ("scipy", "torch")}
    about: dict[str, Any] = describe(study)
    about |= {**machine(), **libraries, **(provenance or {}), **told}
    rows = [row for outcome in outcomes for row in outcome.rows]
    shown = [row for outcome in outcomes for row in outcome.series]
    table.write(rows, folder, about)
    series.write(shown, folder, about)
    return Result(folder, rows, shown, len(missing))


def _computed(
    cells: Sequence[Cell], settings: tuple[Any, ...], jobs: int
) -> Generator[tuple[Cell, Outcome], None, None]:
    if min(jobs, len(cells)) <= 1:
        return ((cell, compute(cell, *settings)) for cell in cells)
    return side_by_side(compute, cells, settings, jobs)


def describe(study: Study) -> dict[str, Any]:
    """Collect what a table should say of its study."""
    conventions = {name: None for arm in study.arms for name in arm.conventions}
    return {
        "study": study.name,
        "title": study.title,
        "preset": study.preset,
        "provisional": study.provisional,
        "seed": study.seed,
        "repeats": study.repeats,
        "conventions": ", ".join(conventions),
        "dtype": study.dtype,
        "version": nc.__version__,
        "description": study.model_dump(mode="json", exclude_defaults=True),
    }


def fingerprint(study: Study) -> str:
    """Digest of the description, the content of its data files and the version of nc1fast."""
    digest = hashlib.sha256(f"{nc.__version__}\n{study.model_dump_json()}".encode())
    for path in sorted({d.path for arm in study.arms for d in arm.data if isinstance(d, File)}):
        check_regular(path)
        with Path(path).open("rb") as file:
            for chunk in iter(lambda: file.read(1 << 20), b""):
                digest.update(chunk)
    return digest.hexdigest()


@ieee
def compute(cell: Cell, dtype: str = "float64", n_threads: int | None = None) -> Outcome:
    """Compute one cell: complete rows of the table and of the series."""
    with one_thread(cell.task.libraries):
        problem = cell.problem(dtype, n_threads)
        outcome = cell.task.compute(problem)
    _, counts = np.unique(problem.y, return_counts=True)
    shared = {
        "arm": cell.arm.name,
        "dataset": cell.instance.source.name,
        "N": problem.X.shape[0],
        "d0": problem.X.shape[1],
        "sizes": ":".join(map(str, counts)),
        "repeat": cell.repeat,
    }
    return Outcome(
        [
            table.LAYOUT.ordered(
                {**shared, "seed": 0 if row["state"] == "theory" else cell.seed, **row}
            )
            for row in outcome.rows
        ],
        [series.LAYOUT.ordered({**shared, **row}) for row in outcome.series],
    )


@contextlib.contextmanager
def one_thread(libraries: Sequence[str]) -> Iterator[None]:
    """BLAS and torch on one thread, so that a cell has the same bits on any machine's number of cores.

    The libraries are imported first: a limit does not reach what is loaded later.
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
