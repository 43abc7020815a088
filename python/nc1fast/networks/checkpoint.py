"""Checkpoints: the state of a training on disk, written whole or not at all, and read only by the
run that wrote it.

A file is a line with the format and a checksum, followed by what torch writes. A damaged file never
reaches torch.
"""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING, Any

import torch

from nc1fast.support.files import checksum, write_atomically
from nc1fast.support.reading import check_regular, reading

if TYPE_CHECKING:
    from pathlib import Path

_MAGIC, _FORMAT = b"nc1fast checkpoint ", b"3 "


def fingerprint(settings: dict[str, Any], *tensors: Any) -> str:
    """Hash of the settings and tensors that decide a run: 64 hexadecimal digits."""
    digest = hashlib.sha256(repr(sorted(settings.items())).encode())
    for tensor in tensors:
        array = tensor.detach().cpu().contiguous()
        digest.update(f"{array.dtype}{tuple(array.shape)}".encode())
        digest.update(array.numpy().tobytes())
    return digest.hexdigest()


def save(path: Path, run: str, state: dict[str, Any]) -> None:
    """Write the state of a run; the old file stays until the new one is complete."""
    content = io.BytesIO()
    torch.save({"run": run, **state}, content)
    data = content.getvalue()
    write_atomically(path, _first_line(data) + data)


def _first_line(data: bytes) -> bytes:
    """The line before the data: what the file is, its format, and the checksum of the data."""
    return _MAGIC + _FORMAT + checksum(data).encode() + b"\n"


def load(path: Path, run: str) -> dict[str, Any] | None:
    """The state that the same run wrote, or None if there is no file.

    Raises
    ------
    ValueError
        For a file that is not a checkpoint, is damaged, or is of another format or another run.
    """
    if not path.exists():
        return None
    check_regular(path, "checkpoint")
    with reading(str(path), "checkpoint"):
        with path.open("rb") as file:
            start, data = file.read(len(_first_line(b""))), file.read()
        if not start.startswith(_MAGIC):
            raise ValueError(
                "is not a checkpoint of nc1fast, or of an earlier version: name another file to "
                "start anew"
            )
        if not start.startswith(_MAGIC + _FORMAT):
            raise ValueError("is a checkpoint of another version: name another file to start anew")
        if start != _first_line(data):
            raise ValueError("is damaged: its checksum is another one")
        state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        if state.pop("run") != run:
            raise ValueError(
                "is of another run: data, targets, network and settings must be the same; name "
                "another file to start anew"
            )
    return dict(state)
