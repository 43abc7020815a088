"""The description of a study: its data, the models to be measured on them, and the repeats, all
checked.

A study has arms; an arm is one family of data sets with its kernels, trained networks and adaptive
kernels, its repeats and its conventions. `loading` reads descriptions from YAML, `library` has the
built-in ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, create_model, field_validator, model_validator

from nc1fast.metrics.definitions import DEFAULT_CONVENTION
from nc1fast.studies import table
from nc1fast.studies.cells import Cell
from nc1fast.studies.fields import (
    Conventions,
    Count,
    Described,
    Entry,
    Name,
    Positive,
    reject_duplicates,
)
from nc1fast.studies.sources import Digits, File, GaussianMixture, Instance
from nc1fast.studies.tasks import SECTIONS
from nc1fast.studies.tasks.illustrations import Illustration  # noqa: TC001  (pydantic reads it)
from nc1fast.studies.tasks.kernels import Kernels, KernelTask
from nc1fast.studies.tasks.theory import TheoryTask

if TYPE_CHECKING:
    from pathlib import Path

    from nc1fast.studies.tasks.task import Section, StudyTask
    from nc1fast.studies.tidy import Layout


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
