"""Infinitely wide recurrent networks beside finite ones, and their collapse along time, after arXiv
2006.10246.
"""

from __future__ import annotations

from nc1fast.studies.library.entry import experiment
from nc1fast.studies.library.recurrent_kernel.figures import draw
from nc1fast.studies.library.recurrent_kernel.findings import claims
from nc1fast.studies.library.recurrent_kernel.parts import Lengths, OneStep, RecurrentOnD1, Tied

__all__ = ["STUDY", "claims", "draw"]

STUDY = experiment(
    __package__,
    (OneStep, Tied, Lengths, RecurrentOnD1),
    claims,
    draw,
    source="Alemohammad, Wang, Balestriero & Baraniuk (2021), arXiv 2006.10246",
    question="Is the RNTK the tangent kernel of wide recurrent networks, and does it collapse along time?",
)
