"""Studies: data, kernels, trained networks and adaptive kernels, described in YAML, computed into
one tidy table.

library (built-in studies, a folder each) or the user's file -> loading (YAML, checked) ->
description (arms; sources: their data; tasks: their models), or experiment (parts that measure
numbers of their own) -> plan (cells) -> runner (cell by cell, in processes, journalled) -> table
and series, or measures (CSV and Parquet) -> summary (means, pairs) -> findings (statements counted
in cells) and figures -> report (one HTML page) -> atlas (an index of reports). Findings, figures
and report come from the tables alone. Needs the extra `study`, and `torch` for trained networks.
"""

from __future__ import annotations

from nc1fast.studies.description import Cell, Study
from nc1fast.studies.experiment import Experiment, grid, part
from nc1fast.studies.library.entry import BuiltIn, experiment
from nc1fast.studies.loading import built_in, load, load_data, parse
from nc1fast.studies.runner import Result, describe_plan, plan, run
from nc1fast.studies.table import COLUMNS, read, read_series

__all__ = [
    "COLUMNS",
    "BuiltIn",
    "Cell",
    "Experiment",
    "Result",
    "Study",
    "built_in",
    "describe_plan",
    "experiment",
    "grid",
    "load",
    "load_data",
    "parse",
    "part",
    "plan",
    "read",
    "read_series",
    "run",
]
