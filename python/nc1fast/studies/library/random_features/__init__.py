"""Random features of neural tangent kernels, after Zandieh et al. (2021), arXiv 2106.07880."""

from __future__ import annotations

from nc1fast.studies.library.entry import experiment
from nc1fast.studies.library.random_features.figures import draw
from nc1fast.studies.library.random_features.findings import claims
from nc1fast.studies.library.random_features.parts import Features, FeaturesOnD1

__all__ = ["STUDY", "claims", "draw"]

STUDY = experiment(
    __package__,
    (Features, FeaturesOnD1),
    claims,
    draw,
    source="Zandieh et al. (2021), arXiv 2106.07880",
    question="How many random features of the NTK give its collapse, and how many its predictions?",
    ours="Of the two factors of Theta kdot one is sketched, the random unit is left as it is; the paper sketches both.",
)
