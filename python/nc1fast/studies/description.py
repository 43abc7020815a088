"""The description of a study: its data, the models to be measured on them and the repeats, all
checked; and its cells, the unit of work, of the journal and of the estimates.

A study has arms; an arm is one family of data sets with its kernels, trained networks and adaptive
kernels, its repeats and its conventions. `loading` reads descriptions from YAML, `library` has the
built-in ones. A `Cell` is one task on one data set; those of an experiment are in
`nc1fast.studies.experiment`.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Protocol

import numpy as np
from pydantic import ConfigDict, Field, create_model, field_validator, model_validator

from nc1fast.metrics.definitions import DEFAULT_CONVENTION
from nc1fast.studies import table
from nc1fast.studies.fields import (
    Conventions,
    Count,
    Described,
    Entry,
    Name,
    Positive,
    joined,
    reject_duplicates,
)
from nc1fast.studies.sources import Digits, File, GaussianMixture, Instance
from nc1fast.studies.tasks import SECTIONS
from nc1fast.studies.tasks.kernels import Kernels, KernelTask, TheoryTask
from nc1fast.studies.tasks.task import (
    DrawnData,
    Illustration,
    Outcome,
)

if TYPE_CHECKING:
    from pathlib import Path

    from nc1fast.studies.sources import Instance
    from nc1fast.studies.tasks.task import Illustration, Section, StudyTask
    from nc1fast.studies.tidy import Layout


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
            [table.SERIES.ordered({**shared, **row}) for row in outcome.series],
        )


@dataclass(frozen=True)
class Assignment:
    """A task of an arm on one of its data sets, with its number of repeats and its conventions."""

    task: StudyTask
    repeats: int
    conventions: tuple[str, ...]


class Arm(Entry):
    """One family of data sets and the models that are measured on them.

    Besides these keys it has one for each of `nc1fast.studies.tasks.SECTIONS`: `networks`, a list
    of Training, `adaptive`, a list of Adaptive, and `mean_field`, a list of MeanField.

    Parameters
    ----------
    name : str
    data : list of sources
    kernels : list of Kernels, default ()
        The NC1 of the data themselves is always measured.
    theory : bool, default False
        Expected NC1, on Gaussian data, of those kernels that `nc1fast.theory` covers.
    conventions : list of str, default ["papyan"]
    repeats : int, optional
        Default: that of the study.
    tolerance : float, optional
        Relative error that is allowed to the NC1 of kernels, which may then be estimates; default:
        they are exact.
    illustrate : list of Illustration, default ()
        Data sets that give series.
    """

    model_config = ConfigDict(extra="allow")  # for the sections

    name: Name
    data: Annotated[
        tuple[Annotated[GaussianMixture | Digits | File, Field(discriminator="source")], ...],
        Field(min_length=1),
    ]
    kernels: tuple[Kernels, ...] = ()
    theory: bool = False
    conventions: Conventions = (DEFAULT_CONVENTION,)
    repeats: Count | None = None
    tolerance: Positive | None = None
    illustrate: tuple[Illustration, ...] = ()

    @classmethod
    def allowed_keys(cls) -> list[str]:
        """The fields, and the registered sections."""
        return [*super().allowed_keys(), *SECTIONS]

    @model_validator(mode="before")
    @classmethod
    def _read_sections(cls, content: Any) -> Any:
        """The content with its sections as tuples of checked entries."""
        if not isinstance(content, dict):
            return content
        fields: dict[str, Any] = {
            name: (tuple[kind, ...], ())  # type: ignore[valid-type]
            for name, kind in SECTIONS.items()
        }
        sections = create_model("Sections", __base__=Entry, **fields)
        given = {name: content[name] for name in SECTIONS if name in content}
        return content | {name: getattr(sections.model_validate(given), name) for name in given}

    @model_validator(mode="after")
    def _consistent(self) -> Arm:
        reject_duplicates("data", (data.name for data in self.data))
        reject_duplicates("conventions", self.conventions)
        named = [columns for columns, _ in KernelTask(self.kernels).pairs()]
        reject_duplicates("kernels", (columns.label() for columns in named))
        for data in self.data:
            covering = [entry for entry in self.entries if entry.covers(data.name, None)]
            tasks = (task.name for entry in covering for task in entry.tasks())
            reject_duplicates(f"models of {data.name}", tasks)
        if not (self.kernels or self.entries):
            *most, last = ("kernels", *SECTIONS)
            raise ValueError(f"give {', '.join(most)} or {last}")
        if self.theory and not TheoryTask(KernelTask(self.kernels)).pairs():
            raise ValueError("theory covers none of the kernels")
        self._check_datasets()
        return self

    def _check_datasets(self) -> None:
        """Refuse sections and illustrations of data that the arm does not have."""
        named = {name for entry in self.entries for name in entry.datasets}
        named |= {one.dataset for one in self.illustrate}
        known = [data.name for data in self.data]
        if unknown := named - set(known):
            names = ", ".join(sorted(unknown))
            raise ValueError(f"there are no data named {names}; there are {', '.join(known)}")

    @property
    def entries(self) -> tuple[Section, ...]:
        """The entries of all sections, in the order of `SECTIONS`."""
        given = self.model_extra or {}
        return tuple(entry for name in SECTIONS for entry in given.get(name, ()))

    def assignments(self, instance: Instance, repeats: int) -> list[Assignment]:
        """All tasks on one data set; `repeats` is the default of the study."""
        repeats = self.repeats or repeats
        kernels = KernelTask(self.kernels, self.tolerance)
        covering = [
            entry
            for entry in self.entries
            if entry.covers(instance.source.name, instance.n_samples)
        ]
        shown = [one for one in self.illustrate if one.covers(instance)]
        found = [Assignment(kernels, _repeats(kernels, instance, repeats), self.conventions)]
        for entry in covering:
            most = min(repeats, entry.repeats or repeats)
            conventions = entry.conventions or self.conventions
            for task in entry.tasks():
                found.append(Assignment(task, _repeats(task, instance, most), conventions))
        for entry in covering:
            found += [Assignment(task, 1, self.conventions) for task in entry.illustrating(shown)]
        if self.theory and isinstance(instance.source, GaussianMixture):
            found.append(Assignment(TheoryTask(kernels), 1, self.conventions))
        return found


def _repeats(task: StudyTask, instance: Instance, repeats: int) -> int:
    """Number of repeats: 1 where every repeat would give the same numbers."""
    return repeats if instance.random or task.chance else 1


class Study(Described):
    """The description of a comparison of NC1; its first fields are those of `Described`.

    Parameters
    ----------
    dtype : {"float64", "float32", "mixed"}, default "float64"
    arms : list of Arm
    """

    layout: ClassVar[Layout] = table.LAYOUT

    dtype: Literal["float64", "float32", "mixed"] = "float64"
    arms: Annotated[tuple[Arm, ...], Field(min_length=1)]

    @field_validator("arms")
    @classmethod
    def _distinct(cls, arms: tuple[Arm, ...]) -> tuple[Arm, ...]:
        reject_duplicates("arms", (arm.name for arm in arms))
        return arms

    @property
    def files(self) -> list[Path]:
        """The data files of all arms, sorted, each once."""
        sources = [source for arm in self.arms for source in arm.data]
        return sorted({path for s in sources if isinstance(s, File) for path in s.files})

    def cells(self) -> list[Cell]:
        """Every task on every repeat of every data set, in the order of the table."""
        return [
            Cell(
                arm.name,
                arm.illustrate,
                instance,
                repeat,
                one.task,
                one.conventions,
                self.seed,
            )
            for arm in self.arms
            for source in arm.data
            for instance in source.instances()
            for assignments in [arm.assignments(instance, self.repeats)]
            for repeat in range(max(one.repeats for one in assignments))
            for one in assignments
            if repeat < one.repeats
        ]

    def facts(self) -> dict[str, Any]:
        """Further facts for the provenance: conventions and precision."""
        conventions = {name: None for arm in self.arms for name in arm.conventions}
        return {"conventions": ", ".join(conventions), "dtype": self.dtype}

    def relative_to(self, folder: Path) -> Study:
        """The study with the relative paths of its data files taken from a folder."""
        arms = []
        for arm in self.arms:
            data = tuple(s.relative_to(folder) if isinstance(s, File) else s for s in arm.data)
            arms.append(arm.model_copy(update={"data": data}))
        return self.model_copy(update={"arms": tuple(arms)})
