"""What a study is: data, what is computed on them, and repeats; checked, as YAML on disk.

A study has arms; an arm is one family of data sets, its kernels, trained networks and adaptive kernels, repeats and
conventions. The built-in ones are the .yml files of this folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from nc1fast.studies.fields import Conventions, Count, Entry, Limits, Name, reject_duplicates
from nc1fast.studies.sources import Digits, File, GaussianMixture, Instance
from nc1fast.studies.tasks.adaptive import Adaptive, AnnealingTask
from nc1fast.studies.tasks.illustrations import Illustration  # noqa: TC001  (pydantic reads it)
from nc1fast.studies.tasks.kernels import Kernels, KernelTask
from nc1fast.studies.tasks.measuring import label
from nc1fast.studies.tasks.networks import Training  # noqa: TC001
from nc1fast.studies.tasks.theory import TheoryTask
from nc1fast.support.extras import require
from nc1fast.support.reading import check_regular, reading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nc1fast.studies.tasks.measuring import Task


@dataclass(frozen=True)
class Assignment:
    """A task of an arm on one of its data sets: how often, and under which conventions."""

    task: Task
    repeats: int
    conventions: tuple[str, ...]


class Arm(Entry):
    """One family of data sets and what is computed on them.

    Parameters
    ----------
    name : str
    data : list of sources
    kernels : list of Kernels, default ()
        The data's own NC1 is always there.
    networks : list of Training, default ()
    adaptive : list of Adaptive, default ()
    theory : bool, default False
        Expected NC1 of those kernels that `nc1fast.theory` covers, on Gaussian data.
    conventions : list of str, default ["papyan"]
    repeats : int, optional
        Default: the study's.
    illustrate : list of Illustration, default ()
        Data sets that give series.
    """

    name: Name
    data: Annotated[
        tuple[Annotated[GaussianMixture | Digits | File, Field(discriminator="source")], ...],
        Field(min_length=1),
    ]
    kernels: tuple[Kernels, ...] = ()
    networks: tuple[Training, ...] = ()
    adaptive: tuple[Adaptive, ...] = ()
    theory: bool = False
    conventions: Conventions = ("papyan",)
    repeats: Count | None = None
    illustrate: tuple[Illustration, ...] = ()

    @model_validator(mode="after")
    def _distinct(self) -> Arm:
        reject_duplicates("data", (data.name for data in self.data))
        reject_duplicates("conventions", self.conventions)
        rows = [row for row, _ in KernelTask(self.kernels).pairs()]
        reject_duplicates("kernels", map(label, rows))
        for data in self.data:
            covering = [entry for entry in self.entries if entry.covers(data.name, None)]
            tasks = (task.name for entry in covering for task in entry.tasks())
            reject_duplicates(f"networks and adaptive of {data.name}", tasks)
        if not (self.kernels or self.entries):
            raise ValueError("give kernels, networks or adaptive")
        if self.theory and not TheoryTask(KernelTask(self.kernels)).pairs():
            raise ValueError("theory covers none of the kernels")
        named = {name for entry in self.entries for name in entry.datasets}
        named |= {one.dataset for one in self.illustrate}
        if unknown := named - {data.name for data in self.data}:
            raise ValueError(f"there are no data named {', '.join(sorted(unknown))}")
        return self

    @property
    def entries(self) -> tuple[Training | Adaptive, ...]:
        """Networks, then adaptive kernels."""
        return (*self.networks, *self.adaptive)

    def assignments(self, instance: Instance, repeats: int) -> list[Assignment]:
        """All tasks on one data set; `repeats` is the study's default."""
        repeats = self.repeats or repeats
        kernels = KernelTask(self.kernels)
        found = [self._assigned(kernels, Limits(), instance, repeats)]
        for entry in self.entries:
            if entry.covers(instance.source.name, instance.n_samples):
                tasks = entry.tasks()
                found += [self._assigned(task, entry, instance, repeats) for task in tasks]
        found += [Assignment(task, 1, self.conventions) for task in self._annealings(instance)]
        if self.theory and isinstance(instance.source, GaussianMixture):
            found.append(Assignment(TheoryTask(kernels), 1, self.conventions))
        return found

    def _assigned(self, task: Task, limits: Limits, instance: Instance, repeats: int) -> Assignment:
        if not (instance.random or task.chance):
            repeats = 1  # the same data, the same answer
        repeats = min(repeats, limits.repeats or repeats)
        return Assignment(task, repeats, limits.conventions or self.conventions)

    def _annealings(self, instance: Instance) -> Iterator[AnnealingTask]:
        shown = [one for one in self.illustrate if one.covers(instance)]
        for entry in self.adaptive:
            if entry.covers(instance.source.name, instance.n_samples) and not entry.shuffled:
                for task in entry.tasks():
                    if any(one.shows("annealing", task.activation, 0) for one in shown):
                        yield AnnealingTask(entry, task.activation)


class Study(Entry):
    """A whole study.

    Parameters
    ----------
    name, title : str
    preset : str, default ""
        Which variant of a built-in study this is.
    provisional : bool, default False
        Put a banner on the report: too few repeats or cells for lasting verdicts.
    seed : int, default 0
        With the identity of a cell it gives the cell's own seed.
    repeats : int, default 10
    dtype : {"float64", "float32", "mixed"}, default "float64"
    arms : list of Arm
    """

    name: Name
    title: str
    preset: str = ""
    provisional: bool = False
    seed: Annotated[int, Field(strict=True, ge=0)] = 0
    repeats: Count = 10
    dtype: Literal["float64", "float32", "mixed"] = "float64"
    arms: Annotated[tuple[Arm, ...], Field(min_length=1)]

    @field_validator("arms")
    @classmethod
    def _distinct(cls, arms: tuple[Arm, ...]) -> tuple[Arm, ...]:
        reject_duplicates("arms", (arm.name for arm in arms))
        return arms


def built_in() -> dict[str, list[str]]:
    """Names of the built-in studies and their presets."""
    names: dict[str, list[str]] = {}
    for entry in sorted(resources.files(__package__).iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(".yml"):
            study, _, preset = entry.name.removesuffix(".yml").partition("-")
            names.setdefault(study, []).append(preset)
    return names


def load(name_or_path: str | Path, preset: str | None = None) -> Study:
    """Read and check a study.

    Parameters
    ----------
    name_or_path : str or Path
        Name of a built-in study, or a YAML file (anything with a suffix or a slash).
    preset : str, optional
        Of a built-in study; default `"quick"`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the name or preset is unknown, the YAML cannot be read, or the study is not valid: one
        line that says where and what.
    """
    text = str(name_or_path)
    if not text.endswith((".yml", ".yaml")) and "/" not in text:
        known = built_in()
        if text not in known:
            raise ValueError(
                f"unknown study {text!r}; built in: {', '.join(known)}; or give a .yml file"
            )
        preset = preset or "quick"
        if preset not in known[text]:
            raise ValueError(
                f"study {text!r} has no preset {preset!r}; choose from {', '.join(known[text])}"
            )
        source = resources.files(__package__) / f"{text}-{preset}.yml"
        return parse(source.read_text(), f"{text}-{preset}")
    if preset is not None:
        raise ValueError("preset belongs to a built-in study, not to a file")
    path = Path(text)
    check_regular(path)
    with reading(text):
        try:
            content = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(f"{text}: not a text file: {error}") from None
        return _resolve(parse(content, text), path.parent)


def parse(text: str, where: str = "study") -> Study:
    """Read a study from YAML text; `where` begins the error messages."""
    yaml = require("yaml", "study")
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"{where}: not valid YAML: {' '.join(str(error).split())}") from None
    try:
        return Study.model_validate(content, from_attributes=False)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
        told = [
            f"{'.'.join(map(str, e['loc'])) or 'study'}: {_message(e['msg'])}" for e in problems
        ]
        more = f" (and {len(told) - 3} more)" if len(told) > 3 else ""
        raise ValueError(f"{where}: {'; '.join(told[:3])}{more}") from None


def _message(text: str) -> str:
    text = text.removeprefix("Value error, ")
    return text[:1].lower() + text[1:]


def _resolve(study: Study, folder: Path) -> Study:
    """Make the paths of data files relative to the study's own file."""
    arms = []
    for arm in study.arms:
        data = tuple(
            d.model_copy(update={"path": str(folder / d.path)}) if isinstance(d, File) else d
            for d in arm.data
        )
        arms.append(arm.model_copy(update={"data": data}))
    return study.model_copy(update={"arms": tuple(arms)})
