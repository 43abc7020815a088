"""Random features of neural tangent kernels, after Zandieh et al. (2021), arXiv 2106.07880."""

from __future__ import annotations

from importlib import resources

from nc1fast.studies.library.entry import BuiltIn
from nc1fast.studies.library.random_features.figures import draw
from nc1fast.studies.library.random_features.findings import claims
from nc1fast.studies.library.random_features.parts import Features, FeaturesOnD1

__all__ = ["STUDY", "claims", "draw"]

STUDY = BuiltIn(
    resources.files(__package__),
    claims,
    lambda rows: [],
    draw,
    parts=(Features, FeaturesOnD1),
    source="Zandieh et al. (2021), arXiv 2106.07880",
    question="How many random features of the NTK give its collapse, and how many its predictions?",
)
