"""Networks whose units are products of rectified units: their kernels, frequencies and collapse,
after arXiv 2209.07736.
"""

from __future__ import annotations

from nc1fast.studies.library.entry import experiment
from nc1fast.studies.library.polynomial_nets.figures import draw
from nc1fast.studies.library.polynomial_nets.findings import claims
from nc1fast.studies.library.polynomial_nets.parts import Circle, Degrees, Limits, PolynomialOnD1

__all__ = ["STUDY", "claims", "draw"]

STUDY = experiment(
    __package__,
    (Limits, Circle, Degrees, PolynomialOnD1),
    claims,
    draw,
    source="Wu, Zhu, Liu, Chrysos & Cevher (2022), arXiv 2209.07736",
    question="What does multiplying hidden units do to the NTK, its frequencies and its collapse?",
)
