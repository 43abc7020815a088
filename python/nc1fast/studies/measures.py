"""The table of an experiment: one row is one measured number, of one thing in one setting.

Claims and figures ask it for `Quantity`s, which are evaluated on the `Cell`s of a table: the draws
of one number in one setting. (A comparison of NC1 has the table of `nc1fast.studies.table`.)
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from nc1fast.studies.findings import rules
from nc1fast.studies.tidy import Column, Layout, Row

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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
Derived: TypeAlias = "Callable[[Sequence[Cell]], list[Cell]]"


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
class Cell:
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

    def only(self, repeat: int) -> Cell:
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

    def mapped(self, function: Callable[[float], float]) -> Cell:
        """The cell with other numbers, whose errors are not known."""
        return replace(self, draws={k: function(v) for k, v in self.draws.items()}, errors={})

    def paired(
        self, other: Cell, function: Callable[[float, float], float], *, errors: bool = False
    ) -> Cell:
        """function(own, other) on the draws that both have; with `errors`, bounds are added."""
        common = [k for k in self.draws if k in other.draws]
        bounds = {k: self.errors.get(k, 0.0) + other.errors.get(k, 0.0) for k in common}
        draws = {k: function(self.draws[k], other.draws[k]) for k in common}
        return replace(self, draws=draws, errors=bounds if errors else {})


@dataclass(frozen=True)
class Quantity:
    """Numbers that a claim is about or a figure shows: a question to the cells of a table.

    Each method asks for something that follows from it: fewer cells, or others with the same
    settings. Cells without draws are left out.
    """

    find: Derived

    def __call__(self, cells: Sequence[Cell]) -> list[Cell]:
        """The cells that answer it."""
        return [cell for cell in self.find(cells) if cell.draws]

    def then(self, step: Derived) -> Quantity:
        """What a function makes of all its cells at once."""
        return Quantity(lambda cells: step(self(cells)))

    def at(self, **setting: Any) -> Quantity:
        """In settings that have these values, one of a collection, or one that a function accepts."""
        return self.then(lambda found: [c for c in found if _matches(c.setting, setting)])

    def where(self, accept: Callable[[Cell], bool]) -> Quantity:
        """The cells that a function accepts."""
        return self.then(lambda found: [c for c in found if accept(c)])

    def placed(self, **setting: float | str) -> Quantity:
        """The same cells with these values added to their settings."""
        return self.then(lambda found: [replace(c, setting=c.setting | setting) for c in found])

    def first(self) -> Quantity:
        """The first repeat alone: of numbers that are the same in all."""
        return self.then(lambda found: [c.only(0) for c in found])

    def values(self, accept: Callable[[float], bool]) -> Quantity:
        """The draws whose number a function accepts."""
        return self.then(
            lambda found: [
                replace(c, draws={k: v for k, v in c.draws.items() if accept(v)}) for c in found
            ]
        )

    def last(self, *names: str) -> Quantity:
        """At the largest value that each of these names of the settings takes, one after another."""

        def largest(found: list[Cell], name: str) -> list[Cell]:
            most = max((c.setting[name] for c in found if name in c.setting), default=None)
            return [c for c in found if c.setting.get(name) == most]

        query = self
        for name in names:
            query = query.then(lambda found, name=name: largest(found, name))
        return query

    def of_largest(self, name: str, among: Quantity) -> Quantity:
        """Where a name has the largest value that it takes among the cells of another quantity."""

        def kept(cells: Sequence[Cell]) -> list[Cell]:
            most = max((c.setting[name] for c in among(cells) if name in c.setting), default=None)
            return [c for c in self(cells) if c.setting.get(name) == most]

        return Quantity(kept)

    def of_first(self, *names: str, of: Quantity) -> Quantity:
        """Where names have the values of the first cell of another quantity."""

        def kept(cells: Sequence[Cell]) -> list[Cell]:
            first = next((c.setting for c in of(cells)), {})
            return [c for c in self(cells) if all(c.setting[n] == first[n] for n in names)]

        return Quantity(kept)

    def times(self, factor: Callable[[Setting], float]) -> Quantity:
        """Each number times a function of its setting."""
        return self.then(
            lambda found: [c.mapped(lambda v, c=c: v * factor(c.setting)) for c in found]
        )

    def replaced(self, function: Callable[[Setting], float]) -> Quantity:
        """A function of the setting in the place of each number."""
        return self.then(
            lambda found: [c.mapped(lambda _, c=c: function(c.setting)) for c in found]
        )

    def inverse(self) -> Quantity:
        """1/r of each number."""
        return self.then(lambda found: [c.mapped(lambda r: 1 / r) for c in found])

    def relative_difference(self) -> Quantity:
        """|r - 1| of ratios r."""
        return self.then(lambda found: [c.mapped(lambda r: abs(r - 1)) for c in found])

    def over(self, other: Quantity, *but: str) -> Quantity:
        """Ratios to another quantity of the same repeat and setting, without the names in `but`."""
        return self._beside(other, but, lambda cell, below: cell.paired(below, _ratio))

    def over_first(self, other: Quantity, *but: str) -> Quantity:
        """Likewise ratios to the first draw of another quantity, which is the same in all."""

        def divided(cell: Cell, below: Cell) -> Cell:
            first = next(iter(below.draws.values()))
            return cell.mapped(lambda value: value / first)

        return self._beside(other, but, divided)

    def draws_where(self, other: Quantity, accept: Callable[[float], bool], *but: str) -> Quantity:
        """The draws in which a function accepts another quantity of the same repeat and setting."""

        def kept(cell: Cell, beside: Cell) -> Cell:
            chosen = [k for k, v in beside.draws.items() if accept(v)]
            return replace(cell, draws={k: v for k, v in cell.draws.items() if k in chosen})

        return self._beside(other, but, kept)

    def _beside(
        self, other: Quantity, but: Sequence[str], join: Callable[[Cell, Cell], Cell]
    ) -> Quantity:
        def joined(cells: Sequence[Cell]) -> list[Cell]:
            others = {cell.place(*but): cell for cell in other(cells)}
            return [
                join(cell, others[place])
                for cell in self(cells)
                if (place := cell.place(*but)) in others
            ]

        return Quantity(joined)

    def steps(self, name: str, *, difference: bool = False) -> Quantity:
        """From each value of a name of the settings to the next: ratios, or differences."""

        def stepped(line: dict[Any, Cell]) -> Iterator[Cell]:
            for low, high in itertools.pairwise(line.values()):
                yield (
                    high.paired(low, _difference, errors=True)
                    if difference
                    else high.paired(low, _ratio)
                )

        return self._along(name, stepped)

    def ends(
        self,
        name: str,
        start: Callable[[Any], Any] = lambda last: None,
        *,
        difference: bool = False,
    ) -> Quantity:
        """From the smallest value of a name, or `start` of the largest one, to the largest."""

        def ended(line: dict[Any, Cell]) -> Iterator[Cell]:
            most = max(line)
            before = start(most)
            before = min(line) if before is None else before
            if before != most and before in line:
                high, low = line[most], line[before]
                yield (
                    high.paired(low, _difference, errors=True)
                    if difference
                    else high.paired(low, _ratio)
                )

        return self._along(name, ended)

    def power(self, name: str) -> Quantity:
        """The exponent p of value = c x^p along a name x, fitted to the logarithms of each draw."""

        def fitted(line: dict[Any, Cell]) -> Iterator[Cell]:
            draws: dict[int, dict[float, float]] = {}
            for x, cell in line.items():
                for repeat, value in cell.draws.items():
                    draws.setdefault(repeat, {})[float(x)] = value
            found = {
                k: power(curve)
                for k, curve in draws.items()
                if len(curve) > 1 and min(curve.values()) > 0
            }
            first = next(iter(line.values()))
            yield replace(first, setting=first.without(name), draws=found, errors={})

        return self._along(name, fitted)

    def _along(self, name: str, made: Callable[[dict[Any, Cell]], Iterable[Cell]]) -> Quantity:
        return self.then(lambda found: [one for line in lines(found, name) for one in made(line)])


def measured(
    quantity: str, *things: str, part: str | Collection[str] = (), **setting: Any
) -> Quantity:
    """A quantity of one thing, of several or of all, in settings that have these values.

    Parameters
    ----------
    quantity, *things : str
    part : str or collection of str, optional
        Of these parts of the study alone.
    **setting : object
        As of `Quantity.at`.
    """
    parts = (part,) if isinstance(part, str) else part
    return Quantity(
        lambda cells: [
            c
            for c in cells
            if c.quantity == quantity
            and (not things or c.thing in things)
            and (not parts or c.part in parts)
            and _matches(c.setting, setting)
        ]
    )


def together(*quantities: Quantity) -> Quantity:
    """The cells of several quantities."""
    return Quantity(lambda cells: [one for query in quantities for one in query(cells)])


def cells_of(rows: Iterable[Row]) -> list[Cell]:
    """The cells of a table with at least one finite value, in the order of the rows."""
    found: dict[tuple[str, ...], Cell] = {}
    for row in rows:
        if math.isfinite(row["value"]):
            key = tuple(row[name] for name in CELL)
            if key not in found:
                part, thing, setting, quantity = key
                found[key] = Cell(part, thing, quantity, read_setting(setting))
            found[key].draws[row["repeat"]] = row["value"]
            found[key].errors[row["repeat"]] = 0.0 if math.isnan(row["error"]) else row["error"]
    return list(found.values())


def lines(cells: Iterable[Cell], name: str) -> list[dict[Any, Cell]]:
    """Cells of one part, thing, quantity and setting but for `name`, by its value, ascending."""
    found: dict[Any, dict[Any, Cell]] = {}
    for cell in cells:
        if name in cell.setting:
            key = (cell.part, cell.thing, cell.quantity, cell.place(name))
            found.setdefault(key, {})[cell.setting[name]] = cell
    return [dict(sorted(line.items())) for line in found.values()]


def power(curve: Mapping[float, float]) -> float:
    """The slope of log value over log x, by least squares."""
    import numpy as np

    x, y = (np.log(list(numbers)) for numbers in (curve.keys(), curve.values()))
    return float(np.polyfit(x, y, 1)[0])


def written(setting: Mapping[str, int | float | str]) -> str:
    """A setting as the table has it: "d0=8, s=0.25"."""
    return ", ".join(f"{name}={_plain(value)}" for name, value in setting.items())


def read_setting(text: str) -> Setting:
    """A setting of the table, numbers as numbers."""
    pairs = (pair.split("=", 1) for pair in text.split(", ") if pair)
    return {name: _value(value) for name, value in pairs}


def _matches(setting: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return all(name in setting and _is(setting[name], value) for name, value in wanted.items())


def _is(value: Any, allowed: Any) -> bool:
    if callable(allowed):
        return bool(allowed(value))
    if isinstance(allowed, Collection) and not isinstance(allowed, str):
        return value in allowed
    return bool(value == allowed)


def _ratio(own: float, other: float) -> float:
    return own / other


def _difference(own: float, other: float) -> float:
    return own - other


def _plain(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.12g}"


def _value(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
