"""Summaries of the rows of a table: derived columns, paired rows, groups."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from nc1fast.studies.tidy import Row

T = TypeVar("T")
# The columns that name a data set, all but the repeat.
DATA = ("arm", "dataset", "N", "d0", "sizes")
# The columns that name a cell and its model: all but the repeat and the measured values.
CELL = (
    *DATA,
    "model",
    "activation",
    "depth",
    "weight_variance",
    "bias_variance",
    "parametrization",
    "width",
    "noise",
    "state",
    "convention",
)


def log10(value: float) -> float:
    """Decimal logarithm; NaN where it has none (negative, zero, infinite, NaN)."""
    return math.log10(value) if value > 0 and math.isfinite(value) else math.nan


def derived(rows: Iterable[Row]) -> list[Row]:
    """The rows with three further columns: relative_nc1, log10_nc1 and log10_relative_nc1.

    The relative NC1 is NC1 over that of the data: of the row of model "data" with the same data
    set, repeat and convention. For the convention "released" the divisor is under "probe", as in
    the released code (whose further 1e-8 in the divisor is left out). NaN where there is no such
    row, as for expectations.
    """
    rows = list(rows)
    columns = (*DATA, "repeat", "convention")
    data = {key(row, columns): row["nc1"] for row in select(rows, model="data", state="")}
    out = []
    for row in rows:
        divisor = math.nan
        if row["state"] != "theory":
            convention = "probe" if row["convention"] == "released" else row["convention"]
            divisor = data.get(key({**row, "convention": convention}, columns), math.nan)
        relative = row["nc1"] / divisor if divisor else math.nan
        logarithms = {"log10_nc1": log10(row["nc1"]), "log10_relative_nc1": log10(relative)}
        out.append({**row, "relative_nc1": relative, **logarithms})
    return out


def key(row: Row, columns: Sequence[str]) -> tuple[Any, ...]:
    """Values of the columns as a hashable tuple; NaN becomes None, which equals itself."""
    values = (row[name] for name in columns)
    return tuple(None if isinstance(v, float) and math.isnan(v) else v for v in values)


def grouped(rows: Iterable[Row], columns: Sequence[str]) -> list[tuple[Row, list[Row]]]:
    """Groups (columns, rows) of rows that agree in `columns`, in the order of their first
    appearance.
    """
    groups = grouped_by(rows, lambda row: key(row, columns))
    return [({name: members[0][name] for name in columns}, members) for _, members in groups]


def grouped_by(items: Iterable[T], value: Callable[[T], Any]) -> list[tuple[Any, list[T]]]:
    """Groups (value, items) of items for which a function has the same value, in the order of their
    first appearance.
    """
    groups: dict[Any, list[T]] = {}
    for item in items:
        groups.setdefault(value(item), []).append(item)
    return list(groups.items())


def paired(
    upper: Iterable[Row], lower: Iterable[Row], columns: Sequence[str]
) -> list[tuple[Row, list[tuple[Row, Row]]]]:
    """Pair rows that agree in `columns` and repeat, cell by cell.

    Parameters
    ----------
    upper, lower : iterable of Row
        Of several rows that agree, the first counts.
    columns : sequence of str
        The columns that name a cell: those of `CELL` in which the two sides must agree.

    Returns
    -------
    list of (cell, pairs)
        In the order of `upper`; rows without a partner are left out.
    """
    whole = (*columns, "repeat")
    lowers: dict[tuple[Any, ...], Row] = {}
    uppers: dict[tuple[Any, ...], Row] = {}
    for rows, firsts in ((lower, lowers), (upper, uppers)):
        for row in rows:
            firsts.setdefault(key(row, whole), row)
    cells = grouped((row for k, row in uppers.items() if k in lowers), columns)
    return [(cell, [(row, lowers[key(row, whole)]) for row in members]) for cell, members in cells]


def distinct(rows: Iterable[Row], column: str) -> list[Any]:
    """Values of a column in the order of their first appearance."""
    return list(dict.fromkeys(row[column] for row in rows))


def median(values: Iterable[float]) -> float:
    """Median of some numbers; NaN if there are none."""
    values = list(values)
    return statistics.median(values) if values else math.nan


def equal_classes(row: Row) -> bool:
    """Whether the classes of a row's data set have the same size."""
    return len(set(row["sizes"].split(":"))) == 1


def select(
    rows: Iterable[Row], keep: Callable[[Row], bool] | None = None, **values: Any
) -> list[Row]:
    """Rows whose columns have the given values and for which `keep`, if given, is true."""
    for name, value in values.items():
        rows = [row for row in rows if row[name] == value]
    return [row for row in rows if keep is None or keep(row)]
