"""The settings of a training, checked when they are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nc1fast.metrics.definitions import CONVENTIONS
from nc1fast.networks.objective import LOSSES, OPTIMIZERS, Descent
from nc1fast.networks.trace import as_rule, probe_epochs
from nc1fast.support.arguments import as_count, as_number, as_seed, check_choice


@dataclass(frozen=True)
class TrainingSettings:
    """Everything that a training is told besides network, data and targets.

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

    @property
    def descent(self) -> Descent:
        """The optimizer and its numbers."""
        return Descent(self.optimizer, self.lr, self.momentum, self.weight_decay, self.temperature)
