"""Whatever happens within, module and random numbers are afterwards as they were."""

from __future__ import annotations

import contextlib
import random
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.support.extras import require

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import torch
else:
    torch = require("torch", "torch")


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
                if buffer is not None and not _same(buffer, value):
                    buffer.copy_(value)


def _same(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether two tensors of one shape hold the same numbers; NaN is not the same as itself."""
    return a.shape == b.shape and bool((a == b).all())


def random_state(data: Any = None) -> Callable[[], None]:
    """The state of all random numbers that a pass may draw, as a function that puts it back.

    Those of torch on every device, of NumPy and of Python, and the generators of a DataLoader and
    its samplers.
    """
    host, legacy, plain = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    started = torch.cuda.is_available() and torch.cuda.is_initialized()
    devices = torch.cuda.get_rng_state_all() if started else []
    generators = [(g, g.get_state()) for g in _generators(data)]

    def restore() -> None:
        torch.set_rng_state(host)
        np.random.set_state(legacy)  # noqa: NPY002
        random.setstate(plain)
        if devices:
            torch.cuda.set_rng_state_all(devices)
        for generator, state in generators:
            generator.set_state(state)

    return restore


def _generators(data: Any) -> list[Any]:
    """The generators of torch that a loader draws from, each once."""
    found: list[Any] = []
    for holder in (
        data,
        getattr(data, "sampler", None),
        getattr(getattr(data, "batch_sampler", None), "sampler", None),
    ):
        generator = getattr(holder, "generator", None)
        if isinstance(generator, torch.Generator) and all(generator is not g for g in found):
            found.append(generator)
    return found
