"""An experiment: a study that measures numbers of its own kind, by parts that its file declares.

A part is a function that yields named numbers, declared by `@part`: the parameters whose default is
a `grid` are varied, the others are settings of a description. Each point of the grid and repeat is
a `Repetition`, the cell of an experiment.
"""

from __future__ import annotations

import importlib
import inspect
import itertools
import time
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from types import SimpleNamespace
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Literal,
    TypeAlias,
    Union,
    get_type_hints,
)

import numpy as np
from pydantic import Field, create_model, field_validator, model_validator

from nc1fast import datasets
from nc1fast.studies import measures
from nc1fast.studies.fields import Count, Described, Entry, listed, reject_duplicates
from nc1fast.studies.measures import Measure
from nc1fast.studies.tasks.rows import FAILED, attempt
from nc1fast.studies.tasks.task import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from nc1fast.studies.measures import Setting
    from nc1fast.studies.tidy import Layout

Measuring: TypeAlias = Callable[..., Iterable[Measure]]
Constructions: TypeAlias = Callable[..., "Iterable[tuple[str, Any]]"]


class Part(Entry):
    """One family of measurements, a grid of settings; `@part` makes a subclass of a function.

    Parameters
    ----------
    part : str
        Which family it is.
    repeats : int, optional
        Default: that of the study, or 1 where nothing is random.
    """

    grid: ClassVar[tuple[str, ...]] = ()  # fields with several values, which are multiplied
    libraries: ClassVar[tuple[str, ...]] = ()  # modules to import before threads are limited
    chance: ClassVar[bool] = True  # whether repeats differ
    estimate: ClassVar[Callable[[Any], float]]
    function: ClassVar[Measuring]
    check: ClassVar[Callable[[Any], None] | None] = None

    part: str
    repeats: Count | None = None

    @model_validator(mode="after")
    def _checked(self) -> Part:
        check: Any = type(self).check
        if check is not None:
            check(self)
        return self

    def settings(self) -> list[Setting]:
        """Each combination of the values of the grid."""
        lists = [listed(getattr(self, name)) for name in self.grid]
        return [dict(zip(self.grid, point, strict=True)) for point in itertools.product(*lists)]

    def parameters(self, setting: Setting) -> dict[str, Any]:
        """The arguments of the function at one point of the grid."""
        names = inspect.signature(type(self).function).parameters.keys() & type(self).model_fields
        return {name: getattr(self, name) for name in names} | setting

    def __reduce__(self) -> tuple[Any, ...]:
        """By the declaration, which is found by name in its module."""
        return _part_of, (self.__module__, type(self).__name__, self.model_dump())

    def seconds(self, setting: Setting) -> float:
        """Estimated time of one repetition on one thread."""
        return float(type(self).estimate(SimpleNamespace(**(self.__dict__ | setting))))

    def measure(self, setting: Setting, random: np.random.Generator) -> Iterable[Measure]:
        """The numbers of one setting; a ValueError becomes the status of a row without a value."""
        return type(self).function(random, **self.parameters(setting))


def _part_of(module: str, name: str, fields: dict[str, Any]) -> Part:
    """A part as another process sends it."""
    declared: Measured = getattr(importlib.import_module(module), name)
    return declared.part.model_validate(fields)


class Grid(tuple[Any, ...]):
    """The default values of a parameter that is varied."""

    __slots__ = ()


def grid(*values: Any) -> Any:
    """A default of a parameter of a part that says: varied, over these values unless a description
    has others. Without any, a description must have them.
    """
    return Grid(values)


@dataclass(frozen=True)
class Measured:
    """A function that measures, with the `Part` that descriptions have of it."""

    function: Measuring
    part: type[Part]

    def __call__(self, *args: Any, **settings: Any) -> Iterable[Measure]:
        """The numbers of one setting."""
        return self.function(*args, **settings)


def part(
    *names: str,
    seconds: Callable[[Any], float],
    libraries: Sequence[str] = (),
    chance: bool = True,
    check: Callable[[Any], None] | None = None,
) -> Callable[[Measuring], Measured]:
    """Declare a function (random, *, **settings) -> measures as a part of an experiment.

    A function with a parameter `part` gets the one of its names that is measured.

    Parameters
    ----------
    *names : str
        What descriptions call it; several where a study has several grids of it.
    seconds : callable(settings) -> float
        Estimated time of one repetition on one thread; the settings are attributes.
    libraries : sequence of str
        Modules to import before threads are limited.
    chance : bool, default True
        Whether repeats differ.
    check : callable(part), optional
        Raises ValueError for settings that do not go together.
    """

    def declared(function: Measuring) -> Measured:
        hints = get_type_hints(function, include_extras=True)
        parameters = inspect.signature(function).parameters.values()
        varied = tuple(p.name for p in parameters if isinstance(p.default, Grid))
        fields: dict[str, Any] = {"part": (Literal[names], ...)}
        for p in parameters:
            if p.name in ("random", "part"):
                continue
            kind: Any = hints[p.name]
            default = p.default
            if isinstance(default, Grid):
                kind = Annotated[tuple.__class_getitem__((kind, ...)), Field(min_length=1)]
                default = tuple(default) or ...
            fields[p.name] = (kind, ... if default is inspect.Parameter.empty else default)
        base = type(
            "DeclaredPart",
            (Part,),
            {
                "__module__": function.__module__,
                "__doc__": function.__doc__,
                "grid": varied,
                "libraries": tuple(libraries),
                "chance": chance,
                "estimate": staticmethod(seconds),
                "function": staticmethod(function),
                "check": None if check is None else staticmethod(check),
            },
        )
        return Measured(
            function,
            create_model(
                function.__name__, __base__=base, __module__=function.__module__, **fields
            ),
        )

    return declared


def nc1_on_d1(
    *, seconds: float = 0.05, libraries: Sequence[str] = ()
) -> Callable[[Constructions], Measured]:
    """Declare a function (X, y, random) -> pairs (name, result) as the part "nc1".

    Every experiment has it: NC1 of each of its constructions on D1, two classes N(-2 1, I/4) and
    N(+2 1, I/4) in d0 dimensions, which the atlas puts side by side.
    """

    def declared(constructions: Constructions) -> Measured:
        def nc1(
            random: np.random.Generator, *, d0: Count = grid(1, 8, 128), n_samples: Count = 256
        ) -> Iterable[Measure]:
            X, y = datasets.paper_d1(n_samples, d0, int(random.integers(1 << 32)))
            for name, result in constructions(X, y, random):
                yield Measure(name, "nc1", result.nc1, result.error_bound)

        nc1.__name__, nc1.__module__ = constructions.__name__, constructions.__module__
        nc1.__doc__ = constructions.__doc__
        return part("nc1", seconds=lambda _: seconds, libraries=libraries)(nc1)

    return declared


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
