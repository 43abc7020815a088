"""Sums of a part of a kernel, and kernels put together from parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nc1fast.sums.class_sums import ClassSums, SumsError
from nc1fast.sums.rounding import UNIT_ROUNDOFF

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]


class PartialSums(NamedTuple):
    """Sums of one kernel over classes, and bounds on their errors. The diagonal of the block sums is not used."""

    block: Array  # (C, C)
    within: Array  # (C,)
    traces: Array  # (C,)
    block_error: Array
    within_error: Array
    traces_error: Array
    rows: Array | None  # (C, N)


def rows_by_class(sizes: NDArray[np.int64]) -> list[slice]:
    """Where the rows of each class are among rows sorted by class."""
    ends = np.cumsum(sizes)
    return [slice(int(e - n), int(e)) for n, e in zip(sizes, ends, strict=True)]


def constant(sizes: NDArray[np.int64], n_rows: int | None) -> PartialSums:
    """Sums of the kernel 1; `n_rows` asks for its row-class sums."""
    n = sizes.astype(np.float64)
    rows = None if n_rows is None else np.repeat(n[:, None], n_rows, axis=1)
    zero = np.zeros(len(n))
    return PartialSums(np.outer(n, n), zero, n, np.zeros((len(n), len(n))), zero, zero, rows)


def of_sums(sums: ClassSums) -> PartialSums:
    """Class sums that are there already, of explicit features."""
    e = sums.error
    arrays = (sums.block_sums, sums.within, sums.traces, e.block_sums, e.within, e.traces)
    return PartialSums(*arrays, sums.class_rows)


def combined(
    parts: Sequence[tuple[float, PartialSums]],
    sizes: NDArray[np.int64],
    labels: NDArray[Any],
    kernel: Any,
    order: NDArray[np.int64],
) -> ClassSums:
    """Class sums of a kernel that is a combination of others with coefficients >= 0."""
    n = sizes.astype(np.float64)
    u = UNIT_ROUNDOFF * (len(parts) + 4)

    def mixed(arrays: Sequence[Array]) -> Array:
        return np.asarray(np.sum([c * a for (c, _), a in zip(parts, arrays, strict=True)], axis=0))

    fields = [mixed(arrays) for arrays in zip(*(part[:6] for _, part in parts), strict=True)]
    block, within, traces, d_block, d_within, d_traces = fields
    d_within, d_traces = d_within + u * within, d_traces + u * traces
    d_block += u * mixed([np.abs(part.block) for _, part in parts])
    np.fill_diagonal(block, n * (traces - within))
    np.fill_diagonal(d_block, n * (d_traces + d_within) + 2 * UNIT_ROUNDOFF * n * traces)
    rows = None
    for c, part in parts:
        if part.rows is not None:
            scaled = part.rows if c == 1 else c * part.rows
            rows = scaled if rows is None else rows + scaled
    error = SumsError(d_block, d_traces, d_within)
    return ClassSums(block, traces, within, sizes, labels, error, kernel, rows, order)
