"""Noisy gradient descent of mean-field networks, after Chen, Cao, Gu & Zhang (2020), arXiv
2002.04026.
"""

from __future__ import annotations

from nc1fast.studies.library.entry import experiment
from nc1fast.studies.library.noisy_descent.figures import draw
from nc1fast.studies.library.noisy_descent.findings import claims
from nc1fast.studies.library.noisy_descent.parts import (
    DescentEquilibrium,
    NoisyDescentOnD1,
    NoisyDescents,
    ReturnToPrior,
)

__all__ = ["STUDY", "claims", "draw"]

STUDY = experiment(
    __package__,
    (NoisyDescents, ReturnToPrior, DescentEquilibrium, NoisyDescentOnD1),
    claims,
    draw,
    source="Chen, Cao, Gu & Zhang (2020), arXiv 2002.04026",
    question="Does noisy gradient descent with weight decay stay kernel-like, though its weights do not stay?",
)
