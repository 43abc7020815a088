"""Classes of kernels by their names, those of plug-ins among them."""

from __future__ import annotations

from typing import Any

from nc1fast.core.activations import activations
from nc1fast.support.plugins import PluginGroup

KERNELS: dict[str, type[Any]] = {}  # every class of kernels, by name


def enter(kind: type[Any]) -> None:
    """Register a class; one of another package does not replace one of this."""
    if _is_ours(kind) or kind.__name__ not in KERNELS or not _is_ours(KERNELS[kind.__name__]):
        KERNELS[kind.__name__] = kind


def class_named(name: str) -> type[Any]:
    """The class of this name; ValueError if there is none."""
    if name not in KERNELS:
        PLUGINS.usable()  # a class is known once it is imported
    if name not in KERNELS:
        raise ValueError(f"unknown class of kernels {name!r}: is its package installed?")
    return KERNELS[name]


def of_option(option: str) -> type[Any]:
    """The class of this name on the command line; ValueError if there is none."""
    found = _by_option().get(option) or PLUGINS.get(option)
    if found is None:
        raise ValueError(f"unknown kernel {option!r}; choose from {', '.join(options())}")
    return found


def hint(given: Any) -> str:
    """How to make a kernel object of the class or the name of one, or of an activation; empty for
    anything else.
    """
    of_class = given if isinstance(given, type) else None
    if isinstance(given, str):
        names = ((one, (name.lower(), one.option)) for name, one in KERNELS.items())
        of_class = next((one for one, known in names if given.lower() in known), None)
        if of_class is None:
            return f": of an activation, nc1fast.NNGP({given!r})" if given in activations() else ""
    if of_class is None or of_class not in KERNELS.values():
        return ""
    argument = "'relu'" if "activation" in getattr(of_class, "__dataclass_fields__", ()) else ""
    return f": give an object, {of_class.__name__}({argument})"


def options() -> list[str]:
    """Names of kernels on the command line, of which those of plug-ins are not loaded."""
    return list(dict.fromkeys([*_by_option(), *PLUGINS.offered()]))


def _by_option() -> dict[str, type[Any]]:
    return {kind.option: kind for kind in KERNELS.values() if kind.option}


def _is_ours(kind: type[Any]) -> bool:
    return kind.__module__.startswith("nc1fast.")


def _plugged_in(name: str, given: type[Any]) -> type[Any]:
    """A class of kernels of an entry point, which has the name of its `option`."""
    if KERNELS.get(given.__name__) is not given:
        raise TypeError(f"must be a kernel with a name of its own, got {given!r}")
    if given.option != name:
        raise ValueError(f"its option is {given.option!r}")
    return given


PLUGINS: PluginGroup[type[Any]] = PluginGroup(
    "kernels",
    type,
    taken=lambda: {name for name, kind in _by_option().items() if _is_ours(kind)},
    accept=_plugged_in,
)
