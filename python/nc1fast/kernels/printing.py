"""The `repr` of kernels and activations: the call that makes them, without what is default."""

from __future__ import annotations

from dataclasses import fields
from typing import Any


def without_defaults(kernel: Any) -> str:
    """The class of a dataclass with the arguments that are not the defaults, the activation first
    and without its name.
    """
    told = []
    for one in fields(kernel):
        value = getattr(kernel, one.name)
        if one.name == "activation":
            told.append(repr(value))
        elif value != one.default:
            told.append(f"{one.name}={value!r}")
    return f"{type(kernel).__name__}({', '.join(told)})"
