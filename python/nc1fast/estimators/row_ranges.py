"""Moments of all rows in one pass: ranges of consecutive rows, each on one thread, merged in their
order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from nc1fast.support.threads import workers

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST_RANGES = 512


class Mergeable(Protocol):
    """Moments of some rows, to which those of others can be added."""

    def merge(self, other: Any) -> None:
        """Add the moments of other rows to these."""


Merged = TypeVar("Merged", bound=Mergeable)


def range_length(n_rows: int, chunk: int) -> int:
    """Rows of a range: whole chunks, at most 512 ranges in all.

    It depends on neither threads nor memory, so that the bits of what is merged do not.
    """
    return chunk * -(-n_rows // (chunk * _MOST_RANGES))


def row_ranges(n_rows: int, step: int) -> list[range]:
    """Ranges of at most `step` rows that cover all rows."""
    return [range(start, min(start + step, n_rows)) for start in range(0, n_rows, step)]


def merged(moments: Callable[[range], Merged], ranges: list[range], n_threads: int) -> Merged:
    """The moments of all ranges together; `moments(rows)` gives those of one."""
    with workers(n_threads) as in_order:
        found = in_order(moments, ranges)
        total: Merged = next(found)
        for other in found:
            total.merge(other)
    return total
