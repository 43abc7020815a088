"""The table of an experiment: one row is one measured number, of one thing in one setting.

Claims and figures ask it for `Quantity`s, which are evaluated on the `MeasuredCell`s of a table:
the draws of one number in one setting. (A comparison of NC1 has the table of
`nc1fast.studies.table`.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from nc1fast.studies.findings import rules
from nc1fast.studies.tidy import Column, Layout, Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

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
LAYOUT = Layout("table", COLUMNS)
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
        What is added to the setting of the part, as the points of a curve are.
    """

    thing: str
    quantity: str
    value: float
    error: float = math.nan
    at: Mapping[str, int | float | str] | None = None


@dataclass(frozen=True)
class MeasuredCell:
    """The draws of one number: of one quantity of one thing in one setting.

    Attributes
    ----------
    part, thing, quantity : str
    setting : dict
    draws : dict of int to float
        The finite values, by repeat.
    errors : dict of int to float
        Absolute bounds, by repeat; 0 where none is known.
    """

    part: str
    thing: str
    quantity: str
    setting: Setting
    draws: dict[int, float] = field(default_factory=dict)
    errors: dict[int, float] = field(default_factory=dict)

    def without(self, *names: str) -> Setting:
        """The setting without some names."""
        return {name: v for name, v in self.setting.items() if name not in names}

    def place(self, *but: str) -> frozenset[tuple[str, int | float | str]]:
        """The setting without some names, as a key."""
        return frozenset(self.without(*but).items())

    def only(self, repeat: int) -> MeasuredCell:
        """One draw of the cell."""
        return replace(
            self,
            draws={k: v for k, v in self.draws.items() if k == repeat},
            errors={k: v for k, v in self.errors.items() if k == repeat},
        )

    def mean(self) -> rules.Interval:
        """The mean over the draws, with its interval."""
        return rules.mean_interval(self.draws.values())

    def geometric_mean(self) -> rules.Interval:
        """The geometric mean over the draws, all of which are positive, with its interval."""
        return rules.ratio_interval(self.draws.values())

    def mapped(self, function: Callable[[float], float]) -> MeasuredCell:
        """The cell with other numbers, whose errors are not known."""
        return replace(self, draws={k: function(v) for k, v in self.draws.items()}, errors={})

    def paired(
        self,
        other: MeasuredCell,
        function: Callable[[float, float], float],
        *,
        errors: bool = False,
    ) -> MeasuredCell:
        """function(own, other) on the draws that both have; with `errors`, bounds are added."""
        common = [k for k in self.draws if k in other.draws]
        bounds = {k: self.errors.get(k, 0.0) + other.errors.get(k, 0.0) for k in common}
        draws = {k: function(self.draws[k], other.draws[k]) for k in common}
        return replace(self, draws=draws, errors=bounds if errors else {})


def cells_of(rows: Iterable[Row]) -> list[MeasuredCell]:
    """The cells of a table with at least one finite value, in the order of the rows."""
    found: dict[tuple[str, ...], MeasuredCell] = {}
    for row in rows:
        if math.isfinite(row["value"]):
            key = tuple(row[name] for name in CELL)
            if key not in found:
                part, thing, setting, quantity = key
                found[key] = MeasuredCell(part, thing, quantity, read_setting(setting))
            found[key].draws[row["repeat"]] = row["value"]
            found[key].errors[row["repeat"]] = 0.0 if math.isnan(row["error"]) else row["error"]
    return list(found.values())


def lines(cells: Iterable[MeasuredCell], name: str) -> list[dict[Any, MeasuredCell]]:
    """Cells of one part, thing, quantity and setting but for `name`, by its value, ascending."""
    found: dict[Any, dict[Any, MeasuredCell]] = {}
    for cell in cells:
        if name in cell.setting:
            key = (cell.part, cell.thing, cell.quantity, cell.place(name))
            found.setdefault(key, {})[cell.setting[name]] = cell
    return [dict(sorted(line.items())) for line in found.values()]


def written(setting: Mapping[str, int | float | str]) -> str:
    """A setting as the table has it: "d0=8, s=0.25"."""
    return ", ".join(f"{name}={_plain(value)}" for name, value in setting.items())


def read_setting(text: str) -> Setting:
    """A setting of the table, numbers as numbers."""
    pairs = (pair.split("=", 1) for pair in text.split(", ") if pair)
    return {name: _value(value) for name, value in pairs}


def _plain(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.12g}"


def _value(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
