"""Silent alignment of the tangent kernel in linear networks, after Atanasov, Bordelon & Pehlevan
(2022).
"""

from __future__ import annotations

from nc1fast.studies.library.entry import experiment
from nc1fast.studies.library.silent_alignment.figures import draw
from nc1fast.studies.library.silent_alignment.findings import claims
from nc1fast.studies.library.silent_alignment.parts import (
    AlignmentIdentity,
    AlignmentOnD1,
    HalvedTeachers,
    KernelMachines,
    LinearTeachers,
)

__all__ = ["STUDY", "claims", "draw"]

STUDY = experiment(
    __package__,
    (LinearTeachers, HalvedTeachers, KernelMachines, AlignmentIdentity, AlignmentOnD1),
    claims,
    draw,
    source="Atanasov, Bordelon & Pehlevan (2022), arXiv 2111.00034",
    question="Does the tangent kernel align, and collapse, before the loss falls?",
)
