"""Losses, the energy of Langevin training, and the optimizers that descend them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nc1fast.networks.langevin import Langevin
from nc1fast.support.extras import require

if TYPE_CHECKING:
    import torch

    from nc1fast.inputs.targets import Targets
    from nc1fast.networks.network import ShallowNetwork
else:
    torch = require("torch", "torch")

LOSSES = ("mse", "cross-entropy", "none")
OPTIMIZERS = ("sgd", "adam", "langevin")


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


@dataclass(frozen=True)
class Descent:
    """An optimizer and its numbers; its repr is part of the identity of a checkpoint."""

    optimizer: str
    lr: float
    momentum: float
    weight_decay: float
    temperature: float | None

    def build(self, network: ShallowNetwork, generator: Any) -> Any:
        """The torch optimizer over the trained parameters of a network; `generator` drives the
        Langevin noise.
        """
        if self.optimizer == "langevin":
            assert self.temperature is not None
            groups = prior_groups(network)
            return Langevin(groups, lr=self.lr, temperature=self.temperature, generator=generator)
        params = [p for p in network.parameters() if p.requires_grad]
        if self.optimizer == "adam":
            return torch.optim.Adam(params, lr=self.lr, weight_decay=self.weight_decay)
        return torch.optim.SGD(
            params, lr=self.lr, momentum=self.momentum, weight_decay=self.weight_decay
        )


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
        pairs = (("weight", layer.weight, layer.weight_std), ("bias", layer.bias, layer.bias_std))
        for kind, p, std in pairs:
            if p is None or not p.requires_grad:
                continue
            if std == 0:
                raise ValueError(
                    f"optimizer='langevin' needs a prior, but {name}.{kind} trains and has variance 0: give it a "
                    f"{kind}_variance{', or train_bias=False' if kind == 'bias' else ''}"
                )
            groups.append({"params": [p], "prior_variance": std**2})
    return groups


def check_fits(descent: Descent, loss: str, network: ShallowNetwork, targets: Targets) -> None:
    """Check a choice of loss and optimizer against the network and its targets.

    Raises
    ------
    ValueError
        For "cross-entropy" without one-hot targets, and as `prior_groups` for "langevin".
    """
    if loss == "cross-entropy" and not targets.one_hot:
        raise ValueError("loss='cross-entropy' needs targets='one-hot' and an output per class")
    if descent.optimizer == "langevin":
        prior_groups(network)
