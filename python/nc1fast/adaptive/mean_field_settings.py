"""The settings of a mean-field solve: the network, the draws and when to stop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nc1fast.activations import Activation, as_activation
from nc1fast.core.machine import thread_count
from nc1fast.support.arguments import as_count, as_number, as_seed

_MOST_DRAWS = 1 << 30


@dataclass(frozen=True)
class MeanFieldSettings:
    """Everything that `mean_field` is told besides the data; checked when it is made.

    Attributes
    ----------
    noise : float
        Noise variance s2.
    activation : str or LeakyReLU, default "erf"
    weight_variance, readout_variance : float, default 1.0 and 1/128
        Prior variances sw2 and sa2.
    width : float, default 500
        Hidden units h.
    n_samples : int, optional
        Draws of the hidden weights.
    tol : float, default 0.02
        Residual on fresh draws that counts as converged.
    max_iter : int, default 200
        Steps of a descent.
    seed : int, default 0
    n_threads : int, optional

    Raises
    ------
    TypeError, ValueError
        For a value that is not allowed; the message names the setting.
    """

    noise: float
    activation: Activation = "erf"
    weight_variance: float = 1.0
    readout_variance: float = 1 / 128
    width: float = 500
    n_samples: int | None = None
    tol: float = 0.02
    max_iter: int = 200
    seed: int = 0
    n_threads: int | None = None

    def __post_init__(self) -> None:
        self._set("activation", as_activation(self.activation))
        for name in ("noise", "weight_variance", "readout_variance", "width", "tol"):
            self._set(name, as_number(name, getattr(self, name), above=0))
        if self.n_samples is not None:
            self._set("n_samples", as_count("n_samples", self.n_samples, 1, _MOST_DRAWS))
        self._set("max_iter", as_count("max_iter", self.max_iter))
        self._set("seed", as_seed(self.seed))
        thread_count(self.n_threads)

    def _set(self, name: str, checked: Any) -> None:
        """Replace a setting by its checked value."""
        object.__setattr__(self, name, checked)
