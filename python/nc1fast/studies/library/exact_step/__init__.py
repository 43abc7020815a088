"""Steps of gradient descent, exactly and by powers of the step, after Shilton et al. (2023, 2024)."""

from __future__ import annotations

from nc1fast.studies.library.entry import experiment
from nc1fast.studies.library.exact_step.figures import draw
from nc1fast.studies.library.exact_step.findings import claims
from nc1fast.studies.library.exact_step.parts import ExactStepOnD1, Orders, Steps

__all__ = ["STUDY", "claims", "draw"]

STUDY = experiment(
    __package__,
    (Orders, Steps, ExactStepOnD1),
    claims,
    draw,
    source="Shilton et al. (2023, 2024), arXiv 2302.00205 and 2405.15254",
    question="What does the NTK miss of a step of gradient descent in a network of any width?",
    ours="The exact kernel of a step, the mean of <grad f(x; theta - s eta g), grad f(x'; theta)> over s from 0 to 1: the papers' formula was not read.",
)
