"""What files say, read a second time by other means; None where that cannot be told."""

from __future__ import annotations

import io
import math
import struct
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

_IDX = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


class DisagreeError(Exception):
    """Two readings of one file differ."""


def same(found: Any, told: Any, what: str) -> None:
    """Raise DisagreeError unless two arrays hold the same values, whatever their types."""
    told = np.asarray(told)
    wide = (
        told.astype(np.float64) if told.dtype.kind in "biuf" and found.dtype.kind == "f" else told
    )
    if found.shape != wide.shape or not np.array_equal(found, wide):
        raise DisagreeError(
            f"{what}: {found.dtype}{found.shape} here, {told.dtype}{told.shape} there"
        )


def rows(array: Any) -> Any:
    """As `nc1fast.datasets.load` flattens images."""
    return array.reshape(len(array), -1)


def npy(path: Path) -> Any:
    """The array of an .npy file, by NumPy."""
    return np.load(path, allow_pickle=False)


def npz(path: Path, name: str) -> Any:
    """An array of an .npz file, by zipfile and NumPy."""
    with zipfile.ZipFile(path) as archive:
        return np.load(io.BytesIO(archive.read(f"{name}.npy")), allow_pickle=False)


def idx(content: bytes) -> Any:
    """The array of an IDX file, by its description."""
    _, code, n_dims = struct.unpack(">HBB", content[:4])
    shape = struct.unpack(f">{n_dims}I", content[4 : 4 + 4 * n_dims])
    body = content[4 + 4 * n_dims :]
    assert len(body) == math.prod(shape) * np.dtype(_IDX[code]).itemsize
    return np.frombuffer(body, _IDX[code]).reshape(shape)


def cells(content: bytes, separator: str) -> list[list[str]] | None:
    """The cells of a table without quotes and odd ends of lines, else None."""
    text = content.decode("utf-8-sig")
    if '"' in text or "\r" in text or "\0" in text:
        return None
    lines = [line for line in text.split("\n") if line.replace(separator, "").strip()]
    return [[cell.strip() for cell in line.split(separator)] for line in lines]


def table(content: bytes, separator: str) -> tuple[Any, list[str]] | None:
    """Features and labels of the table of `targets`, whose first line is a header and whose label
    is last; else None.
    """
    lines = cells(content, separator)
    if lines is None or len(lines) < 2 or lines[0][-1] != "label":
        return None
    if lines[0].count("label") != 1 or any(_is_number(cell) for cell in lines[0][:-1]):
        return None
    return np.array([[float(cell) for cell in line[:-1]] for line in lines[1:]]), [
        line[-1] for line in lines[1:]
    ]


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
