"""Claims about the collapse of shallow networks, judged on the measures.

NC1 spans orders of magnitude: the interval of a cell is that of the mean logarithm over its draws.
"""

from __future__ import annotations

import itertools
import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from nc1fast.studies.findings.measured import (
    Range,
    apart,
    claim,
    judged,
    of_interval,
    span,
    words_of,
)
from nc1fast.studies.findings.rules import ratio_interval
from nc1fast.studies.library.shallow_collapse.parts import (
    ACCURACY,
    CLASSES,
    DATA,
    ERROR,
    FIRST,
    NC1,
    NETS,
    NOISE,
    ROWS,
    THREE,
    TWO,
)
from nc1fast.studies.measures import chosen, setting_of, values

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nc1fast.studies.findings import Claim
    from nc1fast.studies.findings.measured import Judged
    from nc1fast.studies.findings.rules import Interval
    from nc1fast.studies.tidy import Row

_COLLAPSED, _NOT, _DEEP = Range(high=1e-2), Range(low=0.3), Range(high=0.05)
_ALIKE, _TENTH = Range(math.exp(-0.3), math.exp(0.3)), Range(high=0.1)
_RISES, _FALLS = Range(low=1.0), Range(high=1.0)
_BAD = Range(high=0.7)  # accuracy; that of chance is 1/3


class _ShallowPlace(NamedTuple):
    """A cell; the width of the first layer is 0 for data."""

    d: float
    sigma: float
    rows: float
    width: float

    @property
    def told(self) -> str:
        """Where it is, for sentences: d, sigma, rows, and the width of networks."""
        told = f"d = {self.d:g}, sigma = {self.sigma:g}, {self.rows:g} rows a class"
        return told + (f", width {self.width:g}" if self.width else "")

    @property
    def wide(self) -> bool:
        """Whether there are as many features as samples."""
        return self.d >= CLASSES * self.rows

    @property
    def narrow(self) -> bool:
        """Whether there are at least four samples for each feature."""
        return 4 * self.d <= CLASSES * self.rows


@dataclass(frozen=True)
class _ShallowCell:
    """The positive values of a cell by its repeats."""

    where: _ShallowPlace
    draws: dict[int, float]

    @property
    def mean(self) -> Interval:
        """The geometric mean of the draws."""
        return ratio_interval(self.draws.values())

    @property
    def middle(self) -> float:
        """The geometric mean of the draws without its interval."""
        return self.mean.middle

    def judged(self, what: str, allowed: Range) -> Judged:
        """Whether the geometric mean of `what` is in a range."""
        return f"{what} at {self.where.told}", of_interval(self.mean, allowed), self.mean

    def over(self, other: _ShallowCell) -> _ShallowCell:
        """Ratios of the values of two cells, repeat by repeat."""
        common = self.draws.keys() & other.draws.keys()
        return _ShallowCell(self.where, {k: self.draws[k] / other.draws[k] for k in sorted(common)})


def claims(rows: Sequence[Row]) -> list[Claim]:
    """Two layers by data and width; three layers; generalization."""
    return [
        _two(rows),
        _by_data(rows),
        _width(rows),
        _three(rows),
        _first(rows),
        _error(rows),
        _bad(rows),
    ]


def _cells(rows: Iterable[Row], part: str, thing: str, quantity: str = NC1) -> list[_ShallowCell]:
    """The cells of a part, in the order d, sigma, rows, width."""
    found: dict[_ShallowPlace, dict[int, float]] = {}
    for row in chosen(rows, quantity, thing):
        at = setting_of(row)
        if row["part"] == part and row["value"] > 0:
            numbers = (float(at.get(name, 0)) for name in _ShallowPlace._fields)
            found.setdefault(_ShallowPlace(*numbers), {})[row["repeat"]] = row["value"]
    return [_ShallowCell(where, draws) for where, draws in sorted(found.items())]


def _steps(cells: Iterable[_ShallowCell], name: str) -> list[_ShallowCell]:
    """Ratios of each cell to that of the next smaller value of `name`, all else alike."""
    lines: dict[_ShallowPlace, list[_ShallowCell]] = {}
    for cell in cells:
        lines.setdefault(cell.where._replace(**{name: 0}), []).append(cell)
    return [b.over(a) for line in lines.values() for a, b in itertools.pairwise(line)]


def _open(rows: Sequence[Row]) -> dict[_ShallowPlace, _ShallowCell]:
    """Cells of two layers that do not collapse, whatever their d."""
    cells = _cells(rows, NETS, TWO)
    return {cell.where: cell for cell in cells if cell.middle > _NOT.low}


def _span(cells: Sequence[_ShallowCell]) -> str:
    """The geometric means: "from .4 to .6"."""
    return span([cell.middle for cell in cells], 2)


def _told(cells: Sequence[_ShallowCell], start: str) -> list[str]:
    """A sentence for each d: medians over the draws, and where, as far as the cells differ."""
    kinds = {"sigma": "sigma {:g}", "rows": "{:g} rows a class", "width": "width {:g}"}
    differing = [name for name in kinds if len({getattr(c.where, name) for c in cells}) > 1]
    sentences = []
    for d, some in itertools.groupby(cells, lambda cell: cell.where.d):
        told = []
        for cell in some:
            place = ", ".join(kinds[name].format(getattr(cell.where, name)) for name in differing)
            middle = f"{statistics.median(cell.draws.values()):.2g}"
            told.append(f"{middle} ({place})" if place else middle)
        sentences.append(f"{start}, d = {d:g}: {'; '.join(told)}.")
    return sentences


def _two(rows: Sequence[Row]) -> Claim:
    cells = _cells(rows, NETS, TWO)
    wide = [cell for cell in cells if cell.where.wide]
    narrow = [cell for cell in cells if cell.where.narrow and cell.where.sigma >= 1]
    found = [cell.judged("NC1", _COLLAPSED) for cell in wide]
    found += [cell.judged("NC1", _NOT) for cell in narrow]
    return claim(
        "SC1",
        "Two layers collapse or not by dimension, sample size and SNR",
        "Networks of two layers collapse (NC1 < .01) with d >= N features of N rows, at every sigma; with d <= N/4 and sigma >= 1 "
        "they do not (NC1 > .3). (The thresholds are ours.)",
        words_of(found),
        f"NC1 {_span(wide)} with d >= N, {_span(narrow)} with d <= N/4",
        [
            *apart(found),
            *_told(_cells(rows, NETS, DATA), "Data, median NC1"),
            *_told(cells, "Two layers, median NC1"),
        ],
    )


def _by_data(rows: Sequence[Row]) -> Claim:
    more = _steps(_cells(rows, ROWS, TWO), "rows")
    louder = _steps((c for c in _cells(rows, NETS, TWO) if not c.where.wide), "sigma")
    found = [step.judged("ratio", _RISES) for step in (*more, *louder)]
    return claim(
        "SC2",
        "More rows and more noise stand against collapse",
        "At a fixed d, NC1 of two layers rises with the number of rows, and below d = N with sigma.",
        words_of(found),
        f"NC1 over that of the next smaller number of rows {_span(more)}, of the next smaller sigma {_span(louder)}",
        [*apart(found), *_told(_cells(rows, ROWS, TWO), "Two layers, median NC1")],
    )


def _width(rows: Sequence[Row]) -> Claim:
    ratios = _steps(_open(rows).values(), "width")
    found = [ratio.judged("ratio", _ALIKE) for ratio in ratios]
    return claim(
        "SC3",
        "Width does not decide whether two layers collapse",
        "Where networks of two layers do not collapse (NC1 > .3), |log NC1(width 256)/NC1(width 64)| < .3.",
        words_of(found),
        f"NC1 of the wider over that of the narrower {_span(ratios)}",
        apart(found),
    )


def _three(rows: Sequence[Row]) -> Claim:
    cells, beside = _cells(rows, NETS, THREE), _open(rows)
    found, ratios = [], []
    for cell in cells:
        if cell.where.wide:
            found.append(cell.judged("NC1", _COLLAPSED))
        elif cell.where.sigma <= 1:
            found.append(cell.judged("NC1", _DEEP))
        if cell.where in beside:
            ratios.append(cell.over(beside[cell.where]))
    found += [ratio.judged("ratio", _TENTH) for ratio in ratios]
    return claim(
        "SC4",
        "Three layers collapse where two do not",
        "Networks of three layers, the first wide, collapse: NC1 < .01 with d >= N, < .05 below at sigma <= 1, and less than a "
        "tenth of that of two layers of the same first width where these do not collapse.",
        words_of(found),
        f"NC1 {_span(cells)}; over that of two layers that do not collapse {_span(ratios)}",
        [*apart(found), *_told(cells, "Three layers, median NC1")],
    )


def _first(rows: Sequence[Row]) -> Claim:
    cells = _cells(rows, FIRST, THREE)
    ratios = _steps(cells, "width")
    found = [ratio.judged("ratio", _FALLS) for ratio in ratios]
    widest = max((cell.where.width for cell in cells), default=0)
    found += [cell.judged("NC1", _DEEP) for cell in cells if cell.where.width == widest]
    return claim(
        "SC5",
        "Three layers need a wide first one",
        "NC1 of three layers falls with the width of the first, to below .05 at the largest.",
        words_of(found),
        f"NC1 {_span(cells)}; over that of the next narrower first layer {_span(ratios)}",
        [*apart(found), *_told(cells, "Three layers, median NC1")],
    )


def _error(rows: Sequence[Row]) -> Claim:
    ratios: list[_ShallowCell] = []
    sentences: list[str] = []
    for thing in (TWO, THREE):
        cells = _cells(rows, NETS, thing)
        large = {cell.where.d for cell in cells if not cell.middle < _COLLAPSED.high}
        errors = [c for c in _cells(rows, NETS, thing, ERROR) if c.where.d not in large]
        ratios += _steps(errors, "sigma")
        for quantity in (ERROR, ACCURACY):
            told = [c for c in _cells(rows, NETS, thing, quantity) if c.where.d not in large]
            sentences += _told(told, f"Networks of {thing}, median {quantity}")
    found = [ratio.judged("ratio", _RISES) for ratio in ratios]
    return claim(
        "SC6",
        "Generalization follows the SNR under collapse",
        "In dimensions where NC1 < .01 at every sigma, the test error rises with sigma all the same.",
        words_of(found),
        f"test error over that of the next smaller sigma {_span(ratios)}",
        [*apart(found), *sentences],
    )


def _bad(rows: Sequence[Row]) -> Claim:
    cells = _cells(rows, NOISE, THREE)
    right = [row for row in chosen(rows, ACCURACY, THREE) if row["part"] == NOISE]
    middle = f"{statistics.fmean(values(right)):.3g}" if right else "not measured"
    found = [*(cell.judged("NC1", _COLLAPSED) for cell in cells), *judged(right, _BAD)]
    return claim(
        "SC7",
        "Collapse with bad generalization",
        "At a low SNR (sigma = 8) networks of three layers collapse (NC1 < .01), and their test accuracy is below .7.",
        words_of(found),
        f"NC1 {_span(cells)}, mean test accuracy {middle} (chance: {1 / CLASSES:.2g})",
        apart(found),
    )
