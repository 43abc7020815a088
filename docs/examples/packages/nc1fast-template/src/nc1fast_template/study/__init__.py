"""A study: a description for each preset beside this file, quick.yml by default."""

from __future__ import annotations

from importlib import resources

from nc1fast.studies import BuiltIn

STUDY = BuiltIn(
    resources.files(__package__),
    source="the template of nc1fast's plug-ins",
    question="Does isru, which saturates more slowly than erf, collapse data differently?",
)
