"""Langevin dynamics: noisy gradient descent with the decay of a Gaussian prior, as a torch
optimizer.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from nc1fast.support.arguments import as_number
from nc1fast.support.extras import require

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import torch
else:
    torch = require("torch", "torch")


class Langevin(torch.optim.Optimizer):  # type: ignore[misc]
    """Samples from exp(-loss/temperature) times a Gaussian prior N(0, prior_variance) of the
    parameters.

    Parameters
    ----------
    params : iterable of parameters, or of groups {"params": ..., "prior_variance": ...}
    lr : float
        Step size eta.
    temperature : float
        T. With loss = (1/2) sum_i |f(x_i) - y_i|^2 it is the variance of the observation noise.
    prior_variance : float, optional
        s^2, for groups without one of their own.
    generator : torch.Generator, optional
        What the noise is drawn from, on the device of the parameters.

    Raises
    ------
    TypeError, ValueError
        For lr, temperature or prior_variance that are not positive, finite numbers.

    Notes
    -----
    dw = -(dloss/dw + T w/s^2) dt + sqrt(2 T) dB. The linear part is integrated exactly over a step
    eta: w <- a w - (1 - a) (s^2/T) dloss/dw + s sqrt(1 - a^2) xi,  a = exp(-eta T/s^2), so that
    with no gradient the prior is stationary for any step; to first order in eta it is w - eta
    (dloss/dw + T w/s^2) + sqrt(2 eta T) xi.
    Accuracy: the gradient's part is of first order in eta; the bias of the equilibrium vanishes
    with it.
    Source: the exponential Euler-Maruyama scheme; Welling & Teh (2011) for its use on networks.
    """

    def __init__(
        self,
        params: Iterable[Any],
        *,
        lr: float,
        temperature: float,
        prior_variance: float | None = None,
        generator: Any = None,
    ) -> None:
        super().__init__(
            params, {"lr": lr, "temperature": temperature, "prior_variance": prior_variance}
        )
        for group in self.param_groups:
            for name in ("lr", "temperature", "prior_variance"):
                group[name] = as_number(name, group[name], above=0)
        self.generator = generator

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move every parameter by one step; a parameter without a gradient follows the prior alone."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        with torch.no_grad():
            for group in self.param_groups:
                s2, T = group["prior_variance"], group["temperature"]
                rate = group["lr"] * T / s2
                pull = -math.expm1(-rate)  # 1 - a
                noise = math.sqrt(s2 * -math.expm1(-2 * rate))
                for p in group["params"]:
                    p.mul_(1 - pull)
                    if p.grad is not None:
                        p.add_(p.grad, alpha=-pull * s2 / T)
                    xi = torch.randn(
                        p.shape, generator=self.generator, dtype=p.dtype, device=p.device
                    )
                    p.add_(xi, alpha=noise)
        return loss
