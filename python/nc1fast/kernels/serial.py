"""Kernels as JSON and as plain values: how files and other processes hold them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.activations import FAMILIES, as_activation
from nc1fast.activations import PLUGINS as ACTIVATIONS
from nc1fast.kernels.classes import Kernel
from nc1fast.kernels.registry import KERNELS, class_named

if TYPE_CHECKING:
    from collections.abc import Callable

_PLUGIN = "plugin"  # an activation of a plug-in is {"plugin": [name, repr]}


def to_json(kernel: Any) -> Any:
    """A kernel, a name or None as JSON holds it: what the kernel is made of, without what is
    derived.

    Raises
    ------
    TypeError
        For anything else.
    """
    if kernel is None or isinstance(kernel, str):
        return kernel
    return _with_class(kernel, Kernel.to_plain(_checked(kernel)), to_json)


def to_plain(kernel: Any) -> dict[str, Any]:
    """A kernel as plain values and arrays; with the factor of an adaptive one, whose bits depend on
    who computes it.

    Raises
    ------
    TypeError
        If it is no kernel object of a known class.
    """
    return _with_class(kernel, _checked(kernel).to_plain(), to_plain)


def from_json(data: Any) -> Any:
    """The kernel that `to_json` wrote."""
    if data is None or isinstance(data, str):
        return data
    kind, values = _without_class(data, from_json)
    return kind(**values)


def from_plain(data: dict[str, Any]) -> Kernel:
    """The kernel of the values of `to_plain`."""
    kind, values = _without_class(data, from_plain)
    return kind.from_plain(values)


def _checked(kernel: Any) -> Kernel:
    """A kernel whose class can be found again by its name."""
    if not isinstance(kernel, Kernel) or KERNELS.get(type(kernel).__name__) is not type(kernel):
        raise TypeError(f"only kernel objects can be written to a file, got {kernel!r}")
    return kernel


def _with_class(
    kernel: Kernel, values: dict[str, Any], written: Callable[[Any], Any]
) -> dict[str, Any]:
    """The values beside the name of the class, an activation with a parameter as {name: parameter}.

    Parameters
    ----------
    written : callable
        `to_json` or `to_plain`, for the kernels that this one is made of.
    """

    def plain(value: Any) -> Any:
        if isinstance(value, Kernel):
            return written(value)
        if isinstance(value, tuple):
            return [plain(one) for one in value]
        return value.tolist() if written is to_json and isinstance(value, np.ndarray) else value

    values = {name: plain(value) for name, value in values.items()}
    activation = values.get("activation")
    if activation is not None and not isinstance(activation, str):
        if activation.name in FAMILIES:
            values["activation"] = {activation.name: activation.parameter}
        elif (
            activation.name in ACTIVATIONS.offered()
            and as_activation(activation.name) == activation
        ):
            values["activation"] = {_PLUGIN: [activation.name, repr(activation)]}
        else:
            raise TypeError(f"a function cannot be written to a file: {activation!r}")
    return {"class": kernel.name, **values}


def _without_class(
    data: dict[str, Any], read: Callable[[Any], Any]
) -> tuple[type[Kernel], dict[str, Any]]:
    """The class, and the values that its constructor takes; `read` undoes what `written` of
    `_with_class` did.
    """

    def value_of(plain: Any) -> Any:
        if isinstance(plain, list | tuple):
            return tuple(map(value_of, plain))
        return read(plain) if isinstance(plain, dict) and "class" in plain else plain

    values: dict[str, Any] = {name: value_of(plain) for name, plain in data.items()}
    if isinstance(activation := values.get("activation"), dict):
        ((name, parameter),) = activation.items()
        values["activation"] = (
            _of_plugin(*parameter) if name == _PLUGIN else FAMILIES[name](parameter)
        )
    return class_named(values.pop("class")), values


def _of_plugin(name: str, saved: str) -> Any:
    """The activation of a plug-in, which must be what it was when the kernel was written."""
    found = as_activation(name)
    if repr(found) != saved:
        raise ValueError(f"the plug-in {name!r} is now {found!r}, but was {saved}")
    return found
