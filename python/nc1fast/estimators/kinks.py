"""How many random units tell rows of one class apart by the sign of w.x.

Of an NTK of the ReLU family, phi' jumps at 0, so that distances within a class come from the units with its rows on both sides. One
in (angle between the rows)/pi is such a unit: in collapsed classes there may be none among those drawn, whose spread says nothing
then about what has been missed. The angles of the rows do.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nc1fast.estimators.moments import Segments

    Array = NDArray[Any]


class Separations:
    """Angles between some rows of each class, and products of their norms: of most rows, whatever a few others are."""

    def __init__(self, n_classes: int) -> None:
        self._of: list[list[Array]] = [[] for _ in range(n_classes)]  # (2, k) each

    def add(self, z: Array, parts: Segments) -> None:
        """Rows that meet the weights, (n, d), sorted by class: each with the next."""
        norms = np.linalg.norm(z, axis=1)
        u = z / np.where(norms > 0, norms, 1.0)[:, None]
        apart, together = (np.linalg.norm(v, axis=1) for v in (np.diff(u, axis=0), u[1:] + u[:-1]))
        found = np.array([2 * np.arctan2(apart, together), norms[:-1] * norms[1:]])
        for c, rows in parts.slices():
            if rows.stop - rows.start > 1:
                self._of[c].append(found[:, rows.start : rows.stop - 1])

    def terms(self, n_units: int, within: Array) -> float:
        """Effective number of such units in Tr Sigma_W = within.V: of each class, events with a mean and a size."""
        seen = [c for c, found in enumerate(self._of) if found]
        if not seen:
            return math.inf
        angle, scale = np.array([np.median(np.hstack(self._of[c]), axis=1) for c in seen]).T
        events, size = n_units * angle / math.pi, within[seen] * scale
        noise = float((size**2 * events).sum())
        return float((size * events).sum()) ** 2 / noise if noise > 0 else math.inf
