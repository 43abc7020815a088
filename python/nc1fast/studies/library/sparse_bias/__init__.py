"""ReLU networks whose biases start at a threshold: sparse activation and its tangent kernel, after
arXiv 2301.00327.
"""

from __future__ import annotations

from nc1fast.studies.library.entry import experiment
from nc1fast.studies.library.sparse_bias.figures import draw
from nc1fast.studies.library.sparse_bias.findings import claims
from nc1fast.studies.library.sparse_bias.parts import (
    Collapses,
    Descents,
    SparseOnD1,
    SparseWidths,
    Spectra,
)

__all__ = ["STUDY", "claims", "draw"]

STUDY = experiment(
    __package__,
    (Spectra, SparseWidths, Descents, Collapses, SparseOnD1),
    claims,
    draw,
    source="Yang, Jiang, Zhang, Wang & Chi (2023), arXiv 2301.00327",
    question="What does sparse activation by large biases do to the NTK, its spectrum and its collapse?",
)
