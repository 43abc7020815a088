"""A metric of the class sums."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nc1fast.metrics import Metric

if TYPE_CHECKING:
    from nc1fast.metrics.registry import ClassGeometry


def _worst_class(g: ClassGeometry) -> float:
    """max V_c / mean V_c, at least 1: V_c is the mean squared distance of the rows of class c from
    their mean.
    """
    mean = float(g.V.mean())
    return float(g.V.max()) / mean if mean else 1.0


worst_class = Metric(_worst_class, traced=False)  # a column of tables, none of traces of trainings
