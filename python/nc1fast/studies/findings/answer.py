"""`Answer`, the first screen of a report: a question, sentences that answer it, and the tables they
are computed from.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class AnswerCell:
    """One model beside the reference of its table (the first column), in one row; NaN where there
    are no such values.

    Attributes
    ----------
    nc1, low, high : float
        NC1, and the ends of its interval.
    distance, distance_low, distance_high : float
        |log NC1(model) - log NC1(reference)|, and the ends of its interval; NaN for the reference itself.
    nearest : bool
        Whether the distance is the least of its row, or cannot be told from the least.
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
