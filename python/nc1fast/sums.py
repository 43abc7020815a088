"""ClassSums: the sufficient statistic of every collapse metric."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class SumsError:
    """Absolute bounds on the rounding error of each entry of a `ClassSums`."""

    block_sums: NDArray[np.float64]  # (C, C)
    traces: NDArray[np.float64]  # (C,)
    within: NDArray[np.float64]  # (C,)


@dataclass(frozen=True, eq=False)
class ClassSums:
    """Sums of a kernel over pairs of classes (provisional: filled in by the engine work)."""

    block_sums: NDArray[np.float64]  # (C, C)  sum over i in c, j in c' of k_ij
    traces: NDArray[np.float64]  # (C,)  sum over i in c of k_ii
    within: NDArray[np.float64]  # (C,)  1/(2 n_c) sum over i, j in c of D2_ij  = n_c V_c
    sizes: NDArray[np.int64]  # (C,)
    labels: NDArray[Any]  # (C,)
    error: SumsError
    kernel: Any = None  # the kernel these are sums of; None for explicit features
    class_rows: NDArray[np.float64] | None = None  # (C, N) class-major: R[c, p] = sum over j in c of k(order[p], j)
    order: NDArray[np.int64] | None = None  # (N,) sorted position p -> the caller's row; rows sorted by class, stable
    complete: bool = True
    meta: dict[str, Any] = field(default_factory=dict)

    @property
    def row_sums(self) -> NDArray[np.float64] | None:
        """(N, C) row-class sums in the caller's row order, or None."""
        if self.class_rows is None or self.order is None:
            return None
        out = np.empty(self.class_rows.shape[::-1])
        out[self.order] = self.class_rows.T
        return out
