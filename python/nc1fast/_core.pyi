"""The compiled core. The room `core` and `sums.streaming` alone call it, with arrays that are checked, contiguous and of the right type."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
) -> tuple[dict[str, Any], list[dict[str, NDArray[Any]]]]: ...
def survey(
    x: Any,
    factor: NDArray[np.float64] | None,
    classes: NDArray[np.int32],
    sizes: Sequence[int],
    kernels: dict[str, Any],
    single_within: bool,
    single_between: bool,
    row_sums: bool,
    n_threads: int,
) -> dict[str, Any]: ...
def row_bytes(
    n_features: int,
    kernels: dict[str, Any],
    single_within: bool,
    single_between: bool,
    row_sums: bool,
) -> tuple[int, int]: ...
def row_step() -> int: ...
def gram(
    x: NDArray[Any],
    z: NDArray[Any] | None,
    kernel: dict[str, Any],
    single: bool,
    n_threads: int,
    progress: Callable[[int, int], object] | None,
) -> NDArray[Any]: ...
def product(
    x: NDArray[np.float64],
    chain: dict[str, Any],
    scale: float,
    inverse: NDArray[np.float64],
    factor: NDArray[np.float64],
    n_threads: int,
) -> NDArray[np.float64]: ...
def multiply(
    x: NDArray[Any],
    z: NDArray[Any] | None,
    kernel: dict[str, Any],
    single: bool,
    rows: tuple[Any, ...],
    columns: tuple[Any, ...],
    factor_scale: NDArray[np.float64],
    tile_rows: int,
    n_threads: int,
    progress: Callable[[int, int], object] | None,
) -> None: ...
def add_rows(
    rows: NDArray[Any], classes: NDArray[np.int64], sums: Sequence[NDArray[Any]], n_threads: int
) -> None: ...
def matmul(a: NDArray[Any], b: NDArray[Any], n_threads: int) -> NDArray[Any]: ...
def diagonal(x: NDArray[Any], kernel: dict[str, Any]) -> NDArray[np.float64]: ...
def growth(x: NDArray[Any], kernel: dict[str, Any]) -> NDArray[np.float64]: ...
def duals(
    activation: str,
    parameter: float,
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    c: NDArray[np.float64],
    s: NDArray[np.float64],
) -> NDArray[np.float64]: ...
def distance_form(chain: dict[str, Any]) -> str: ...
def packed_rounding(single: bool, n_features: int, depth: int) -> tuple[float, float, float]: ...
def tile_rows() -> int: ...
def activations() -> dict[str, dict[str, bool]]: ...
def cholesky(a: NDArray[np.float64]) -> NDArray[np.float64]: ...
def recurrent(
    x: tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]],
    z: tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]] | None,
    variances: tuple[float, float, float, float],
    tangent: bool,
    single: bool,
    errors: bool,
    n_threads: int,
    progress: Callable[[int, int], object] | None,
) -> tuple[NDArray[Any], NDArray[np.float64]]: ...
def recurrent_diagonal(
    x: tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]],
    variances: tuple[float, float, float, float],
    tangent: bool,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...
def isa() -> str: ...
def isas() -> list[str]: ...
