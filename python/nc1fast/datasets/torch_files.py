"""Reader of .pt and .pth files of PyTorch, as tensors alone: `torch.load(weights_only=True)` runs no code of the file."""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.datasets.damage import malformed, readable
from nc1fast.inputs.arrays import host_array
from nc1fast.inputs.readers.members import check_claim
from nc1fast.support.extras import require

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from nc1fast.datasets.named import Members

_PAIR = ("X", "y")  # names of the tensors of a tuple, as torchvision saves MNIST


@contextlib.contextmanager
def torch_members(path: Path) -> Iterator[Members]:
    """Tensors of a dict by their keys, the first two of a list or tuple as X and y, a single one as X."""
    torch = require("torch", "torch")
    with readable(path, "PyTorch file of tensors, numbers, texts, lists and dicts alone"):
        loaded = torch.load(str(path), map_location="cpu", weights_only=True)
    if isinstance(loaded, list | tuple):
        loaded = dict(zip(_PAIR, loaded, strict=False))
    elif torch.is_tensor(loaded):
        loaded = {_PAIR[0]: loaded}
    if not isinstance(loaded, dict):
        raise malformed(
            path,
            f"holds a {type(loaded).__name__}; a dict of tensors, a pair of them or one tensor is needed",
        )
    yield {
        str(name): functools.partial(_array, path, str(name), value)
        for name, value in loaded.items()
        if torch.is_tensor(value) or isinstance(value, list | tuple)
    }


def _array(path: Path, name: str, value: Any) -> NDArray[Any]:
    """A tensor, or a list of numbers or texts, as an array."""
    with readable(path, f"array {name!r}"):
        if isinstance(value, list | tuple):
            return np.asarray(value)
        check_claim(value.numel() * value.element_size(), str(path))  # strides of 0 take no room
        if value.layout != require("torch", "torch").strided:
            raise ValueError(f"its layout is {value.layout}, a dense tensor is needed")
        return host_array(value, name)
