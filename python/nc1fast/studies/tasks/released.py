"""Numbers of the code released with arXiv 2406.02105, measured beside the right ones.

The one module outside `nc1fast.compat` that may use it. There are two models: the erf NTK, a Gram
matrix of the whole data set that is not a kernel, and the adaptive kernel; `nc1fast.studies.table`
has their names.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import nc1fast as nc
from nc1fast.compat.equations import ANNEALING, released_adaptive
from nc1fast.compat.released import erf_ntk
from nc1fast.studies.table import RELEASED_ADAPTIVE, RELEASED_ERF_NTK
from nc1fast.studies.tasks.table_rows import MEASURED, attempt

if TYPE_CHECKING:
    from nc1fast.studies.tasks.task import DrawnData

__all__ = [
    "ANNEALING",
    "RELEASED_ADAPTIVE",
    "RELEASED_ERF_NTK",
    "ReleasedErfNTK",
    "released_adaptive",
]


@dataclass(frozen=True)
class ReleasedErfNTK:
    """The erf NTK of the released code; one weight and one bias variance for both layers."""

    weight_variance: float
    bias_variance: float

    def collapse(self, data: DrawnData) -> tuple[Any, float]:
        """Collapse of its Gram matrix, or the reason why there is none, and the seconds it took."""
        K, formed = attempt(erf_ntk, data.X, **dataclasses.asdict(self))
        if isinstance(K, str):
            return K, formed
        answer, seconds = attempt(nc.collapse, K, data.y, "precomputed", **MEASURED)
        return answer, formed + seconds
