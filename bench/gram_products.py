"""Rivals of `matvec`: the ReLU NNGP times V without the N x N matrix, as users of torch and of
KeOps write it.

With unit rows u and lengths l, k(x, z) = l_x l_z (sqrt(1 - rho^2) + rho (pi - acos rho))/(2 pi d0),
rho = <u_x, u_z>.
"""

from __future__ import annotations

import importlib
import math
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.competitors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[Any]

TILE = 2048


def torch_product(X: Array, V: Array, n_threads: int) -> Callable[[], Array]:
    """By tiles of rows, in place."""
    import torch

    torch.set_num_threads(n_threads)
    norms = np.linalg.norm(X, axis=1, keepdims=True)
    U, W = torch.from_numpy(X / norms), torch.from_numpy(V * norms)
    scale = torch.from_numpy(norms / (2 * math.pi * X.shape[1]))

    def product() -> Array:
        out = torch.empty_like(W)
        for begin in range(0, len(U), TILE):
            rows = slice(begin, begin + TILE)
            rho = (U[rows] @ U.T).clamp_(-1, 1)
            angle = torch.acos(rho).neg_().add_(math.pi).mul_(rho)
            values = rho.square_().neg_().add_(1).sqrt_().add_(angle)
            out[rows] = scale[rows] * (values @ W)
        return np.asarray(out.numpy())

    return product


def keops_product(X: Array, V: Array, n_threads: int) -> Callable[[], Array]:
    """By a symbolic matrix that KeOps compiles to one loop, on as many threads as OpenMP is given.

    Raises
    ------
    UnavailableError
        Without KeOps.
    """
    try:
        lazy = importlib.import_module("pykeops.numpy").LazyTensor
    except ImportError as error:
        raise UnavailableError(f"KeOps cannot be imported: {error}") from error
    os.environ["OMP_NUM_THREADS"] = str(n_threads)
    norms = np.linalg.norm(X, axis=1, keepdims=True)
    U, W, scale = X / norms, V * norms, norms / (2 * math.pi * X.shape[1])

    def product() -> Array:
        rho = (lazy(U[:, None]) | lazy(U[None])).clamp(-1, 1)
        values = (1 - rho**2).sqrt() + rho * (math.pi - rho.acos())
        return np.asarray(scale * (values @ W))

    return product
