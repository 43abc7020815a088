"""Neural Collapse metrics of kernels and features: exact, streamed, with error bounds."""

from __future__ import annotations

from nc1fast import compat, datasets
from nc1fast._collapse import class_sums, collapse
from nc1fast._table import to_table
from nc1fast._warnings import AccuracyWarning
from nc1fast.activations import LeakyReLU, activations
from nc1fast.features import FeatureSums
from nc1fast.kernels import NNGP, NTK, ConjugateKernel, Linear
from nc1fast.metrics import Collapse
from nc1fast.sums import ClassSums

__version__ = "0.1.0"
__all__ = [
    "NNGP",
    "NTK",
    "AccuracyWarning",
    "ClassSums",
    "Collapse",
    "ConjugateKernel",
    "FeatureSums",
    "LeakyReLU",
    "Linear",
    "activations",
    "class_sums",
    "collapse",
    "compat",
    "datasets",
    "to_table",
]
