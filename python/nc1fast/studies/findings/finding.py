"""Statements on the rows of a table, and the comparisons as data that they are made of.

A `Comparison` says which rows are compared, by which pairing, and how the outcome is put into
words: by `Sentence`s, templates that are filled from judged cells. It makes a `Finding` and, where
it is one of the published claims, a `Claim`, its line on the report's first screen. `Answer` is the
answer to the question of a study.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from nc1fast.studies.findings.compare import (
    ABSENT,
    CellVerdict,
    average,
    by,
    count,
    counts,
    extremes,
    ranges,
    ratio_words,
    repeats,
    subject,
    tally,
    together,
    where,
    with_ratio,
)
from nc1fast.studies.findings.rules import HOLDS, overall
from nc1fast.studies.tidy import Row
from nc1fast.support.extras import require

if TYPE_CHECKING:
    from collections.abc import Mapping
    from importlib.abc import Traversable

Cells: TypeAlias = Sequence[CellVerdict]
Rows: TypeAlias = Sequence[Row]
Evidence: TypeAlias = Callable[[Rows, Cells], list[str]]  # sentences on rows and their cells


@dataclass(frozen=True)
class Finding:
    """A statement, its verdict, and the sentences and cells behind it.

    Attributes
    ----------
    key : str
        Short name, which is an anchor in the report.
    title, claim : str
        The statement, in a few words and in full.
    verdict : str
        One of those of `nc1fast.studies.findings.rules`.
    ratio_name : str
        Name of the ratios of `cells`; empty without cells.
    sentences : tuple of str
        The evidence; every number in them is computed from the rows.
    cells : tuple of CellVerdict, default ()
    """

    key: str
    title: str
    claim: str
    verdict: str
    ratio_name: str
    sentences: tuple[str, ...]
    cells: tuple[CellVerdict, ...] = ()


@dataclass(frozen=True)
class Claim:
    """One line of the report's first screen: a published claim, its verdict and one number; the
    rest is folded.

    Attributes
    ----------
    letter : str
        Its number: A1, A2, ...
    finding : Finding
        Statement, verdict and cells.
    counts : dict of str to int
        Number of cells with each word, for the words that occur.
    number : str
        What the cells say in one line: the mean of their ratios with its interval if they are to be
        one number, and else the range of each data set.
    details : tuple of str
        Sentences: the same comparison with the released code, with shuffled labels, and why they
        differ.
    """

    letter: str
    finding: Finding
    counts: Mapping[str, int]
    number: str
    details: tuple[str, ...]


# --- comparisons as data

EACH = "{group}: {subject} {count}; {ratios}.{where}"
WORDS: dict[str, Callable[[Cells], object]] = {  # of templates, besides {group}
    "n": len,
    "n_hold": lambda cells: counts(cells).get(HOLDS, 0),
    "count": count,
    "subject": subject,
    "tally": tally,
    "average": average,
    "extremes": extremes,
    "ranges": ranges,
    "ratios": ratio_words,
    "where": where,
    "repeats": repeats,
    "scatter": lambda cells: f"{_scatter(cells):.1%}",
    "largest": lambda cells: f"{max(max(c.ratio, 1 / c.ratio) for c in with_ratio(cells)):.2g}",
    "widths": lambda cells: _values(cells, "width"),
    "depths": lambda cells: _values(cells, "depth"),
    "convention": lambda cells: cells[0].cell["convention"],
}


def tell(template: str, cells: Cells, *columns: str) -> list[str]:
    """The template filled once for each group of cells that agree in the columns."""
    groups = by(cells, *columns) if cells else []
    return [template.format_map(_Filled(members, group)) for group, members in groups]


class _Filled(dict[str, object]):
    """The words of a template, each made where it occurs."""

    def __init__(self, cells: Cells, group: str) -> None:
        super().__init__(group=group)
        self.cells = cells

    def __missing__(self, word: str) -> object:
        return WORDS[word](self.cells)


@dataclass(frozen=True)
class Sentence:
    """A template of `tell`, and the cells that fill it.

    Attributes
    ----------
    template : str
    pairing : callable(rows) -> cells, optional
        Default: the cells of the comparison itself.
    columns : tuple of str
        One sentence for each group of cells that agree in them.
    keep : callable(cell) -> bool, optional
        Which of the cells are meant.
    absent : str
        What stands in its place without cells; default: nothing.
    """

    template: str
    pairing: Callable[[Rows], list[CellVerdict]] | None = None
    columns: tuple[str, ...] = ()
    keep: Callable[[CellVerdict], bool] | None = None
    absent: str = ""

    def __call__(self, rows: Rows, cells: Cells) -> list[str]:
        """The template filled from its cells; `absent` where there are none."""
        cells = cells if self.pairing is None else self.pairing(rows)
        kept = [cell for cell in cells if self.keep is None or self.keep(cell)]
        return tell(self.template, kept, *self.columns) or [self.absent] * bool(self.absent)


@dataclass(frozen=True)
class Comparison:
    """A comparison as data.

    Attributes
    ----------
    key, title, statement, ratio : str
        As of `Finding`; `title` is a template or something that makes it.
    pairing : callable(rows) -> cells
    sentences : tuple of callable(rows, cells) -> list of str
        `Sentence`s, or functions where a template does not do.
    rows : callable(rows) -> rows, optional
        Which rows of a table are meant; default: all.
    random : bool, default False
        Whether the numbers have chance in them: the verdict is then that of their mean over all
        cells and of the cells together, and else follows from the words of the cells.
    letter, number, details
        Of a published claim: its number, the template of its line, and the folded sentences.
    """

    key: str
    title: str | Evidence
    statement: str
    ratio: str
    pairing: Callable[[Rows], list[CellVerdict]]
    sentences: tuple[Evidence, ...]
    rows: Callable[[Rows], Rows] = list
    random: bool = False
    letter: str = ""
    number: str = "{ranges}"
    details: tuple[Evidence, ...] = ()

    def judged(self, rows: Rows) -> Finding:
        """The finding; without cells it is not comparable and has no sentences."""
        rows = self.rows(rows)
        cells = self.pairing(rows)
        title = (
            Sentence(self.title, absent=self.title) if isinstance(self.title, str) else self.title
        )
        verdict = together(cells) if self.random else overall(cell.verdict for cell in cells)
        sentences = [text for one in self.sentences if cells for text in one(rows, cells)]
        return Finding(
            self.key,
            title(rows, cells)[0],
            self.statement,
            verdict,
            self.ratio,
            tuple(sentences),
            tuple(cells),
        )

    def finding(self, rows: Rows) -> Finding | None:
        """The finding; None without cells."""
        found = self.judged(rows)
        return found if found.cells else None

    def claim(self, rows: Rows) -> Claim:
        """The line of a published claim."""
        found = self.judged(rows)
        [number] = tell(self.number, found.cells) or [ABSENT]
        details = [text for one in self.details for text in one(rows, found.cells)]
        return Claim(self.letter, found, counts(found.cells), number, tuple(details))


def declared(folder: Traversable, functions: Mapping[str, Any]) -> dict[str, Comparison]:
    """The comparisons that findings.yaml in a folder describes, by their keys.

    A sentence is a text, which may be a template; `each: columns`, the verdicts of groups of cells;
    `call`, a function of rows and cells; or `say`, with `of` (a pairing), `rows` (on which), `by`
    (columns), `keep` (cells) and `absent`. Names are those of `functions`.
    """

    def pairing(name: str | None, rows: str | None = None) -> Any:
        if name is None or rows is None:
            return functions[name] if name else None
        return lambda some: functions[name](functions[rows](some))

    def sentence(given: Any) -> Evidence:
        if isinstance(given, str):
            return Sentence(given, absent="" if "{" in given else given)
        if "call" in given:
            called: Evidence = functions[given["call"]]
            return called
        return Sentence(
            given.get("say", EACH),
            pairing(given.get("of"), given.get("rows")),
            tuple(given.get("by", given.get("each", ()))),
            functions[given["keep"]] if "keep" in given else None,
            given.get("absent", ""),
        )

    def comparison(entry: dict[str, Any]) -> Comparison:
        title, paired = entry["title"], entry["pairing"]
        made = {
            "title": title if isinstance(title, str) else sentence(title),
            "pairing": pairing(paired) if isinstance(paired, str) else pairing(*paired.values()),
            "rows": functions[entry["rows"]] if "rows" in entry else list,
            "sentences": tuple(map(sentence, entry["sentences"])),
            "details": tuple(map(sentence, entry.get("details", ()))),
        }
        return Comparison(**{**entry, **made})

    text = (folder / "findings.yaml").read_text(encoding="utf-8")
    entries = require("yaml", "study").safe_load(text)
    return {entry["key"]: comparison(entry) for entry in entries}


def _values(cells: Cells, column: str) -> str:
    return ", ".join(str(value) for value in sorted({cell.cell[column] for cell in cells}))


def _scatter(cells: Cells) -> float:
    """Root of the mean variance of the log ratios within their cells."""
    logs = [[math.log(r) for r in c.ratios.values()] for c in with_ratio(cells)]
    variances = [statistics.variance(values) for values in logs if len(values) > 1]
    return math.sqrt(statistics.fmean(variances)) if variances else math.nan


# --- the answer of a study


@dataclass(frozen=True)
class AnswerCell:
    """One model beside the reference of its table (the first column), in one row; NaN where there
    are no such values.

    Attributes
    ----------
    nc1, low, high : float
        NC1, and the ends of its interval.
    distance, distance_low, distance_high : float
        |log NC1(model) - log NC1(reference)|, and the ends of its interval; NaN for the reference
        itself.
    nearest : bool
        Whether the distance is the least of its row, or not significantly above the least.
    """

    nc1: float
    low: float
    high: float
    distance: float
    distance_low: float
    distance_high: float
    nearest: bool


@dataclass(frozen=True)
class AnswerRow:
    """A row of a table: its label, as "d₀ = 8", and one cell for each column."""

    label: str
    cells: tuple[AnswerCell, ...]


@dataclass(frozen=True)
class AnswerTable:
    """One kind of data: the columns are models, the first one is the reference."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[AnswerRow, ...]


@dataclass(frozen=True)
class Answer:
    """The answer to the question of a study.

    Attributes
    ----------
    question : str
        What the study asks.
    sentences : tuple of str
        The answer; every number in them is computed from the rows, and the first can stand alone.
    tables : tuple of AnswerTable
        One for each data set.
    uncertainty : str
        What the intervals of the tables mean, and which cells they pool.
    """

    question: str
    sentences: tuple[str, ...]
    tables: tuple[AnswerTable, ...]
    uncertainty: str
