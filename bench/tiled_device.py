"""The program of a competent user of a GPU: NC1 by square tiles of the Gram matrix, with CuPy or
torch.

Rows are scaled once and stay on the device. One tile of the upper triangle at a time: a matrix
product, the activation on all its entries, and class sums by two products with indicators. The
elementwise part is one kernel (`cupy.fuse`) or a few (torch), or what torch.compile makes of it.
The fastest tile size is searched on the problem at hand. Sums over tiles are float64.

    nngp-relu  2 pi k_ij = r_i r_j (sqrt(1 - rho^2) + (pi - acos rho) rho),   r = |x|/sqrt(d)
    ntk-relu   the same with 2 (pi - acos rho) rho
    nngp-erf   (pi/2) k_ij = asin(<w_i, w_j>),   w = x sqrt(2/(d (1 + 2 r^2)))
"""

from __future__ import annotations

import importlib
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bench._problem import KERNELS, Answer, Floats, answer_from_sums, check_kernel
from bench.competitors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

TILES = (2048, 4096, 8192)
SEARCHED = 4  # tiles per candidate of the search


def import_or_unavailable(module: str) -> Any:
    """Import a library; UnavailableError where it is missing."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UnavailableError(f"{module} cannot be imported: {error}") from error


@dataclass(frozen=True)
class Library:
    """The few words of an array library that the program needs."""

    name: str
    asarray: Callable[[Floats], Any]
    values: Callable[[str, Any], Any]  # kernel, cosines (m, n) -> (m, n)
    wait: Callable[[], None]
    scalar: Callable[[Any], Floats]


def torch_library(device: str = "cuda", *, compiled: bool = False) -> Library:
    """Torch on a device, "cpu" included.

    Parameters
    ----------
    compiled : bool, default False
        The elementwise part as torch.compile fuses it.
    """
    torch = import_or_unavailable("torch")
    if device != "cpu" and not torch.cuda.is_available():
        raise UnavailableError("torch sees no CUDA device")

    def values(kernel: str, rho: Any) -> Any:
        return _values(torch, kernel, rho)

    return Library(
        f"torch-tiled{'-compiled' if compiled else ''}",
        lambda a: torch.from_numpy(np.ascontiguousarray(a)).to(device),
        torch.compile(values, dynamic=True) if compiled else values,
        (lambda: None) if device == "cpu" else torch.cuda.synchronize,
        lambda a: np.asarray(a.cpu().numpy(), dtype=np.float64),
    )


def cupy_library() -> Library:
    """CuPy on the current device."""
    cp = import_or_unavailable("cupy")
    try:
        cp.cuda.runtime.getDeviceCount()
    except cp.cuda.runtime.CUDARuntimeError as error:
        raise UnavailableError(f"CuPy sees no CUDA device: {error}") from error
    fused = {
        kernel: cp.fuse(lambda rho, kernel=kernel: _values(cp, kernel, rho)) for kernel in KERNELS
    }
    return Library(
        "cupy-tiled",
        cp.asarray,
        lambda kernel, rho: fused[kernel](rho),
        lambda: cp.cuda.get_current_stream().synchronize(),
        lambda a: np.asarray(cp.asnumpy(a), dtype=np.float64),
    )


def _values(xp: Any, kernel: str, rho: Any) -> Any:
    if kernel == "nngp-erf":
        return xp.arcsin(rho)
    rho = xp.clip(rho, -1.0, 1.0)
    turns = 2.0 if kernel == "ntk-relu" else 1.0
    return xp.sqrt(1.0 - rho * rho) + turns * (math.pi - xp.arccos(rho)) * rho


class TiledDevice:
    """One kernel in one precision.

    Parameters
    ----------
    library : Library
    kernel : {"nngp-relu", "ntk-relu", "nngp-erf"}
    dtype : {"float32", "float64"}
        Of rows and tiles.
    tile : int
        Rows and columns of a tile.
    """

    def __init__(self, library: Library, kernel: str, dtype: str, tile: int) -> None:
        check_kernel(kernel, KERNELS)
        self.library, self.kernel, self.dtype, self.tile = library, kernel, dtype, tile

    def __call__(self, X: Floats, y: NDArray[np.int64]) -> Answer:
        """Answer for rows X (N, d) and labels y (N,), the way to the device included."""
        diagonal = self._load(X, y)
        sums = self._sum(self._tiles())
        sizes = np.bincount(y).astype(np.float64)
        factor = 2 / math.pi if self.kernel == "nngp-erf" else 1 / (2 * math.pi)
        traces = np.bincount(y, weights=diagonal)
        return answer_from_sums(factor * (sums + sums.T), traces, sizes)

    def seconds_per_pair(self, X: Floats, y: NDArray[np.int64]) -> float:
        """Seconds measured on a few tiles, after one that warms up."""
        self._load(X, y)
        tiles = list(self._tiles())[: SEARCHED + 1]
        self._sum(iter(tiles[:1]))
        start = time.perf_counter()
        self._sum(iter(tiles))
        return (time.perf_counter() - start) / sum(_area(a, b) for a, b in tiles)

    def _load(self, X: Floats, y: NDArray[np.int64]) -> Floats:
        """Rows as the products need them and indicators, weighted by the lengths of rows; returns
        k_ii.
        """
        n_features = X.shape[1]
        squares = np.einsum("ij,ij->i", X, X, dtype=np.float64) / n_features
        erf = self.kernel == "nngp-erf"
        if erf:
            scale, weights = np.sqrt(2 / (n_features * (1 + 2 * squares))), np.ones(len(X))
            diagonal: Floats = 2 / math.pi * np.arcsin(2 * squares / (1 + 2 * squares))
        else:
            scale, weights = 1 / np.sqrt(squares * n_features), np.sqrt(squares)
            diagonal = squares * (1.0 if self.kernel == "ntk-relu" else 0.5)
        indicators = np.zeros((len(X), int(y.max()) + 1), dtype=self.dtype)
        indicators[np.arange(len(X)), y] = weights
        # Scaled in the precision of the tiles.
        self.rows = self.library.asarray(
            X.astype(self.dtype, copy=False) * scale.astype(self.dtype)[:, None]
        )
        self.indicators = self.library.asarray(indicators)
        return diagonal

    def _tiles(self) -> Iterator[tuple[slice, slice]]:
        n = len(self.rows)
        pieces = [slice(a, min(n, a + self.tile)) for a in range(0, n, self.tile)]
        return ((a, b) for k, a in enumerate(pieces) for b in pieces[k:])

    def _sum(self, tiles: Iterator[tuple[slice, slice]]) -> Floats:
        """Class sums (C, C) over tiles; one on the diagonal counts half, for `+ transpose`."""
        total: Any = 0.0
        for a, b in tiles:
            values = self.library.values(self.kernel, self.rows[a] @ self.rows[b].T)
            part = self.indicators[a].T @ (values @ self.indicators[b])
            part = part * (0.5 if a == b else 1.0)
            total = total + _double(part)
        self.library.wait()
        return self.library.scalar(total)


def _area(a: slice, b: slice) -> int:
    return int(a.stop - a.start) * int(b.stop - b.start)


def _double(array: Any) -> Any:
    return array.double() if hasattr(array, "double") else array.astype(np.float64)


def search(
    library: Library, X: Floats, y: NDArray[np.int64], kernel: str, dtype: str
) -> TiledDevice:
    """The program with the fastest tile for this problem."""
    programs = [TiledDevice(library, kernel, dtype, tile) for tile in TILES]
    return min(programs, key=lambda program: program.seconds_per_pair(X, y))
