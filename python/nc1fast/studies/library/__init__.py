"""The library of studies: a folder for each, with its presets (YAML) and its own findings and figures.

A new study is a folder here, whose `__init__` makes a `BuiltIn`, and one line in `STUDIES`.
"""

from __future__ import annotations

from nc1fast.studies.library import paper
from nc1fast.studies.library.entry import BuiltIn

__all__ = ["STUDIES", "BuiltIn", "told_as"]

STUDIES: dict[str, BuiltIn] = {"paper": paper.STUDY}
_OTHERS = "paper"


def told_as(name: str) -> BuiltIn:
    """The study in whose way a table is told: that of its name, or the paper's for a study of the user's own."""
    return STUDIES.get(name, STUDIES[_OTHERS])
