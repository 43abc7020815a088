"""The settings of a probe besides module and data, checked when they are made."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from nc1fast.metrics.definitions import CONVENTIONS
from nc1fast.networks.probing.outputs import check_pool
from nc1fast.sums.settings import as_limit
from nc1fast.support.arguments import as_count, check_choice, shown

PROBED = ("all", "nearest", "sums")  # statistics
IGNORED = -100  # label of tokens that have none, as in torch's losses


@dataclass(frozen=True)
class ProbeSettings:
    """How the layers of a module are measured, as `probe` takes it.

    Raises
    ------
    TypeError, ValueError
        For a value that is not allowed; names of layers are checked against the module later.
    """

    pool: Any = "flatten"
    forward: Any = None
    passes: Any = "auto"
    batch_size: int = 1024
    ignore_index: int | None = None
    convention: str | None = None
    statistics: str = "all"
    memory_limit: int | None = None

    def __post_init__(self) -> None:
        self._set("batch_size", as_count("batch_size", self.batch_size))
        check_choice("statistics", self.statistics, PROBED)
        if self.convention is not None:
            check_choice("convention", self.convention, CONVENTIONS)
        if isinstance(self.passes, str):
            check_choice("passes", self.passes, ("auto",))
        else:
            self._set("passes", as_count("passes", self.passes, 1, 2))
        for pool in self._pools:
            check_pool(pool)
        if self.forward is not None and not callable(self.forward):
            raise TypeError(
                f"forward must be a callable (module, batch), got {shown(self.forward)}"
            )
        if self.ignore_index is not None:
            self._set("ignore_index", as_count("ignore_index", self.ignore_index, -(2**63)))
        self._set("memory_limit", as_limit(self.memory_limit))

    def _set(self, name: str, checked: Any) -> None:
        """Replace a setting by its checked value."""
        object.__setattr__(self, name, checked)

    @property
    def _pools(self) -> tuple[Any, ...]:
        """Every pool, of whichever layer."""
        return tuple(self.pool.values()) if isinstance(self.pool, Mapping) else (self.pool,)

    def pool_of(self, layer: str) -> Any:
        """The pool of a layer, by its name or that of its module."""
        if not isinstance(self.pool, Mapping):
            return self.pool
        default = self.pool.get("", "flatten")
        return self.pool.get(layer, self.pool.get(layer.partition("#")[0], default))

    def check_layers(self, called: list[str]) -> None:
        """Refuse a pool of a layer that was not called."""
        known = {"", *called, *(name.partition("#")[0] for name in called)}
        for name in self.pool if isinstance(self.pool, Mapping) else ():
            if name not in known:
                raise ValueError(
                    f"pool must be of layers that are called ({', '.join(called)}), got {name!r}"
                )

    @classmethod
    def of(cls, **options: Any) -> ProbeSettings:
        """Settings by name, as `probe` takes them.

        Raises
        ------
        TypeError, ValueError
            As the class, and for a name that is none.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        for name in options:
            if name not in names:
                allowed = ", ".join(("layers", "classifier", *names))
                raise TypeError(f"{name} is no option of probe; there are {allowed}")
        return cls(**options)

    @property
    def of_tokens(self) -> bool:
        """Whether labels may have more than one axis."""
        return any(callable(pool) or pool == "tokens" for pool in self._pools)


def classifiers_of(module: Any, classifier: Any, layers: Any) -> dict[str, tuple[Any, Any]]:
    """Weights and bias (W, b) by the layer whose features they classify.

    Parameters
    ----------
    module : torch.nn.Module
    classifier : str, (W, b), mapping or None
        As `probe` takes it.
    layers : sequence of str, str or None
        As `probe` takes it: (W, b) belongs to the one layer of a list.
    """
    if classifier is None:
        return {}
    if isinstance(classifier, str):
        return {f"{classifier}.input": _pair(_linear_layer(module, classifier))}
    if isinstance(classifier, Mapping):
        return {layer: _pair(given) for layer, given in classifier.items()}
    if isinstance(layers, str) or layers is None or len(layers) != 1:
        raise ValueError(
            "classifier=(W, b) needs layers to name the one layer whose features it takes; "
            "give a mapping from layers to (W, b) for several"
        )
    return {layers[0]: _pair(classifier)}


def _linear_layer(module: Any, name: str) -> Any:
    """The linear layer that `classifier` names."""
    part = dict(module.named_modules()).get(name)
    if part is None or not isinstance(part, torch.nn.Linear):
        linear = [n for n, p in module.named_modules() if isinstance(p, torch.nn.Linear)]
        raise ValueError(f"classifier must name a linear layer ({', '.join(linear)}), got {name!r}")
    return part


def _pair(classifier: Any) -> tuple[Any, Any]:
    """Weights and bias of a linear layer, or as they are given."""
    if isinstance(classifier, torch.nn.Linear):
        return classifier.weight, classifier.bias
    if not isinstance(classifier, tuple | list) or len(classifier) != 2:
        raise TypeError(
            f"classifier must be the name of a linear layer or (W, b), got {shown(classifier)}"
        )
    return classifier[0], classifier[1]
