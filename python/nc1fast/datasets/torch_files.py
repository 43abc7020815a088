"""Reader of .pt and .pth files of PyTorch, as tensors alone: `torch.load(weights_only=True)` runs
no code of the file.
"""

from __future__ import annotations

import contextlib
import functools
import io
import pickletools
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.datasets.damage import malformed, readable
from nc1fast.inputs.arrays import host_array
from nc1fast.inputs.readers.members import check_claim
from nc1fast.inputs.text import as_texts
from nc1fast.support.extras import require
from nc1fast.support.npy import check_members, opened_archive

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from nc1fast.datasets.named import Members

_ARCHIVE = b"PK\x03\x04"  # begins a file of PyTorch 1.6 or later
_OF_THE_OLD_FORMAT = 4  # pickles of a file: magic number, version, system, objects
_LONGEST = (
    1 << 14
)  # letters of a word: torch searches its own messages, which tell words, in quadratic time
_PAIR = ("X", "y")  # names of the tensors of a tuple, as torchvision saves MNIST


@contextlib.contextmanager
def torch_members(path: Path) -> Iterator[Members]:
    """Tensors of a dict by their keys, the first two of a list or tuple as X and y, a single one as
    X.
    """
    torch = require("torch", "torch")
    with readable(path, "PyTorch file of tensors, numbers, texts, lists and dicts alone"):
        loaded = torch.load(_checked(path), map_location="cpu", weights_only=True)
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


def _checked(path: Path) -> Any:
    """The argument for torch: the path of an archive whose members are what they say, or the
    content of a file of the old format.

    From disk, torch would ask for as many bytes as a length in such a file says.
    """
    with path.open("rb") as file:
        archived = file.read(len(_ARCHIVE)) == _ARCHIVE
    if not archived:
        content = io.BytesIO(path.read_bytes())
        _check_texts(content, _OF_THE_OLD_FORMAT)
        content.seek(0)
        return content
    with opened_archive(path) as archive:
        check_members(archive)
        for info in archive.infolist():
            if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
                raise ValueError(f"its member {info.filename!r} is not stored as torch does it")
            if info.filename.endswith("data.pkl"):
                with archive.open(info) as stream:
                    _check_texts(stream, 1)
    return str(path)


def _check_texts(stream: Any, count: int) -> None:
    """Raise ValueError for a word that is too long in the first pickles of a stream, and for what
    are none.
    """
    for _ in range(count):
        for _, argument, _ in pickletools.genops(stream):
            if isinstance(argument, str | bytes) and len(argument) > _LONGEST:
                longest = max(map(len, argument.split()), default=0)
                if longest > _LONGEST:
                    raise ValueError(f"a word of {longest} letters, {_LONGEST} at most are read")


def _array(path: Path, name: str, value: Any) -> NDArray[Any]:
    """A tensor, or a list of numbers or texts, as an array."""
    with readable(path, f"array {name!r}"):
        if isinstance(value, list | tuple):
            return _listed(value)
        check_claim(value.numel() * value.element_size(), str(path))  # strides of 0 take no room
        if value.layout != require("torch", "torch").strided:
            raise ValueError(f"its layout is {value.layout}, a dense tensor is needed")
        return host_array(value, name)


def _listed(values: Any) -> NDArray[Any]:
    """A list of numbers or of texts, or one of lists of numbers, as an array of about as many bytes
    as they have in the file.
    """
    kinds = {type(one) for one in values}
    if kinds in ({str}, {bytes}):
        return as_texts(values)
    if kinds <= {list, tuple}:
        if len(set(map(id, values))) < len(values):
            raise ValueError("one list many times")
        kinds = {type(one) for row in values for one in row}
    if not kinds <= {bool, int, float}:
        raise ValueError("a list of more than numbers or texts")
    return np.asarray(values)
