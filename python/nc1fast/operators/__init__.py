"""The Gram matrix as a linear map that is never stored: products, eigenvalues, alignment."""

from __future__ import annotations

from nc1fast.operators.alignment import Alignment, alignment
from nc1fast.operators.spectrum import Spectrum, operator, spectrum

__all__ = ["Alignment", "Spectrum", "alignment", "operator", "spectrum"]
