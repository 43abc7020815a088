"""The published comparison of arXiv 2406.02105: presets quick and paper, its claims, and the figure
of counter-examples.
"""

from __future__ import annotations

from importlib import resources

from nc1fast.studies.library.entry import BuiltIn
from nc1fast.studies.library.paper.comparisons import claims, findings, sections
from nc1fast.studies.library.paper.figures import draw
from nc1fast.studies.library.paper.question import answer

__all__ = ["STUDY", "answer", "claims", "draw", "findings", "sections"]

STUDY = BuiltIn(
    resources.files(__package__),
    claims,
    sections,
    draw,
    answer,
    source="Neural collapse of kernels, arXiv 2406.02105",
    question="Can kernel methods explain how the data affects neural collapse?",
)
