"""Finite networks beside infinite ones, after Lee et al. (2020), arXiv 2007.15801."""

from __future__ import annotations

from nc1fast.studies.library.entry import experiment
from nc1fast.studies.library.finite_infinite.figures import draw
from nc1fast.studies.library.finite_infinite.findings import claims
from nc1fast.studies.library.finite_infinite.parts import (
    Broken,
    EarlyStopping,
    FiniteInfiniteOnD1,
    Precision,
    Widths,
)

__all__ = ["STUDY", "claims", "draw"]

STUDY = experiment(
    __package__,
    (Widths, Broken, EarlyStopping, Precision, FiniteInfiniteOnD1),
    claims,
    draw,
    source="Lee et al. (2020), arXiv 2007.15801",
    question="Where do finite networks do as infinite ones, and what breaks the correspondence?",
)
