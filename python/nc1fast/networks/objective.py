"""Losses and optimizers of a training, Langevin dynamics with the decay of a Gaussian prior among
them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from nc1fast.support.arguments import as_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from nc1fast.inputs.targets import Targets
    from nc1fast.networks.network import ShallowNetwork
    from nc1fast.networks.settings import TrainingSettings


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
        """Move every parameter by one step; one without a gradient follows the prior alone."""
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


def loss_of(
    loss: str, outputs: torch.Tensor, targets: torch.Tensor, classes: torch.Tensor
) -> torch.Tensor:
    """The loss of outputs (n, P): its mean over samples and outputs for "mse", over samples for
    "cross-entropy".
    """
    if loss == "mse":
        return torch.nn.functional.mse_loss(outputs, targets)
    return torch.nn.functional.cross_entropy(outputs, classes)


def energy_of(
    loss: str, outputs: torch.Tensor, targets: torch.Tensor, classes: torch.Tensor
) -> torch.Tensor:
    """Minus the log-likelihood times the temperature: (1/2) sum |f - t|^2, or the summed
    cross-entropy.
    """
    if loss == "mse":
        return (outputs - targets).square().sum() / 2
    return torch.nn.functional.cross_entropy(outputs, classes, reduction="sum")


def optimizer_of(settings: TrainingSettings, network: ShallowNetwork, generator: Any) -> Any:
    """The torch optimizer over the trained parameters of a network; `generator` drives the Langevin
    noise.
    """
    s = settings
    if s.optimizer == "langevin":
        assert s.temperature is not None
        groups = prior_groups(network)
        return Langevin(groups, lr=s.lr, temperature=s.temperature, generator=generator)
    trained = [p for p in network.parameters() if p.requires_grad]
    if s.optimizer == "adam":
        return torch.optim.Adam(trained, lr=s.lr, weight_decay=s.weight_decay)
    return torch.optim.SGD(trained, lr=s.lr, momentum=s.momentum, weight_decay=s.weight_decay)


def prior_groups(network: ShallowNetwork) -> list[dict[str, Any]]:
    """Groups for `Langevin`: each trained parameter with the variance it was drawn with.

    Raises
    ------
    ValueError
        For batch normalization, and for trained parameters that were drawn with variance zero.
    """
    if network.batch_norm:
        raise ValueError("optimizer='langevin' has no prior for batch_norm=True")
    groups = []
    for name, layer in network.weight_layers().items():
        for kind, p, std in layer.drawn():
            if not p.requires_grad:
                continue
            if std == 0:
                hint = ", or train_bias=False" if kind == "bias" else ""
                raise ValueError(
                    f"optimizer='langevin' needs a prior, but {name}.{kind} trains and has "
                    f"variance 0: give it a {kind}_variance{hint}"
                )
            groups.append({"params": [p], "prior_variance": std**2})
    return groups


def check_objective(settings: TrainingSettings, network: ShallowNetwork, targets: Targets) -> None:
    """Check the loss and optimizer against the network and its targets.

    Raises
    ------
    ValueError
        For "cross-entropy" without one-hot targets, and as `prior_groups` for "langevin".
    """
    if settings.loss == "cross-entropy" and not targets.one_hot:
        raise ValueError("loss='cross-entropy' needs targets='one-hot' and an output per class")
    if settings.optimizer == "langevin":
        prior_groups(network)
