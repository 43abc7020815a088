"""Traces by random vectors: what is drawn, and how far their mean is from the trace."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.support.arguments import as_count, as_number
from nc1fast.support.extras import require

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


@dataclass(frozen=True)
class Probing:
    """How a trace is estimated.

    Attributes
    ----------
    probes : int
        Vectors of random signs, 2 at least; 0 for no estimate, where `of` allows it.
    confidence : float
        Probability with which an interval covers the trace.
    """

    probes: int
    confidence: float

    @classmethod
    def of(cls, probes: Any, confidence: Any, *, none: bool = False) -> Probing:
        """The same, checked; `none` allows 0 probes.

        Raises
        ------
        TypeError, ValueError
            For a value that is not among those allowed.
        """
        least = 0 if none else 2
        count = as_count("probes", probes, least)
        if count == 1:
            raise ValueError("probes must be 0 or >= 2, got 1: one probe has no spread")
        return cls(count, as_number("confidence", confidence, above=0, below=1))

    def signs(self, n: int, seed: int | tuple[int, int]) -> Array:
        """The vectors, shape (n, probes)."""
        return np.random.default_rng(seed).choice([-1.0, 1.0], size=(n, self.probes))

    def standard_error(self, values: Array) -> float:
        """Of the mean of one value for each probe."""
        return float(values.std(ddof=1)) / math.sqrt(self.probes)

    def half_width(self, values: Array) -> float:
        """Half of Student's interval of that mean."""
        student = require("scipy.stats", "prediction").t
        quantile = float(student.ppf((1 + self.confidence) / 2, self.probes - 1))
        return quantile * self.standard_error(values)
