"""The plan of a study: its cells, those of them that are asked for, and the time they will take."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any, TypeAlias

from nc1fast.support.reading import check_regular

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nc1fast.studies.cells import Work
    from nc1fast.studies.description import Study
    from nc1fast.studies.experiment import Experiment

    AnyStudy: TypeAlias = Study | Experiment


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
