"""Elementary functions by one set of names, of torch tensors and of NumPy arrays: activations are
written in them.
"""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace

import numpy as np

from nc1fast.support.extras import require


@cache
def of_tensors() -> SimpleNamespace:
    """The functions of torch tensors."""
    import torch

    return SimpleNamespace(
        relu=torch.relu,
        step=lambda u: (u > 0).to(u.dtype),
        abs=torch.abs,
        sign=torch.sign,
        erf=torch.erf,
        ndtr=torch.special.ndtr,
        sin=torch.sin,
        cos=torch.cos,
        exp=torch.exp,
        tanh=torch.tanh,
        expm1=torch.expm1,
        log1p=torch.log1p,
        where=torch.where,
    )


# The same for NumPy arrays.
ARRAYS = SimpleNamespace(
    relu=lambda u: np.maximum(u, 0),
    step=lambda u: (u > 0).astype(u.dtype),
    abs=np.abs,
    sign=np.sign,
    erf=lambda u: np.asarray(require("scipy.special", "adaptive").erf(u)),
    ndtr=lambda u: np.asarray(require("scipy.special", "adaptive").ndtr(u)),
    sin=np.sin,
    cos=np.cos,
    exp=np.exp,
    tanh=np.tanh,
    expm1=np.expm1,
    log1p=np.log1p,
    where=np.where,
)
