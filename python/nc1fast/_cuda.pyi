"""The streaming pass and Gram matrices on CUDA devices: functions of `_core` with the devices as last argument."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

class FarRows: ...

class LentRows(FarRows):
    @property
    def shape(self) -> tuple[int, int]: ...
    @property
    def dtype(self) -> str: ...
    def inspect(self) -> tuple[int, int, float, int]: ...

def class_sums(
    x: Any,
    factor: NDArray[np.float64] | None,
    order: NDArray[np.int64],
    classes: NDArray[np.int32],
    sizes: Sequence[int],
    kernels: dict[str, Any],
    single_within: bool,
    single_between: bool,
    row_sums: bool,
    n_threads: int,
    survey: dict[str, Any] | None,
    rectangles: Sequence[tuple[int, int, int, int]],
    tile_panels: int,
    progress: Callable[[int, int], object] | None,
    devices: Sequence[int],
) -> tuple[dict[str, Any], list[dict[str, NDArray[Any]]]]: ...
def gram(
    x: NDArray[Any] | LentRows,
    z: NDArray[Any] | LentRows | None,
    kernel: dict[str, Any],
    single: bool,
    n_threads: int,
    progress: Callable[[int, int], object] | None,
    devices: Sequence[int],
) -> NDArray[Any]: ...
def row_bytes(
    n_features: int,
    kernels: dict[str, Any],
    single_within: bool,
    single_between: bool,
    row_sums: bool,
    devices: Sequence[int],
) -> tuple[int, int]: ...
def row_step(devices: Sequence[int]) -> int: ...
def gram_on_device(
    x: NDArray[Any] | LentRows,
    z: NDArray[Any] | LentRows | None,
    kernel: dict[str, Any],
    single: bool,
    n_threads: int,
    out: int,
    device: int,
) -> None: ...
def plan(sizes: Sequence[int], depth: int, single: bool) -> dict[str, dict[str, int]]: ...
def by_digits(major: int, minor: int, depth: int) -> bool: ...
def pass_bytes(
    n_features: int,
    kernels: dict[str, Any],
    single_within: bool,
    single_between: bool,
    row_sums: bool,
    n_classes: int,
    n_rows: int,
    n_lent: int,
    devices: Sequence[int],
) -> tuple[int, int]: ...
def lent_row_bytes(
    n_features: int,
    kernels: dict[str, Any],
    single_within: bool,
    single_between: bool,
    row_sums: bool,
) -> tuple[int, int]: ...
def rows_of(x: Any, device: int) -> LentRows | None: ...
def device_count() -> int: ...
def current_device() -> int: ...
def no_device() -> str: ...
def device_info(device: int) -> dict[str, Any]: ...
