"""Kernels of trained networks in the place of these networks, after Qadeer et al.

(2023), arXiv 2310.18612.
"""

from __future__ import annotations

from nc1fast.studies.library.conjugate_kernel.figures import draw
from nc1fast.studies.library.conjugate_kernel.findings import claims
from nc1fast.studies.library.conjugate_kernel.parts import ConjugateOnD1, Surrogates
from nc1fast.studies.library.entry import experiment

__all__ = ["STUDY", "claims", "draw"]

STUDY = experiment(
    __package__,
    (Surrogates, ConjugateOnD1),
    claims,
    draw,
    source="Qadeer et al. (2023), arXiv 2310.18612",
    question="Can the conjugate kernel of a trained network stand in for its NTK, and for the network?",
)
