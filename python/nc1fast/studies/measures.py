"""The table of an experiment: one row is one measured number, of one thing in one setting.

Findings, figures and report of an experiment are made from this table; that of a comparison of NC1
is `nc1fast.studies.table`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from nc1fast.studies.summary import grouped
from nc1fast.studies.tidy import Column, Layout, Row

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

COLUMNS = (
    Column("part", str, "part of the study"),
    Column("thing", str, "what was measured: a kernel, a network, features, a solver"),
    Column("setting", str, "where: name=value, joined by commas and spaces"),
    Column("quantity", str, "what was measured of it; nc1 is Tr Sigma_W / Tr Sigma_B"),
    Column("repeat", int, "0, 1, ...: independent draws of one setting"),
    Column("seed", int, "of all random numbers of the draw"),
    Column("value", float, "of the quantity"),
    Column("error", float, "absolute bound on the error of value; empty where none is known", 3),
    Column("status", str, "ok, or why there is no value"),
    Column("seconds", float, "wall time of the cell that gave the row", 3),
)
LAYOUT = Layout("measures", COLUMNS)
CELL = ("part", "thing", "setting", "quantity")  # the columns that repeats share

Setting: TypeAlias = "dict[str, int | float | str]"


@dataclass(frozen=True)
class Measure:
    """One number that was measured.

    Attributes
    ----------
    thing, quantity : str
        Of what, and what; see `COLUMNS`.
    value : float
    error : float, default NaN
        Absolute bound on its error.
    at : mapping, default empty
        What is added to the setting of the cell, as the points of a curve are.
    """

    thing: str
    quantity: str
    value: float
    error: float = math.nan
    at: Mapping[str, int | float | str] | None = None


def written(setting: Mapping[str, int | float | str]) -> str:
    """A setting as the table has it: "d0=8, s=0.25"."""
    return ", ".join(f"{name}={_plain(value)}" for name, value in setting.items())


def setting_of(row: Row) -> Setting:
    """The setting of a row, numbers as numbers."""
    pairs = (pair.split("=", 1) for pair in row["setting"].split(", ") if pair)
    return {name: _value(text) for name, text in pairs}


def chosen(
    rows: Iterable[Row], quantity: str, thing: str | None = None, **setting: float | str
) -> list[Row]:
    """Rows of a quantity, of one thing or of all, with finite values, in settings that have these
    values.
    """
    return [
        row
        for row in rows
        if row["quantity"] == quantity
        and thing in (None, row["thing"])
        and math.isfinite(row["value"])
        and setting.items() <= setting_of(row).items()
    ]


def values(rows: Iterable[Row]) -> list[float]:
    """The numbers of some rows."""
    return [row["value"] for row in rows]


def along(rows: Sequence[Row], name: str) -> dict[float, list[Row]]:
    """The rows by the value of one part of their setting, ascending; rows without it are left out."""
    found: dict[float, list[Row]] = {}
    for row in rows:
        if name in (setting := setting_of(row)):
            found.setdefault(float(setting[name]), []).append(row)
    return dict(sorted(found.items()))


def by_cell(rows: Iterable[Row]) -> list[tuple[Row, list[Row]]]:
    """Groups (columns, rows) of rows that differ in their repeat alone."""
    return grouped(rows, CELL)


def _plain(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.12g}"


def _value(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
