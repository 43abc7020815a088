"""Elementary functions by one set of names, of torch tensors and of NumPy arrays: activations are
written in them.
"""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace

import numpy as np

from nc1fast.support.extras import require

# The same name in torch and in NumPy.
_SHARED = ("abs", "sign", "sin", "cos", "exp", "tanh", "expm1", "log1p", "where")


@cache
def of_tensors() -> SimpleNamespace:
    """The functions of torch tensors."""
    import torch

    return SimpleNamespace(
        **{name: getattr(torch, name) for name in _SHARED},
        relu=torch.relu,
        step=lambda u: (u > 0).to(u.dtype),
        erf=torch.erf,
        ndtr=torch.special.ndtr,
    )


# The same for NumPy arrays.
ARRAYS = SimpleNamespace(
    **{name: getattr(np, name) for name in _SHARED},
    relu=lambda u: np.maximum(u, 0),
    step=lambda u: (u > 0).astype(u.dtype),
    erf=lambda u: np.asarray(require("scipy.special", "adaptive").erf(u)),
    ndtr=lambda u: np.asarray(require("scipy.special", "adaptive").ndtr(u)),
)
