"""Between the NTK and the NNGP: a family of kernels of ours, after the unified kernel of arXiv
2403.17467, whose formula was not read.
"""

from __future__ import annotations

from nc1fast.studies.library.entry import experiment
from nc1fast.studies.library.unified_kernel.figures import draw
from nc1fast.studies.library.unified_kernel.findings import claims
from nc1fast.studies.library.unified_kernel.parts import FamilyOnD1, Mixtures

__all__ = ["STUDY", "claims", "draw"]

STUDY = experiment(
    __package__,
    (Mixtures, FamilyOnD1),
    claims,
    draw,
    source="Zhang et al. (2024), arXiv 2403.17467",
    question="How does collapse move from the NTK to the NNGP?",
    ours="The family K(s) = (1 - s) NTK + s NNGP: the paper's formula was not read, any family from the NTK to the NNGP stands in for it.",
)
