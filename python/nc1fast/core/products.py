"""Products of a Gram matrix with columns of numbers, tile by tile, without the matrix.

Each tile is computed once and serves its rows and its columns. What a tile adds to an output is
rounded to a multiple of a power of two that Cauchy-Schwarz fixes beforehand, |sum_j k_ij v_j| <=
sqrt(k_ii) sum_j sqrt(k_jj) |v_j|, and added as an integer: neither threads, nor the order of tiles,
nor the groups that rows are read in change a bit.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from nc1fast import _core
from nc1fast.core.backend import check_rows, diagonal, gram, in_range, mapped_rows
from nc1fast.core.expressions import kernel_dict
from nc1fast.core.machine import thread_count, threads_for
from nc1fast.inputs.arrays import as_rows, host_array, row_chunks, rows_at
from nc1fast.inputs.files import as_source
from nc1fast.support.arguments import as_number, check_choice
from nc1fast.support.progress import reporting, staged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, NDArray

    from nc1fast.core.expressions import Expression, SupportsExpression
    from nc1fast.inputs.file_rows import FileRows
    from nc1fast.support.progress import Report

    Array = NDArray[np.float64]
    Rows = NDArray[Any] | FileRows

_BITS = 61  # of an integer sum: two are left for its sign and for rounding
_SPARE = 1.01  # by which bounds exceed what rounding makes of a value
_MOST_COLUMNS = 256  # of a pass: their sums stay in L2 beside the rows
# Of the rows of a tile, with what is multiplied and summed: half of a small L2.
_TILE_BYTES = 1 << 19
_TILE_STEPS = 8  # rows of a tile, in steps of the core, at most
_LEAST_TILES = 256  # pairs of blocks below which tiles are made smaller, so that threads share them


@dataclass(frozen=True)
class ProductSettings:
    """Settings of products with a Gram matrix, checked when they are made.

    Attributes
    ----------
    dtype : {"float64", "float32"}
        Of the kernel values; sums are float64 and integers.
    n_threads : int, optional
    memory_limit : float, optional
        Bytes beside X and the factors.

    Raises
    ------
    TypeError, ValueError
        For a value that is not among these.
    """

    dtype: str = "float64"
    n_threads: int | None = None
    memory_limit: float | None = None

    def __post_init__(self) -> None:
        check_choice("dtype", self.dtype, ("float64", "float32"))
        thread_count(self.n_threads)
        if self.memory_limit is not None:
            limit = as_number("memory_limit", self.memory_limit, least=0)
            object.__setattr__(self, "memory_limit", limit)

    @property
    def single(self) -> bool:
        """Whether tiles are in single precision."""
        return self.dtype == "float32"


@dataclass(frozen=True, eq=False)
class KernelMap:
    """The Gram matrix K(Z, X), or K(X, X), as a linear map of columns of numbers.

    Attributes
    ----------
    kernel : Kernel
    X, Z : ndarray or FileRows of shape (n, n_features) and (m, n_features)
        As `as_rows` gives them. Z: None for X itself.
    settings : ProductSettings
    """

    kernel: SupportsExpression
    X: Rows
    Z: Rows | None = None
    settings: ProductSettings = ProductSettings()

    @classmethod
    def of(
        cls,
        kernel: SupportsExpression,
        X: ArrayLike,
        Z: ArrayLike | None,
        settings: ProductSettings,
    ) -> KernelMap:
        """The map of data as a caller gives them: arrays, or paths of files.

        Raises
        ------
        TypeError, ValueError, OSError
            As `nc1fast.collapse` does for X.
        """
        rows = as_rows(as_source(X), "X")
        others = None if Z is None else as_rows(as_source(Z), "Z")
        if others is not None and others.shape[1] != rows.shape[1]:
            raise ValueError(
                f"Z must have {rows.shape[1]} features as X has, got {others.shape[1]}"
            )
        made = cls(kernel, rows, others, settings)
        for side in (rows, others):
            if side is not None:
                check_rows(side, made.expression.leaves)
        return made

    @property
    def shape(self) -> tuple[int, int]:
        """(m, n): rows of Z, or of X, and rows of X."""
        return len(self.X if self.Z is None else self.Z), len(self.X)

    @cached_property
    def expression(self) -> Expression:
        """The kernel as the core takes it, for rows of as many features."""
        return self.kernel.expression(self.X.shape[1]).on_common_rows()

    @cached_property
    def diagonal(self) -> Array:
        """k(x_i, x_i) of the rows of X, shape (n,)."""
        return self._diagonal(self.X)

    @cached_property
    def result_diagonal(self) -> Array:
        """k(z_i, z_i) of the rows of the result, shape (m,)."""
        return self.diagonal if self.Z is None else self._diagonal(self.Z)

    @cached_property
    def _exponents(self) -> NDArray[np.int32]:
        """E with sqrt k(z_i, z_i) < 2^E for every row of the result, shape (m,)."""
        return np.frexp(_SPARE * np.sqrt(self.result_diagonal))[1]

    def _diagonal(self, rows: Rows) -> Array:
        return np.concatenate([diagonal(self.kernel, chunk) for chunk in row_chunks(rows)])

    def entries(self, rows: NDArray[Any] | slice | None = None) -> Array:
        """Rows of the stored matrix, by a slice or an array of numbers: shape (rows, n), float64.

        Default: all of them.
        """
        side, others = (self.X if self.Z is None else self.Z), rows_at(self.X, slice(None))
        whole = rows is None and self.Z is None
        first = others if whole else rows_at(side, slice(None) if rows is None else rows)
        return gram(
            self.kernel,
            first,
            None if whole else others,
            dtype="float64",
            n_threads=self.settings.n_threads,
            device="cpu",
        )

    def among_results(self) -> Array:
        """The stored matrix K(Z, Z) of the rows of the result, shape (m, m)."""
        return replace(self, X=self.X if self.Z is None else self.Z, Z=None).entries()

    def __call__(self, V: Array, report: Report | None = None) -> Array:
        """K V, shape (m, k), of finite float64 V (n, k).

        Raises
        ------
        ValueError
            Where `memory_limit` has no room for two tiles of rows, or values overflow.
        """
        out = np.empty((self.shape[0], V.shape[1]))
        n_passes = -(-V.shape[1] // _MOST_COLUMNS)
        for index, own in enumerate(staged(report, n_passes)):
            part = slice(index * _MOST_COLUMNS, (index + 1) * _MOST_COLUMNS)
            out[:, part] = self._product(V[:, part], own)
        return out

    def _product(self, V: Array, report: Report | None) -> Array:
        """The same of a few columns."""
        _, sizes = np.frexp(np.abs(V).max(axis=0))
        factors = np.ldexp(V, -sizes)
        bounds = _SPARE * np.einsum("i,ij->j", np.sqrt(self.diagonal), np.abs(factors))
        _, exponents = np.frexp(bounds)
        if self.settings.single:
            factors = factors.astype(np.float32)
        sums = np.zeros((V.shape[1], self.shape[0]), np.int64)
        with in_range(self.kernel):
            self._add(np.ascontiguousarray(factors), np.ldexp(1.0, _BITS - exponents), sums, report)
        scale = self._exponents[:, None] + (exponents + sizes - _BITS)
        return np.asarray(np.ldexp(sums.T.astype(np.float64), scale))

    def _add(
        self,
        factors: NDArray[Any],
        factor_scale: Array,
        sums: NDArray[np.int64],
        report: Report | None,
    ) -> None:
        """Add the integer sums (k, m) of all tiles, one pair of groups of rows after the other."""
        k, side = len(sums), self.X if self.Z is None else self.Z
        scale = np.ldexp(1.0, -self._exponents)
        steps = list(self._pairs(k))
        total = sum(pairs for _, _, pairs in steps)
        tile_rows, done = self._tile_rows(k), 0
        for first, second, pairs in steps:
            square = self.Z is None and first == second
            mutual = self.Z is None and not square  # a tile serves its rows and its columns
            sums_of_columns = (scale[second], sums[:, second]) if mutual else (None, None)
            _core.multiply(
                self._mapped(side, first),
                None if square else self._mapped(self.X, second),
                kernel_dict(self.expression),
                self.settings.single,
                (factors[first] if mutual else None, scale[first], sums[:, first]),
                (factors[second], *sums_of_columns),
                factor_scale,
                tile_rows,
                threads_for(self.settings.n_threads, pairs),
                _part_of(report, done, pairs, total),
            )
            done += pairs

    def _mapped(self, rows: Rows, span: slice) -> NDArray[Any]:
        """Rows of a span as the core takes them."""
        return mapped_rows(rows_at(rows, span), self.expression.leaves[0], self.settings.n_threads)

    def _pairs(self, k: int) -> Iterator[tuple[slice, slice, int]]:
        """Pairs of groups of rows, (of the result, of X), and how many pairs of rows each has."""
        groups = self._spans(self.X, k)
        if self.Z is None:
            pairs = list(itertools.combinations_with_replacement(groups, 2))
        else:
            pairs = list(itertools.product(self._spans(self.Z, k), groups))
        for a, b in pairs:
            sizes = (a.stop - a.start) * (b.stop - b.start)
            yield a, b, sizes // (1 + (self.Z is None and a == b))

    def _spans(self, rows: Rows, k: int) -> list[slice]:
        """Groups of rows of which two fit into memory beside k columns: all rows where there is no
        limit.
        """
        limit, n = self.settings.memory_limit, len(rows)
        at_once = n
        if limit is not None:
            kernel, single = kernel_dict(self.expression), self.settings.single
            packed, _ = _core.row_bytes(self.X.shape[1], kernel, single, single, False)
            a_row = packed + 16 * self.X.shape[1]
            step, room = self._tile_rows(k), limit - 32 * k * sum(self.shape)
            at_once = int(room / (2 * a_row)) // step * step
            if at_once < step:
                needed = 32 * k * sum(self.shape) + 2 * step * a_row
                raise ValueError(
                    f"memory_limit is {limit:.0f} bytes, but at least {needed} are needed for {k} "
                    "columns and two tiles of rows"
                )
        return [slice(begin, min(n, begin + at_once)) for begin in range(0, n, at_once)]

    def _tile_rows(self, k: int) -> int:
        """Rows of a tile: its sums are rounded to integers at its end, so that nothing but the
        problem decides them.
        """
        step, size = _core.row_step(), 4 if self.settings.single else 8
        a_row = (self.X.shape[1] + 1) * size + k * (8 + size)
        steps = min(max(1, _TILE_BYTES // (step * a_row)), _TILE_STEPS)
        while steps > 1 and self.shape[0] * self.shape[1] < _LEAST_TILES * (steps * step) ** 2:
            steps //= 2
        return int(steps * step)


def _part_of(report: Report | None, before: int, own: int, total: int) -> Report | None:
    """The report of a part of the pairs, `before` of them being done."""
    if report is None:
        return None
    return lambda done, count: report(before + own * done // max(count, 1), total)


def as_columns(V: Any, n: int, name: str = "V") -> Array:
    """Numbers to multiply with, checked: finite float64, shape (n, k); a vector is one column.

    Raises
    ------
    TypeError, ValueError
        For what is not real, not finite, or of another shape.
    """
    values = host_array(V, name)
    if values.dtype.kind not in "fiub":
        raise TypeError(f"{name} must be real numbers, got dtype {values.dtype}")
    columns = values[:, None] if values.ndim == 1 else values
    if columns.ndim != 2 or len(columns) != n or not columns.shape[1]:
        raise ValueError(f"{name} must have shape ({n},) or ({n}, k), got {values.shape}")
    columns = columns.astype(np.float64)
    if not np.isfinite(columns).all():
        raise ValueError(f"{name} must be finite, but it contains NaN or Inf")
    return columns


def matvec(
    kernel: SupportsExpression,
    X: ArrayLike,
    V: ArrayLike,
    Z: ArrayLike | None,
    settings: ProductSettings,
    progress: Any,
) -> Array:
    """K(Z, X) V: see `Kernel.matvec`."""
    made = KernelMap.of(kernel, X, Z, settings)
    columns = as_columns(V, made.shape[1])
    with reporting(progress) as report:
        out = made(columns, report)
    return out[:, 0] if np.ndim(V) == 1 else out
