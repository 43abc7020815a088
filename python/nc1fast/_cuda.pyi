"""The streaming pass and Gram matrices on CUDA devices: functions of `_core`, and the devices."""

from collections.abc import Sequence
from typing import Any, TypeAlias

from nc1fast._core import _Array, _Classes, _Floats, _Integers, _Progress, _Rectangles, _Words

class FarRows: ...

class LentRows(FarRows):
    @property
    def shape(self) -> tuple[int, int]: ...
    @property
    def dtype(self) -> str: ...
    def inspect(self) -> tuple[int, int, float, int]: ...

_Rows: TypeAlias = _Array | LentRows

def class_sums(
    x: Any,
    factor: _Floats | None,
    order: _Integers,
    classes: _Classes,
    sizes: Sequence[int],
    kernels: _Words,
    single_within: bool,
    single_between: bool,
    row_sums: bool,
    n_threads: int,
    survey: _Words | None,
    rectangles: _Rectangles,
    tile_panels: int,
    progress: _Progress,
    devices: Sequence[int],
) -> tuple[_Words, list[dict[str, _Array]]]: ...
def gram(
    x: _Rows,
    z: _Rows | None,
    kernel: _Words,
    single: bool,
    n_threads: int,
    progress: _Progress,
    devices: Sequence[int],
) -> _Array: ...
def row_bytes(
    n_features: int,
    kernels: _Words,
    single_within: bool,
    single_between: bool,
    row_sums: bool,
    devices: Sequence[int],
) -> tuple[int, int]: ...
def row_step(devices: Sequence[int]) -> int: ...
def gram_on_device(
    x: _Rows, z: _Rows | None, kernel: _Words, single: bool, n_threads: int, out: int, device: int
) -> None: ...
def plan(sizes: Sequence[int], depth: int, single: bool) -> dict[str, dict[str, int]]: ...
def by_digits(major: int, minor: int, depth: int) -> bool: ...
def pass_bytes(
    n_features: int,
    kernels: _Words,
    single_within: bool,
    single_between: bool,
    row_sums: bool,
    n_classes: int,
    n_rows: int,
    n_lent: int,
    devices: Sequence[int],
) -> tuple[int, int]: ...
def lent_row_bytes(
    n_features: int, kernels: _Words, single_within: bool, single_between: bool, row_sums: bool
) -> tuple[int, int]: ...
def rows_of(x: Any, device: int) -> LentRows | None: ...
def device_count() -> int: ...
def current_device() -> int: ...
def no_device() -> str: ...
def device_info(device: int) -> _Words: ...
