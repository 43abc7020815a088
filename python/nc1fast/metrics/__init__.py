"""The collapse metrics: pure functions of the class sums, conventions, error bounds, results and tables."""

from __future__ import annotations

from nc1fast.metrics.blending import blend
from nc1fast.metrics.conventions import CONVENTIONS, DEFAULT_CONVENTION, IMBALANCE, Weights, weights
from nc1fast.metrics.definitions import (
    RANK_TOLERANCE,
    BetweenSpectrum,
    between_spectrum,
    cdnv,
    centred,
    class_gram,
    nc1_by_class,
    nc1_pinv,
    nc2_equiangle,
    nc2_equinorm,
    nc2_etf,
    trace_between,
    trace_within,
    within_by_class,
)
from nc1fast.metrics.registry import METRICS, Metric
from nc1fast.metrics.result import NEGLIGIBLE, WORRYING, Collapse, collapse_from_sums

__all__ = [
    "CONVENTIONS",
    "DEFAULT_CONVENTION",
    "IMBALANCE",
    "METRICS",
    "NEGLIGIBLE",
    "RANK_TOLERANCE",
    "WORRYING",
    "BetweenSpectrum",
    "Collapse",
    "Metric",
    "Weights",
    "between_spectrum",
    "blend",
    "cdnv",
    "centred",
    "class_gram",
    "collapse_from_sums",
    "nc1_by_class",
    "nc1_pinv",
    "nc2_equiangle",
    "nc2_equinorm",
    "nc2_etf",
    "trace_between",
    "trace_within",
    "weights",
    "within_by_class",
]
