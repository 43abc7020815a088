"""From a data set and a model to rows: what every kind of model shares.

A task is a kind of model of an arm, a cell its computation on one data set: `Task.compute(problem)` gives the rows.
"""

from __future__ import annotations

import math
import time
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import nc1fast as nc
from nc1fast.studies import table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from nc1fast import Collapse
    from nc1fast.studies.sources import Instance
    from nc1fast.studies.tasks.illustrations import Illustration
    from nc1fast.studies.tidy import Row

FAILED = "failed: "  # begins the status of a row whose NC1 could not be computed
# What every pass asks for: `under` gives the other conventions.
MEASURED = {"convention": "papyan", "statistics": "sums"}
Answer: TypeAlias = "Collapse | str"  # or why there is none


@dataclass(frozen=True)
class Problem:
    """A data set, drawn, and how its NC1s are asked for.

    Attributes
    ----------
    instance : Instance
        What was drawn.
    X : ndarray of shape (n_samples, n_features)
    y : ndarray of shape (n_samples,)
    repeat : int
    seed : int
        Of the data set; other random numbers of the cell derive from it.
    conventions : sequence of str
    dtype, n_threads
        Of kernel passes, as `nc1fast.collapse`.
    illustrations : sequence of Illustration
        Of this data set: they ask for series.
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
        """Whether an illustration asks for this."""
        return any(one.shows(kind, activation, self.repeat) for one in self.illustrations)

    def collapse(self, kernel: Any = None, **options: Any) -> tuple[Any, float]:
        """Answer of `nc1fast.collapse` and seconds; a reason in place of an answer where there is none."""
        settings = {"dtype": self.dtype, "n_threads": self.n_threads, **MEASURED, **options}
        return attempt(nc.collapse, self.X, self.y, kernel, **settings)


@dataclass(frozen=True)
class Outcome:
    """Rows of a cell, without the columns that name the data set: of the table, and of the series."""

    rows: list[Row] = field(default_factory=list)
    series: list[Row] = field(default_factory=list)


class Task(Protocol):
    """A kind of model of an arm.

    Attributes
    ----------
    name : str
        Tells it from the others of its arm.
    libraries : tuple of str
        Modules that it needs besides NumPy.
    chance : bool
        Whether its repeats differ on the same data.
    """

    @property
    def name(self) -> str:  # noqa: D102
        ...

    @property
    def libraries(self) -> tuple[str, ...]:  # noqa: D102
        ...

    @property
    def chance(self) -> bool:  # noqa: D102
        ...

    def n_rows(self, conventions: Sequence[str]) -> int:
        """Rows that a cell adds to the table."""
        ...

    def seconds(self, n_samples: int, n_features: int) -> float:
        """Estimate the time of a cell, on one thread."""
        ...

    def compute(self, problem: Problem) -> Outcome:
        """Compute a cell."""
        ...


def model(
    name: str,
    activation: str = "",
    depth: int = 0,
    *,
    weight_variance: str = "",
    bias_variance: str = "",
    parametrization: str = "",
    width: int = 0,
    noise: float = math.nan,
) -> Row:
    """Return the columns that name a model, but for its state."""
    return {
        "model": name,
        "activation": activation,
        "depth": depth,
        "weight_variance": weight_variance,
        "bias_variance": bias_variance,
        "parametrization": parametrization,
        "width": width,
        "noise": noise,
    }


def label(named: Row) -> str:
    """Name a model by the columns that are not empty."""
    empty = ("", 0, math.nan)  # that very NaN, which `in` finds by identity
    return " ".join(str(value) for value in named.values() if value not in empty)


def attempt(function: Callable[..., Any], *arguments: Any, **options: Any) -> tuple[Any, float]:
    """Value of the function, or the message of its ValueError, and the seconds it took."""
    start = time.perf_counter()
    outcome: Any
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", nc.AccuracyWarning)  # the table has the bounds
            outcome = function(*arguments, **options)
    except ValueError as error:
        outcome = " ".join(str(error).split())
    return outcome, time.perf_counter() - start


def measured(
    named: Row,
    answer: Answer,
    conventions: Sequence[str],
    seconds: float,
    *,
    state: str = "",
    note: str = "",
) -> list[Row]:
    """Rows of one answer, one per convention; `note` says in the status what is wrong with all of them."""
    rows = []
    for convention in conventions:
        result = answer
        if not isinstance(answer, str):
            try:
                result = answer.under(convention)
            except ValueError as error:
                result = str(error)
        columns = {"state": state, "convention": convention, "seconds": seconds}
        rows.append({**named, **columns, **numbers(result, note)})
    return rows


def numbers(result: Any, note: str = "") -> Row:
    """Columns of what was measured; of an expectation, which has no error bound, too."""
    if isinstance(result, str):
        nothing = dict.fromkeys(("nc1", "error_bound", "trace_within", "trace_between"), math.nan)
        return {**nothing, "status": f"{FAILED}{result}"}
    told = table.status(result.nc1)
    return {
        "nc1": result.nc1,
        "error_bound": getattr(result, "error_bound", math.nan),
        "trace_within": result.trace_within,
        "trace_between": result.trace_between,
        "status": told if not note else note if told == "ok" else f"{note}; {told}",
    }
