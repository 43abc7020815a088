"""Modules and their inputs, checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.inputs.arrays import host_array
from nc1fast.networks.network import ShallowNetwork
from nc1fast.support.extras import require

if TYPE_CHECKING:
    import torch
else:
    torch = require("torch", "torch")


def as_module(module: Any) -> Any:
    """Return the module, or raise TypeError unless it is a `torch.nn.Module`."""
    if not isinstance(module, torch.nn.Module):
        raise TypeError(f"module must be a torch.nn.Module, got {type(module).__name__}")
    return module


def placed(module: Any, X: Any, name: str = "X") -> torch.Tensor:
    """X as a tensor on the device of the module; floats get the precision of its parameters.

    Raises
    ------
    TypeError
        For anything that is not an array of real numbers.
    ValueError
        For X without rows or features, for NaN or Inf, and for a shape that a `ShallowNetwork` does
        not take.
    """
    if not isinstance(X, torch.Tensor):
        array = host_array(X, name)
        if array.dtype.kind not in "fiub":
            raise TypeError(f"{name} must be an array of real numbers, got dtype {array.dtype}")
        X = torch.from_numpy(np.array(array, dtype=array.dtype.newbyteorder("="), order="C"))
    if X.is_complex():
        raise TypeError(f"{name} must be an array of real numbers, got dtype {X.dtype}")
    if X.ndim < 2 or 0 in X.shape:
        raise ValueError(f"{name} must have rows of features, got shape {tuple(X.shape)}")
    X = fitted(module, X)
    if X.is_floating_point() and not bool(torch.isfinite(X).all()):
        raise ValueError(f"{name} must be finite, but it contains NaN or Inf")
    if isinstance(module, ShallowNetwork) and tuple(X.shape[1:]) != (module.n_features,):
        raise ValueError(
            f"{name} must have shape (n_samples, {module.n_features}) for this network, got {tuple(X.shape)}"
        )
    return X.detach()


def fitted(module: Any, X: torch.Tensor) -> torch.Tensor:
    """A tensor on the device of the first floating-point parameter of the module; floats in its
    precision.
    """
    parameter = next((p for p in module.parameters() if p.is_floating_point()), None)
    if parameter is None:
        return X
    X = X.to(parameter.device)
    # integers may be indices into an embedding: only a network of linear layers takes them as
    # numbers
    if X.is_floating_point() or isinstance(module, ShallowNetwork):
        X = X.to(parameter.dtype)
    return X
