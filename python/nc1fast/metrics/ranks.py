"""Ranks of a covariance from its eigenvalues, shape (r,), of any order."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


def effective_rank(values: Array) -> float:
    """Exponential of the entropy of p = lambda/sum(lambda); in [1, r], r when all are equal, and 0
    when all are zero.

    Source: Roy & Vetterli (2007).
    """
    positive = values[values > 0]
    if not len(positive):
        return 0.0
    p = positive / positive.sum()
    return math.exp(-float((p * np.log(p)).sum()))


def stable_rank(values: Array) -> float:
    """sum(lambda)/max(lambda), which is |A|_F^2/|A|_2^2 for Sigma = A A^T; in [1, r], and 0 when
    all are zero.

    Source: Rudelson & Vershynin (2007).
    """
    positive = values[values > 0]
    return float(positive.sum() / positive.max()) if len(positive) else 0.0


def numerical_rank(values: Array, tolerance: float) -> int:
    """Eigenvalues above `tolerance` of the largest."""
    return int((values > max(tolerance * values.max(initial=0.0), 0)).sum())
