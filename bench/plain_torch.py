"""One hidden layer as a user of torch writes it: the training loop, NC1 of the features, the
tangent kernel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from nc1fast.networks import ShallowNetwork


class Plain(torch.nn.Module):  # type: ignore[misc]
    """One hidden layer of erf units, starting where a `ShallowNetwork` does."""

    def __init__(self, network: ShallowNetwork) -> None:
        super().__init__()
        dtype = next(network.parameters()).dtype
        self.hidden = torch.nn.Linear(network.n_features, network.widths[0], dtype=dtype)
        self.readout = torch.nn.Linear(network.widths[0], 1, dtype=dtype)
        with torch.no_grad():
            for mine, theirs in zip(self.parameters(), network.parameters(), strict=True):
                mine.copy_(theirs)

    def features(self, X: torch.Tensor) -> torch.Tensor:
        """Activations of the hidden layer, shape (n_samples, width)."""
        return torch.erf(self.hidden(X))

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Outputs of the network, shape (n_samples, 1)."""
        return self.readout(self.features(X))


def train(
    model: Plain,
    X: torch.Tensor,
    targets: torch.Tensor,
    epochs: int,
    lr: float,
    weight_decay: float,
) -> float:
    """Full-batch gradient descent that records its loss alone; returns the loss at the end."""
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, weight_decay=weight_decay)
    losses = []
    for _ in range(epochs):
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(model(X), targets)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    with torch.no_grad():
        return float(torch.nn.functional.mse_loss(model(X), targets))


def nc1(model: Plain, X: torch.Tensor, y: torch.Tensor) -> float:
    """Tr Sigma_W / Tr Sigma_B of the hidden features of balanced classes, class by class."""
    with torch.no_grad():
        H = model.features(X)
        members = [H[y == c] for c in y.unique()]
        means = torch.stack([m.mean(dim=0) for m in members])
        within = sum((m - mean).square().sum() for m, mean in zip(members, means, strict=True))
        between = (means - means.mean(dim=0)).square().sum() / len(means)
        return float(within / len(H) / between)


def tangent_kernel(model: Plain, X: torch.Tensor) -> torch.Tensor:
    """J J^T of the per-sample Jacobians, as the documentation of torch.func writes it; shape
    (n_samples, n_samples).
    """
    parameters = {name: p.detach() for name, p in model.named_parameters()}

    def f(parameters: dict[str, Any], x: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(model, parameters, (x[None],))[0]

    jacobian = torch.func.vmap(torch.func.jacrev(f), (None, 0))(parameters, X)
    flat = [J.flatten(1) for J in jacobian.values()]
    return sum(J @ J.T for J in flat)
