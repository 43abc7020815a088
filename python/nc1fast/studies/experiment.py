"""An experiment: a study that measures numbers of its own kind, by parts that its folder of the
library defines.

A `Part` is a grid of settings with a way to measure; each setting and repeat is a `Repetition`, the
cell of an experiment.
"""

from __future__ import annotations

import itertools
import time
import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Union

import numpy as np
from pydantic import Field, create_model, field_validator

from nc1fast.studies import measures
from nc1fast.studies.fields import Count, Described, Entry, listed, reject_duplicates
from nc1fast.studies.tasks.rows import FAILED, attempt
from nc1fast.studies.tasks.task import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from nc1fast.studies.measures import Measure, Setting
    from nc1fast.studies.tidy import Layout


class Part(Entry):
    """One family of measurements, a grid of settings.

    A subclass has a field `part` of type Literal[its name], its own fields, and `measure`.

    Parameters
    ----------
    part : str
        Which family it is.
    repeats : int, optional
        Default: that of the study, or 1 where nothing is random.
    """

    grid: ClassVar[
        tuple[str, ...]
    ] = ()  # fields that are one value or several, which are multiplied
    libraries: ClassVar[tuple[str, ...]] = ()  # modules to import before threads are limited
    chance: ClassVar[bool] = True  # whether repeats differ

    part: str
    repeats: Count | None = None

    def settings(self) -> list[Setting]:
        """Each combination of the values of the grid."""
        lists = [listed(getattr(self, name)) for name in self.grid]
        return [dict(zip(self.grid, point, strict=True)) for point in itertools.product(*lists)]

    def seconds(self, setting: Setting) -> float:
        """Estimated time of one repetition on one thread."""
        raise NotImplementedError

    def measure(self, setting: Setting, random: np.random.Generator) -> Iterable[Measure]:
        """The numbers of one setting; a ValueError becomes the status of a row without a value."""
        raise NotImplementedError


@dataclass(frozen=True)
class Repetition:
    """One repeat of one setting of a part: the unit of work and of the journal."""

    entry: Part
    setting: tuple[tuple[str, int | float | str], ...]
    repeat: int
    study_seed: int

    def __str__(self) -> str:
        return self.id

    @cached_property
    def id(self) -> str:
        """Identity of the repetition in the journal, the same in every run of the study."""
        return f"{self.entry.part}/{measures.written(dict(self.setting))}/repeat={self.repeat}"

    @cached_property
    def seed(self) -> int:
        """A 32-bit seed from the study's seed, the part, the setting and the repeat."""
        words = (self.study_seed, zlib.crc32(self.id.encode()))
        return int(np.random.SeedSequence(words).generate_state(1)[0])

    @property
    def group(self) -> str:
        """The part, under which plans list it."""
        return self.entry.part

    @property
    def subject(self) -> str:
        """Nothing: its setting says where it is."""
        return ""

    @property
    def tags(self) -> dict[str, str]:
        """Values that filters may ask for, by their keys."""
        setting = {name: measures.written({name: v}).partition("=")[2] for name, v in self.setting}
        return {"part": self.entry.part, **setting, "repeat": str(self.repeat)}

    @property
    def libraries(self) -> tuple[str, ...]:
        """Modules to import before threads are limited."""
        return self.entry.libraries

    @property
    def n_rows(self) -> int:
        """0: only its computation tells."""
        return 0

    @property
    def seconds(self) -> float:
        """Roughly estimated time on one thread."""
        return self.entry.seconds(dict(self.setting))

    def compute(self, dtype: str = "float64", n_threads: int | None = None) -> Outcome:
        """Its rows; precision and threads are those that its part asks for."""
        del dtype, n_threads
        random = np.random.default_rng(self.seed)
        start = time.perf_counter()
        found, _ = attempt(lambda: list(self.entry.measure(dict(self.setting), random)))
        seconds = time.perf_counter() - start
        if isinstance(found, str):
            nothing = measures.Measure("", "", float("nan"))
            return Outcome([self._row(nothing, f"{FAILED}{found}", seconds)])
        return Outcome([self._row(one, "ok", seconds) for one in found])

    def _row(self, one: Measure, status: str, seconds: float) -> dict[str, Any]:
        return {
            "part": self.entry.part,
            "thing": one.thing,
            "setting": measures.written({**dict(self.setting), **(one.at or {})}),
            "quantity": one.quantity,
            "repeat": self.repeat,
            "seed": self.seed,
            "value": float(one.value),
            "error": float(one.error),
            "status": status,
            "seconds": seconds,
        }


class Experiment(Described):
    """The description of an experiment; its first fields are those of `Described`, and its name is
    that of a study of the library.

    Parameters
    ----------
    parts : list of Part
    """

    layout: ClassVar[Layout] = measures.LAYOUT
    dtype: ClassVar[str] = "float64"
    files: ClassVar[tuple[Path, ...]] = ()

    parts: Annotated[tuple[Part, ...], Field(min_length=1)]

    @field_validator("parts")
    @classmethod
    def _distinct(cls, parts: tuple[Part, ...]) -> tuple[Part, ...]:
        ids = (f"{p.part}/{measures.written(s)}" for p in parts for s in p.settings())
        reject_duplicates("settings", ids)
        return parts

    def relative_to(self, folder: Path) -> Experiment:
        """Itself: it reads no files."""
        del folder
        return self

    def cells(self) -> list[Repetition]:
        """All repetitions, in the order of the table."""
        return [
            Repetition(part, tuple(setting.items()), repeat, self.seed)
            for part in self.parts
            for setting in part.settings()
            for repeat in range(
                min(part.repeats or self.repeats, self.repeats) if part.chance else 1
            )
        ]

    def facts(self) -> dict[str, Any]:
        """Further facts for the provenance: none."""
        return {}


def described_by(kinds: Sequence[type[Part]]) -> type[Experiment]:
    """The class of the descriptions whose parts are of these kinds."""
    entry: Any = Union[tuple(kinds)]  # noqa: UP007  (of a list)
    if len(kinds) > 1:
        entry = Annotated[entry, Field(discriminator="part")]
    parts: Any = Annotated[tuple.__class_getitem__((entry, ...)), Field(min_length=1)]
    return create_model("Experiment", __base__=Experiment, parts=(parts, ...))
