"""Kernels as JSON and as plain values: how files and other processes hold them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.core.activations import FAMILIES, Activation, GeneralActivation, as_activation
from nc1fast.core.activations import PLUGINS as ACTIVATIONS
from nc1fast.kernels.classes import Kernel
from nc1fast.kernels.registry import KERNELS, class_named

if TYPE_CHECKING:
    from collections.abc import Callable

_PLUGIN = "plugin"  # an activation of a plug-in is {"plugin": [name, repr]}


def to_json(kernel: Any) -> Any:
    """A kernel, a name or None as JSON holds it: its arguments, without derived values.

    Raises
    ------
    TypeError
        For anything else.
    """
    return kernel if kernel is None or isinstance(kernel, str) else _values(kernel, as_json=True)


def to_plain(kernel: Any) -> dict[str, Any]:
    """A kernel as plain values and arrays; with the factor of an adaptive one, whose bits depend on
    the machine.

    Raises
    ------
    TypeError
        If it is no kernel object of a known class.
    """
    return _values(kernel, as_json=False)


def from_json(data: Any) -> Any:
    """The kernel that `to_json` wrote."""
    if data is None or isinstance(data, str):
        return data
    return _kernel(data, lambda kind, values: kind(**values))


def from_plain(data: dict[str, Any]) -> Kernel:
    """The kernel of the values of `to_plain`."""
    return _kernel(data, lambda kind, values: kind.from_plain(values))


def _values(kernel: Any, *, as_json: bool) -> dict[str, Any]:
    """The name of the class and the values of a kernel, arrays as lists in JSON."""
    if not isinstance(kernel, Kernel) or KERNELS.get(type(kernel).__name__) is not type(kernel):
        raise TypeError(f"only kernel objects can be written to a file, got {kernel!r}")

    def plain(value: Any) -> Any:
        if isinstance(value, Kernel):
            return _values(value, as_json=as_json)
        if isinstance(value, tuple):
            return [plain(one) for one in value]
        return value.tolist() if as_json and isinstance(value, np.ndarray) else value

    values = Kernel.to_plain(kernel) if as_json else kernel.to_plain()
    values = {name: plain(value) for name, value in values.items()}
    if "activation" in values:
        values["activation"] = _plain_activation(values["activation"])
    return {"class": kernel.name, **values}


def _plain_activation(activation: Activation) -> Any:
    """A name; {name: parameter} of a family; the name and the repr of that of a plug-in."""
    if isinstance(activation, str):
        return activation
    name = activation.name
    if not isinstance(activation, GeneralActivation):
        return {name: activation.parameter}
    if name in ACTIVATIONS.offered() and as_activation(name) == activation:
        return {_PLUGIN: [name, repr(activation)]}
    raise TypeError(f"a function cannot be written to a file: {activation!r}")


def _kernel(data: dict[str, Any], make: Callable[[type[Kernel], dict[str, Any]], Kernel]) -> Kernel:
    """The kernel that `make` constructs of a class and the values of `_values`."""

    def value_of(plain: Any) -> Any:
        if isinstance(plain, list | tuple):
            return tuple(map(value_of, plain))
        return _kernel(plain, make) if isinstance(plain, dict) and "class" in plain else plain

    values: dict[str, Any] = {name: value_of(plain) for name, plain in data.items()}
    if isinstance(activation := values.get("activation"), dict):
        ((name, saved),) = activation.items()
        values["activation"] = _of_plugin(*saved) if name == _PLUGIN else FAMILIES[name](saved)
    return make(class_named(values.pop("class")), values)


def _of_plugin(name: str, saved: str) -> Any:
    """The activation of a plug-in, which must be what it was when the kernel was written."""
    found = as_activation(name)
    if repr(found) != saved:
        raise ValueError(f"the plug-in {name!r} is now {found!r}, but was {saved}")
    return found
