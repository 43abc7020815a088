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
    """A place where tensors of a module are taken: its outputs or, by the name "MODULE.input", what
    it is called with.
    """

    name: str
    part: Any
    of_input: bool = False


class Layers(NamedTuple):
    """The places where tensors are taken, and their names.

    Attributes
    ----------
    taps : list of Tap
    requested : list of str or None
        Names of tensors that every forward pass must give, each "MODULE", "MODULE.input", or one of
        these with "#" and the path of a tensor within it; None: every tensor that fits.
    """

    taps: list[Tap]
    requested: list[str] | None


def layers_of(module: Any, layers: Any, more: list[str]) -> Layers:
    """The places that `layers` names, as `probe` takes it, and `more` of them.

    Raises
    ------
    TypeError, ValueError
        For what is no list of names of submodules.
    """
    named = dict(module.named_modules())
    requested = None
    if layers is None:
        names = module.layers if isinstance(module, ShallowNetwork) else _leaf_names(module)
        taps = {name: Tap(name, named[name]) for name in names}
    elif isinstance(layers, str):
        if layers != BLOCKS:
            raise TypeError(
                f"layers must be a list of names, or {BLOCKS!r}, got the string {layers!r}"
            )
        taps = {name: Tap(name, named[name]) for name in block_names(module)}
    else:
        requested = as_items("layers", layers, f"a list of names, or {BLOCKS!r}")
        taps = _taps(requested, named)
    missing = [name for name in more if name not in taps]
    if missing:
        taps |= _taps(missing, named)
    if requested is not None:
        requested = list(dict.fromkeys([*requested, *missing]))
    return Layers(list(taps.values()), requested)


def _taps(names: list[Any], named: dict[str, Any]) -> dict[str, Tap]:
    """The places that names mean, checked."""
    taps = {}
    for name in names:
        base = name.partition("#")[0] if isinstance(name, str) else ""
        owner, _, last = base.rpartition(".")
        if base and base in named:
            taps[base] = Tap(base, named[base])
        elif last == _INPUT and owner in named:
            taps[base] = Tap(base, named[owner], of_input=True)
        else:
            taps.clear()
            break
    if not taps:
        known = ", ".join(name for name in named if name)
        raise ValueError(f"layers must name submodules ({known}), got {names!r}")
    return taps


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
    """Hands every tensor of the layers to a function, in the order of the forward pass.

    Parameters
    ----------
    layers : Layers
    receive : callable(name, tensor)
        Raises `MisfitError` for a tensor that has no row for each label.
    """

    def __init__(self, layers: Layers, receive: Callable[[str, torch.Tensor], object]) -> None:
        self.layers, self.receive = layers, receive
        self.misfits: dict[str, str] = {}  # why a tensor that was not requested is left out
        self._calls: dict[str, int] = {}
        self._received: set[str] = set()

    @contextlib.contextmanager
    def attached(self) -> Iterator[None]:
        """Hooks on all layers within the context."""
        with contextlib.ExitStack() as stack:
            for tap in self.layers.taps:
                stack.enter_context(self._attach(tap))
            yield

    def _attach(self, tap: Tap) -> Any:
        if tap.of_input:

            def before(_module: Any, args: Any, kwargs: Any) -> None:
                values = [*args, *kwargs.values()]
                self._take(tap.name, values[0] if len(values) == 1 else values)

            return tap.part.register_forward_pre_hook(before, with_kwargs=True)

        def after(_module: Any, _inputs: Any, output: Any) -> None:
            self._take(tap.name, output)

        return tap.part.register_forward_hook(after)

    def _take(self, name: str, value: Any) -> None:
        """Hand on what a module returns, or is called with: the tensor, or the requested ones
        within.
        """
        call = self._calls[name] = self._calls.get(name, 0) + 1
        again = f"#{call}" if call > 1 else ""
        requested = self.layers.requested
        found = {
            f"{name}#{path}{again}" if path else f"{name}{again}": tensor
            for path, tensor in leaves(value)
        }
        if requested is not None and f"{name}{again}" in set(requested) - found.keys():
            raise TypeError(
                f"layer {name + again!r} must return one floating-point tensor with a row per "
                f"sample, not a {type(value).__name__}; the tensors within are "
                f"{', '.join(map(repr, found)) or 'none'}"
            )
        for key, tensor in found.items():
            if requested is not None and key not in requested:
                continue
            self._received.add(key)
            if key in self.misfits:
                continue
            try:
                self.receive(key, tensor.detach())
            except MisfitError as error:
                if requested is not None:
                    raise TypeError(f"layer {key!r} must return {error}") from None
                self.misfits[key] = f"it must return {error}"

    def start(self) -> None:
        """Forget the batch before: another one begins."""
        self._calls, self._received = {}, set()

    def end(self) -> None:
        """A batch has passed; TypeError if it has not reached a requested layer."""
        for name in self.layers.requested or ():
            if name not in self._received:
                called = ", ".join(map(repr, self._calls)) or "none"
                raise TypeError(
                    f"layer {name!r} must return a tensor in every forward pass, but there was "
                    f"none; called were {called}"
                )
