"""The kinds of models that a study measures: a module for each, all by the protocol of `task`.

kernels (with the data themselves, their expected NC1 and the released code), networks and adaptive
(with mean field) make the rows; rows says how a row is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nc1fast.studies.tasks.adaptive import Adaptive, MeanField
from nc1fast.studies.tasks.networks import Training

if TYPE_CHECKING:
    from nc1fast.studies.tasks.task import Section

__all__ = ["SECTIONS"]

# Keys of an arm that list models, and the class of their entries, in the order of the table.
# Kernels and theory are not among them: one task of each belongs to every arm.
SECTIONS: dict[str, type[Section]] = {
    "networks": Training,
    "adaptive": Adaptive,
    "mean_field": MeanField,
}
