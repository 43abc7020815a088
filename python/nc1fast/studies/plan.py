"""The cells of a study, one data set and one task each: the unit of work, of the journal and of the estimates."""

from __future__ import annotations

import errno
import os
import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from nc1fast.studies.fields import joined
from nc1fast.studies.tasks.task import DrawnData
from nc1fast.support.reading import check_regular

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nc1fast.studies.description import Arm, Study
    from nc1fast.studies.sources import Instance
    from nc1fast.studies.tasks.task import StudyTask

FILTERS = ("arm", "dataset", "N", "d0", "sizes", "repeat", "task")
_OVERHEAD = 0.02  # seconds of a cell besides its task, for data and journal
_N, _D0 = 2048, 64  # assumed of real data, whose size the description does not say


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


def plan(study: Study, only: Sequence[str] = ()) -> list[Cell]:
    """List the cells of a study in the order of its table.

    Parameters
    ----------
    study : Study
    only : sequence of str
        Filters `"key=value[,value...]"`, all of which must hold. The keys are arm, dataset, N, d0, sizes, repeat and task;
        the value of task is the first word of its name: kernels, theory, network, AdaptiveKernel, ...

    Raises
    ------
    ValueError
        If a filter cannot be read, names an unknown key, or leaves nothing.
    """
    filters = [_parse_filter(text) for text in only]
    cells = list(_cells(study))
    for key, values in filters:
        kept = [cell for cell in cells if _value(cell, key) in values]
        if not kept:
            there = dict.fromkeys(_value(cell, key) for cell in cells)
            raise ValueError(
                f"only {key}={','.join(values)} leaves no cell; there are {', '.join(there)}"
            )
        cells = kept
    return cells


def describe_plan(study: Study, only: Sequence[str] = (), jobs: int = 1) -> str:
    """Cells, rows and estimated time of each arm, for a run in `jobs` processes, as text.

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
    for arm in dict.fromkeys(cell.arm.name for cell in cells):
        members = [cell for cell in cells if cell.arm.name == arm]
        names = ", ".join(dict.fromkeys(cell.instance.source.name for cell in members))
        lines.append(f"  {arm}: {_budget(members, jobs)}, on {names}")
    processes = f"{jobs} processes" if jobs > 1 else "one process"
    lines.append(f"{_budget(cells, jobs)} in {processes}, and the figures")
    return "\n".join(lines)


def check_files(study: Study) -> None:
    """Raise FileNotFoundError or ValueError unless every data file of a study is there and a regular file."""
    for path in study.files:
        check_regular(path)
        if not path.exists():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))


def _budget(cells: Sequence[Cell], jobs: int) -> str:
    rows, seconds = sum(cell.n_rows for cell in cells), sum(cell.seconds for cell in cells) / jobs
    time = f"{seconds / 60:.0f} min" if seconds >= 90 else f"{max(1, round(seconds))} s"
    return f"{len(cells)} cell{'s' * (len(cells) > 1)}, {rows} rows, about {time}"


def _cells(study: Study) -> Iterator[Cell]:
    for arm in study.arms:
        for instance in (instance for source in arm.data for instance in source.instances()):
            assignments = arm.assignments(instance, study.repeats)
            for repeat in range(max(one.repeats for one in assignments)):
                for one in assignments:
                    if repeat < one.repeats:
                        yield Cell(arm, instance, repeat, one.task, one.conventions, study.seed)


def _parse_filter(text: str) -> tuple[str, list[str]]:
    key, separator, values = text.partition("=")
    if not separator or not values:
        raise ValueError(f"only takes key=value[,value], got {text!r}")
    if key not in FILTERS:
        raise ValueError(f"only knows the keys {', '.join(FILTERS)}, got {key!r}")
    return key, values.split(",")


def _value(cell: Cell, key: str) -> str:
    instance = cell.instance
    values = {
        "arm": cell.arm.name,
        "dataset": instance.source.name,
        "N": str(instance.n_samples or "all"),
        "d0": str(instance.n_features or "all"),
        "sizes": joined(instance.sizes) or "all",
        "repeat": str(cell.repeat),
        "task": cell.task.name.partition(" ")[0],
    }
    return values[key]
