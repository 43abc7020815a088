"""Quantities: what a claim is about or a figure shows, as questions to the cells of a table."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from nc1fast.studies.measures import MeasuredCell, lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nc1fast.studies.measures import Setting

Derived: TypeAlias = Callable[[Sequence[MeasuredCell]], list[MeasuredCell]]


@dataclass(frozen=True)
class Quantity:
    """Numbers that a claim is about or a figure shows: a question to the cells of a table.

    Each method asks for something that follows from it: fewer cells, or others with the same
    settings. Cells without draws are left out.
    """

    find: Derived

    def __call__(self, cells: Sequence[MeasuredCell]) -> list[MeasuredCell]:
        """The cells that answer it."""
        return [cell for cell in self.find(cells) if cell.draws]

    def then(self, step: Derived) -> Quantity:
        """Cells that a function makes of all of these at once."""
        return Quantity(lambda cells: step(self(cells)))

    def each(self, function: Callable[[MeasuredCell], MeasuredCell]) -> Quantity:
        """A function of each cell in its place."""
        return self.then(lambda found: [function(cell) for cell in found])

    def at(self, **setting: Any) -> Quantity:
        """In settings that have these values, one of a collection, or one that a function
        accepts.
        """
        return self.then(lambda found: [c for c in found if _matches(c.setting, setting)])

    def where(self, accept: Callable[[MeasuredCell], bool]) -> Quantity:
        """The cells that a function accepts."""
        return self.then(lambda found: [c for c in found if accept(c)])

    def placed(self, **setting: float | str) -> Quantity:
        """The same cells with these values added to their settings."""
        return self.each(lambda cell: replace(cell, setting=cell.setting | setting))

    def first(self) -> Quantity:
        """The first repeat alone: of numbers that are the same in all."""
        return self.each(lambda cell: cell.only(0))

    def values(self, accept: Callable[[float], bool]) -> Quantity:
        """The draws whose number a function accepts."""
        return self.then(
            lambda found: [
                replace(c, draws={k: v for k, v in c.draws.items() if accept(v)}) for c in found
            ]
        )

    def last(self, *names: str) -> Quantity:
        """At the largest value that each of these names of the settings takes, one after
        another.
        """

        def largest(found: Sequence[MeasuredCell], name: str) -> list[MeasuredCell]:
            most = max((c.setting[name] for c in found if name in c.setting), default=None)
            return [c for c in found if c.setting.get(name) == most]

        query = self
        for name in names:
            query = query.then(partial(largest, name=name))
        return query

    def of_largest(self, name: str, among: Quantity) -> Quantity:
        """Where a name has the largest value that it takes among the cells of another quantity."""

        def kept(cells: Sequence[MeasuredCell]) -> list[MeasuredCell]:
            most = max((c.setting[name] for c in among(cells) if name in c.setting), default=None)
            return [c for c in self(cells) if c.setting.get(name) == most]

        return Quantity(kept)

    def of_first(self, *names: str, of: Quantity) -> Quantity:
        """Where names have the values of the first cell of another quantity."""

        def kept(cells: Sequence[MeasuredCell]) -> list[MeasuredCell]:
            first = next((c.setting for c in of(cells)), {})
            return [c for c in self(cells) if all(c.setting[n] == first[n] for n in names)]

        return Quantity(kept)

    def times(self, factor: Callable[[Setting], float]) -> Quantity:
        """Each number times a function of its setting."""
        return self.each(lambda cell: cell.mapped(lambda v: v * factor(cell.setting)))

    def replaced(self, function: Callable[[Setting], float]) -> Quantity:
        """A function of the setting in the place of each number."""
        return self.each(lambda cell: cell.mapped(lambda _: function(cell.setting)))

    def inverse(self) -> Quantity:
        """The inverse 1/r of each number."""
        return self.each(lambda cell: cell.mapped(lambda r: 1 / r))

    def relative_difference(self) -> Quantity:
        """|r - 1| of ratios r."""
        return self.each(lambda cell: cell.mapped(lambda r: abs(r - 1)))

    def over(self, other: Quantity, *but: str) -> Quantity:
        """Ratios to another quantity of the same repeat and setting, without the names in `but`."""
        return self._beside(other, but, lambda cell, below: cell.paired(below, _ratio))

    def over_first(self, other: Quantity, *but: str) -> Quantity:
        """Likewise ratios to the first draw of another quantity, which is the same in all."""

        def divided(cell: MeasuredCell, below: MeasuredCell) -> MeasuredCell:
            first = next(iter(below.draws.values()))
            return cell.mapped(lambda value: value / first)

        return self._beside(other, but, divided)

    def draws_where(self, other: Quantity, accept: Callable[[float], bool], *but: str) -> Quantity:
        """The draws in which a function accepts another quantity of the same repeat and setting."""

        def kept(cell: MeasuredCell, beside: MeasuredCell) -> MeasuredCell:
            chosen = [k for k, v in beside.draws.items() if accept(v)]
            return replace(cell, draws={k: v for k, v in cell.draws.items() if k in chosen})

        return self._beside(other, but, kept)

    def _beside(
        self,
        other: Quantity,
        but: Sequence[str],
        join: Callable[[MeasuredCell, MeasuredCell], MeasuredCell],
    ) -> Quantity:
        def joined(cells: Sequence[MeasuredCell]) -> list[MeasuredCell]:
            others = {cell.place(*but): cell for cell in other(cells)}
            return [
                join(cell, others[place])
                for cell in self(cells)
                if (place := cell.place(*but)) in others
            ]

        return Quantity(joined)

    def steps(self, name: str, *, difference: bool = False) -> Quantity:
        """From each value of a name of the settings to the next: ratios, or differences."""

        def stepped(line: dict[Any, MeasuredCell]) -> Iterator[MeasuredCell]:
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

        def ended(line: dict[Any, MeasuredCell]) -> Iterator[MeasuredCell]:
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

        def fitted(line: dict[Any, MeasuredCell]) -> Iterator[MeasuredCell]:
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

    def _along(
        self, name: str, made: Callable[[dict[Any, MeasuredCell]], Iterable[MeasuredCell]]
    ) -> Quantity:
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


def power(curve: Mapping[float, float]) -> float:
    """The slope of log value over log x, by least squares."""
    x, y = (np.log(list(numbers)) for numbers in (curve.keys(), curve.values()))
    return float(np.polyfit(x, y, 1)[0])


def _matches(setting: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    return all(name in setting and _is(setting[name], value) for name, value in values.items())


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
