"""Studies: data x kernels x repeats, described on disk, computed into one tidy table.

description: what a study is -> cells: its plan -> runner: cell by cell, journalled -> table: CSV and
Parquet -> findings: claims, counted in cells. `nc1fast.plotting` and `nc1fast.report` draw from the
table alone. Needs the extra `study`.
"""

from __future__ import annotations

from nc1fast.studies.cells import Cell, describe_plan, plan
from nc1fast.studies.description import Study, built_in, load, parse
from nc1fast.studies.runner import Result, run
from nc1fast.studies.table import COLUMNS, read

__all__ = [
    "COLUMNS",
    "Cell",
    "Result",
    "Study",
    "built_in",
    "describe_plan",
    "load",
    "parse",
    "plan",
    "read",
    "run",
]
