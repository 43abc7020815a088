"""Names of layers, and the hooks that hand on what they return."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from nc1fast.networks.network import ShallowNetwork
from nc1fast.networks.probing.outputs import MisfitError, leaves
from nc1fast.support.arguments import as_items

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BLOCKS = "blocks"
_INPUT = "input"


class Tap(NamedTuple):
    """A place where a module is heard: its outputs or, by the name "MODULE.input", what it is
    called with.
    """

    name: str
    part: Any
    of_input: bool = False


class Layers(NamedTuple):
    """The places that are heard, and their names.

    Attributes
    ----------
    taps : list of Tap
    wanted : list of str or None
        Names that must be heard, each "MODULE", "MODULE.input", or one of these with "#" and the
        path of a tensor within it; None: every tensor that fits.
    """

    taps: list[Tap]
    wanted: list[str] | None


def layers_of(module: Any, layers: Any) -> Layers:
    """The places that `layers` names, as `probe` takes it.

    Raises
    ------
    TypeError, ValueError
        For what is no list of names of submodules.
    """
    named = dict(module.named_modules())
    if layers is None:
        names = module.layers if isinstance(module, ShallowNetwork) else _leaf_names(module)
        return Layers([Tap(name, named[name]) for name in names], None)
    if isinstance(layers, str):
        if layers != BLOCKS:
            raise TypeError(
                f"layers must be a list of names, or {BLOCKS!r}, got the string {layers!r}"
            )
        return Layers([Tap(name, named[name]) for name in block_names(module)], None)
    wanted = as_items("layers", layers, f"a list of names, or {BLOCKS!r}")
    taps: dict[str, Tap] = {}
    unknown = []
    for name in wanted:
        tap = _tap(name, named) if isinstance(name, str) else None
        if tap is None:
            unknown.append(name)
        else:
            taps.setdefault(tap.name, tap)
    if unknown or not wanted:
        shown = ", ".join(name for name in named if name)
        raise ValueError(f"layers must name submodules ({shown}), got {wanted!r}")
    return Layers(list(taps.values()), list(dict.fromkeys(wanted)))


def with_layers(module: Any, layers: Any, more: list[str]) -> Layers:
    """The places that `layers` names, and more of them."""
    found = layers_of(module, layers)
    missing = [name for name in more if name not in {tap.name for tap in found.taps}]
    if not missing:
        return found
    added = layers_of(module, missing)
    wanted = None if found.wanted is None else [*found.wanted, *missing]
    return Layers([*found.taps, *added.taps], wanted)


def _tap(name: str, named: dict[str, Any]) -> Tap | None:
    """The place that a name means, or None."""
    base = name.partition("#")[0]
    if base and base in named:
        return Tap(base, named[base])
    owner, dot, last = base.rpartition(".")
    if last == _INPUT and owner in named and (dot or base == _INPUT):
        return Tap(base, named[owner], of_input=True)
    return None


def _leaf_names(module: Any) -> list[str]:
    """Submodules without submodules; a module that has none is its own only layer."""
    names = [n for n, part in module.named_modules() if n and next(part.children(), None) is None]
    return names or [""]


def block_names(module: Any) -> list[str]:
    """The blocks of a module: the elements of its sequences and lists, and what stands beside
    these.

    A sequence of modules without submodules, as a block has within it, is none of blocks, unless
    the module itself or a sequence of it holds it.
    """
    found: list[str] = []

    def enter(part: Any, prefix: str) -> None:
        for name, child in part.named_children():
            full = f"{prefix}{name}"
            if next(child.children(), None) is not None and (
                _is_container(child) or _holds_blocks(child)
            ):
                enter(child, f"{full}.")
            else:
                found.append(full)

    enter(module, "")
    return found or [""]


def _is_container(part: Any) -> bool:
    nn = torch.nn
    return isinstance(part, nn.Sequential | nn.ModuleList | nn.ModuleDict)


def _holds_blocks(part: Any) -> bool:
    """Whether a sequence somewhere within a module has elements with submodules of their own."""
    return any(
        _is_container(inner)
        and any(next(element.children(), None) is not None for element in inner.children())
        for inner in part.modules()
    )


class Listener:
    """Hands every tensor that is heard to a function, in the order of the forward pass.

    Parameters
    ----------
    layers : Layers
    receive : callable(name, tensor)
        Raises `MisfitError` for a tensor that has no row for each label.
    """

    def __init__(self, layers: Layers, receive: Callable[[str, torch.Tensor], object]) -> None:
        self.layers, self.receive = layers, receive
        self.misfits: dict[str, str] = {}  # why a tensor that nobody named is left out
        self._calls: dict[str, int] = {}
        self._heard: dict[str, None] = {}

    @contextlib.contextmanager
    def attached(self) -> Iterator[None]:
        """Hooks on all of these places within the context."""
        with contextlib.ExitStack() as stack:
            for tap in self.layers.taps:
                stack.callback(self._attach(tap).remove)
            yield

    def _attach(self, tap: Tap) -> Any:
        if tap.of_input:

            def before(_module: Any, given: Any, named: Any) -> None:
                values = [*given, *named.values()]
                self._hear(tap.name, values[0] if len(values) == 1 else values)

            return tap.part.register_forward_pre_hook(before, with_kwargs=True)

        def after(_module: Any, _inputs: Any, output: Any) -> None:
            self._hear(tap.name, output)

        return tap.part.register_forward_hook(after)

    def _hear(self, name: str, value: Any) -> None:
        """Hand on what a module returns, or is called with: the tensor, or those within that are
        wanted.
        """
        call = self._calls[name] = self._calls.get(name, 0) + 1
        again = f"#{call}" if call > 1 else ""
        wanted = self.layers.wanted
        found = dict(leaves(value))
        if wanted is not None and f"{name}{again}" in wanted and "" not in found:
            names = ", ".join(repr(f"{name}#{path}{again}") for path in found) or "none"
            raise TypeError(
                f"layer {name + again!r} must return one floating-point tensor with a row per sample, "
                f"not a {type(value).__name__}; the tensors within are {names}"
            )
        for path, tensor in found.items():
            key = f"{name}#{path}{again}" if path else f"{name}{again}"
            if wanted is not None and key not in wanted:
                continue
            self._heard[key] = None
            if key in self.misfits:
                continue
            try:
                self.receive(key, tensor.detach())
            except MisfitError as error:
                if wanted is not None:
                    raise TypeError(f"layer {key!r} must return {error}") from None
                self.misfits[key] = f"it must return {error}"

    def start(self) -> None:
        """Forget the batch before: another one begins."""
        self._calls, self._heard = {}, {}

    def end(self) -> None:
        """A batch has passed; TypeError if it has not reached what was named."""
        silent = [name for name in self.layers.wanted or () if name not in self._heard]
        if silent:
            raise TypeError(
                f"layer {silent[0]!r} must return a tensor in every forward pass, but there was none; "
                f"heard were {', '.join(map(repr, self._calls)) or 'none'}"
            )
