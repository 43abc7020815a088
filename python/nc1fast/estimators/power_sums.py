"""Central moments of random terms from the sums of their powers."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

N_POWERS = 5  # 0 to 4


class CentralMoments(NamedTuple):
    """Of each column of terms: mean, variance (divided by n, not n - 1), fourth central moment, and
    mean square.
    """

    mean: Array
    variance: Array
    fourth: Array
    square: Array


def central_moments(sums: Array) -> CentralMoments:
    """Moments of columns whose sums of powers 0 to 4 are the rows of `sums`, shape (5, m).

    The terms should be centred beforehand, nearly: the variance is a difference, and rounding may
    make it negative. A column of no terms has moments 0.
    """
    one, two, three, four = sums[1:] / np.maximum(sums[0], 1)
    fourth = four - 4 * one * three + 6 * one**2 * two - 3 * one**4
    return CentralMoments(one, two - one**2, fourth, two)
