"""Nested values that hold arrays, taken apart into plain JSON and named arrays, and put together
again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping


def split(value: Any, arrays: dict[str, Any]) -> Any:
    """Take the arrays out of nested dicts and lists, into `arrays`; what stays is plain JSON."""
    if isinstance(value, np.ndarray):
        name = f"{len(arrays)}"
        arrays[name] = value
        return {"array": name}
    if isinstance(value, dict):
        return {key: split(part, arrays) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [split(part, arrays) for part in value]
    return value.item() if isinstance(value, np.generic) else value


def joined(value: Any, arrays: Mapping[str, Any]) -> Any:
    """Put the arrays back that `split` took out; tuples have become lists."""
    if isinstance(value, dict):
        if value.keys() == {"array"}:
            return arrays[value["array"]]
        return {key: joined(part, arrays) for key, part in value.items()}
    return [joined(part, arrays) for part in value] if isinstance(value, list) else value
