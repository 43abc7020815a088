"""Studies: data, kernels, trained networks and adaptive kernels, described on disk, computed into one tidy table.

description: what a study is (sources: its data; tasks: what it measures) -> plan: its cells -> runner: cell by cell, side
by side in processes, journalled -> table and series: CSV and Parquet -> summary: means and pairs -> findings: claims,
counted in cells. `figures` and `report` draw from the tables alone. Needs the extra `study`; trained networks need `torch`,
too.
"""

from __future__ import annotations

from nc1fast.studies.description import Study, built_in, load, parse
from nc1fast.studies.plan import Cell, describe_plan, plan
from nc1fast.studies.runner import Result, run
from nc1fast.studies.series import read as read_series
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
    "read_series",
    "run",
]
