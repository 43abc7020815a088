"""The library of studies: a folder for each, with its presets (YAML) and its own findings and figures.

A new study is a folder here, whose `__init__` makes a `BuiltIn`, and one line in `STUDIES`.
"""

from __future__ import annotations

from nc1fast.studies.library import data, paper
from nc1fast.studies.library.entry import BuiltIn

__all__ = ["STUDIES", "BuiltIn", "told_as"]

STUDIES: dict[str, BuiltIn] = {"paper": paper.STUDY, "data": data.STUDY}
_OF_THE_USER = "data"


def told_as(name: str) -> BuiltIn:
    """The built-in study of that name, else that of data: it tells every study of the user's own."""
    return STUDIES.get(name, STUDIES[_OF_THE_USER])
