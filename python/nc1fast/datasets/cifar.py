"""Readers of the batches of CIFAR-10 and CIFAR-100, in their Python (pickled) and their binary
version.

Source: A. Krizhevsky (2009), Learning Multiple Layers of Features from Tiny Images; the formats are
those of its page.
"""

from __future__ import annotations

import contextlib
import functools
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.datasets.damage import about, malformed, readable
from nc1fast.datasets.pickles import loads_plain
from nc1fast.inputs.text import as_texts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from nc1fast.datasets.named import Members

_PIXELS = 3072  # of an image, 3 x 32 x 32
_PYTHON = re.compile(r"data_batch_\d+|test_batch|train|test")
# Labels that stand before the pixels of each image: CIFAR-10, CIFAR-100.
_BINARY = {
    re.compile(r"(data_batch_\d+|test_batch)\.bin"): ("labels",),
    re.compile(r"(train|test)\.bin"): ("coarse_labels", "fine_labels"),
}


def is_python_batch(path: Path) -> bool:
    """Whether a file has the name of a batch in the Python version: data_batch_1, test_batch,
    train, test.
    """
    return _PYTHON.fullmatch(path.name) is not None


def is_binary_batch(path: Path) -> bool:
    """Whether a file has the name of a batch in the binary version: data_batch_1.bin, train.bin and
    the like.
    """
    return any(name.fullmatch(path.name) for name in _BINARY)


@contextlib.contextmanager
def python_members(path: Path) -> Iterator[Members]:
    """Arrays of a pickled batch: data (n, 3072), and labels, or fine_labels and coarse_labels."""
    with readable(path, "pickled batch of CIFAR"):
        content = loads_plain(path.read_bytes())
    if not isinstance(content, dict):
        raise malformed(path, f"holds a {type(content).__name__}, a dict is needed")
    yield {
        _text(key): functools.partial(_column, path, _text(key), value)
        for key, value in content.items()
        if isinstance(value, list | np.ndarray)
    }


def _text(key: Any) -> str:
    """A key of Python 2, which is bytes, as text."""
    return key.decode("latin-1") if isinstance(key, bytes) else str(key)


def _column(path: Path, name: str, value: Any) -> NDArray[Any]:
    """An array, or a list of whole numbers or names as one."""
    kinds = {type(one) for one in value} if isinstance(value, list) else set()
    if not (kinds <= {int} or kinds in ({bytes}, {str})):
        raise malformed(path, f"{name!r} is a list of more than whole numbers or names")
    with about(path, repr(name)):
        return as_texts(value) if kinds - {int} else np.asarray(value)


@contextlib.contextmanager
def binary_members(path: Path) -> Iterator[Members]:
    """Arrays of a binary batch, of records of one or two bytes of labels and 3072 of pixels."""
    [names] = [names for pattern, names in _BINARY.items() if pattern.fullmatch(path.name)]
    record = len(names) + _PIXELS
    content = np.frombuffer(path.read_bytes(), np.uint8)
    if content.size == 0 or content.size % record:
        raise malformed(
            path, f"has {content.size} bytes, no whole number of images of {record} bytes"
        )
    records = content.reshape(-1, record)
    columns: dict[str, NDArray[Any]] = {name: records[:, i] for i, name in enumerate(names)}
    columns["data"] = records[:, len(names) :]
    yield {name: functools.partial(np.asarray, values) for name, values in columns.items()}
