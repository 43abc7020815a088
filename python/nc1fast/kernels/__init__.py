"""The kernels: what is computed for a pair of rows, as frozen descriptions."""

from __future__ import annotations

from nc1fast.kernels.classes import (
    NNGP,
    NTK,
    AdaptiveKernel,
    ConjugateKernel,
    Kernel,
    Linear,
    from_json,
    to_json,
)

__all__ = [
    "NNGP",
    "NTK",
    "AdaptiveKernel",
    "ConjugateKernel",
    "Kernel",
    "Linear",
    "from_json",
    "to_json",
]
