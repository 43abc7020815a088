"""The contract between a study and what it measures: `StudyTask`, the data it is given, the rows it
gives back.

A task is one kind of model of an arm; a cell is a task on one drawn data set, and
`StudyTask.compute(data)` returns its rows. A `Section` is an entry of a description that makes
tasks. A new kind of model is a section and its task in a module of this folder, and one line in
`nc1fast.studies.tasks.SECTIONS`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

import numpy as np
from pydantic import Field

import nc1fast as nc
from nc1fast.inputs.targets import encode
from nc1fast.studies.fields import Conventions, Count, Entry, Name
from nc1fast.studies.tasks.rows import (
    LARGEST_GRAM,
    MEASURED,
    SPECTRUM_LENGTH,
    attempt,
    block_means,
    entries,
    spectrum,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from nc1fast.studies.sources import Instance
    from nc1fast.studies.tasks.rows import ModelColumns
    from nc1fast.studies.tidy import Row


Kind = Literal["training", "annealing", "sigma", "spectrum", "gram"]


class Illustration(Entry):
    """Data sets of an arm that give series, and the kinds of series; see `nc1fast.studies.table`.

    `n_samples`, `n_features` and `activation` narrow the choice. Trainings are shown of all
    repeats, everything else of the first. "gram" and "spectrum" need a Gram matrix and are left out
    beyond 2048 samples; the matrix of "sigma" is left out beyond 32 features, its spectrum is not.
    """

    show: Annotated[tuple[Kind, ...], Field(min_length=1)]
    dataset: Name
    n_samples: tuple[Count, ...] = ()
    n_features: tuple[Count, ...] = ()
    activation: tuple[str, ...] = ()

    def covers(self, instance: Instance) -> bool:
        """Whether it is about this data set."""
        return (
            self.dataset == instance.source.name
            and (not self.n_samples or instance.n_samples in self.n_samples)
            and (not self.n_features or instance.n_features in self.n_features)
        )

    def shows(self, kind: str, activation: str, repeat: int) -> bool:
        """Whether it asks for this kind of series of this activation and repeat."""
        return (
            kind in self.show
            and (not self.activation or activation in self.activation)
            and (repeat == 0 or kind == "training")
        )


@dataclass(frozen=True)
class DrawnData:
    """One drawn data set, and the settings under which its NC1 is measured.

    Attributes
    ----------
    instance : Instance
        The description from which it was drawn.
    X : ndarray of shape (n_samples, n_features)
    y : ndarray of shape (n_samples,)
    repeat : int
        0, 1, ...
    seed : int
        Of the data set; all other random numbers of the cell derive from it.
    conventions : sequence of str
        One row per convention.
    dtype, n_threads
        Of kernel passes, as in `nc1fast.collapse`.
    illustrations : sequence of Illustration
        Those that cover this data set.
    """

    instance: Instance
    X: NDArray[np.float64]
    y: NDArray[Any]
    repeat: int
    seed: int
    conventions: Sequence[str]
    dtype: str = "float64"
    n_threads: int | None = None
    illustrations: Sequence[Illustration] = ()

    def shows(self, kind: str, activation: str) -> bool:
        """Whether an illustration asks for this kind of series."""
        return any(one.shows(kind, activation, self.repeat) for one in self.illustrations)

    def gram_series(self, named: ModelColumns, kernel: Any) -> list[Row]:
        """Spectrum of a kernel and block means of its Gram matrix, each where an illustration asks
        for it.
        """
        shown = {kind for kind in ("spectrum", "gram") if self.shows(kind, named.activation)}
        if not shown or len(self.X) > LARGEST_GRAM:
            return []
        K, found = kernel(self.X), []
        if "spectrum" in shown:
            found += spectrum(named, "kernel spectrum", K, SPECTRUM_LENGTH)
        if "gram" in shown:
            found += entries(named, "gram", block_means(K, self.y))
        return found

    def targets(self, code: str) -> NDArray[np.float64]:
        """Targets of a model that learns the labels, shape (n_samples, n_outputs); `code` as in
        `inputs.targets.encode`.
        """
        labels, classes = np.unique(self.y, return_inverse=True)
        return encode(code, classes.astype(np.int32), len(labels)).values

    def collapse(self, kernel: Any = None, **options: Any) -> tuple[Any, float]:
        """Result of `nc1fast.collapse`, or the reason why there is none, and its seconds."""
        settings = {"dtype": self.dtype, "n_threads": self.n_threads, **MEASURED, **options}
        return attempt(nc.collapse, self.X, self.y, kernel, **settings)


@dataclass(frozen=True)
class Outcome:
    """Rows of one cell, still without the columns that name the data set: of the table, and of the
    series.
    """

    rows: list[Row] = field(default_factory=list)
    series: list[Row] = field(default_factory=list)


class StudyTask(Protocol):
    """One kind of model, to be measured on any data set of an arm.

    Attributes
    ----------
    name : str
        Unique within the arm; its first word is the value of the filter `task=`.
    libraries : tuple of str
        Modules to import before the number of threads is limited.
    chance : bool
        Whether repeats differ even on the same data.
    """

    @property
    def name(self) -> str:  # noqa: D102  (an attribute, see above)
        ...

    @property
    def libraries(self) -> tuple[str, ...]:  # noqa: D102
        ...

    @property
    def chance(self) -> bool:  # noqa: D102
        ...

    def n_rows(self, conventions: Sequence[str]) -> int:
        """Number of rows that one cell adds to the table."""
        ...

    def seconds(self, n_samples: int, n_features: int) -> float:
        """Estimated time of one cell on one thread; see `nc1fast.studies.describe_plan`."""
        ...

    def compute(self, data: DrawnData) -> Outcome:
        """Measure the model on one data set."""
        ...


class Section(Entry):
    """An entry of an arm that makes tasks; it may cover less than the whole arm.

    Parameters
    ----------
    datasets : list of str, default ()
        Names of the sources that it covers; all if left out.
    largest : int, optional
        Data sets with more samples are left out.
    repeats : int, optional
        At most that many; default: as the arm.
    conventions : list of str, optional
        Default: those of the arm.
    """

    datasets: tuple[Name, ...] = ()
    largest: Count | None = None
    repeats: Count | None = None
    conventions: Conventions | None = None

    def covers(self, dataset: str, n_samples: int | None) -> bool:
        """Whether a data set is covered; `n_samples` is None where only the data can tell."""
        if self.datasets and dataset not in self.datasets:
            return False
        return self.largest is None or n_samples is None or n_samples <= self.largest

    def named(self, activation: str) -> ModelColumns:
        """The columns that name the model of an activation."""
        raise NotImplementedError

    def tasks(self) -> Iterable[StudyTask]:
        """The tasks of this entry, computed for every repeat."""
        raise NotImplementedError

    def illustrating(self, shown: Sequence[Illustration]) -> Iterable[StudyTask]:
        """Further tasks, computed once, that only give the series of the illustrations."""
        del shown
        return ()


@dataclass(frozen=True)
class ModelTask:
    """One model, that of one activation of an entry: by default one NC1 per convention."""

    entry: Any  # a section
    activation: str

    chance = False

    @property
    def named(self) -> ModelColumns:
        """The columns that name the model."""
        named: ModelColumns = self.entry.named(self.activation)
        return named

    @property
    def name(self) -> str:
        """The columns that name the model."""
        return self.named.label()

    def n_rows(self, conventions: Sequence[str]) -> int:
        """Number of rows: one for each convention."""
        return len(conventions)
