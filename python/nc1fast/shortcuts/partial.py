"""Class sums of parts of a kernel, and of kernels that are combinations of parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nc1fast.sums.class_sums import ClassSums, SumsError
from nc1fast.sums.rounding import UNIT_ROUNDOFF

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from nc1fast.inputs.labelled import Classes

    Array = NDArray[np.float64]


class ShortcutUnavailable(ValueError):  # noqa: N818  (a name of the interface)
    """There is no shortcut for this kernel and these rows; the pass over all pairs takes them."""


class PartialSums(NamedTuple):
    """Sums of one kernel over classes, with absolute bounds on their errors.

    Attributes
    ----------
    block, block_error : ndarray of shape (C, C)
        The diagonals are not used.
    within, within_error, traces, traces_error : ndarray of shape (C,)
    rows : ndarray of shape (C, N), or None
    """

    block: Array
    within: Array
    traces: Array
    block_error: Array
    within_error: Array
    traces_error: Array
    rows: Array | None


def rows_by_class(sizes: NDArray[np.int64]) -> list[slice]:
    """The slice of each class in rows sorted by class."""
    ends = np.cumsum(sizes)
    return [slice(int(e - n), int(e)) for n, e in zip(sizes, ends, strict=True)]


def constant(sizes: NDArray[np.int64], n_rows: int | None) -> PartialSums:
    """Sums of the kernel 1, with the row-class sums of `n_rows` rows unless that is None."""
    n = sizes.astype(np.float64)
    rows = None if n_rows is None else np.repeat(n[:, None], n_rows, axis=1)
    zero = np.zeros(len(n))
    return PartialSums(np.outer(n, n), zero, n, np.zeros((len(n), len(n))), zero, zero, rows)


def of_sums(sums: ClassSums) -> PartialSums:
    """Class sums of explicit features as sums of a part."""
    e = sums.error
    arrays = (sums.block_sums, sums.within, sums.traces, e.block_sums, e.within, e.traces)
    return PartialSums(*arrays, sums.class_rows)


def combined(
    parts: Sequence[tuple[float, PartialSums]], classes: Classes, kernel: Any
) -> ClassSums:
    """Class sums of a kernel that is a combination of others, as (coefficient >= 0, sums)."""
    n = classes.sizes.astype(np.float64)
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
    return ClassSums(
        block, traces, within, classes.sizes, classes.labels, error, kernel, rows, classes.order
    )
