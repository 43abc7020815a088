"""The collapse metrics: pure functions of the class sums, conventions, error bounds, results and
tables.
"""

from __future__ import annotations

from nc1fast.metrics.blending import blend
from nc1fast.metrics.definitions import (
    CONVENTIONS,
    DEFAULT_CONVENTION,
    IMBALANCE,
    Weights,
    centred,
    class_gram,
    trace_between,
    trace_within,
    weights,
    within_by_class,
)
from nc1fast.metrics.ratio import NEGLIGIBLE, WORRYING
from nc1fast.metrics.registry import METRICS, Metric
from nc1fast.metrics.regression import RegressionCollapse, regression_collapse
from nc1fast.metrics.result import Collapse, collapse_from_sums
from nc1fast.metrics.spectra import RANK_TOLERANCE

__all__ = [
    "CONVENTIONS",
    "DEFAULT_CONVENTION",
    "IMBALANCE",
    "METRICS",
    "NEGLIGIBLE",
    "RANK_TOLERANCE",
    "WORRYING",
    "Collapse",
    "Metric",
    "RegressionCollapse",
    "Weights",
    "blend",
    "centred",
    "class_gram",
    "collapse_from_sums",
    "regression_collapse",
    "trace_between",
    "trace_within",
    "weights",
    "within_by_class",
]
