"""Kernels as JSON and as plain values: how files and other processes hold them."""

from __future__ import annotations

from typing import Any

import numpy as np

from nc1fast.activations import FAMILIES
from nc1fast.kernels.classes import KERNELS, Kernel


def to_json(kernel: Any) -> Any:
    """A kernel, a name or None as JSON holds it: what the kernel is made of, without what is derived.

    Raises
    ------
    TypeError
        For anything else.
    """
    if kernel is None or isinstance(kernel, str):
        return kernel
    values = Kernel.to_plain(_checked(kernel))
    lists = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in values.items()}
    return _with_class(kernel, lists)


def to_plain(kernel: Any) -> dict[str, Any]:
    """A kernel as plain values and arrays; with the factor of an adaptive one, whose bits depend on who computes it.

    Raises
    ------
    TypeError
        If it is no kernel object of a known class.
    """
    return _with_class(kernel, _checked(kernel).to_plain())


def from_json(data: Any) -> Any:
    """The kernel that `to_json` wrote."""
    if data is None or isinstance(data, str):
        return data
    kind, values = _without_class(data)
    return kind(**values)


def from_plain(data: dict[str, Any]) -> Kernel:
    """The kernel that `to_plain` took apart."""
    kind, values = _without_class(data)
    return kind.from_plain(values)


def _checked(kernel: Any) -> Kernel:
    """A kernel whose class can be found again by its name."""
    if not isinstance(kernel, Kernel) or KERNELS.get(type(kernel).__name__) is not type(kernel):
        raise TypeError(f"only kernel objects can be written to a file, got {kernel!r}")
    return kernel


def _with_class(kernel: Kernel, values: dict[str, Any]) -> dict[str, Any]:
    """The values beside the name of the class; an activation with a parameter as {name: parameter}."""
    activation = values.get("activation")
    if activation is not None and not isinstance(activation, str):
        values = {**values, "activation": {activation.name: activation.parameter}}
    return {"class": kernel.name, **values}


def _without_class(data: dict[str, Any]) -> tuple[type[Kernel], dict[str, Any]]:
    """The class, and the values that its constructor takes."""
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
    if isinstance(activation := values.get("activation"), dict):
        ((name, parameter),) = activation.items()
        values["activation"] = FAMILIES[name](parameter)
    return KERNELS[values.pop("class")], values
