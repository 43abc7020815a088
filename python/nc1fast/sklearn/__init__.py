"""Kernels in scikit-learn: Gaussian processes, ridge regression, SVC, random features (extra
"sklearn").

Estimators take a kernel object as `kernel`, and its fields are parameters of theirs:
`kernel__depth` in a grid. scikit-learn is imported when one of the names below is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nc1fast.support.extras import require

if TYPE_CHECKING:
    from nc1fast.sklearn.features import NTKFeatures, RandomUnits
    from nc1fast.sklearn.gp_kernel import GPKernel
    from nc1fast.sklearn.matrices import Gram, gram
    from nc1fast.sklearn.ridge import KernelClassifier, KernelRidge

_HOMES = {
    "features": ("NTKFeatures", "RandomUnits"),
    "gp_kernel": ("GPKernel",),
    "matrices": ("Gram", "gram"),
    "ridge": ("KernelClassifier", "KernelRidge"),
}
__all__ = [
    "GPKernel",
    "Gram",
    "KernelClassifier",
    "KernelRidge",
    "NTKFeatures",
    "RandomUnits",
    "gram",
]


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            require("sklearn", "sklearn")
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
