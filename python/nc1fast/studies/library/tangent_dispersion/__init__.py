"""How random the tangent kernels of finite networks are, after Seleznova & Kutyniok (2021), arXiv
2012.04477.
"""

from __future__ import annotations

from nc1fast.studies.library.entry import experiment
from nc1fast.studies.library.tangent_dispersion.figures import draw
from nc1fast.studies.library.tangent_dispersion.findings import claims
from nc1fast.studies.library.tangent_dispersion.parts import (
    DepthDispersion,
    DispersionOnD1,
    ShallowDispersion,
    TangentDrifts,
    TangentSpreads,
    UnbiasedDispersion,
)

__all__ = ["STUDY", "claims", "draw"]

STUDY = experiment(
    __package__,
    (
        ShallowDispersion,
        UnbiasedDispersion,
        DepthDispersion,
        TangentDrifts,
        TangentSpreads,
        DispersionOnD1,
    ),
    claims,
    draw,
    source="Seleznova & Kutyniok (2021), arXiv 2012.04477",
    question="When may the tangent kernel of a finite network be taken for its limit?",
)
