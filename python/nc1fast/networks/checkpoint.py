"""The state of a training on disk: written whole or not at all, and read only by the run that wrote it."""

from __future__ import annotations

import hashlib
import pickle
from typing import TYPE_CHECKING, Any

from nc1fast._extras import require

if TYPE_CHECKING:
    from pathlib import Path

    import torch
else:
    torch = require("torch", "torch")

_FORMAT = 1


def fingerprint(settings: dict[str, Any], *tensors: Any) -> str:
    """Hash of everything that decides a run."""
    digest = hashlib.sha256(repr(sorted(settings.items())).encode())
    for tensor in tensors:
        array = tensor.detach().cpu().contiguous()
        digest.update(f"{array.dtype}{tuple(array.shape)}".encode())
        digest.update(array.numpy().tobytes())
    return digest.hexdigest()


def save(path: Path, run: str, state: dict[str, Any]) -> None:
    """Write the state beside its place and move it there."""
    beside = path.with_name(path.name + ".partial")
    torch.save({"format": _FORMAT, "run": run, **state}, beside)
    beside.replace(path)


def load(path: Path, run: str) -> dict[str, Any] | None:
    """The state that the same run wrote, or None where there is no file.

    Raises
    ------
    ValueError
        For a file that is no checkpoint, or that of another run.
    """
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        known = state["format"] == _FORMAT
    except (RuntimeError, KeyError, TypeError, EOFError, pickle.UnpicklingError, ValueError) as e:
        raise ValueError(f"checkpoint {str(path)!r} is not a checkpoint of nc1fast: {e}") from e
    if not known:
        raise ValueError(f"checkpoint {str(path)!r} has format {state['format']!r}, not {_FORMAT}")
    if state["run"] != run:
        raise ValueError(
            f"checkpoint {str(path)!r} is of another run: data, targets, network and settings must be the same; "
            "name another file to start anew"
        )
    return {key: state[key] for key in state if key not in ("format", "run")}
