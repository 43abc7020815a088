"""The settings of a training, checked when they are made, and the rules that say when to probe and
when to stop.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast.metrics.definitions import CONVENTIONS
from nc1fast.support.arguments import (
    as_count,
    as_items,
    as_number,
    as_seed,
    check_choice,
    shown,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

LOSSES = ("mse", "cross-entropy", "none")
OPTIMIZERS = ("sgd", "adam", "langevin")
_RULES = "'zero-error', ('loss', value) or ('slope', value)"
_PROBES_PER_DECADE = 8


@dataclass(frozen=True)
class TrainingSettings:
    """The settings of a training besides network, data and targets.

    Attributes
    ----------
    loss : {"mse", "cross-entropy", "none"}
    optimizer : {"sgd", "adam", "langevin"}
    lr, momentum, weight_decay : float
    temperature : float or None
        Set for "langevin" alone.
    epochs, repeats : int
    until : (name, value) or None
        The stopping rule, as `as_rule` gives it.
    batch_size : int or None
    probe : list of int
        Epochs at which to probe, sorted.
    convention : str or None
    seed : int

    Raises
    ------
    TypeError, ValueError
        For a value that is not allowed, and for values that do not belong together.
    """

    loss: str
    optimizer: str
    lr: float
    momentum: float
    weight_decay: float
    temperature: float | None
    epochs: int
    repeats: int
    until: Any
    batch_size: int | None
    probe: Any
    convention: str | None
    seed: int

    def __post_init__(self) -> None:
        self._set("epochs", as_count("epochs", self.epochs))
        self._set("repeats", as_count("repeats", self.repeats))
        self._set("seed", as_seed(self.seed))
        if self.batch_size is not None:
            self._set("batch_size", as_count("batch_size", self.batch_size))
        if self.convention is not None:
            check_choice("convention", self.convention, CONVENTIONS)
        self._check_descent()
        self._set("until", as_rule(self.until))
        self._set("probe", probe_epochs(self.probe, self.epochs))

    def _set(self, name: str, checked: Any) -> None:
        """Replace a setting by its checked value."""
        object.__setattr__(self, name, checked)

    def _check_descent(self) -> None:
        """Check everything that decides how a network moves."""
        check_choice("optimizer", self.optimizer, OPTIMIZERS)
        check_choice("loss", self.loss, LOSSES)
        langevin = self.optimizer == "langevin"
        if self.loss == "none" and not langevin:
            raise ValueError("loss='none', the prior alone, belongs to optimizer='langevin'")
        if langevin != (self.temperature is not None):
            raise ValueError("temperature belongs to optimizer='langevin', which needs it")
        self._set("lr", as_number("lr", self.lr, above=0))
        for name in ("momentum", "weight_decay"):
            self._set(name, as_number(name, getattr(self, name), least=0))
        if self.momentum and self.optimizer != "sgd":
            raise ValueError(
                f"momentum belongs to optimizer='sgd', got {self.momentum} for {self.optimizer!r}"
            )
        if not langevin:
            return
        if self.weight_decay:
            raise ValueError(
                "weight_decay must be 0 for optimizer='langevin': the prior decides it"
            )
        if self.batch_size is not None:
            raise ValueError(
                "batch_size must be None for optimizer='langevin', whose noise is its own"
            )
        self._set("temperature", as_number("temperature", self.temperature, above=0))


def probe_epochs(probe: Any, epochs: int) -> list[int]:
    """The epochs at which to probe, sorted; always with 0 and the last one.

    Raises
    ------
    TypeError, ValueError
        For a name other than "log", and for epochs that are not integers between 0 and `epochs`.
    """
    if isinstance(probe, str):
        if probe != "log":
            raise ValueError(f"probe must be 'log' or a list of epochs, got {probe!r}")
        count = int(math.log10(max(epochs, 1)) * _PROBES_PER_DECADE) + 1
        found = {round(10 ** (k / _PROBES_PER_DECADE)) for k in range(count)}
        return sorted({0, epochs} | {e for e in found if e <= epochs})
    several = getattr(probe, "ndim", 1) > 0 and hasattr(probe, "__iter__")
    given = as_items("probe", probe, "'log' or a list of epochs") if several else [probe]
    return sorted({0, epochs, *(as_count("probe", epoch, 0, epochs) for epoch in given)})


def as_rule(until: Any) -> tuple[str, float] | None:
    """A stopping rule as (name, value), or None.

    Raises
    ------
    ValueError
        For anything but None and the three rules.
    """
    if until is None:
        return None
    if isinstance(until, str) and until == "zero-error":
        return ("zero-error", 0.0)
    if (
        isinstance(until, tuple | list)
        and len(until) == 2
        and isinstance(until[0], str)
        and until[0] in ("loss", "slope")
    ):
        return (until[0], as_number("until", until[1], above=0))
    raise ValueError(f"until must be None, {_RULES} with a value > 0, got {shown(until)}")


def stop_reason(rule: tuple[str, float] | None, rows: Sequence[dict[str, Any]], last: str) -> str:
    """Why the rule ends a repeat at its latest probe; "" if it does not.

    The slope is that of log10 NC1 of the layer `last` against log10 epoch, by least squares over
    the probes of the last decade: at least three, half a decade apart or more.
    """
    if rule is None or not rows:
        return ""
    name, value = rule
    now = rows[-1]
    if name == "zero-error":
        return "until: zero error" if now["accuracy"] == 1 else ""
    if name == "loss":
        return f"until: loss <= {value:g}" if now["loss"] <= value else ""
    points = [
        (math.log10(row["epoch"]), math.log10(row["nc1"]))
        for row in rows
        if row["layer"] == last
        and row["epoch"] >= max(now["epoch"] / 10, 1)
        and 0 < row["nc1"] < math.inf
    ]
    if len(points) < 3 or points[-1][0] - points[0][0] < 0.5:
        return ""
    x, y = np.array(points).T
    slope = float(np.polyfit(x, y, 1)[0])
    return f"until: |slope| <= {value:g} per decade" if abs(slope) <= value else ""
