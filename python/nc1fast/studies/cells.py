"""The cells of a study: the unit of work, of the journal and of the estimates.

A `Cell` is one task on one data set; those of an experiment are in `nc1fast.studies.experiment`.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np

from nc1fast.studies import series, table
from nc1fast.studies.fields import joined
from nc1fast.studies.tasks.task import DrawnData, Outcome

if TYPE_CHECKING:
    from nc1fast.studies.sources import Instance
    from nc1fast.studies.tasks.illustrations import Illustration
    from nc1fast.studies.tasks.task import StudyTask

_OVERHEAD = 0.02  # seconds of a cell besides its task, for data and journal
_N, _D0 = 2048, 64  # assumed of real data, whose size the description does not say


class Work(Protocol):
    """All that a run asks of a cell.

    Attributes
    ----------
    id : str
        Its identity in the journal, the same in every run of the study.
    group, subject : str
        The heading under which plans list it, and the name of what it looks at, or nothing.
    tags : dict of str to str
        Values that filters may ask for, by their keys.
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
        """Complete rows of the table, and of the series; `dtype` and `n_threads` are those of
        kernel passes.
        """
        ...


@dataclass(frozen=True)
class Cell:
    """One task on one repeat of one data set of a study."""

    arm: str
    illustrations: tuple[Illustration, ...]  # of the arm
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
        parts = (self.arm, self.instance.id, f"repeat={self.repeat}", self.task.name)
        return "/".join(parts)

    @cached_property
    def seed(self) -> int:
        """A 32-bit seed from the study's seed, the data set and the repeat; all arms and tasks
        share it.
        """
        words = (self.study_seed, zlib.crc32(self.instance.id.encode()), self.repeat)
        return int(np.random.SeedSequence(words).generate_state(1)[0])

    @property
    def group(self) -> str:
        """The arm, under which plans list it."""
        return self.arm

    @property
    def subject(self) -> str:
        """The name of its data."""
        return self.instance.source.name

    @property
    def tags(self) -> dict[str, str]:
        """Values that filters may ask for, by their keys."""
        instance = self.instance
        return {
            "arm": self.arm,
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
        illustrations = tuple(one for one in self.illustrations if one.covers(self.instance))
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
        """Complete rows, of the table and of the series; `dtype` and `n_threads` are those of
        kernel passes.
        """
        data = self.draw(dtype, n_threads)
        outcome = self.task.compute(data)
        _, counts = np.unique(data.y, return_counts=True)
        shared = {
            "arm": self.arm,
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
