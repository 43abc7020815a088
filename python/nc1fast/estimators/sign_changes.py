"""How many random units tell rows of one class apart by the sign of w.x.

In an NTK of the ReLU family phi' jumps at 0, so that distances within a class come from the units
that have its rows on both sides of the jump. A unit is such a unit with the probability (angle
between the rows)/pi: in collapsed classes there may be none among those drawn, and the spread of
the units then says nothing about what has been missed. The angles between rows do.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nc1fast.estimators.class_moments import Segments

    Array = NDArray[Any]


class SignChanges:
    """Angles between some pairs of rows of each class, and the products of their norms.

    Medians over the pairs are used: they describe most rows of a class, however far away a few
    others are.
    """

    def __init__(self, n_classes: int) -> None:
        self._pairs: list[list[Array]] = [[] for _ in range(n_classes)]  # (2, k): angle, product

    def add(self, z: Array, parts: Segments) -> None:
        """Add rows (n, d) sorted by class, as the weights meet them; each row is paired with the
        next of its class.
        """
        norms = np.linalg.norm(z, axis=1)
        u = z / np.where(norms > 0, norms, 1.0)[:, None]
        apart, together = (np.linalg.norm(v, axis=1) for v in (np.diff(u, axis=0), u[1:] + u[:-1]))
        found = np.array([2 * np.arctan2(apart, together), norms[:-1] * norms[1:]])
        for c, rows in parts.slices():
            if rows.stop - rows.start > 1:
                self._pairs[c].append(found[:, rows.start : rows.stop - 1])

    def effective_units(self, n_units: int, within: Array) -> float:
        """Effective number of units, of `n_units`, that Tr Sigma_W = within.V comes from.

        A class contributes the expected number of sign changes, each of the size of its products of
        norms; the effective number is (sum of sizes)^2/(sum of squared sizes) over all of them. It
        is infinite if no class has two rows.
        """
        seen = [c for c, found in enumerate(self._pairs) if found]
        if not seen:
            return math.inf
        angle, scale = np.array([np.median(np.hstack(self._pairs[c]), axis=1) for c in seen]).T
        events, size = n_units * angle / math.pi, within[seen] * scale
        noise = float((size**2 * events).sum())
        return float((size * events).sum()) ** 2 / noise if noise > 0 else math.inf
