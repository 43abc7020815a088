"""What a network descends: losses, the energy of Langevin training, optimizers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nc1fast.networks.langevin import Langevin
from nc1fast.support.arguments import as_number, check_choice
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
    """The mean loss: over samples and outputs for "mse", over samples for "cross-entropy"."""
    if loss == "mse":
        return torch.nn.functional.mse_loss(outputs, targets)
    return torch.nn.functional.cross_entropy(outputs, classes)


def energy_of(
    loss: str, outputs: torch.Tensor, targets: torch.Tensor, classes: torch.Tensor
) -> torch.Tensor:
    """Minus the log-likelihood times the temperature: (1/2) sum |f - t|^2, or the summed cross-entropy."""
    if loss == "mse":
        return (outputs - targets).square().sum() / 2
    return torch.nn.functional.cross_entropy(outputs, classes, reduction="sum")


@dataclass(frozen=True)
class Descent:
    """A checked choice of optimizer."""

    optimizer: str
    lr: float
    momentum: float
    weight_decay: float
    temperature: float | None

    def build(self, network: ShallowNetwork, generator: Any) -> Any:
        """The torch optimizer over the trained parameters of a network; `generator` drives the Langevin noise."""
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
    """Trained parameters with the variance they were drawn with.

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


def make_descent(
    network: ShallowNetwork,
    optimizer: str,
    loss: str,
    lr: Any,
    momentum: Any,
    weight_decay: Any,
    temperature: Any,
    batch_size: Any,
    targets: Targets,
) -> Descent:
    """Check everything that decides how a network moves.

    Raises
    ------
    TypeError, ValueError
        For unknown names, numbers out of range, and settings that do not belong together.
    """
    check_choice("optimizer", optimizer, OPTIMIZERS)
    check_choice("loss", loss, LOSSES)
    langevin = optimizer == "langevin"
    if loss == "none" and not langevin:
        raise ValueError("loss='none', the prior alone, belongs to optimizer='langevin'")
    if loss == "cross-entropy" and not targets.one_hot:
        raise ValueError("loss='cross-entropy' needs targets='one-hot' and an output per class")
    if langevin != (temperature is not None):
        raise ValueError("temperature belongs to optimizer='langevin', which needs it")
    momentum = as_number("momentum", momentum, least=0)
    weight_decay = as_number("weight_decay", weight_decay, least=0)
    if momentum and optimizer != "sgd":
        raise ValueError(f"momentum belongs to optimizer='sgd', got {momentum} for {optimizer!r}")
    if weight_decay and langevin:
        raise ValueError("weight_decay must be 0 for optimizer='langevin': the prior decides it")
    if langevin and batch_size is not None:
        raise ValueError("batch_size must be None for optimizer='langevin', whose noise is its own")
    if langevin:
        temperature = as_number("temperature", temperature, above=0)
        prior_groups(network)
    return Descent(optimizer, as_number("lr", lr, above=0), momentum, weight_decay, temperature)
