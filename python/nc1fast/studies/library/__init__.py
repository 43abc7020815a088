"""The library of studies: a folder for each, with its presets (YAML) and its own findings and figures.

A new study is a folder here, whose `__init__` makes a `BuiltIn`, and one line in `STUDIES`.
"""

from __future__ import annotations

from nc1fast.studies.library import paper
from nc1fast.studies.library.entry import BuiltIn

__all__ = ["STUDIES", "BuiltIn", "told_as"]

STUDIES: dict[str, BuiltIn] = {"paper": paper.STUDY}
_DEFAULT = "paper"  # for a study of the user's own, and for a table without provenance


def told_as(name: str) -> BuiltIn:
    """The built-in study whose findings and figures a table gets: the one of that name, else the paper."""
    return STUDIES.get(name, STUDIES[_DEFAULT])
