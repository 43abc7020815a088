"""Kernels of unrolled optimisation: a construction of ours, after the neural optimisation kernel of
arXiv 2106.06097, whose formula was not read.
"""

from __future__ import annotations

from nc1fast.studies.library.entry import experiment
from nc1fast.studies.library.optimization_kernel.figures import draw
from nc1fast.studies.library.optimization_kernel.findings import claims
from nc1fast.studies.library.optimization_kernel.parts import (
    ProximalDescents,
    ProximalLimits,
    UnrolledOnD1,
)

__all__ = ["STUDY", "claims", "draw"]

STUDY = experiment(
    __package__,
    (ProximalDescents, ProximalLimits, UnrolledOnD1),
    claims,
    draw,
    source="Lyu & Tsang (2021), arXiv 2106.06097",
    question="What do layers that are steps of an optimisation descend, and how does their collapse depend on their number?",
    ours="The features y <- h(D^T x + (I - D^T D) y) and their kernel: the paper's formula was not read.",
)
