"""Estimates of NC1 with confidence intervals, where the exact value is not worth its N^2 pairs.

`nc1fast.collapse(..., method="features" | "pairs" | "auto", tolerance=, confidence=, seed=)` is the
usual way in; the functions here take the size of the sample too. Intervals are those of the exact
value for the given rows, not for a population that they come from; where no interval can be
believed, a ValueError says why. Draws follow from the seed: the same seed gives the same bits on
any number of threads, from memory or a file, in chunks of any size (on one instruction set).
"""

from __future__ import annotations

from nc1fast.estimators.ntk_features import ntk_features
from nc1fast.estimators.proximal_map import proximal_features
from nc1fast.estimators.runs import features, pairs

__all__ = ["features", "ntk_features", "pairs", "proximal_features"]


def __dir__() -> list[str]:
    return sorted(__all__)
