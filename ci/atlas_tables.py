"""The committed table of a study of the atlas: a line for each measured number, with its values
over the repeats.

It is written in the fullest form that is small enough: if need be with cells that refer to those
above; then with one error a line, the largest; then with fewer digits, part by part, which must
leave every word and number of the claims as they are; then with fewer repeats, which must leave
every verdict.
"""

from __future__ import annotations

import csv
import io
import itertools
import math
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from decimal import ROUND_UP, Context
from typing import TYPE_CHECKING, Any

from nc1fast.studies.findings.rules import FEWEST
from nc1fast.studies.measures import CELL
from nc1fast.studies.summary import distinct, grouped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from nc1fast.studies.findings.finding import Claim
    from nc1fast.studies.tidy import Row

    Judge = Callable[[Sequence[Row]], list[Claim]]

LIMIT = 200_000  # bytes
COLUMNS = (*CELL, "status", "repeats", "values", "errors")
_DIGITS = (6, 9, 12)
_DITTO = "="


@dataclass(frozen=True)
class Form:
    """How full a table is.

    Attributes
    ----------
    digits : dict of str to int
        Significant digits of the values of some parts; of the others as many as read back to the
        same bits.
    repeats : int or None
        How many of each number; None: all.
    largest : bool
        Whether a line has one error, the largest, rounded up to two digits, and not one for each
        repeat.
    ditto : bool
        Whether a cell before the values is "=" where the one above says the same.
    """

    digits: dict[str, int] = field(default_factory=dict)
    repeats: int | None = None
    largest: bool = False
    ditto: bool = False

    def told(self, n_repeats: int) -> str:
        """What was left out, in words; empty for a table that has it all."""
        told = []
        if self.repeats is not None:
            told.append(f"the first {self.repeats} of up to {n_repeats} repeats")
        for digits in sorted(set(self.digits.values())):
            parts = ", ".join(part for part, some in self.digits.items() if some == digits)
            told.append(f"values of the parts {parts} to {digits} digits")
        if self.largest:
            told.append("of each number the largest error bound, rounded up to two digits")
        if self.ditto:
            told.append(f"{_DITTO} stands for the cell above")
        return "; ".join(told)


WHOLE = Form()


def written(rows: Sequence[Row], form: Form = WHOLE) -> str:
    """The rows as CSV text."""
    if form.repeats is not None:
        rows = [row for row in rows if row["repeat"] < form.repeats]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    above: list[str] = []
    for line, members in grouped(_numbered(rows), (*CELL, "status", "again")):
        found = [(row["repeat"], row["value"], row["error"]) for row in members]
        repeats, values, errors = zip(*found, strict=True)
        digits = form.digits.get(line["part"])
        own = [*(line[name] for name in COLUMNS[:-3]), _spans(repeats)]
        pairs = itertools.zip_longest(own, above)
        told = [_DITTO if form.ditto and cell == over else cell for cell, over in pairs]
        writer.writerow([*told, _joined(values, digits), _errors(errors, form)])
        above = own
    return buffer.getvalue()


def read(text: str) -> list[Row]:
    """The rows of a table; their seeds and times are not in it.

    Raises
    ------
    ValueError
        For other columns, and for a line with more or fewer values than repeats.
    """
    reader = csv.DictReader(io.StringIO(text))
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise ValueError(f"the columns must be {', '.join(COLUMNS)}")
    rows: list[Row] = []
    above: dict[str, str] = {}
    for line in reader:
        above = {
            name: above.get(name, cell) if cell == _DITTO else cell for name, cell in line.items()
        }
        rows += _expanded(above)
    return rows


def fitted(rows: Sequence[Row], judge: Judge, limit: int = LIMIT) -> tuple[str, Form]:
    """The text and form of the fullest table below a number of bytes with the same claims.

    Raises
    ------
    ValueError
        If there is none.
    """
    if _size(rows, WHOLE) < limit:
        return written(rows, WHOLE), WHOLE
    verdicts = _verdicts(judge(rows))
    for repeats in _fewer(1 + max(row["repeat"] for row in rows)):
        whole = Form(repeats=repeats, largest=repeats is not None, ditto=True)
        shortest = replace(
            whole, digits=dict.fromkeys(distinct(rows, "part"), min(_DIGITS)), largest=True
        )
        if _size(rows, shortest) >= limit:
            continue
        claims = judge(read(written(rows, whole)))
        if _verdicts(claims) != verdicts:
            continue
        for form in _shorter(rows, whole, judge, claims):
            if _size(rows, form) < limit:
                return written(rows, form), form
    raise ValueError(f"no form of the table is below {limit} bytes and has the same verdicts")


def _fewer(most: int) -> Iterator[int | None]:
    """All repeats, then a tenth less each time."""
    yield None
    while most > FEWEST:
        most = max(FEWEST, most * 9 // 10)
        yield most


def _shorter(
    rows: Sequence[Row], form: Form, judge: Judge, claims: Sequence[Claim]
) -> Iterator[Form]:
    """The form, and shorter ones that leave every word and number of the claims: one error a line,
    then fewer digits, part by part.
    """
    yield form
    told = _sentences(claims)

    def agrees(other: Form) -> bool:
        return bool(_sentences(judge(read(written(rows, other)))) == told)

    form = replace(form, largest=True)
    if not agrees(form):
        return
    yield form
    for part in distinct(rows, "part"):
        shorter = (replace(form, digits={**form.digits, part: digits}) for digits in _DIGITS)
        form = next(filter(agrees, shorter), form)
        yield form


def _size(rows: Sequence[Row], form: Form) -> int:
    return len(written(rows, form).encode())


def as_json(form: Form) -> dict[str, Any]:
    """A form for the file that tells the origin of a table."""
    return asdict(form)


def _verdicts(claims: Iterable[Claim]) -> Any:
    return [(claim.letter, claim.finding.verdict) for claim in claims]


def _sentences(claims: Iterable[Claim]) -> Any:
    return [(claim.finding, dict(claim.counts), claim.number, claim.details) for claim in claims]


def _numbered(rows: Iterable[Row]) -> Iterator[Row]:
    """Rows with how often their number was measured before on the same repeat."""
    seen: Counter[tuple[Any, ...]] = Counter()
    for row in rows:
        place = tuple(row[name] for name in (*CELL, "status", "repeat"))
        yield {**row, "again": seen[place]}
        seen[place] += 1


def _expanded(line: dict[str, str]) -> Iterator[Row]:
    repeats = [*_repeats(line["repeats"])]
    values, errors = ([float(text) for text in line[name].split()] for name in ("values", "errors"))
    errors = errors if len(errors) > 1 else (errors or [math.nan]) * len(repeats)
    if not len(repeats) == len(values) == len(errors):
        raise ValueError(f"{line['thing']}, {line['setting']}: not one value for each repeat")
    for repeat, value, error in zip(repeats, values, errors, strict=True):
        told = {name: line[name] for name in (*CELL, "status")}
        yield {**told, "repeat": repeat, "seed": 0, "value": value, "error": error, "seconds": 0.0}


def _joined(values: Iterable[float], digits: int | None) -> str:
    return " ".join(repr(float(v)) if digits is None else f"{v:.{digits}g}" for v in values)


def _errors(errors: Sequence[float], form: Form) -> str:
    """Nothing where none is known."""
    known = [error for error in errors if not math.isnan(error)]
    if not known:
        return ""
    if form.largest and len(known) == len(errors):
        return _up(max(known))
    return _joined(errors, None)


def _up(value: float) -> str:
    if value == 0 or math.isinf(value):
        return f"{value:g}"
    return f"{Context(prec=2, rounding=ROUND_UP).create_decimal_from_float(value):e}"


def _spans(repeats: Sequence[int]) -> str:
    """Ascending runs of numbers: "0-5 7"."""
    runs = itertools.groupby(enumerate(repeats), lambda pair: pair[1] - pair[0])
    ends = ([repeat for _, repeat in run] for _, run in runs)
    return " ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in ends)


def _repeats(text: str) -> Iterator[int]:
    for run in text.split():
        first, _, last = run.partition("-")
        yield from range(int(first), int(last or first) + 1)
