"""Kernels made of kernels, of every operation and form, and what NumPy makes of the Gram matrices
of their parts.
"""

from __future__ import annotations

import numpy as np
import pytest

import nc1fast as nc
from nc1fast.kernels import Composite, Power, Scaled, Sum

RELU, ERF, GELU = nc.NTK("relu"), nc.NNGP("erf"), nc.NNGP("gelu", depth=3, bias_variance=0.3)
BIASED = nc.NTK("erf", weight_variance=1.3, bias_variance=0.4)
DEEP = nc.NNGP("relu", depth=4, weight_variance=1.8, bias_variance=0.1)
KERNELS = {
    "multiple": 2.5 * RELU,
    "sum": 0.5 * RELU + ERF,
    "product": RELU * ERF,
    "power": nc.Linear() ** 5,
    "formula": 0.5 * RELU + ERF**2,
    "biases": RELU * BIASED + 0.3 * GELU,
    "deep": DEEP * nc.Linear(0.7, 0.2) + BIASED**2,
    "jump": nc.NNGP("sign", bias_variance=0.1) * ERF,
    "nested": (RELU + 0.1 * ERF) ** 3 * GELU,
}
each_kernel = pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)


def on_stored(kernel, gram):
    """The Gram matrix of a composite kernel by NumPy, from those of its parts."""
    if not isinstance(kernel, Composite):
        return gram(kernel)
    parts = [on_stored(part, gram) for part in kernel.parts]
    if isinstance(kernel, Scaled):
        return kernel.factor * parts[0]
    if isinstance(kernel, Power):
        return parts[0] ** kernel.exponent
    return np.add.reduce(parts) if isinstance(kernel, Sum) else np.multiply.reduce(parts)
