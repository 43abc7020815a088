"""The settings of a solve: the network whose equations of state are solved, and how the solver goes
about it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nc1fast import cuda
from nc1fast.core.activations import as_activation
from nc1fast.core.machine import thread_count
from nc1fast.support.arguments import as_count, as_items, as_number, as_seed

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST_STARTS = 1_000_000
_MOST_DRAWS = 1 << 30


@dataclass(frozen=True)
class EquationSettings:
    """The settings that all equations of state share; checked when they are made.

    Attributes
    ----------
    noise : float
        Noise variance s2.
    activation : str or LeakyReLU, default "erf"
    weight_variance, readout_variance : float, default 1.0 and 1/128
        Prior variances sw2 and sa2.
    width : float, default 500
        Hidden units h.
    tol : float
        Residual at which a result counts as converged.
    max_iter : int
    seed : int, default 0
    n_threads : int, optional
        Threads of the tiles; by default as `thread_count` says.

    Raises
    ------
    TypeError, ValueError
        For a value that is not allowed; the message names the setting.
    """

    noise: float
    activation: Any = "erf"
    weight_variance: float = 1.0
    readout_variance: float = 1 / 128
    width: float = 500
    tol: float = 1e-8
    max_iter: int = 2000
    seed: int = 0
    n_threads: int | None = None

    def __post_init__(self) -> None:
        for name in ("width", "noise", "weight_variance", "readout_variance", "tol"):
            self._set(name, as_number(name, getattr(self, name), above=0))
        self._set("max_iter", as_count("max_iter", self.max_iter))
        self._set("seed", as_seed(self.seed))
        thread_count(self.n_threads)

    def _set(self, name: str, checked: Any) -> None:
        """Replace a setting by its checked value."""
        object.__setattr__(self, name, checked)


@dataclass(frozen=True)
class SolverSettings(EquationSettings):
    """The settings of `solve`, of these and of all equations.

    Attributes
    ----------
    widths : tuple of float, optional
        Widths to solve on the way to `width`.
    multistart : int, default 2
        Starts at each width, as `starting_points` has them.
    device : str, default "cpu"
        "cpu", or one CUDA device.

    Raises
    ------
    DeviceError
        If the device does not exist.
    """

    widths: Sequence[float] | None = None
    multistart: int = 2
    device: str = "cpu"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.widths is not None:
            given = as_items("widths", self.widths, "a sequence of numbers")
            self._set("widths", tuple(as_number("widths", width, above=0) for width in given))
        self._set("multistart", as_count("multistart", self.multistart, 1, _MOST_STARTS))
        if self.device != "cpu":
            cuda.one_index(self.device)

    @property
    def path(self) -> tuple[float, ...]:
        """The widths to solve at, in order; the last one is `width`."""
        before = tuple(self.widths or ())
        return before if before[-1:] == (self.width,) else (*before, self.width)

    @property
    def device_index(self) -> int | None:
        """Index of the CUDA device, or None for the processor."""
        return None if self.device == "cpu" else cuda.one_index(self.device)


@dataclass(frozen=True)
class MeanFieldSettings(EquationSettings):
    """The settings of `mean_field`; its residual is that on fresh draws.

    Attributes
    ----------
    n_samples : int, optional
        Draws of the hidden weights.
    """

    tol: float = 0.02
    max_iter: int = 200
    n_samples: int | None = None

    def __post_init__(self) -> None:
        self._set("activation", as_activation(self.activation))
        super().__post_init__()
        if self.n_samples is not None:
            self._set("n_samples", as_count("n_samples", self.n_samples, 1, _MOST_DRAWS))
