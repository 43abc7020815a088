"""The study of a user's own data: presets quick and full, fitted to a file; also how any study of
the user's own is reported.
"""

from __future__ import annotations

from importlib import resources

from nc1fast.studies.library.data.figures import draw
from nc1fast.studies.library.data.findings import answer, sections
from nc1fast.studies.library.data.fitting import fitted
from nc1fast.studies.library.entry import BuiltIn

__all__ = ["STUDY", "answer", "draw", "fitted", "sections"]

STUDY = BuiltIn(
    resources.files(__package__),
    sections=sections,
    draw=draw,
    answer=answer,
    fit=fitted,
    question="Which kernels collapse these data as trained networks do?",
)
