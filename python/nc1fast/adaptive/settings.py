"""The settings of a solve: the network whose equations of state are solved, and how the solver goes
about it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nc1fast import cuda
from nc1fast.adaptive.slopes import ROW_SLOPES
from nc1fast.core.machine import thread_count
from nc1fast.support.arguments import as_count, as_items, as_number, as_seed, check_choice

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST_STARTS = 1_000_000


@dataclass(frozen=True)
class SolverSettings:
    """Everything that a solve is told besides data, targets and a start; checked when it is made.

    Attributes
    ----------
    noise : float
        Noise variance s2.
    activation : {"erf", "relu"}, default "erf"
    weight_variance, readout_variance : float, default 1.0 and 1/128
        Prior variances sw2 and sa2.
    width : float, default 500
        Hidden units h.
    widths : tuple of float, optional
        Widths to solve on the way to `width`.
    multistart : int, default 2
        Starts at each width, as `starting_points` has them.
    tol : float, default 1e-8
        Residual at which a descent ends.
    max_iter : int, default 2000
        Evaluations of F in a descent.
    seed : int, default 0
        Seed of the random starts.
    n_threads : int, optional
        Threads of the tiles; by default as `thread_count` says.
    device : str, default "cpu"
        "cpu", or one CUDA device.

    Raises
    ------
    TypeError, ValueError
        For a value that is not allowed; the message names the setting.
    DeviceError
        If the device does not exist.
    """

    noise: float
    activation: str = "erf"
    weight_variance: float = 1.0
    readout_variance: float = 1 / 128
    width: float = 500
    widths: Sequence[float] | None = None
    multistart: int = 2
    tol: float = 1e-8
    max_iter: int = 2000
    seed: int = 0
    n_threads: int | None = None
    device: str = "cpu"

    def __post_init__(self) -> None:
        check_choice("activation", self.activation, ROW_SLOPES)
        if self.widths is not None:
            given = as_items("widths", self.widths, "a sequence of numbers")
            self._set("widths", tuple(as_number("widths", width, above=0) for width in given))
        for name in ("width", "noise", "weight_variance", "readout_variance", "tol"):
            self._set(name, as_number(name, getattr(self, name), above=0))
        self._set("multistart", as_count("multistart", self.multistart, 1, _MOST_STARTS))
        self._set("max_iter", as_count("max_iter", self.max_iter))
        self._set("seed", as_seed(self.seed))
        thread_count(self.n_threads)
        if self.device != "cpu":
            cuda.one_index(self.device)

    def _set(self, name: str, checked: Any) -> None:
        """Replace a setting by its checked value."""
        object.__setattr__(self, name, checked)

    @property
    def path(self) -> tuple[float, ...]:
        """The widths to solve at, in order; the last one is `width`."""
        before = tuple(self.widths or ())
        return before if before[-1:] == (self.width,) else (*before, self.width)

    @property
    def device_index(self) -> int | None:
        """Index of the CUDA device, or None for the processor."""
        return None if self.device == "cpu" else cuda.one_index(self.device)
