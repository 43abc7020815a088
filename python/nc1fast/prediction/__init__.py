"""Predictions of kernels: ridge regression, Gaussian processes and gradient flow, at any number of
rows.

Up to some thousand rows by factorising the stored matrix; beyond, by products with a matrix that is
never stored. Needs SciPy (extra "prediction").
"""

from __future__ import annotations

from nc1fast.prediction.dense import select
from nc1fast.prediction.flow import gradient_flow
from nc1fast.prediction.problem import EffectiveDimension, Prediction, Selection
from nc1fast.prediction.regression import gp_posterior, ridge
from nc1fast.prediction.traces import effective_dimension

__all__ = [
    "EffectiveDimension",
    "Prediction",
    "Selection",
    "effective_dimension",
    "gp_posterior",
    "gradient_flow",
    "ridge",
    "select",
]


def __dir__() -> list[str]:
    return sorted(__all__)
