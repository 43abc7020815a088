"""The kernels, as frozen descriptions of the function k(x, z) of two rows."""

from __future__ import annotations

from nc1fast.kernels.adaptive import AdaptiveKernel
from nc1fast.kernels.algebra import Composite, Power, Product, Scaled, Sum
from nc1fast.kernels.classes import Kernel
from nc1fast.kernels.fully_connected import NNGP, NTK, ConjugateKernel, DeepKernel, Linear
from nc1fast.kernels.polynomial import SkipPolynomial, polynomial_nngp, polynomial_ntk
from nc1fast.kernels.recurrent import RecurrentKernel, RecurrentNNGP, RecurrentNTK
from nc1fast.kernels.serial import from_json, to_json

__all__ = [
    "NNGP",
    "NTK",
    "AdaptiveKernel",
    "Composite",
    "ConjugateKernel",
    "DeepKernel",
    "Kernel",
    "Linear",
    "Power",
    "Product",
    "RecurrentKernel",
    "RecurrentNNGP",
    "RecurrentNTK",
    "Scaled",
    "SkipPolynomial",
    "Sum",
    "from_json",
    "polynomial_nngp",
    "polynomial_ntk",
    "to_json",
]


def __dir__() -> list[str]:
    return sorted(__all__)
