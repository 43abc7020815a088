"""The compiled core. The room `core` and `sums.streaming` alone call it, with arrays that are
checked, contiguous and of the right type.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

_Array: TypeAlias = NDArray[Any]
_Floats: TypeAlias = NDArray[np.float64]
_Integers: TypeAlias = NDArray[np.int64]
_Classes: TypeAlias = NDArray[np.int32]
_Words: TypeAlias = dict[str, Any]  # kernels, one of them, a chain, a survey, as the core has them
_Rectangles: TypeAlias = Sequence[tuple[int, int, int, int]]
_Progress: TypeAlias = Callable[[int, int], object] | None
_Steps: TypeAlias = tuple[_Floats, _Integers, _Integers]  # of sequences: steps, begins, lengths

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
) -> tuple[_Words, list[dict[str, _Array]]]: ...
def survey(
    x: Any,
    factor: _Floats | None,
    classes: _Classes,
    sizes: Sequence[int],
    kernels: _Words,
    single_within: bool,
    single_between: bool,
    row_sums: bool,
    n_threads: int,
) -> _Words: ...
def row_bytes(
    n_features: int, kernels: _Words, single_within: bool, single_between: bool, row_sums: bool
) -> tuple[int, int]: ...
def row_step() -> int: ...
def gram(
    x: _Array, z: _Array | None, kernel: _Words, single: bool, n_threads: int, progress: _Progress
) -> _Array: ...
def product(
    x: _Floats, chain: _Words, scale: float, inverse: _Floats, factor: _Floats, n_threads: int
) -> _Floats: ...
def multiply(
    x: _Array,
    z: _Array | None,
    kernel: _Words,
    single: bool,
    rows: tuple[Any, ...],
    columns: tuple[Any, ...],
    factor_scale: _Floats,
    tile_rows: int,
    n_threads: int,
    progress: _Progress,
) -> None: ...
def add_rows(rows: _Array, classes: _Integers, sums: Sequence[_Array], n_threads: int) -> None: ...
def matmul(a: _Array, b: _Array, n_threads: int) -> _Array: ...
def diagonal(x: _Array, kernel: _Words) -> _Floats: ...
def growth(x: _Array, kernel: _Words) -> _Floats: ...
def duals(
    activation: str, parameter: float, a: _Floats, b: _Floats, c: _Floats, s: _Floats
) -> _Floats: ...
def distance_form(chain: _Words) -> str: ...
def packed_rounding(single: bool, n_features: int, depth: int) -> tuple[float, float, float]: ...
def tile_rows() -> int: ...
def activations() -> dict[str, dict[str, bool]]: ...
def cholesky(a: _Floats) -> _Floats: ...
def recurrent(
    x: _Steps,
    z: _Steps | None,
    variances: tuple[float, float, float, float],
    tangent: bool,
    single: bool,
    errors: bool,
    n_threads: int,
    progress: _Progress,
) -> tuple[_Array, _Floats]: ...
def recurrent_diagonal(
    x: _Steps, variances: tuple[float, float, float, float], tangent: bool
) -> tuple[_Floats, _Floats]: ...
def isa() -> str: ...
def isas() -> list[str]: ...
