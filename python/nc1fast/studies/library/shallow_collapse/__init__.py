"""Collapse of shallow ReLU networks with general data, after Hong and Ling (2024), arXiv
2409.01832.
"""

from __future__ import annotations

from nc1fast.studies.library.entry import experiment
from nc1fast.studies.library.shallow_collapse.figures import draw
from nc1fast.studies.library.shallow_collapse.findings import claims
from nc1fast.studies.library.shallow_collapse.parts import ShallowNets, ShallowOnD1

__all__ = ["STUDY", "claims", "draw"]

STUDY = experiment(
    __package__,
    (ShallowNets, ShallowOnD1),
    claims,
    draw,
    source="Hong and Ling (2024), arXiv 2409.01832",
    question="When do networks of two and three layers collapse, and do they generalise then?",
)
