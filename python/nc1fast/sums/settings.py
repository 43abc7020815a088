"""Settings of a computation of sums: statistics, precision, device, threads; and the memory that a
pass needs beside X and its packed rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nc1fast import cuda
from nc1fast.core.machine import check_threads, most_tile_rows
from nc1fast.support.arguments import as_number, check_choice

if TYPE_CHECKING:
    from collections.abc import Mapping

ROW_SUMS = "row-class sums (statistics='sums' needs none)"
_CHUNK = 3 << 20  # rows between two steps of the survey, and their values


def as_limit(memory_limit: Any) -> int | None:
    """A number of bytes, or None for no limit."""
    return None if memory_limit is None else int(as_number("memory_limit", memory_limit, least=0))


def check_memory(limit: float | None, needed: Mapping[str, int]) -> None:
    """Raise ValueError if the bytes needed, by purpose, exceed the limit together."""
    total = sum(needed.values())
    if limit is not None and total > limit:
        listed = ", ".join(f"{n} for {what}" for what, n in needed.items() if n)
        raise ValueError(
            f"memory_limit is {limit} bytes, but at least {total} are needed: {listed}"
        )


def working_set(
    shape: tuple[int, ...],
    n_classes: int,
    n_kernels: int,
    n_threads: int,
    *,
    layers: int,
    row_sums: bool,
) -> dict[str, int]:
    """Bytes that a pass needs beside X and its packed rows, by purpose: they do not depend on how
    its rows are divided.

    Parameters
    ----------
    shape : (n_samples, n_features)
    n_classes, n_kernels, n_threads : int
    layers : int
        Layers of all chains together.
    row_sums : bool
        Whether row-class sums are kept.
    """
    (n, n_features), c, threads = shape, n_classes, max(1, n_threads)
    tile_rows = most_tile_rows()
    in_tile = min(c, tile_rows)
    tile = 16 * in_tile**2 + (32 * tile_rows * in_tile if row_sums else 0)
    per_thread = 48 * 24 * n_features + 2 * n_kernels * (tile + 48 * 48 * 8)
    return {
        ROW_SUMS: (8 * n * c + 40 * n) * n_kernels if row_sums else 0,
        "class pairs": 192 * c * c * n_kernels,
        "the labels": 12 * n,  # classes and their order
        "buffers": 24 * c * n_features + 128 * c * layers + threads * per_thread + _CHUNK,
    }


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
