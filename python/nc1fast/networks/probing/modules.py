"""Modules and their inputs, checked; and what a pass leaves as it was: modes, buffers, random
numbers.
"""

from __future__ import annotations

import contextlib
import random
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from nc1fast.inputs.arrays import host_array
from nc1fast.networks.network import ShallowNetwork

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


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
            f"{name} must have shape (n_samples, {module.n_features}) for this network, "
            f"got {tuple(X.shape)}"
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
    # Integers may be indices into an embedding: only a ShallowNetwork takes them as numbers.
    if X.is_floating_point() or isinstance(module, ShallowNetwork):
        X = X.to(parameter.dtype)
    return X


@contextlib.contextmanager
def evaluating(module: Any) -> Iterator[None]:
    """Evaluation mode within the context; every submodule returns to its own mode afterwards."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode


@contextlib.contextmanager
def buffers_kept(module: Any) -> Iterator[None]:
    """Buffers that a forward pass changes, or replaces, are put back: running statistics, counters,
    caches.
    """
    kept = [
        (part, name, buffer, None if buffer is None else buffer.detach().clone())
        for part in module.modules()
        for name, buffer in part._buffers.items()
    ]
    try:
        yield
    finally:
        with torch.no_grad():
            for part, name, buffer, value in kept:
                part._buffers[name] = buffer
                if buffer is not None and not torch.equal(buffer, value):
                    buffer.copy_(value)


def random_state(data: Any = None) -> Callable[[], None]:
    """The state of all random numbers that a pass may draw, as a function that puts it back.

    Those of torch on every device, of NumPy and of Python, and the generators of a DataLoader and
    its samplers.
    """
    host, legacy, plain = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    started = torch.cuda.is_available() and torch.cuda.is_initialized()
    devices = torch.cuda.get_rng_state_all() if started else []
    sampler = getattr(data, "sampler", None)
    batch_sampler = getattr(getattr(data, "batch_sampler", None), "sampler", None)
    generators = [getattr(holder, "generator", None) for holder in (data, sampler, batch_sampler)]
    states = [(g, g.get_state()) for g in generators if isinstance(g, torch.Generator)]

    def restore() -> None:
        torch.set_rng_state(host)
        np.random.set_state(legacy)  # noqa: NPY002
        random.setstate(plain)
        if devices:
            torch.cuda.set_rng_state_all(devices)
        for generator, state in states:
            generator.set_state(state)

    return restore
