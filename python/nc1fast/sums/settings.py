"""Settings of a computation of sums: statistics, precision, device, threads and memory."""

from __future__ import annotations

from dataclasses import dataclass

from nc1fast import cuda
from nc1fast.core.machine import check_threads
from nc1fast.sums.memory import as_limit
from nc1fast.support.arguments import check_choice

STATISTICS = ("all", "sums")
# Whether tiles within classes, and those between them, are computed in single precision.
PRECISIONS = {"float64": (False, False), "float32": (True, True), "mixed": (False, True)}


@dataclass(frozen=True)
class Settings:
    """Settings of a pass, checked when they are made.

    Attributes
    ----------
    statistics : {"all", "sums"}
        "all" keeps the row-class sums.
    dtype : {"float64", "float32", "mixed"}
    device : str
        "cpu", "cuda", "cuda:INDEX" or "cuda:all"; see `nc1fast.cuda`.
    n_threads : int, optional
        None: the default of the machine that computes, see `thread_count`.
    memory_limit : int, optional
        Bytes beside the data.

    Raises
    ------
    TypeError, ValueError
        For a value that is not among these.
    DeviceError
        If the device is not there.
    """

    statistics: str = "all"
    dtype: str = "float64"
    device: str = "cpu"
    n_threads: int | None = None
    memory_limit: int | None = None

    def __post_init__(self) -> None:
        check_choice("statistics", self.statistics, STATISTICS)
        check_choice("dtype", self.dtype, tuple(PRECISIONS))
        cuda.indices(self.device)
        check_threads(self.n_threads)
        object.__setattr__(self, "memory_limit", as_limit(self.memory_limit))

    @property
    def row_sums(self) -> bool:
        """Whether the row-class sums are kept."""
        return self.statistics == "all"

    @property
    def single(self) -> tuple[bool, bool]:
        """Whether tiles (within classes, between them) are in single precision."""
        return PRECISIONS[self.dtype]
