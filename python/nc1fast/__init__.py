"""Neural Collapse metrics of kernels and features: exact, streamed, with error bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nc1fast.core.activations import GeneralActivation as Activation
from nc1fast.core.activations import LeakyReLU, ShiftedReLU, activations
from nc1fast.inputs.sequences import Sequences
from nc1fast.kernels.adaptive import AdaptiveKernel
from nc1fast.kernels.fully_connected import NNGP, NTK, ConjugateKernel, Linear
from nc1fast.kernels.recurrent import RecurrentNNGP, RecurrentNTK
from nc1fast.methods.collapse import class_sums, collapse, collapse_each
from nc1fast.metrics.blending import blend
from nc1fast.metrics.feature_sums import FeatureSums
from nc1fast.metrics.regression import regression_collapse
from nc1fast.metrics.result import Collapse
from nc1fast.metrics.table import to_table
from nc1fast.prediction.alignment import Alignment, alignment
from nc1fast.prediction.spectrum import Spectrum, operator, spectrum
from nc1fast.sums.class_sums import ClassSums
from nc1fast.support.warnings import AccuracyWarning

if TYPE_CHECKING:
    from nc1fast import (
        adaptive,
        compat,
        cuda,
        datasets,
        distributed,
        estimators,
        networks,
        prediction,
        sklearn,
        theory,
        torchmetrics,
    )

__version__ = "0.1.0"
_ON_DEMAND = (
    "adaptive",
    "compat",
    "cuda",
    "datasets",
    "distributed",
    "estimators",
    "networks",
    "prediction",
    "sklearn",
    "theory",
    "torchmetrics",
)  # imported when first named
__all__ = [
    "NNGP",
    "NTK",
    "AccuracyWarning",
    "Activation",
    "AdaptiveKernel",
    "Alignment",
    "ClassSums",
    "Collapse",
    "ConjugateKernel",
    "FeatureSums",
    "LeakyReLU",
    "Linear",
    "RecurrentNNGP",
    "RecurrentNTK",
    "Sequences",
    "ShiftedReLU",
    "Spectrum",
    "activations",
    "adaptive",
    "alignment",
    "blend",
    "class_sums",
    "collapse",
    "collapse_each",
    "compat",
    "cuda",
    "datasets",
    "distributed",
    "estimators",
    "networks",
    "operator",
    "prediction",
    "regression_collapse",
    "sklearn",
    "spectrum",
    "theory",
    "to_table",
    "torchmetrics",
]


def __getattr__(name: str) -> Any:
    if name in _ON_DEMAND:
        from importlib import import_module

        return import_module(f"nc1fast.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
