"""The cells of a study: the unit of work, of the journal and of the estimates.

A `Cell` is one task on one data set; the cells of an experiment are trials (`nc1fast.studies.experiment`).
"""

from __future__ import annotations

import errno
import os
import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

from nc1fast.studies import series, table
from nc1fast.studies.fields import joined
from nc1fast.studies.tasks.task import DrawnData, Outcome
from nc1fast.support.reading import check_regular

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nc1fast.studies.description import Arm, Study
    from nc1fast.studies.experiment import Experiment
    from nc1fast.studies.sources import Instance
    from nc1fast.studies.tasks.task import StudyTask

    AnyStudy: TypeAlias = Study | Experiment

_OVERHEAD = 0.02  # seconds of a cell besides its task, for data and journal
_N, _D0 = 2048, 64  # assumed of real data, whose size the description does not say


class Work(Protocol):
    """What a run asks of a cell.

    Attributes
    ----------
    id : str
        Its identity in the journal, the same in every run of the study.
    group, subject : str
        The heading under which plans list it, and the name of what it looks at, or nothing.
    tags : dict of str to str
        What filters may ask for.
    libraries : tuple of str
        Modules to import before the number of threads is limited.
    n_rows : int
        Number of rows that it adds to the table; 0 where only its computation tells.
    seconds : float
        Roughly estimated time on one thread.
    """

    id: str
    group: str
    subject: str
    tags: dict[str, str]
    libraries: tuple[str, ...]
    n_rows: int
    seconds: float

    def compute(self, dtype: str = "float64", n_threads: int | None = None) -> Outcome:
        """Complete rows of the table, and of the series; `dtype` and `n_threads` are those of kernel passes."""
        ...


@dataclass(frozen=True)
class Cell:
    """One task on one repeat of one data set of a study."""

    arm: Arm
    instance: Instance
    repeat: int
    task: StudyTask
    conventions: tuple[str, ...]
    study_seed: int

    def __str__(self) -> str:
        return self.id

    @cached_property
    def id(self) -> str:
        """Identity of the cell in the journal, the same in every run of the study."""
        parts = (self.arm.name, self.instance.id, f"repeat={self.repeat}", self.task.name)
        return "/".join(parts)

    @cached_property
    def seed(self) -> int:
        """A 32-bit seed from the study's seed, the data set and the repeat; all arms and tasks share it."""
        words = (self.study_seed, zlib.crc32(self.instance.id.encode()), self.repeat)
        return int(np.random.SeedSequence(words).generate_state(1)[0])

    @property
    def group(self) -> str:
        """The arm, under which plans list it."""
        return self.arm.name

    @property
    def subject(self) -> str:
        """The name of its data."""
        return self.instance.source.name

    @property
    def tags(self) -> dict[str, str]:
        """What filters may ask for."""
        instance = self.instance
        return {
            "arm": self.arm.name,
            "dataset": instance.source.name,
            "N": str(instance.n_samples or "all"),
            "d0": str(instance.n_features or "all"),
            "sizes": joined(instance.sizes) or "all",
            "repeat": str(self.repeat),
            "task": self.task.name.partition(" ")[0],
        }

    @property
    def libraries(self) -> tuple[str, ...]:
        """Modules to import before threads are limited."""
        return self.task.libraries

    @property
    def n_rows(self) -> int:
        """Number of rows that the cell adds to the table."""
        return self.task.n_rows(self.conventions)

    @property
    def seconds(self) -> float:
        """Roughly estimated time on one thread."""
        size = (self.instance.n_samples or _N, self.instance.n_features or _D0)
        return _OVERHEAD + self.task.seconds(*size)

    def draw(self, dtype: str = "float64", n_threads: int | None = None) -> DrawnData:
        """Draw the data set; `dtype` and `n_threads` are those of kernel passes.

        Raises
        ------
        FileNotFoundError, ValueError
            As `Instance.draw`.
        """
        X, y = self.instance.draw(self.seed)
        illustrations = tuple(one for one in self.arm.illustrate if one.covers(self.instance))
        return DrawnData(
            self.instance,
            X,
            y,
            repeat=self.repeat,
            seed=self.seed,
            conventions=self.conventions,
            dtype=dtype,
            n_threads=n_threads,
            illustrations=illustrations,
        )

    def compute(self, dtype: str = "float64", n_threads: int | None = None) -> Outcome:
        """Complete rows, of the table and of the series; `dtype` and `n_threads` are those of kernel passes."""
        data = self.draw(dtype, n_threads)
        outcome = self.task.compute(data)
        _, counts = np.unique(data.y, return_counts=True)
        shared = {
            "arm": self.arm.name,
            "dataset": self.subject,
            "N": data.X.shape[0],
            "d0": data.X.shape[1],
            "sizes": ":".join(map(str, counts)),
            "repeat": self.repeat,
        }
        rows = [
            {**shared, "seed": 0 if row["state"] == "theory" else self.seed, **row}
            for row in outcome.rows
        ]
        return Outcome(
            [table.LAYOUT.ordered(row) for row in rows],
            [series.LAYOUT.ordered({**shared, **row}) for row in outcome.series],
        )


def plan(study: AnyStudy, only: Sequence[str] = ()) -> list[Any]:
    """List the cells of a study in the order of its table.

    Parameters
    ----------
    study : Study or Experiment
    only : sequence of str
        Filters `"key=value[,value...]"`, all of which must hold. The keys are arm, dataset, N, d0, sizes, repeat and task;
        the value of task is the first word of its name: kernels, theory, network, AdaptiveKernel, ... Of an experiment they
        are part, repeat, and what its settings name.

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
    The estimates come from the `seconds` of the tasks, whose constants were measured on one thread of an AMD EPYC with
    two cores and AVX-512; trainings that end early take less.
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
    """Raise FileNotFoundError or ValueError unless every data file of a study is there and a regular file."""
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
