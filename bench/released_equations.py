"""The adaptive kernel as the code published with arXiv 2406.02105 computes it: torch in float32.

Written from its description.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from nc1fast.compat.equations import ANNEALING
from nc1fast.support.extras import require

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench._problem import Floats


def released_schedule(
    X: Floats,
    y: Floats,
    *,
    noise: float = 1e-6,
    weight_variance: float = 1.0,
    readout_variance: float = 1 / 128,
    widths: Sequence[float] = ANNEALING,
) -> Floats:
    """Sigma after the annealing in 24 widths, each a Newton-Krylov search for the root of the
    equations.

    The kernel is scaled by two N x N x N products with a diagonal matrix, Q + noise I is inverted
    twice, the gradient of Tr(A Q) comes from automatic differentiation, and steps stop at 5e-4,
    absolute, in Sigma.
    """
    newton_krylov = require("scipy.optimize", "adaptive").newton_krylov
    rows, targets = torch.from_numpy(X.astype(np.float32)), torch.from_numpy(y.astype(np.float32))
    n_samples, d0 = rows.shape
    unit, features = torch.eye(n_samples), torch.eye(d0)

    def kernel(sigma: Any) -> Any:
        K = rows @ sigma @ rows.t()
        scale = torch.diag((2 * torch.diag(K) + 1) ** -0.5)
        return readout_variance * (2 / math.pi) * torch.arcsin(scale @ (2 * K) @ scale)

    def step(sigma: Any, width: float) -> Any:
        sigma = torch.tensor(sigma, dtype=torch.float32, requires_grad=True)
        Q = kernel(sigma)
        fixed = Q.detach()
        means = (fixed @ torch.linalg.inv(fixed + noise * unit) @ targets)[:, None]
        difference = targets - means  # (N,) - (N, 1)
        A = -noise * difference @ difference.t() + torch.linalg.inv(fixed + noise * unit)
        torch.trace(A @ Q).backward()
        return torch.linalg.inv(features * (d0 / weight_variance) + sigma.grad / width)

    sigma = (weight_variance / d0 * features).numpy()
    for width in widths:
        sigma = newton_krylov(
            lambda s, h=width: s - step(s, h).detach().numpy(),
            sigma,
            f_tol=5e-4,
            maxiter=100,
            inner_maxiter=100,
        )
    return np.asarray(sigma, dtype=np.float64)
