"""The expert's torch program: NC1 by tiles of the upper triangle, never the whole Gram matrix.

What an expert does: rows sorted by class and scaled once; tiles that keep to one pair of classes,
so that class sums are plain weighted sums; all buffers allocated once, every operation in place;
the part of the kernel that is linear in the cosine taken out and summed exactly through the class
means; the diagonal of the Gram matrix set exactly. The tile size, the way two threads are used and
the way the elementwise part runs are chosen by timing them on the problem at hand (`search`).

Kernels of two layers, no biases, unit weight variance: k = r_i r_j f(rho_ij) with r = |x|/sqrt(d)
and rho the cosine,
 nngp-relu  2 pi f = (sqrt(1 - rho^2) -   acos(rho) rho) +   pi rho
 ntk-relu   2 pi f = (sqrt(1 - rho^2) - 2 acos(rho) rho) + 2 pi rho
 nngp-erf   (2/pi) asin(<w_i, w_j>), w = x sqrt(2/(d (1 + 2 r^2)))
"""

from __future__ import annotations

import itertools
import math
import threading
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from bench._problem import KERNELS, Answer, Floats, answer_from_sums, check_kernel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

TILE_SIZES = (256, 384, 512, 768, 1024, 2048)
SEARCH_PAIRS = 1.5e7  # pairs per candidate of the search: 10 to 50 ms
OUTER_FEATURES = 4  # up to this d, products as sums of outer products are tried beside torch.mm


@dataclass(frozen=True)
class Plan:
    """A plan of the tiles and how they are computed.

    Parameters
    ----------
    tile : int
        Largest number of rows and of columns of a tile.
    workers : int
        Python threads, each with tiles and buffers of its own; torch gets `n_threads // workers`
        threads per operation.
    compiled : bool
        The elementwise part as one loop by torch.compile instead of torch operations in place. One
        worker: its guards are checked under the interpreter lock.
    outer : bool
        Inner products as sums of outer products (few features) instead of torch.mm.
    """

    tile: int = 512
    workers: int = 1
    compiled: bool = False
    outer: bool = False

    def as_dict(self) -> dict[str, Any]:
        """The fields as a dict, for JSON."""
        return asdict(self)


def _angle_factor(kernel: str) -> float:
    return 2.0 if kernel == "ntk-relu" else 1.0


def _values(kernel: str, rho: Any) -> Any:
    """The part of a kernel that is not linear in rho, as one expression for torch.compile."""
    if kernel == "nngp-erf":
        return torch.asin(rho)
    rho = rho.clamp(-1, 1)
    return (1 - rho * rho).sqrt() - _angle_factor(kernel) * torch.acos(rho) * rho


def _outer_products(A: Any, B: Any) -> Any:
    """Multiply A (m, d) by B (n, d) transposed, (m, n), as d outer products."""
    total = A[:, 0, None] * B[:, 0]
    for k in range(1, A.shape[1]):
        total = total + A[:, k, None] * B[:, k]
    return total


_COMPILED: dict[tuple[str, str, bool, int], Callable[..., Any]] = {}


def _compiled(kernel: str, dtype: str, n_threads: int, *, outer: bool) -> Callable[..., Any]:
    """(rho or (A, B), row weights, column weights) -> the weighted sum of the tile, as one compiled
    loop.
    """
    key = (kernel, dtype, outer, n_threads)
    if key not in _COMPILED:
        torch._dynamo.config.recompile_limit = (
            64  # per function: over kernels, precisions, numbers of features
        )

        def from_products(rho: Any, w_rows: Any, w_columns: Any) -> Any:
            return ((_values(kernel, rho) * w_columns).sum(1) * w_rows).sum()

        def from_rows(A: Any, B: Any, w_rows: Any, w_columns: Any) -> Any:
            return from_products(_outer_products(A, B), w_rows, w_columns)

        _COMPILED[key] = torch.compile(from_rows if outer else from_products, dynamic=True)
    return _COMPILED[key]


@dataclass(frozen=True, eq=False)
class _Segment:
    label: int
    rows: Any  # (m, d) scaled rows of one class
    weights: Any  # (m,)


def _pieces(sizes: NDArray[np.int64], tile: int) -> list[tuple[int, int, int]]:
    """(label, start, stop): sorted classes cut into pieces of nearly equal length, at most `tile`
    each.
    """
    pieces = []
    start = 0
    for label, size in enumerate(sizes):
        edges = np.linspace(start, start + size, -(-int(size) // tile) + 1).astype(int)
        pieces += [(label, int(a), int(b)) for a, b in itertools.pairwise(edges)]
        start += int(size)
    return pieces


class TiledTorch:
    """One kernel in one precision.

    Parameters
    ----------
    kernel : {"nngp-relu", "ntk-relu", "nngp-erf"}
    dtype : {"float32", "float64"}
        Of the tiles. Sums over tiles are float64.
    plan : Plan
    n_threads : int, default 2
    """

    def __init__(self, kernel: str, dtype: str, plan: Plan, n_threads: int = 2) -> None:
        check_kernel(kernel, KERNELS)
        self.kernel, self.dtype, self.plan, self.n_threads = kernel, dtype, plan, n_threads
        real = getattr(torch, dtype)
        self.buffers = [
            [torch.empty(plan.tile * plan.tile, dtype=real) for _ in range(3)]
            for _ in range(plan.workers)
        ]
        self.row_buffers = [torch.empty(plan.tile, dtype=real) for _ in range(plan.workers)]
        self.one = torch.ones((), dtype=real)

    def __call__(self, X: Floats, y: NDArray[np.int64]) -> Answer:
        """Answer for rows X (N, d) and labels y (N,), everything included."""
        sizes = self._load(X, y)
        sums = self._sum(self._tiles(), len(sizes))
        block_sums = sums + sums.T
        if self.kernel == "nngp-erf":
            block_sums *= 2 / math.pi
            values = 2 / math.pi * np.arcsin(self.diagonal)
        else:  # + factor pi sum_i sum_j <x_i, x_j>/d: exact through the class sums of the rows
            factor = _angle_factor(self.kernel)
            block_sums += factor * math.pi * (self.class_rows @ self.class_rows.T) / X.shape[1]
            block_sums /= 2 * math.pi
            values = factor * self.diagonal / 2
        starts = np.concatenate(([0], np.cumsum(sizes)[:-1]))
        return answer_from_sums(
            block_sums, np.add.reduceat(values, starts), sizes.astype(np.float64)
        )

    def seconds_per_pair(self, X: Floats, y: NDArray[np.int64]) -> float:
        """Measured on an evenly spread sample of the tiles, the best of two runs."""
        sizes = self._load(X, y)
        tiles = self._tiles()
        area = sum(len(a.weights) * len(b.weights) for a, b in tiles)
        sample = tiles[:: max(1, int(area / SEARCH_PAIRS))]
        pairs = sum(len(a.weights) * len(b.weights) for a, b in sample)
        self._sum(sample[: 2 * self.plan.workers], len(sizes))  # compiles, and touches the buffers
        best = math.inf
        for _ in range(2):
            start = time.perf_counter()
            self._sum(sample, len(sizes))
            best = min(best, time.perf_counter() - start)
        return best / pairs

    def _load(self, X: Floats, y: NDArray[np.int64]) -> NDArray[np.int64]:
        """Sort, scale and convert the rows; returns the class sizes."""
        order = np.argsort(y, kind="stable")
        sizes = np.unique(y, return_counts=True)[1]
        rows = X[order]
        n_features = rows.shape[1]
        squares = np.einsum("ij,ij->i", rows, rows, dtype=np.float64) / n_features
        if self.kernel == "nngp-erf":
            scale = np.sqrt(2 / (n_features * (1 + 2 * squares)))
            self.diagonal = 2 * squares / (1 + 2 * squares)  # <w_i, w_i>
            weights = np.ones(len(rows))
        else:
            weights = np.sqrt(squares)
            scale = 1 / (weights * math.sqrt(n_features))
            self.diagonal = squares
            starts = np.concatenate(([0], np.cumsum(sizes)[:-1]))
            self.class_rows = np.add.reduceat(rows, starts, axis=0, dtype=np.float64)
        unit = rows * scale[:, None].astype(rows.dtype)
        unit = unit.astype(self.dtype, copy=False)
        weights = weights.astype(self.dtype)
        from_numpy = (
            torch.from_numpy
        )  # copies: a compiled function is fastest on tensors without an offset
        self.segments = [
            _Segment(label, from_numpy(unit[a:b].copy()), from_numpy(weights[a:b].copy()))
            for label, a, b in _pieces(sizes, self.plan.tile)
        ]
        return sizes

    def _tiles(self) -> list[tuple[_Segment, _Segment]]:
        return [(a, b) for i, a in enumerate(self.segments) for b in self.segments[i:]]

    def _sum(self, tiles: list[tuple[_Segment, _Segment]], n_classes: int) -> Floats:
        """Sum tiles by class pair, (C, C); a diagonal tile counts half, for `+ transpose`."""
        plan = self.plan
        partial = [np.zeros((n_classes, n_classes)) for _ in range(plan.workers)]
        n_torch = max(1, self.n_threads // plan.workers)
        torch.set_num_threads(n_torch)
        if plan.compiled:
            self.from_products = _compiled(self.kernel, self.dtype, n_torch, outer=False)
            self.from_rows = _compiled(self.kernel, self.dtype, n_torch, outer=True)

        def work(k: int) -> None:
            torch.set_num_threads(n_torch)  # holds for the calling thread
            with torch.no_grad():
                self._add_tiles(itertools.islice(tiles, k, None, plan.workers), k, partial[k])

        if plan.workers == 1:
            work(0)
        else:
            threads = [threading.Thread(target=work, args=(k,)) for k in range(plan.workers)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        total: Floats = np.sum(partial, axis=0)
        return total

    def _add_tiles(
        self, tiles: Iterable[tuple[_Segment, _Segment]], worker: int, sums: Floats
    ) -> None:
        plan = self.plan
        for a, b in tiles:
            diagonal = a is b
            if plan.compiled and plan.outer and not diagonal:
                total = float(self.from_rows(a.rows, b.rows, a.weights, b.weights))
            else:
                m, n = len(a.weights), len(b.weights)
                rho, angle, root = (buffer[: m * n].view(m, n) for buffer in self.buffers[worker])
                self._products(a.rows, b.rows, rho)
                if diagonal and self.kernel != "nngp-erf":
                    rho.fill_diagonal_(1)
                if plan.compiled:
                    total = float(self.from_products(rho, a.weights, b.weights))
                else:
                    values = self._values_in_place(rho, angle, root)
                    row_sums = torch.mv(values, b.weights, out=self.row_buffers[worker][:m])
                    total = float(torch.dot(row_sums, a.weights))
            sums[a.label, b.label] += 0.5 * total if diagonal else total

    def _products(self, A: Any, B: Any, out: Any) -> None:
        if not self.plan.outer:
            torch.mm(A, B.t(), out=out)
            return
        torch.mul(A[:, :1], B[:, 0], out=out)
        for k in range(1, A.shape[1]):
            out.addcmul_(A[:, k : k + 1], B[:, k])

    def _values_in_place(self, rho: Any, angle: Any, root: Any) -> Any:
        if self.kernel == "nngp-erf":
            return rho.asin_()
        rho.clamp_(-1, 1)
        torch.acos(rho, out=angle)
        torch.addcmul(self.one, rho, rho, value=-1, out=root)
        root.sqrt_()
        return root.addcmul_(angle, rho, value=-_angle_factor(self.kernel))


def can_compile() -> str:
    """The reason why torch.compile does not work here, or an empty string."""
    try:
        torch.compile(lambda x: x + 1, dynamic=True)(torch.ones(8))
    except Exception as error:  # noqa: BLE001 - whatever it raises, the reason is reported
        return f"{type(error).__name__}: {str(error).splitlines()[0]}"
    return ""


def search(
    X: Floats,
    y: NDArray[np.int64],
    kernel: str,
    dtype: str,
    n_threads: int = 2,
    *,
    compiled: bool = False,
) -> tuple[Plan, dict[str, float]]:
    """The fastest plan on this problem, and the nanoseconds per pair of all.

    Parameters
    ----------
    compiled : bool, default False
        Whether the candidates use torch.compile, or torch operations in place.
    """
    outers = (False, True) if X.shape[1] <= OUTER_FEATURES else (False,)
    workers = (1,) if compiled else sorted({1, n_threads})
    timings: dict[str, float] = {}
    best = (math.inf, Plan())
    for tile, n_workers, outer in itertools.product(TILE_SIZES, workers, outers):
        plan = Plan(tile, n_workers, compiled, outer)
        seconds = TiledTorch(kernel, dtype, plan, n_threads).seconds_per_pair(X, y)
        timings[f"tile {tile}, {n_workers} worker(s){', outer' if outer else ''}"] = round(
            seconds * 1e9, 4
        )
        best = min(best, (seconds, plan), key=lambda candidate: candidate[0])
    return best[1], timings
