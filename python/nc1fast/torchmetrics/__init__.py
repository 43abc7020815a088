"""Collapse as a metric of torchmetrics, for loops that have such: Lightning, several processes,
checkpoints.

Needs the `torchmetrics` extra when a name is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nc1fast.support.extras import require

if TYPE_CHECKING:
    from nc1fast.torchmetrics.neural_collapse import NeuralCollapse

__all__ = ["NeuralCollapse"]


def __getattr__(name: str) -> Any:
    if name == "NeuralCollapse":
        require("torchmetrics", "torchmetrics")
        return import_module("nc1fast.torchmetrics.neural_collapse").NeuralCollapse
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
