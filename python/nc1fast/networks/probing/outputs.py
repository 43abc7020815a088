"""Nested structures of tensors: batches, and what layers return."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.inputs.arrays import host_array
from nc1fast.support.extras import require

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import torch
else:
    torch = require("torch", "torch")


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors within tuples, lists, mappings and dataclasses, each with its path: "" for a
    tensor itself, "1.key" within.
    """
    if isinstance(value, torch.Tensor):
        yield path, value
        return
    for name, part in _parts(value):
        yield from leaves(part, f"{path}.{name}" if path else str(name))


def _parts(value: Any) -> list[tuple[Any, Any]]:
    """Names and values within a structure; none in anything else."""
    if isinstance(value, Mapping):
        return list(value.items())
    if isinstance(value, tuple | list):
        return list(enumerate(value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [(f.name, getattr(value, f.name)) for f in dataclasses.fields(value)]
    return []


def is_array(value: Any) -> bool:
    """Whether a value is a tensor, or an array of any library that has DLPack."""
    return isinstance(value, torch.Tensor | np.ndarray) or hasattr(value, "__dlpack__")


def mapped(function: Callable[[Any], Any], value: Any) -> Any:
    """The same structure with the function of each array, of NumPy if of another library, and
    tensor; mappings become dicts.
    """
    if isinstance(value, torch.Tensor):
        return function(value)
    if is_array(value):
        return function(host_array(value, "data"))
    if isinstance(value, Mapping):
        return {name: mapped(function, part) for name, part in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(mapped(function, part) for part in value))
    if isinstance(value, tuple | list):
        return type(value)(mapped(function, part) for part in value)
    return value


def as_torch(value: Any) -> Any:
    """A tensor of an array of numbers, which is copied; anything else as it is."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        return torch.from_numpy(np.array(value, dtype=value.dtype.newbyteorder("=")))
    return value
