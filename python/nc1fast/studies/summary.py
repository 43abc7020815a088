"""Means over the repeats of a cell: what the figures draw and the report prints."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from nc1fast.studies.table import Row

# The columns that name a cell and its kernel: everything but the repeat and what was measured.
CELL = (
    "arm",
    "dataset",
    "source",
    "N",
    "d0",
    "sizes",
    "scale",
    "kernel",
    "activation",
    "depth",
    "weight_variance",
    "bias_variance",
    "parametrization",
    "convention",
    "dtype",
)


@dataclass(frozen=True)
class Summary:
    """One cell and kernel over its repeats.

    Attributes
    ----------
    cell : dict
        The columns of `CELL`.
    n, n_undefined : int
        Repeats with and without a value (a logarithm of a value that is not positive, for example).
    mean, deviation : float
        Of the repeats with a value; the standard deviation divides by n. NaN for n = 0.
    """

    cell: Row
    n: int
    n_undefined: int
    mean: float
    deviation: float


def summarise(rows: Iterable[Row], column: str) -> list[Summary]:
    """Mean and standard deviation of a column over the repeats, cells in the order of the table."""
    out = []
    for cell, members in grouped(rows, CELL):
        values = [row[column] for row in members if math.isfinite(row[column])]
        mean = statistics.fmean(values) if values else math.nan
        deviation = statistics.pstdev(values, mean) if values else math.nan
        out.append(Summary(cell, len(values), len(members) - len(values), mean, deviation))
    return out


def grouped(rows: Iterable[Row], columns: Sequence[str]) -> list[tuple[Row, list[Row]]]:
    """Rows that agree in `columns`, in the order of their first appearance."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in columns), []).append(row)
    return [(dict(zip(columns, key, strict=True)), members) for key, members in groups.items()]


def distinct(rows: Iterable[Row], column: str) -> list[Any]:
    """Values of a column in the order of their first appearance."""
    return list(dict.fromkeys(row[column] for row in rows))


def median(values: Iterable[float]) -> float:
    """Median; NaN of nothing."""
    values = list(values)
    return statistics.median(values) if values else math.nan


def equal_classes(row: Row) -> bool:
    """Whether the classes of a row's data set have the same size."""
    return len(set(row["sizes"].split(":"))) == 1


def select(
    rows: Iterable[Row], keep: Callable[[Row], bool] | None = None, **values: Any
) -> list[Row]:
    """Rows whose columns have the given values, and that `keep` keeps."""
    return [
        row
        for row in rows
        if all(row[name] == value for name, value in values.items()) and (keep is None or keep(row))
    ]
