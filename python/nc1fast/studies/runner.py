"""Run a study: cell by cell, journalled, into one table."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import math
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nc1fast as nc
from nc1fast.compat import released
from nc1fast.provenance import machine
from nc1fast.studies import table
from nc1fast.studies.cells import Cell, plan
from nc1fast.studies.description import File, KernelRow, ReleasedErfNTK, Study
from nc1fast.studies.journal import Journal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nc1fast import Collapse
    from nc1fast.studies.table import Row

Progress = Callable[[int, int], None]
FAILED = "failed: "  # begins the status of a row whose NC1 could not be computed


@dataclass(frozen=True)
class Result:
    """A finished run: its rows in the order of the plan, and how many of them failed."""

    folder: Path
    rows: list[Row]
    n_computed: int  # cells computed by this run; the others came from the journal

    @property
    def n_failed(self) -> int:
        """Rows that could not be computed; their status says why."""
        return sum(row["status"].startswith(FAILED) for row in self.rows)


def run(
    study: Study,
    folder: str | Path,
    *,
    only: Sequence[str] = (),
    resume: bool = False,
    n_threads: int | None = None,
    progress: Progress | None = None,
    provenance: dict[str, Any] | None = None,
) -> Result:
    """Compute the table of a study.

    Parameters
    ----------
    study : Study
    folder : str or Path
        Gets journal.jsonl while running, table.csv and table.parquet at the end.
    only : sequence of str
        Filters as of `plan`; with `resume`, cells that are already in the journal stay in the table.
    resume : bool, default False
        Continue from the journal in `folder`. The table is the same as of an uninterrupted run,
        but for the column `seconds`.
    n_threads : int, optional
        As `nc1fast.collapse`.
    progress : callable(done, total), optional
        Called after each cell.
    provenance : dict, optional
        Goes into the Parquet file beside what this function knows itself.

    Returns
    -------
    Result

    Raises
    ------
    ValueError
        As `plan` and `Journal`.

    Notes
    -----
    Cost: one `nc1fast.collapse` per cell, of all its kernels together; O(N C) memory, but for the
    released code's erf NTK, which needs the N x N matrix.
    """
    folder = Path(folder)
    cells = plan(study, only)
    computed = 0
    with closing(Journal(folder, fingerprint(study), resume=resume)) as journal:
        for done, cell in enumerate(cells):
            if cell.id not in journal.finished:
                journal.add(cell.id, compute(cell, study.dtype, n_threads))
                computed += 1
            if progress is not None:
                progress(done + 1, len(cells))
        in_table = plan(study) if only and resume else cells
        rows = [row for cell in in_table for row in journal.finished.get(cell.id, ())]
    told = {
        "date": str(dt.datetime.now(dt.timezone.utc).date()),
        "cells": f"{sum(c.id in journal.finished for c in in_table)} of {len(plan(study))}",
    }
    table.write(rows, folder, {**describe(study), **machine(), **(provenance or {}), **told})
    return Result(folder, rows, computed)


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
    }


def fingerprint(study: Study) -> str:
    """Digest of the description, the content of its data files and the version of nc1fast."""
    digest = hashlib.sha256(f"{nc.__version__}\n{study.model_dump_json()}".encode())
    for path in sorted({d.path for arm in study.arms for d in arm.data if isinstance(d, File)}):
        with Path(path).open("rb") as file:
            for chunk in iter(lambda: file.read(1 << 20), b""):
                digest.update(chunk)
    return digest.hexdigest()


def compute(cell: Cell, dtype: str = "float64", n_threads: int | None = None) -> list[Row]:
    """Compute the rows of one cell: all its kernels from one pass, each under the arm's conventions."""
    options: dict[str, Any] = {
        "convention": "papyan",  # where the pass starts; `under` gives the others
        "statistics": "sums",
        "dtype": dtype,
        "n_threads": n_threads,
    }
    X, y = cell.draw()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", nc.AccuracyWarning)  # the table has the bounds
        data = nc.collapse(X, y, **options)
        measured = [
            {**kernel, **_measure(result, data, convention), "seconds": seconds}
            for kernel, result, seconds in _passes(cell, X, y, options)
            for convention in cell.arm.conventions
        ]
    shared = {
        "arm": cell.arm.name,
        "dataset": cell.data.name,
        "source": cell.data.source,
        "N": X.shape[0],
        "d0": X.shape[1],
        "sizes": ":".join(str(n) for n in data.sizes),
        "scale": getattr(cell.data, "scale", "none"),
        "dtype": dtype,
        "repeat": cell.repeat,
        "seed": cell.seed,
        "version": nc.__version__,
    }
    rows = [{**shared, **row} for row in measured]
    return [{column.name: row[column.name] for column in table.COLUMNS} for row in rows]


def _passes(
    cell: Cell, X: NDArray[np.float64], y: NDArray[Any], options: dict[str, Any]
) -> Iterator[tuple[KernelRow, Collapse | str, float]]:
    """Each kernel's result, or the reason why there is none, and the seconds of its pass."""
    streamed = [k for _, k in cell.kernels if not isinstance(k, ReleasedErfNTK)]
    together, seconds = _collapse(X, y, streamed, options) if streamed else ([], 0.0)
    answers = iter(together)
    for row, kernel in cell.kernels:
        if isinstance(kernel, ReleasedErfNTK):
            answer = _collapse(X, y, kernel, {**options, "dtype": "float64"})
            yield ({**row, "dtype": "float64"}, *answer)
        elif isinstance(together, str):  # one kernel is at fault: the others still have an answer
            yield (row, *_collapse(X, y, kernel, options))
        else:
            yield row, next(answers), seconds


def _collapse(X: Any, y: Any, kernel: Any, options: dict[str, Any]) -> tuple[Any, float]:
    """Answer of `nc1fast.collapse`, or why there is none, and the seconds it took."""
    start = time.perf_counter()
    try:
        if isinstance(kernel, ReleasedErfNTK):
            X, kernel = released.erf_ntk(X, **dataclasses.asdict(kernel)), "precomputed"
        outcome = nc.collapse(X, y, kernel, **options)
    except ValueError as error:
        outcome = " ".join(str(error).split())
    return outcome, time.perf_counter() - start


def _measure(result: Collapse | str, data: Collapse, convention: str) -> dict[str, Any]:
    """Columns of one result under one convention.

    The released code divides its own convention by the data's NC1 under "probe" (and adds 1e-8 to
    the divisor, which is left out here).
    """
    divisor = data.under("probe" if convention == "released" else convention).nc1
    try:
        answer = result if isinstance(result, str) else result.under(convention)
    except ValueError as error:
        answer = str(error)
    if isinstance(answer, str):
        nc1 = trace_within = trace_between = error_bound = math.nan
    else:
        nc1, error_bound = answer.nc1, answer.error_bound
        trace_within, trace_between = answer.trace_within, answer.trace_between
    relative = nc1 / divisor if divisor else math.nan
    told = table.status(nc1=nc1, relative_nc1=relative)
    return {
        "convention": convention,
        "nc1": nc1,
        "data_nc1": divisor,
        "relative_nc1": relative,
        "log10_nc1": table.log10(nc1),
        "log10_relative_nc1": table.log10(relative),
        "status": f"{FAILED}{answer}" if isinstance(answer, str) else told,
        "trace_within": trace_within,
        "trace_between": trace_between,
        "error_bound": error_bound,
    }
